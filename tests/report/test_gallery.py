from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adrefine.places.votes import Vote, Votes
from adrefine.report import gallery, pictures


def ids(rows):
    return list(rows["image_id"])


def by_key(data, limit=24):
    return {section.key: section for section in gallery.sections(data, limit)}


def decoded(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_each_photo_stands_in_the_section_it_belongs_to(data):
    chosen = gallery.select(data, limit=3)
    assert {key: ids(rows)[:3] for key, rows in chosen.items()} == {
        "found": ["train00", "train01"],
        "lost": ["train03"],
        "doubtful": ["train02", "train03", "train11"],
        "suspicious": ["train10", "train09", "train08"],  # not those that doubtful shows
        "missed": ["test04"],
        "alarms": ["test03"],
    }


def test_a_card_says_what_each_voter_says(data):
    told = {"train00": Votes({"places": Vote(8.46, 0.7, 1), "pooled": Vote(-0.5, 0.3, 9)}, 12, 4, 7)}
    cards = {one.image_id: one for part in gallery.sections(data, 24, votes=told) for one in part.cards}
    assert cards["train00"].votes == told["train00"]
    assert {card.votes for name, card in cards.items() if name != "train00"} == {None}


def test_hidden_defects_with_low_scores_are_shown_apart(data):
    quiet = data.train.copy()
    quiet.loc[2, "score"] = 0.1
    chosen = gallery.select(replace(data, train=quiet, queue=data.queue.iloc[1:]), limit=3)
    assert ids(chosen["overlooked"]) == ["train02"]
    assert "train02" not in ids(chosen["suspicious"].head(3))


def test_only_maps_that_will_be_shown_are_asked_for(data):
    needed = ["test03", "test04", "train00", "train02", "train03", "train11"]
    assert gallery.needed_maps(data, 1) == needed
    assert gallery.needed_maps(data, 0) == []
    shown = {name for section in gallery.sections(data, 1) for name in (card.name for card in section.cards)}
    assert len(shown) == len(needed)


def test_where_nothing_was_removed_no_photo_stands_in_two_rankings(data):
    nothing = replace(data, train=data.train.assign(kept=1, removed_round=np.nan))
    for limit in (3, 24):
        chosen = gallery.select(nothing, limit)
        twice = set(ids(chosen["doubtful"].head(limit))) & set(
            ids(chosen.get("suspicious", data.train[:0]).head(limit))
        )
        assert not twice


def test_cards_say_why_and_how_far_over_the_limit(data):
    sections = by_key(data)
    first = sections["found"].cards[0]
    assert (first.badge, first.tone) == ("hidden defect: scratch", "defect")
    assert first.why == "Round 1: score 9, limit 3."
    assert (first.ratio, first.bar, first.tick) == ("3.00 × limit", 100.0, 33.3)
    assert first.outlined
    assert sections["lost"].cards[0].badge == "good (false removal)"
    stayed = sections["suspicious"].cards[0]
    assert (stayed.badge, stayed.why, stayed.ratio) == (
        "hidden defect: scratch",
        "Score 1.9, limit 2.",
        "0.95 × limit",
    )
    assert sections["missed"].cards[0].ratio == "0.88 × threshold"
    assert sections["alarms"].cards[0].badge == "good (false alarm)"


def test_doubtful_photos_come_with_a_reason_and_lines_to_copy(data):
    cards = by_key(data)["doubtful"].cards
    assert [card.why for card in cards[:2]] == ["Kept, 5% under the limit.", "Removed, 100% over the limit."]
    verdicts = ("keep", "remove", "unsure")
    assert cards[0].answers == tuple(f"adrefine review train02 {verdict}" for verdict in verdicts)
    assert cards[0].photo is not None
    assert not by_key(data)["suspicious"].cards[0].answers
    assert "doubtful" not in by_key(replace(data, queue=data.queue.iloc[:0]))


def test_what_a_human_decided_is_said_with_the_note(data):
    answered = data.train.copy()
    answered.loc[[1, 2, 3], "reviewed"] = ["remove", "keep", "remove"]
    answered.loc[[1, 2], "review_note"] = ["scratch at the rim", "only dust"]
    sections = by_key(replace(data, train=answered))
    assert [card.why for card in sections["found"].cards] == [
        "Round 1: score 9, limit 3.",
        "Removed by you: scratch at the rim.",
    ]
    assert sections["lost"].cards[0].why == "Removed by you."
    assert sections["suspicious"].cards[0].why == "Kept by you: only dust."


def test_without_a_usable_threshold_there_is_no_bar(data):
    for threshold in (np.nan, 0.0, -2.0):
        cards = by_key(replace(data, train=data.train.assign(threshold=threshold)))["found"].cards
        assert [card.bar for card in cards] == [None, None]


def test_without_labels_photos_are_shown_without_a_verdict(unlabelled):
    sections = by_key(unlabelled)
    assert list(sections) == ["removed", "doubtful", "suspicious"]
    assert {card.badge for section in sections.values() for card in section.cards} == {""}


def test_a_run_without_scores_shows_what_it_can(unlabelled):
    bare = unlabelled.train.drop(columns=["score", "threshold", "removed_round"])
    sections = by_key(replace(unlabelled, train=bare))
    assert [card.why for card in sections["removed"].cards] == ["Score –."] * 3
    assert "suspicious" not in sections


@pytest.mark.parametrize("content", [None, b"", b"not a picture", b"\x89PNG\r\n\x1a\n truncated"])
def test_a_photo_or_mask_that_cannot_be_read_leaves_a_gap_not_a_crash(data, content):
    for path in (Path(data.train["path"][0]), Path(data.train["mask_path"][0])):
        path.unlink() if content is None else path.write_bytes(content)
    cards = by_key(data)["found"].cards
    assert (cards[0].photo, cards[0].overlay, cards[0].outlined) == (None, None, False)
    assert cards[1].photo is not None


def test_thumbnails_shrink_until_the_page_fits(data, monkeypatch):
    for path in [*data.train["path"], *data.test["path"]]:
        Image.open(path).resize((600, 300)).save(path)
    assert decoded(by_key(data)["found"].cards[0].photo).size == (256, 128)
    monkeypatch.setattr(gallery, "_BUDGET", 1)
    assert decoded(by_key(data)["found"].cards[0].photo).size == (96, 48)


def test_heat_is_where_the_map_is_high_and_faint_noise_stays_pale():
    grey = np.full((60, 60, 3), 128, np.uint8)
    heat = np.zeros((6, 6), np.float32)
    heat[1, 4] = 2.0
    drawn = pictures.overlay(grey, heat).astype(int)
    coloured = np.abs(drawn - drawn.mean(axis=2, keepdims=True)).sum(axis=2)
    assert np.unravel_index(coloured.argmax(), coloured.shape)[0] // 10 == 1
    assert np.unravel_index(coloured.argmax(), coloured.shape)[1] // 10 == 4
    assert coloured[40:, :30].max() == 0
    faint = pictures.overlay(grey, heat, usual=50.0).astype(int)
    assert np.abs(faint - drawn[50, 5]).max() < 12


@pytest.mark.parametrize("heat", [np.zeros((3, 3)), np.full((3, 3), np.nan), np.full((2, 5), 7.0)])
def test_a_flat_or_broken_map_colours_nothing(heat):
    photo = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    drawn = pictures.overlay(photo, heat).astype(int)
    assert (drawn == drawn[..., :1]).all()


def test_outline_runs_around_the_defect_and_a_hairline_survives(tmp_path):
    mask = np.zeros((400, 400), np.uint8)
    mask[200, 100:300] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    border = pictures.outline(tmp_path / "mask.png", (100, 100))
    assert border is not None
    assert border[:45].sum() == border[56:].sum() == 0
    assert border[47, 40:60].all()
    assert not border[50, 40:60].any()
    Image.fromarray(mask * 0).save(tmp_path / "mask.png")
    assert pictures.outline(tmp_path / "mask.png", (100, 100)) is None


def test_pictures_are_small_stable_and_grey_where_grey(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (500, 300), np.uint8)
    Image.fromarray(noise).save(tmp_path / "grey.png")
    photo = pictures.thumbnail(tmp_path / "grey.png", 256)
    assert photo is not None
    assert photo.shape == (256, 154, 3)
    uri = pictures.data_uri(photo)
    assert uri == pictures.data_uri(photo.copy())
    assert decoded(uri).mode == "L"
