"""A tiny dataset in the official layout, features of the real backbone, and a small flow."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from adrefine.backbones import pdn
from adrefine.benchmark import figures, plan, prepared
from adrefine.benchmark.command import benchmark
from adrefine.benchmark.config import Benchmark
from adrefine.params import parse
from benchmark.made_up import written
from trees import mvtec

CLASSES = ["cable", "zipper"]
CONTENT = {
    "datasets": [{"name": "AD", "layout": "mvtec", "root": "mvtec", "classes": CLASSES, "n_train": 10}],
    "levels": [0.2],
    "seeds": [0],
    "detectors": {"small": {"differnet": {"hidden": 8, "blocks": 1, "epochs": 2}}},
    "strategies": {
        "irp": {"refine": {"strategy": "irp", "folds": 2, "max_rounds": 2}, "irp": {"lambda": 1.01}}
    },
    "params": {
        "dataset": {"image_size": 32, "val_fraction": 0.1},
        "embed": {"scales": [32], "views": 1},
    },
    "ceiling_folds": 2,
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(CLASSES):
        mvtec(tmp_path / "mvtec" / name, train=16, each=3 + number)
    monkeypatch.setenv("ADREFINE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(figures, "draw", lambda groups, config: {})
    return tmp_path


def test_one_and_two_workers_give_the_same_rows(project):
    """Also: photos are prepared once, and again when one of them changes."""
    for workers in (1, 2):
        benchmark(written(project, {**CONTENT, "localize": 4}, f"with{workers}"), workers=workers)
        for models in prepared.WORK.glob("*/models"):
            models.rename(models.with_name(f"models-{workers}"))
    one, two = (pd.read_csv(project / f"results/with{workers}.csv") for workers in (1, 2))
    pd.testing.assert_frame_equal(one.drop(columns="seconds"), two.drop(columns="seconds"))
    assert len(one) == 2 * 3
    assert one["auroc"].between(0, 1).all()
    assert one["aupro"].between(0, 1).all()
    assert one["ceiling_rank_auroc"].notna().sum() == 2
    text = Path("results/with2.md").read_text()
    assert "| classes | cable |" in text
    assert "| models | irp on MVTec AD |" in text
    folders = sorted(prepared.WORK.glob("mvtec-*"))
    assert all((folder / "models-1").exists() and (folder / "models-2").exists() for folder in folders)
    os.utime(project / "mvtec/cable/train/good/000.png", (1, 1))
    for entry in CLASSES:
        cell = {"name": "AD", "layout": "mvtec", "root": f"mvtec/{entry}", "n_train": 10}
        prepared.prepare(
            next(iter(plan.cells(Benchmark(**CONTENT | {"datasets": [cell]})).values()))[0].params
        )
    assert [(folder / "models-1").exists() for folder in folders] == [False, True]


def test_efficientad_reads_what_it_needs_and_can_be_refined_by_consensus(project):
    (project / "data/generic").mkdir(parents=True)
    small = {"preset": "short", "side": 64, "steps": 1, "batch_size": 1, "holdout": 0}
    content = CONTENT | {
        "datasets": [{"name": "AD", "layout": "mvtec", "root": "mvtec/cable", "n_train": 10}],
        "detectors": {"maps": {"detector": "efficientad", "efficientad": small}},
        "strategies": {"consensus": {"refine": {"strategy": "consensus"}}},
    }
    benchmark(written(project, content, "maps"))
    rows = pd.read_csv(project / "results/maps.csv")
    assert set(rows["strategy"]) == {"vanilla", "consensus", "oracle"}
    assert rows["auroc"].between(0, 1).all()
    (folder,) = prepared.WORK.glob("mvtec-cable-*")
    assert {path.name for path in (folder / "prepared/pixels").iterdir()} >= {"pdn.pt", "synthetic.csv"}


def test_other_bundled_weights_are_another_folder(tmp_path, monkeypatch):
    base = parse({"detector": "efficientad"})
    before = prepared.folder(base), prepared.folder(parse({}))
    (tmp_path / "other.pt").write_bytes(b"other")
    monkeypatch.setattr(pdn, "BUNDLED", tmp_path / "other.pt")
    assert prepared.folder(base) != before[0]
    assert prepared.folder(parse({})) == before[1]


def test_what_a_detector_reads_decides_its_runs():
    base = parse({})
    assert prepared.folder(base) != prepared.folder(base.model_copy(update={"detector": "efficientad"}))

    def digests(detector="differnet", **params):
        content = CONTENT | {"params": params, "detectors": {"one": {"detector": detector}}}
        return [run.digest for runs in plan.cells(Benchmark(**content)).values() for run in runs]

    maps = {"detector": "efficientad"}
    assert digests() != digests(embed={"views": 2})
    assert digests(**maps) == digests(**maps, embed={"views": 2})
    assert digests(**maps) != digests(**maps, pretrain_pdn={"seed": 1})
