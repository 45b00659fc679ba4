"""The rerun table of the design: what DVC runs again when something changes, row by row.

Every test changes one thing of the committed state. Where the test before it changed another, DVC restores
that from its run cache, so "ran" is what the change itself costs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from dvc.repo import Repo

from pipeline import photos
from pipeline.project import PHOTOS, STAGES, Project

pytestmark = pytest.mark.pipeline

ALL = set(STAGES)
LEARNING = {"train", "refine", "evaluate"}
ROWS = {  # a section of params.yaml: all that may run again
    "dataset": ALL,
    "noise": {"inject_noise"} | LEARNING,
    "synthesize": {"synthesize", "embed", "pretrain_pdn", "select"} | LEARNING,
    "runtime": {"embed", "pretrain_pdn", "select"} | LEARNING,
    "embed": {"embed", "select"} | LEARNING,
    "pretrain_pdn": {"pretrain_pdn"},
    "detector": {"synthesize", "embed", "pretrain_pdn", "select"} | LEARNING,
    "padim": {"select"} | LEARNING,
    "differnet": set(),
    "efficientad": set(),
    "mixed": set(),
    "glass": set(),
    "ddad": set(),
    "anomalib": set(),
    "uflow": set(),
    "refine": {"refine", "evaluate"},
    "irp": {"refine", "evaluate"},
    "osr": set(),
    "meta_iqr": set(),
    "mad": set(),
    "consensus": set(),
    "vanilla": set(),
    "evaluate": {"evaluate"},
    "inbox": set(),
    "promotion": set(),
}
# Output that stays as it is: with padim nobody reads what pretrain_pdn makes; select keeps no strategy.
UNCHANGED = {"pretrain_pdn": "pretrain_pdn", "refine.strategy": "select"}


@pytest.mark.parametrize(
    ("changes", "ran"),
    [
        ({"runtime.cluster": "local"}, set()),
        ({"irp.lambda": 1.2}, {"refine", "evaluate"}),
        ({"refine.strategy": "osr"}, {"select", "refine", "evaluate"}),
        ({"refine.strategy": "consensus"}, {"select", "refine", "evaluate"}),
        ({"noise.level": 0.1, "noise.n_test": 2}, {"inject_noise", "train", "refine", "evaluate"}),
        ({"padim.top": 0.1}, {"select", "train", "refine", "evaluate"}),
        ({"differnet.learning_rate": 1e-3, "differnet.epochs": 5}, set()),
        ({"osr.lambda": 3.0, "osr.keep": 0.7}, set()),
        ({"efficientad.steps": 3, "efficientad.coeff_cdo": 0.0}, set()),
        ({"mixed.fraction": 0.5, "mixed.recycle": "removed"}, set()),
        (
            {"synthesize.seed": 1},
            {"synthesize", "embed", "pretrain_pdn", "select", "train", "refine", "evaluate"},
        ),
        ({"embed.places.seed": 1}, {"embed", "select", "train", "refine", "evaluate"}),
        (
            {"embed.views": 1, "embed.pool": "mean", "embed.light": 0.0},
            {"embed"},
        ),
        ({"pretrain_pdn.steps": 1}, {"pretrain_pdn"}),
        ({"pretrain_pdn.init": "scratch", "pretrain_pdn.teacher": "resnet18"}, {"pretrain_pdn"}),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "reruns",
)
def test_setting(ready: Project, changes: dict[str, Any], ran: set[str]) -> None:
    ready.set(changes)
    assert ready.repro().ran == ran


def test_photo_added(ready: Project) -> None:
    photos.save(ready.root / PHOTOS / "train/good/added.png", photos.plate(5000))
    run = ready.repro("train", "pretrain_pdn")
    assert run.ran == ALL - {"refine", "evaluate"}
    assert run.number(r"(\d+) decoded") == 1
    assert run.number(r"embed: \d+ images, (\d+) new") == 1 + _twins(ready, "train/good/added.png")


def test_generic_photo_added(ready: Project) -> None:
    added = photos.save(ready.root / "data/generic/added.png", photos.plate(5002))
    try:
        run = ready.repro()
    finally:
        added.unlink()
    assert run.ran == {"pretrain_pdn"}
    assert "nothing to do, padim reads no pixels" in run.out


def test_photo_changed(ready: Project) -> None:
    photos.save(ready.root / PHOTOS / "train/good/000.png", photos.plate(5001))
    run = ready.repro("embed")
    assert run.ran == {"ingest", "validate", "synthesize", "embed"}
    assert run.number(r"(\d+) decoded") == 1
    assert run.number(r"embed: \d+ images, (\d+) new") == 1 + _twins(ready, "train/good/000.png")


def test_region_of_interest(ready: Project) -> None:
    """A file that nobody names changes nothing; a mask and its changes, what depends on the pixels."""
    inside = np.zeros((photos.SIDE, photos.SIDE))
    inside[2:-2, 2:-2] = 255  # no defect reaches further out: the manifest stays as it is
    mask = photos.save(ready.root / "data/roi/plate.png", inside)
    try:
        assert ready.repro().ran == {"ingest"}
        ready.set({"dataset.roi": "data/roi/plate.png"})
        run = ready.repro("embed", "inject_noise")
        assert run.ran == {"ingest", "validate", "synthesize", "embed"}
        assert run.number(r"(\d+) decoded") == 0
        photos.save(mask, np.roll(inside, 1, axis=0))
        assert ready.repro("embed", "inject_noise").ran == {"ingest", "validate", "synthesize", "embed"}
    finally:
        mask.unlink()


def test_file_of_weights(ready: Project) -> None:
    """Another file under the name of `embed.weights` is another backbone; one that nobody names is none."""
    file = ready.root / "data/weights/resnet18.pth"
    try:
        _random_weights(file, seed=0)
        assert ready.repro().ran == {"embed", "pretrain_pdn", "select"}
        ready.set({"embed.backbone": "resnet18", "embed.weights": "data/weights/resnet18.pth"})
        assert ready.repro("select").ran == {"embed", "select"}
        _random_weights(file, seed=1)
        run = ready.repro("select")
        assert run.ran == {"embed", "pretrain_pdn", "select"}
        assert run.number(r"embed: \d+ images, (\d+) new") > 0
        ready.set(
            {"detector": "mixed", "mixed.preset": "paper", "mixed.weights": "data/weights/resnet18.pth"}
        )
        before = _selected(ready)
        _random_weights(file, seed=2)
        assert _selected(ready) != before
    finally:
        file.unlink()


def test_answers_of_a_human(ready: Project) -> None:
    """They override the strategy, cost refine and evaluate alone, and no run touches them."""
    before = _decided(ready)
    lost, spared = before.index[before["kept"] == "1"][0], before.index[before["kept"] == "0"][0]
    answers = ready.root / "data/review.csv"
    answers.write_text(f"image_id,verdict,note\n{lost},remove,odd shade\n")
    assert ready.repro().ran == {"refine", "evaluate"}
    written = answers.write_text(answers.read_text() + f"{spared},keep,\n{'0' * 16},keep,gone\n")
    run = ready.repro()
    assert run.ran == {"refine", "evaluate"}
    assert f"line 4: {'0' * 16} is no training image now" in run.err
    assert len(answers.read_text()) == written
    after = _decided(ready)
    assert after.loc[[lost, spared], ["kept", "removed_round", "reviewed"]].values.tolist() == [
        ["0", "0", "remove"],
        ["1", "", "keep"],
    ]
    start = pd.read_csv(ready.root / "data/refined/rounds/00.csv", dtype=str)["image_id"]
    assert set(start) == set(after.index) - {lost}
    assert "Removed by you: odd shade." in (ready.root / "reports/report.html").read_text()
    queue = pd.read_csv(ready.root / "data/refined/review_queue.csv", dtype=str)["image_id"]
    assert set(queue) == set(after.index) - {lost, spared}


def test_threshold_and_back(ready: Project, first: tuple[Project, Any, str]) -> None:
    ready.set({"evaluate.target_fpr": 0.2})
    assert ready.repro().ran == {"evaluate"}
    ready.reset()
    run = ready.repro()
    assert not run.ran
    assert "evaluate" in run.restored
    assert yaml.safe_load(ready.lock) == yaml.safe_load(first[2])


def test_nothing_changed(ready: Project) -> None:
    ready.repro()
    timing = ready.root / "reports/timing.json"
    before = timing.stat().st_mtime_ns
    run = ready.repro()
    assert (run.ran, run.restored, run.skipped) == (set(), set(), ALL)
    assert timing.stat().st_mtime_ns == before


@pytest.mark.filterwarnings("ignore::DeprecationWarning:dvc")
def test_every_key_costs_what_its_section_promises(template: Project) -> None:
    with Repo(str(template.root)) as repo:
        graph, watched = _graph(repo), _watched(repo)
    for key in _keys(yaml.safe_load((template.root / "params.yaml").read_text())):
        if key.startswith("validate."):
            continue  # reruns validate, and what follows only if its verdict changes
        direct = {stage for stage, names in watched.items() if any(_covers(name, key) for name in names)}
        rows = ROWS[key.split(".")[0]] | ({"select"} if key == "refine.strategy" else set())
        rows = set() if key == "runtime.cluster" else rows  # the same bytes on any number of workers
        last = {stage for place, stage in UNCHANGED.items() if key.startswith(place)}
        assert _with_followers(direct, graph, last) == rows, key


def _decided(project: Project) -> pd.DataFrame:
    """The training rows of the refined manifest by image id, as text."""
    project.repro()
    table = pd.read_csv(project.root / "data/refined/manifest.csv", dtype=str, keep_default_na=False)
    return table[table["split"] == "train"].set_index("image_id")


def _selected(project: Project) -> str:
    project.repro("select")
    return (project.root / "data/prepared/selected.json").read_text()


def _random_weights(file: Path, seed: int) -> None:
    import torch
    from torchvision.models import get_model

    torch.manual_seed(seed)
    torch.save(get_model("resnet18", weights=None).state_dict(), file)


def _twins(project: Project, source: str) -> int:
    """Synthetic defects made of a photo."""
    ingested = pd.read_csv(project.root / "data/ingested/manifest.csv", dtype=str).set_index("source")
    synthetic = pd.read_csv(project.root / "data/synthetic/manifest.csv", dtype=str)
    return int((synthetic["source_id"] == ingested.loc[source, "image_id"]).sum())


def _graph(repo: Repo) -> dict[str, set[str]]:
    """Stages by name, with those that read what they write."""
    graph = repo.index.graph
    return {stage.name: {reader.name for reader in graph.predecessors(stage)} for stage in graph}


def _watched(repo: Repo) -> dict[str, list[str]]:
    """The keys and sections of params.yaml that each stage depends on."""
    return {
        stage.name: [name for dep in stage.deps for name in getattr(dep, "params", [])]
        for stage in repo.index.stages
    }


def _with_followers(stages: set[str], graph: dict[str, set[str]], last: set[str]) -> set[str]:
    """`stages` and all after them; after those in `last`, none."""
    found, open_ = set(), set(stages)
    while open_:
        stage = open_.pop()
        found.add(stage)
        open_ |= (graph[stage] if stage not in last else set()) - found
    return found


def _keys(settings: dict[str, Any], above: str = "") -> list[str]:
    keys = []
    for name, value in settings.items():
        keys += _keys(value, f"{above}{name}.") if isinstance(value, dict) else [above + name]
    return keys


def _covers(watched: str, key: str) -> bool:
    return key == watched or key.startswith(f"{watched}.")
