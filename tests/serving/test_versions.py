"""Promoted versions on disk: whole or not there, never lost, and the same after a kill at any moment."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from adrefine.errors import UserError
from adrefine.serving import versions
from adrefine.serving.candidate import Candidate, digest
from adrefine.serving.promotion import Record, Verdict
from adrefine.serving.versions import best, current, decision, history, settle
from serving.killing import alone, until_it_survives


def candidate(folder: Path, content: str = "one", score: float = 1.0) -> Candidate:
    files = {}
    for name in ("manifest.csv", "model/weights.pt", "params.yaml"):
        path = folder / "workspace" / content / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content} {name}")
        files[name] = path
    scores = pd.DataFrame({"image_id": ["0012"], "score": [score], "likelihood": [float("nan")]})
    return Candidate(files, Record("the new model", "features", scores), {"detector": "differnet"})


def yes(best: bool = True) -> Verdict:
    return Verdict(True, "no worse, by a comma", best, "auroc", 0.9, 0.8, 5, 6)


NO = Verdict(False, "worse", False, "auroc", 0.7, 0.9, 5, 6)


def files(folder: Path) -> dict[str, str]:
    """All that is promoted but times and locks; links by where they lead."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif path.is_file() and not name.endswith("lock"):
            text = path.read_text()
            found[name] = (
                "\n".join(line.partition(",")[2] for line in text.splitlines())
                if (path.name == versions.HISTORY)
                else text
            )
    return found


def test_versions_follow_each_other_and_nothing_is_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "promoted"
    assert (current(folder), best(folder), history(folder)) == (None, None, [])
    assert settle(folder, candidate(tmp_path, "one", 1.5), yes()) == "0001"
    assert settle(folder, candidate(tmp_path, "two"), yes()) == "0002"
    assert current(folder) == "0002"
    assert (folder / "current/model/weights.pt").read_text() == "two model/weights.pt"
    assert (folder / "0001/manifest.csv").read_text() == "one manifest.csv"
    assert [line["version"] for line in history(folder)] == ["0001", "0002"]
    assert decision(folder, "0002")["after"] == "0001"
    found = best(folder)
    assert found is not None
    assert (found.name, found.inputs, found.scores["image_id"].tolist()) == ("0002", "features", ["0012"])


def test_a_refused_model_changes_nothing_but_the_history(tmp_path: Path) -> None:
    folder = tmp_path / "promoted"
    settle(folder, candidate(tmp_path, "one"), yes())
    before = files(folder)
    (folder / versions.UNDECIDED).touch()
    assert settle(folder, candidate(tmp_path, "two"), NO) == "0001"
    after = files(folder)
    assert {name for name in after if after[name] != before.get(name)} == {versions.HISTORY}
    assert history(folder)[-1]["decision"] == "refused"
    assert history(folder)[-1]["reason"] == "worse"
    assert not (folder / versions.UNDECIDED).exists()


def test_a_loss_within_the_tolerance_is_compared_with_the_best_again(tmp_path: Path) -> None:
    """So that small losses do not add up."""
    folder = tmp_path / "promoted"
    settle(folder, candidate(tmp_path, "one", 1.5), yes())
    for content in ("two", "three"):
        settle(folder, candidate(tmp_path, content), yes(best=False))
        found = best(folder)
        assert found is not None
        assert (current(folder), found.name) == ("0003" if content == "three" else "0002", "0001")
    settle(folder, candidate(tmp_path, "four"), yes())
    assert decision(folder, "0004")["best"] == "0004"


def test_the_same_candidate_is_promoted_once(tmp_path: Path) -> None:
    folder = tmp_path / "promoted"
    settle(folder, candidate(tmp_path, "one"), yes())
    before = files(folder)
    assert (
        settle(folder, candidate(tmp_path, "one"), Verdict(True, "as good as itself", True, "auroc"))
        == "0001"
    )
    assert files(folder) == before


def test_the_same_refusal_is_told_once(tmp_path: Path) -> None:
    folder = tmp_path / "promoted"
    for _ in range(2):
        assert settle(folder, candidate(tmp_path, "one"), NO) == ""
    assert len(history(folder)) == 1


