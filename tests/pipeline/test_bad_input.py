"""Bad input through the stages' own commands: one clear line, exit code 2, nothing half-written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeline import photos
from pipeline.project import PHOTOS, STAGES, Project, Run, files

pytestmark = pytest.mark.pipeline

RESULTS = ("data", "models", "reports")
SETTINGS = [  # changes, what the line must name
    ({"refine.max_round": 3}, ["params.yaml", "`refine.max_round`", "did you mean `max_rounds`?"]),
    ({"noize": {"level": 0.1}}, ["params.yaml", "`noize`", "did you mean `noise`?"]),
    ({"evaluate.colour": "red"}, ["params.yaml", "unknown key `evaluate.colour`", "remove it"]),
    ({"irp.lambda": 0}, ["params.yaml", "`irp.lambda` = 0", "greater than 0"]),
    ({"osr.lambda": -1.5}, ["params.yaml", "`osr.lambda` = -1.5", "greater than 0"]),
    ({"noise.level": 1.6}, ["params.yaml", "`noise.level` = 1.6", "less than or equal to 1"]),
    ({"dataset.image_size": "large"}, ["params.yaml", "`dataset.image_size` = 'large'"]),
    ({"refine.strategy": "magic"}, ["params.yaml", "`refine.strategy` = 'magic'", "'irp'"]),
]


@pytest.fixture(scope="module")
def ingested(template: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose photos are ingested; tests leave what they change as it was."""
    copy = template.clone(tmp_path_factory.mktemp("bad") / "copy")
    assert copy.stage("ingest").code == 0
    return copy


@pytest.fixture
def ready(ingested: Project) -> Project:
    ingested.reset()
    return ingested


@pytest.mark.parametrize(("changes", "named"), SETTINGS, ids=[",".join(changes) for changes, _ in SETTINGS])
def test_settings_are_refused(ready: Project, changes: dict[str, Any], named: list[str]) -> None:
    ready.set(changes)
    before = _results(ready)
    _assert_refused(ready.stage("inject_noise"), *named)
    assert _results(ready) == before


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_reads_its_settings_first(ready: Project, stage: str) -> None:
    ready.set({"irp.lambda": 0})
    before = _results(ready)
    _assert_refused(ready.stage(stage), "params.yaml", "`irp.lambda` = 0")
    assert _results(ready) == before


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("irp: {lambda: 1.5", ["not valid YAML", "line 1"]),
        ("- irp\n", ["must be a mapping", "list"]),
        ("irp:\n", ["`irp`"]),
    ],
    ids=["no YAML", "a list", "an empty section"],
)
def test_broken_file(ready: Project, text: str, named: list[str]) -> None:
    (ready.root / "params.yaml").write_text(text)
    _assert_refused(ready.stage("inject_noise"), "params.yaml", *named)


def test_settings_file_missing(ready: Project) -> None:
    (ready.root / "params.yaml").unlink()
    _assert_refused(ready.stage("inject_noise"), "params.yaml is missing", "project's root")


def test_more_noise_than_defects(ready: Project) -> None:
    ready.set({"noise.level": 0.5})
    before = _results(ready)
    run = ready.stage("inject_noise")
    _assert_refused(run, "noise.level=0.5", f"there are {photos.EACH}", "set noise.level to at most 0.")
    assert _results(ready) == before
    assert not (ready.root / "data/noisy").exists()


def test_root_missing(fresh: Project) -> None:
    fresh.set({"dataset.root": "nowhere"})
    _assert_refused(fresh.stage("ingest"), "nowhere", "dataset.root")
    _assert_nothing_ingested(fresh)


def test_empty_split(fresh: Project) -> None:
    for photo in (fresh.root / PHOTOS / "train/good").iterdir():
        photo.unlink()
    _assert_refused(fresh.stage("ingest"), PHOTOS, "no photo is left for training", "add good photos")
    _assert_nothing_ingested(fresh)


def test_corrupt_photos_over_the_share(fresh: Project) -> None:
    for number in range(5):
        photo = fresh.root / PHOTOS / f"train/good/{number:03d}.png"
        photo.write_bytes(photo.read_bytes()[:200])
    run = fresh.stage("ingest")
    _assert_refused(
        run, "5 of 56 photos", "train/good/000.png", "dataset.max_quarantined", "data/ingested/quarantine.csv"
    )
    _assert_nothing_ingested(fresh)
    fresh.set({"dataset.max_quarantined": 0.2})
    assert fresh.stage("ingest").number(r"(\d+) in quarantine") == 5


def test_mask_of_the_wrong_size(fresh: Project) -> None:
    photos.save(fresh.root / PHOTOS / "ground_truth/hole/003_mask.png", np.full((32, 64), 255.0))
    run = fresh.stage("ingest")
    _assert_refused(run, "test/hole/003.png is 64x64", "ground_truth/hole/003_mask.png 64x32", "Export")
    _assert_nothing_ingested(fresh)


def test_unfit_photos_stop_at_validate(ready: Project) -> None:
    ready.set({"validate.min_train": 1000})
    run = ready.stage("validate")
    assert run.code == 2
    first, *rest = _lines(run)
    assert first.startswith("adrefine: error: 1 of ")
    assert len(rest) == 1
    assert "validate.min_train" in rest[0]
    assert not (ready.root / "reports/validation/summary.json").exists()


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "ingest"])
def test_stage_before_its_inputs(fresh: Project, stage: str) -> None:
    fresh.set(
        {"detector": "efficientad" if stage == "pretrain_pdn" else "differnet"}
    )  # what reads its output
    _assert_refused(fresh.stage(stage), "run `dvc repro")
    assert not (fresh.root / "models").exists()


def test_dvc_stops_at_the_refusing_stage(first: tuple[Project, Run, str]) -> None:
    project = first[0]
    project.reset()
    project.repro()
    before = project.lock
    project.set({"irp.lambda": 0})
    run = project.repro(check=False)
    assert run.code != 0
    assert run.ran == {"refine"}
    assert "adrefine: error: params.yaml: `irp.lambda` = 0" in run.err + run.out
    assert project.lock == before
    project.reset()
    back = project.repro()
    assert not back.ran
    assert project.lock == before


def _assert_refused(run: Run, *named: str) -> None:
    """Exit code 2, and on stderr exactly one line, which names all of `named`."""
    assert run.code == 2, run
    lines = _lines(run)
    assert len(lines) == 1, lines
    assert lines[0].startswith("adrefine: error: ")
    for name in named:
        assert name in lines[0]


def _lines(run: Run) -> list[str]:
    """What stays of stderr on a screen: no progress bar."""
    return [line for line in run.err.replace("\r", "\n").splitlines() if line and "photo/s]" not in line]


def _results(project: Project) -> dict[str, bytes]:
    return files(*(project.root / name for name in RESULTS))


def _assert_nothing_ingested(project: Project) -> None:
    """No more than the list of unusable photos is there: nothing a later stage could take for a dataset."""
    out = project.root / "data/ingested"
    assert {path.name for path in out.glob("*")} <= {"quarantine.csv"}
    assert not (project.root / "reports/timing.json").exists()
