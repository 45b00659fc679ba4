"""`adrefine review --next`: one key a photo, answers kept at once, and a run that does what was shown."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import small_project
from adrefine import cli, detectors, manifest, params, paths, review
from adrefine.detectors.base import Images
from adrefine.errors import UserError
from adrefine.places.evidence import gather
from adrefine.places.votes import COLUMNS
from adrefine.strategies import refinement
from fakes import MapStore

STORE = MapStore(8, count=64)
IDS, HELD = STORE.ids[4:], STORE.ids[:4]  # four of the defects are held out


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sixty training photos of which four are defective, and four defects held out; nobody is told."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ADREFINE_CACHE_DIR", raising=False)
    small_project.write(STORE, HELD)
    return tmp_path


def ask(monkeypatch: pytest.MonkeyPatch, keys: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(keys))
    cli.run(["review", "--next"])


def rightly(photo: str) -> str:
    return "r" if STORE.hidden[STORE.ids.index(photo)] else "k"


def next_photos(capsys: pytest.CaptureFixture[str], count: int = 1) -> dict:
    capsys.readouterr()
    cli.run(["review", "--next", str(count), "--json"])
    found: dict = json.loads(capsys.readouterr().out)
    return found


def test_a_photo_comes_with_path_score_limit_reason_and_picture(project, capsys, monkeypatch) -> None:
    first = next_photos(capsys)["next"][0]
    assert set(first) == {
        *("image_id", "path", "score", "limit", "chance", "reason", "asked", "why", "picture"),
        *COLUMNS,
    }
    assert (first["places_rank"], first["reason"]) == (
        1,
        f"oddest at row {first['places_row']}, column {first['places_column']}",
    )
    assert first["path"] == f"{first['image_id']}.png"
    assert first["score"] > first["limit"] == 3.0
    row, column = divmod(int(STORE.where[STORE.ids.index(first["image_id"])]), 5)
    assert first["reason"] == f"oddest at row {row + 1}, column {column + 1}"
    with Image.open(first["picture"]) as picture:
        assert picture.size == (80, 30)  # the photo, and its map
        heat = np.asarray(picture)[:, 40:].astype(int)
    spread = np.ptp(heat, axis=2)  # colour is where it is odd
    hottest = np.unravel_index(np.argmax(spread), spread.shape)
    assert (hottest[0] // 6, hottest[1] // 8) == (row, column)
    ask(monkeypatch, "q")
    shown = capsys.readouterr().out
    for text in (
        first["path"],
        f"score {first['score']:.1f}, limit 3.0",
        f"one place: score {first['places_score']:.1f}, rank 1 of 60, weight {first['places_weight']:.2f}; "
        f"as a whole: {first['pooled_score']:.1f}, {first['pooled_rank']}, ",
        first["picture"],
        "k keep  r remove",
    ):
        assert text in shown


def test_a_key_is_an_answer_at_once_and_undo_takes_it_back(project, capsys, monkeypatch) -> None:
    first, second = (found["image_id"] for found in next_photos(capsys, 2)["next"])
    ask(monkeypatch, "R\nx")  # the end of the input is as good as q
    assert review.read(paths.REVIEW)[first].verdict == "remove"
    ask(monkeypatch, "ukz")
    answers = review.read(paths.REVIEW)
    assert [answers[name].verdict for name in answers] == ["remove", "unsure"]
    ask(monkeypatch, "zq")
    shown = capsys.readouterr().out
    assert "nothing to undo" in shown
    assert f"taken back: {second}.png" in shown or "taken back" in shown
    assert list(review.read(paths.REVIEW)) == list(answers)


def test_scripts_answer_too_and_the_draws_are_kept(project, capsys) -> None:
    drawn = []
    for _ in range(20):
        asked = next_photos(capsys)["next"][0]
        verdict = {"r": "remove", "k": "keep"}[rightly(asked["image_id"])]
        cli.run(["review", asked["image_id"], verdict, "--asked", asked["asked"]])
        drawn += [asked["image_id"]] * ("drawn" in asked["why"])
    told = next_photos(capsys)
    assert [name for name, one in review.read(paths.REVIEW).items() if one.drawn()] == drawn
    assert len(drawn) == len(review.read(paths.REVIEW)) // 10 > 0
    assert told["estimate"]["unbiased"] is not None
    found = sum(STORE.hidden[STORE.ids.index(name)] for name in review.read(paths.REVIEW))
    assert told["estimate"]["found"] == found == 4
    with pytest.raises(UserError, match="--asked 'perhaps'"):
        cli.run(["review", drawn[0], "keep", "--asked", "perhaps"])


def refined(verdicts: review.Verdicts) -> pd.DataFrame:
    """What stage refine makes of these answers."""
    settings, table = params.load(), manifest.unlabelled(manifest.read(paths.NOISY / "manifest.csv"))
    model = detectors.create(settings)
    model.fit(Images(IDS, paths.PREPARED))
    model.save(paths.MODELS / "initial")
    found = refinement.run(settings, table, paths.PREPARED, paths.MODELS / "initial", verdicts)
    return found.outcome.images.set_index("image_id")


@pytest.mark.parametrize("mode", ["remove", "weigh"])
@pytest.mark.parametrize("keys", ["", "rrr", "rrrrrrkkkk", "kkkkkk", "rurrkrkkkkkr"])
def test_a_run_leaves_out_exactly_what_the_review_says(project, capsys, monkeypatch, keys, mode) -> None:
    Path("params.yaml").write_text(f"detector: padim\nrefine: {{strategy: consensus, mode: {mode}}}\n")
    ask(monkeypatch, keys)
    said = capsys.readouterr().out.splitlines()[-3]
    gone = set(next_photos(capsys)["removed"])
    given = review.verdicts(review.read(paths.REVIEW))
    images = refined(given)
    assert set(images.index[images["kept"] == 0]) == gone
    assert gone >= given.remove
    assert not gone & given.keep
    assert said.startswith(f"`dvc repro` leaves out {len(gone)} of 60 photos: {len(given.remove)} that you")


def test_with_another_strategy_the_detector_has_the_last_word(project, capsys, monkeypatch) -> None:
    Path("params.yaml").write_text("detector: padim\nrefine: {strategy: mad}\n")
    ask(monkeypatch, "r")
    assert "1 photos that you removed, and those that mad removes" in capsys.readouterr().out
    assert next_photos(capsys)["removed"] is None


def test_it_says_why_a_photo_comes_once_more(tmp_path, capsys, monkeypatch) -> None:
    """A defect is cleared, another one of the same content confirmed; then the answer is looked at."""
    twins = [name for name in IDS if STORE.hidden[STORE.ids.index(name)]][:2]
    monkeypatch.setitem(STORE.content, twins[1], STORE.content[twins[0]])
    monkeypatch.chdir(tmp_path)
    small_project.write(STORE, HELD)
    for name, verdict in zip(twins, ("keep", "remove"), strict=True):
        cli.run(["review", name, verdict])
    asked = next_photos(capsys)["next"][0]
    assert asked["image_id"] == twins[0]
    assert asked["why"] == f"again: you said keep, but remove of {twins[1]}.png, which is odd in the same way"
    ask(monkeypatch, "r")
    assert review.read(paths.REVIEW)[twins[0]].verdict == "remove"
    assert not next_photos(capsys)["next"][0]["why"]


def test_it_ends_with_what_hides_and_says_when_it_is_enough(project, capsys, monkeypatch) -> None:
    for _ in range(35):
        ask(monkeypatch, rightly(next_photos(capsys)["next"][0]["image_id"]))
    last = capsys.readouterr().out
    assert "4 removed, 0 to 1 left" in last or "4 removed, 0 left" in last
    assert "Enough: at most" in last


def test_without_maps_it_says_what_to_run(project) -> None:
    (paths.PREPARED / paths.PLACES / "meta.json").unlink()
    with pytest.raises(UserError, match="run `dvc repro embed`"):
        cli.run(["review", "--next"])


def test_held_out_photos_that_stand_out_are_named_and_can_be_answered(project, capsys, monkeypatch) -> None:
    held = next_photos(capsys)["held_out"]
    assert {row["image_id"] for row in held} <= set(HELD)
    assert len(held) >= 3
    confirmed = [name for name in IDS if STORE.hidden[STORE.ids.index(name)]]
    for name in confirmed:
        cli.run(["review", name, "remove"])
    sharper = next_photos(capsys)["held_out"]
    known = gather(STORE, sorted(IDS), sorted(HELD), known=frozenset(confirmed))
    told = dict(zip(known.held, known.held_strength, strict=True))
    assert {row["image_id"]: row["score"] for row in sharper} == pytest.approx(
        {name: float(score) for name, score in told.items() if score > 3}, abs=0.01
    )
    assert min(row["score"] for row in sharper) > min(row["score"] for row in held)
    paths.REVIEW.unlink()
    ask(monkeypatch, "q")
    assert f"{len(held)} unlabelled held-out photos also look unusual" in capsys.readouterr().out
    first = held[0]["image_id"]
    cli.run(["review", first, "remove"])
    assert first not in {row["image_id"] for row in next_photos(capsys)["held_out"]}
    given = review.verdicts(review.read(paths.REVIEW))
    table = manifest.read(paths.NOISY / "manifest.csv").assign(reviewed="")
    after = refinement.with_held_out(table, given).set_index("image_id")["reviewed"]
    assert after[first] == "remove"
    assert (after[list(IDS)] == "").all()
