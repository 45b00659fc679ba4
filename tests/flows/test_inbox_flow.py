"""What the inbox flow does in which order, with stand-ins for what takes minutes; no server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from adrefine.dvc_driver.repro import Event
from adrefine.errors import UserError
from adrefine.serving import versions
from adrefine.serving.candidate import Candidate
from adrefine.serving.promotion import Record, Verdict
from loaded_flow import Log, loaded
from trees import mvtec, pixels, save

FLOW = Path(__file__).parents[2] / "flows" / "inbox.py"
PROMOTED = Path("promoted")


class Project:
    """A project whose graph and models are made up: each promotion is a version of the photos there."""

    def __init__(self, root: Path, flow: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.flow, self.done, self.verdict = root, flow, list[str](), True
        self.log, self.tables = Log(), list[dict[str, object]]()
        monkeypatch.chdir(root)
        (root / "params.yaml").write_text(
            "dataset: {name: mvtec, root: photos}\nnoise: {level: 0}\ninbox: {folder: inbox, settle: 0}\n"
        )
        monkeypatch.setattr(flow, "get_run_logger", lambda: self.log)
        monkeypatch.setattr(flow, "create_table_artifact", lambda **kind: self.tables.append(kind))
        monkeypatch.setattr(flow, "take", flow.take.fn)
        monkeypatch.setattr(flow, "reproduce", self.reproduce)
        monkeypatch.setattr(flow, "promote", self.promote)

    @property
    def photos(self) -> list[str]:
        return sorted(path.name for path in Path("photos/train/good").iterdir())

    def reproduce(self) -> None:
        self.done.append(f"repro with {len(self.photos)}")

    def promote(self) -> str:
        Path("manifest.csv").write_text("\n".join(self.photos))
        scores = pd.DataFrame({"image_id": ["a"], "score": [1.0], "likelihood": [1.0]})
        found = Candidate({"manifest.csv": Path("manifest.csv")}, Record("new", "features", scores), {})
        name = versions.settle(PROMOTED, found, Verdict(self.verdict, "because", self.verdict, "auroc"))
        self.done.append(f"promote: {name}")
        return f"promoted as {name}"

    def run(self) -> str:
        self.done.clear()
        said: str = self.flow.inbox.fn()
        return said


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """flows/inbox.py, without what Prefect keeps at home."""
    with loaded("inbox", tmp_path_factory.mktemp("prefect")) as module:
        yield module


@pytest.fixture
def project(flow: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    mvtec(tmp_path / "photos", train=3)
    return Project(tmp_path, flow, monkeypatch)


def test_an_empty_inbox_costs_nothing(project: Project) -> None:
    assert project.run() == "inbox holds no new photo"
    assert project.done == []
    assert not PROMOTED.exists()


def test_what_was_there_is_promoted_before_the_first_new_photo(project: Project) -> None:
    """So that the first photos, too, have a model to be no worse than."""
    save(Path("inbox/new.png"), pixels(500))
    assert project.run() == "promoted as 0002"
    assert project.done == ["repro with 3", "promote: 0001", "repro with 4", "promote: 0002"]
    assert [line["version"] for line in project.tables[-1]["table"]] == ["0002", "0001"]
    assert not (PROMOTED / versions.UNDECIDED).exists()
    save(Path("inbox/more.png"), pixels(501))
    project.run()
    assert project.done == ["repro with 5", "promote: 0003"]


def test_the_first_photos_of_an_empty_dataset_need_no_earlier_model(project: Project) -> None:
    for path in Path("photos/train/good").iterdir():
        path.unlink()
    save(Path("inbox/new.png"), pixels(500))
    project.run()
    assert project.done == ["repro with 1", "promote: 0001"]


def test_a_refused_model_leaves_the_old_one_and_keeps_the_photos(project: Project) -> None:
    save(Path("inbox/new.png"), pixels(500))
    project.run()
    save(Path("inbox/bad.png"), pixels(501))
    project.verdict = False
    project.run()
    assert versions.current(PROMOTED) == "0002"
    assert len(project.photos) == 5
    assert project.run() == "inbox holds no new photo"


@pytest.mark.parametrize("dies", ["take", "reproduce", "promote"])
def test_after_a_failure_the_next_run_goes_on(
    project: Project, monkeypatch: pytest.MonkeyPatch, dies: str
) -> None:
    save(Path("inbox/first.png"), pixels(499))
    project.run()
    save(Path("inbox/new.png"), pixels(500))
    with monkeypatch.context() as broken:

        def die(*_: object) -> None:
            raise RuntimeError("the lights went out")

        broken.setattr(project.flow, dies, die)
        with pytest.raises(RuntimeError, match="lights"):
            project.run()
    assert project.run() == "promoted as 0003"
    assert project.done == ["repro with 5", "promote: 0003"]
    assert project.run() == "inbox holds no new photo"


def test_known_and_broken_photos_alone_start_no_training(project: Project) -> None:
    save(Path("inbox/first.png"), pixels(499))
    project.run()
    save(Path("inbox/again.png"), pixels(0))
    Path("inbox/broken.png").write_bytes(b"no image")
    assert project.run().startswith("no photo was taken")
    assert project.done == []
    assert any(line.startswith("rejected: broken.png: not an image") for line in project.log.lines)


def test_photos_that_are_still_written_stay(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    save(Path("inbox/slow.png"), pixels(500))
    monkeypatch.setattr(project.flow.time, "sleep", lambda _: save(Path("inbox/slow.png"), pixels(501, 50)))
    versions.settle(PROMOTED, *_any())
    assert project.run().startswith("no photo was taken")
    assert Path("inbox/slow.png").exists()


def _any() -> tuple[Candidate, Verdict]:
    Path("manifest.csv").touch()
    scores = pd.DataFrame({"image_id": ["a"], "score": [1.0], "likelihood": [1.0]})
    found = Candidate({"manifest.csv": Path("manifest.csv")}, Record("new", "features", scores), {})
    return found, Verdict(True, "because", True, "auroc")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("noise: {level: 0.1}", r"set noise\.level to 0"),
        ("dataset: {name: demo}\nnoise: {level: 0}", r"set dataset\.name to folder or mvtec"),
        ("dataset: {name: mvtec, root: photos}\nnoise: {level: 0}\ninbox: {folder: photos/inbox}", "overlap"),
        ("inbox: {foldr: x}", r"did you mean `folder`"),
    ],
)
def test_settings_that_cannot_work_fail_at_once(project: Project, settings: str, message: str) -> None:
    Path("params.yaml").write_text(settings)
    with pytest.raises(UserError, match=message):
        project.run()


def test_the_lines_of_dvc_are_logged(
    flow: ModuleType, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def events() -> Iterator[Event]:
        yield Event("ingest", "ran", "1 decoded, 3 reused")

    monkeypatch.undo()
    with monkeypatch.context() as patched:
        patched.setattr(flow, "get_run_logger", lambda: project.log)
        patched.setattr(flow, "events", events)
        flow.reproduce.fn()
    assert project.log.lines == ["1 decoded, 3 reused"]


def test_the_decision_is_found_among_warnings(
    flow: ModuleType, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stream(command: list[str]) -> Iterator[str]:
        assert command[1:] == ["-m", "adrefine.cli", "promote"]
        yield "UserWarning: something"
        yield "refused, promoted/current stays 0001: worse"
        yield "The photos stay in the dataset."

    monkeypatch.undo()
    with monkeypatch.context() as patched:
        patched.setattr(flow, "get_run_logger", lambda: project.log)
        patched.setattr(flow, "stream", stream)
        assert flow.promote.fn() == "refused, promoted/current stays 0001: worse"
    assert len(project.log.lines) == 3
