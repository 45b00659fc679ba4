"""The graph with `detector: efficientad`: the promised outputs, and what a change of its settings costs."""

from __future__ import annotations

import json

import pytest
import yaml

from pipeline.project import Project, Run

pytestmark = pytest.mark.pipeline

LEARNING = {"train", "refine", "evaluate"}
CHOSEN = {
    "detector": "efficientad",
    "refine.scorer": "in_sample",
    "refine.max_rounds": 1,
    "refine.final_fit": "warm",
    "irp.lambda": 1.01,
}


@pytest.fixture
def chosen(ready: Project) -> tuple[Project, Run]:
    """The project after a run with EfficientAD: the first time it runs, later DVC restores it."""
    ready.set(CHOSEN)
    return ready, ready.repro()


def test_only_the_learning_runs_and_leaves_all_that_is_promised(chosen: tuple[Project, Run]) -> None:
    project, run = chosen
    assert run.ran == {"synthesize", "embed", "pretrain_pdn", "select"} | LEARNING
    assert "embed: efficientad reads no features" in run.out
    metrics = json.loads((project.root / "reports/metrics.json").read_text())
    models = {"initial", "refined", "oracle"}
    assert set(metrics["detection"]) == set(metrics["localization"]) == models
    for name in models:
        assert (project.root / f"models/{name}/efficientad.pt").exists()
        assert set(metrics["localization"][name]) == {"pixel_auroc", "aupro"}
    assert metrics["cleaning"]["removed"] == 1
    assert (project.root / "reports/plots/distillation.png").exists()
    assert (project.root / "reports/plots/layers.png").exists()
    report = (project.root / "reports/report.html").read_text()
    assert "Heat map of" in report
    assert "distillation steps" in report


@pytest.mark.parametrize(
    ("changes", "ran"),
    [
        ({"evaluate.alpha": 0.4}, {"evaluate"}),
        ({"differnet.learning_rate": 1.0e-3, "differnet.epochs": 2}, set()),
        ({"embed.views": 1}, {"embed"}),
        ({"pretrain_pdn.steps": 1}, {"pretrain_pdn", "select"} | LEARNING),
    ],
    ids=["alpha", "detector not chosen", "not read", "read"],
)
def test_a_change_costs_what_it_must(chosen: tuple[Project, Run], changes: dict, ran: set[str]) -> None:
    project, _ = chosen
    before = project.lock
    project.set(CHOSEN | changes)
    assert project.repro().ran == ran
    project.set(CHOSEN)
    assert not project.repro().ran
    assert yaml.safe_load(project.lock) == yaml.safe_load(before)


def test_forced_again_gives_the_same_lock(chosen: tuple[Project, Run]) -> None:
    project, _ = chosen
    before = project.lock
    assert project.repro("-f", "-s", "train").ran == {"train"}
    assert yaml.safe_load(project.lock) == yaml.safe_load(before)