def test_going_back_by_hand_is_respected(tmp_path: Path) -> None:
    folder = tmp_path / "promoted"
    for content in ("one", "two"):
        settle(folder, candidate(tmp_path, content), yes())
    (folder / "current").unlink()
    (folder / "current").symlink_to("0001")
    assert current(folder) == "0001"
    assert settle(folder, candidate(tmp_path, "three"), NO) == "0001"
    assert settle(folder, candidate(tmp_path, "four"), yes()) == "0003"


def test_a_link_to_nowhere_is_told(tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to("0007")
    with pytest.raises(UserError, match="does not point to a promoted version"):
        current(tmp_path)


def test_two_decisions_at_once_are_refused(tmp_path: Path) -> None:
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another run"):
            settle(tmp_path, candidate(tmp_path / "x"), yes())


@pytest.mark.parametrize("verdict", [yes(), NO], ids=["promoted", "refused"])
def test_killed_at_any_moment_the_next_run_ends_in_the_same_state(tmp_path: Path, verdict: Verdict) -> None:
    """At each line a SIGKILL: what is in use is whole, and the decision again gives what one would have."""
    alone(_kills, tmp_path, verdict)


def _kills(tmp_path: Path, verdict: Verdict) -> None:
    os.fsync = lambda _: None

    def prepared(name: str) -> Path:
        folder = tmp_path / name
        settle(folder, candidate(tmp_path, "one"), yes())
        (folder / versions.UNDECIDED).touch()
        return folder

    calm = prepared("calm")
    settle(calm, candidate(tmp_path, "two"), verdict)

    def attempt(number: int) -> tuple[Callable[[], object], Callable[[], None]]:
        folder = prepared(str(number))

        def check() -> None:
            name = current(folder)
            assert name in ("0001", "0002")
            assert set(files(calm / "0001")) <= set(files(folder / name))
            assert (folder / versions.UNDECIDED).exists() or files(folder) == files(calm)
            settle(folder, candidate(tmp_path, "two"), verdict)
            assert files(folder) == files(calm)

        return lambda: settle(folder, candidate(tmp_path, "two"), verdict), check

    files_ = ("serving/versions.py", "adrefine/io.py")
    assert until_it_survives(attempt, files_) > 30


@pytest.mark.parametrize("when", ["before", "between", "taken away between"])
def test_what_another_run_changes_meanwhile_is_not_promoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """A run that begins between the comparison and the copy, or between the copies of two files."""
    folder = tmp_path / "promoted"
    settle(folder, candidate(tmp_path, "one"), yes())
    before = files(folder)
    made = candidate(tmp_path, "two")
    made = replace(made, digest=digest(made.files))
    last = list(made.files.values())[-1]
    if when == "before":
        last.write_text("of another run")
    else:
        copy = shutil.copyfile

        def slow(source: Path, target: Path) -> object:
            last.unlink(missing_ok=True)
            if when == "between":
                last.write_text("of another run")
            return copy(source, target)

        monkeypatch.setattr(shutil, "copyfile", slow)
    with pytest.raises(UserError, match="changed while they were promoted: another run is at work"):
        settle(folder, made, yes())
    assert current(folder) == "0001"
    monkeypatch.undo()
    last.write_text("of another run")
    assert settle(folder, replace(made, digest=digest(made.files)), yes()) == "0002"
    assert {
        name: text for name, text in files(folder).items() if name in before and name != "history.csv"
    } == {name: text for name, text in before.items() if name not in ("history.csv", "current")} | {
        "current": "0002"
    }


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"{", b"a,b\n1,2\n", b"\0" * 50])
@pytest.mark.parametrize("name", ["history.csv", "0001/promotion.json", "0001/held_out.csv"])
def test_a_damaged_record_is_told_in_a_line(tmp_path: Path, name: str, content: bytes) -> None:
    folder = tmp_path / "promoted"
    settle(folder, candidate(tmp_path, "one"), yes())
    (folder / name).write_bytes(content)

    def both() -> None:
        best(folder)
        settle(folder, candidate(tmp_path, "two"), yes())

    with pytest.raises(UserError, match=r"is damaged \(.+\): "):
        both()
