"""The graph with `detector: mixed`: what its settings and an answer cost, and that the answer teaches."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest

from pipeline.project import Project

pytestmark = pytest.mark.pipeline

CHOSEN = {"detector": "mixed", "noise.level": 0.1}
LEARNING = {"train", "refine", "evaluate"}


def test_the_detector_costs_what_learns(ready: Project) -> None:
    """Stages that ask how many synthetic defects the detector wants find nothing new to do."""
    ready.repro()
    ready.set({"detector": "mixed"})
    run = ready.repro()
    assert run.ran == {"synthesize", "embed", "pretrain_pdn", "select"} | LEARNING
    assert "select: mixed reads places" in run.out
    assert run.number(r"embed: \d+ images, (\d+) new") == 0
    assert "nothing to do, mixed reads no pixels" in run.out


def test_settings_and_answers(ready: Project) -> None:
    ready.set(CHOSEN)
    assert ready.repro().ran >= LEARNING
    before = _metrics(ready)["supervision"]
    assert before["available"] == before["used"] > 0
    assert (before["recycled"], before["recycled_wrong"]) == (0, 0)

    ready.set(CHOSEN | {"mixed.fraction": 0.0})
    assert ready.repro().ran == {"select", "train", "refine", "evaluate"}
    assert _metrics(ready)["supervision"] == before | {"used": 0}

    kept = _trained(ready)
    hidden = kept.index[(kept["injected"] == "1")][0]
    (ready.root / "data/review.csv").write_text(f"image_id,verdict,note\n{hidden},remove,\n")
    run = ready.repro()
    assert run.ran == {"refine", "evaluate"}
    assert "refine: the model learned 1 removed photo as known defects" in run.out
    assert _metrics(ready)["supervision"] == before | {"used": 0, "recycled": 1}
    taught = _trained(ready)["recycled"]
    assert taught.index[taught == "1"].tolist() == [hidden]
    assert "plus 1 removed photo." in (ready.root / "reports/report.html").read_text()


@pytest.mark.parametrize(
    ("changes", "ran"),
    [
        ({"mixed.groups": ["none of these"]}, {"select"} | LEARNING),
        ({"mixed.inject": 0.25}, {"select"} | LEARNING),
        ({"mixed.recycle": "removed", "mixed.trust": 0.25}, {"select"} | LEARNING),
        ({"noise.level": 0.05}, {"inject_noise"} | LEARNING),
        ({"noise.seed": 1}, {"inject_noise"} | LEARNING),
        ({"synthesize.seed": 1}, {"synthesize", "embed", "pretrain_pdn", "select"} | LEARNING),
        ({"padim.top": 0.1, "differnet.epochs": 5}, set()),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "reruns",
)
def test_setting(ready: Project, changes: dict[str, Any], ran: set[str]) -> None:
    """The rows of the rerun table with this detector."""
    ready.set(CHOSEN)
    ready.repro()
    ready.set(CHOSEN | changes)
    assert ready.repro().ran == ran


def _metrics(project: Project) -> dict[str, dict[str, int]]:
    content: dict[str, dict[str, int]] = json.loads((project.root / "reports/metrics.json").read_text())
    return content


def _trained(project: Project) -> pd.DataFrame:
    table = pd.read_csv(project.root / "data/refined/manifest.csv", dtype=str, keep_default_na=False)
    return table[table["split"] == "train"].set_index("image_id")
