"""A small finished run: 12 training photos in 2 rounds, 3 of them hidden defects, and 8 test photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from adrefine.report.data import ReportData


def photo(path: Path, seed: int) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (40, 40, 3), np.uint8)).save(path)
    return str(path)


def photos(folder: Path, split: str, labels: list[int]) -> pd.DataFrame:
    mask = folder / "mask.png"
    Image.fromarray(np.pad(np.full((6, 6), 255, np.uint8), 17)).save(mask)
    return pd.DataFrame(
        {
            "image_id": [f"{split}{number:02d}" for number in range(len(labels))],
            "path": [photo(folder / f"{split}{index}.png", index) for index in range(len(labels))],
            "mask_path": [str(mask) if label else "" for label in labels],
            "source": [f"{split}/{number}.png" for number in range(len(labels))],
            "label": labels,
            "defect_type": ["scratch" if label else "" for label in labels],
        }
    )


@pytest.fixture
def data(tmp_path: Path) -> ReportData:
    train = photos(tmp_path, "train", [1, 1, 1, *[0] * 9])
    train["injected"] = train["label"]
    # Round 1 takes out a defect (00), round 2 a defect and a good photo (01, 03); the defect 02 stays.
    train["kept"] = [0, 0, 1, 0, *[1] * 8]
    train["removed_round"] = [1, 2, np.nan, 2, *[np.nan] * 8]
    train["score"] = [9.0, 5.0, 1.9, 4.0, *np.linspace(0.5, 1.5, 8)]
    train["threshold"] = [3.0, 2.0, 2.0, 2.0, *[2.0] * 8]
    train["reviewed"], train["review_note"] = "", ""
    train["reason"] = ["irp", "irp", "", "irp", *[""] * 8]  # why it is out, as in the refined manifest
    first = train[["image_id", "score"]].assign(round=1, threshold=3.0, removed=0)
    second = train[["image_id", "score"]].iloc[1:].assign(round=2, threshold=2.0, removed=0)
    first.loc[0, "removed"] = 1
    second.loc[[1, 3], "removed"] = 1
    test = photos(tmp_path, "test", [0, 0, 0, 0, 1, 1, 1, 1])
    test["initial"] = [1.0, 2, 3, 4, 3.5, 2.5, 5, 6]
    test["refined"] = [1.0, 2, 4.0, 4.1, 3.5, 5, 6, 7]
    test["oracle"] = [1.0, 2, 3, 4, 5, 6, 7, 8]
    return ReportData(
        settings={"dataset": "nuts", "strategy": "irp", "scales": [448, 224], "rotate": True},
        metrics={
            "detection": {
                "initial": {"auroc": 0.8125},
                "refined": {"auroc": 0.9375, "recall": 0.75, "fpr": 0.25},
                "oracle": {"auroc": 1.0},
            },
            "cleaning": {"oracle_gap_closed": 2 / 3},
        },
        train=train,
        history=pd.concat([first, second]),
        rounds=pd.DataFrame(
            {
                "round": [0, 1, 2],
                "kept": [12, 11, 9],
                "removed": [0, 1, 2],
                "residual_noise": [0.25, 2 / 11, 1 / 9],
                "auroc": [0.8125, 0.875, 0.9375],
            }
        ),
        test=test,
        thresholds={"initial": 4.0, "refined": 4.0, "oracle": 4.0},
        stop_reason="no score was over the limit.",
        queue=pd.DataFrame(
            {
                "image_id": ["train02", "train03", *[f"train{number:02d}" for number in range(11, 3, -1)]],
                "reason": ["kept, 5% under the limit", "removed, 100% over the limit", *["kept, under"] * 8],
            }
        ),
        maps={name: np.eye(5, dtype=np.float32) for name in ("train00", "train02", "test04")},
        notes=["Only three defects could be hidden."],
    )


@pytest.fixture
def unlabelled(data: ReportData) -> ReportData:
    """The same run over a folder of photos of which nobody says what they are."""
    train = data.train.drop(columns=["injected", "defect_type", "mask_path"]).assign(label=-1)
    return ReportData(
        settings=data.settings,
        metrics={},
        train=train,
        history=data.history,
        rounds=data.rounds.drop(columns="residual_noise").assign(auroc=np.nan),
        test=data.test.iloc[:0].drop(columns=["initial", "refined", "oracle"]),
        thresholds={},
        queue=data.queue,
        stop_reason="",
        maps=data.maps,
    )
