"""Ingest with `dataset.fit` part and auto: what is turned, what is left alone, what is done again."""

from __future__ import annotations

import json
from math import pi
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import trees
from adrefine import manifest
from adrefine.ingestion import pipeline, prepare
from adrefine.ingestion.affine import Affine
from adrefine.io import sha256_file
from adrefine.params import Dataset
from ingestion.drawn import club, photo

OUT = Path("data/ingested")
ROOT = Path("raw")


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ADREFINE_CACHE_DIR", raising=False)


def ingest(fit: str = "auto", workers: int = 1, size: int = 64) -> tuple[pipeline.Summary, pd.DataFrame]:
    given = {"name": "mvtec", "root": "raw", "image_size": size, "fit": fit}
    summary = pipeline.ingest(Dataset.model_validate(given), OUT, workers)
    return summary, manifest.read(OUT / "manifest.csv")


def contents() -> dict[str, str]:
    return {str(path): sha256_file(path) for path in sorted(OUT.rglob("*")) if path.is_file()}


def clubs(turned: bool = True, train: int = 12) -> None:
    """A set in the MVTec layout: clubs at any angle or alike; the block of those with a defect is marked."""
    for number in range(train + 6):
        angle = (number * 2.4 if turned else 0.02 * number) % (2 * pi)
        at = (76 + number % 5, 62 + number % 3)
        folder = "train/good" if number < train else "test/good" if number < train + 3 else "test/hole"
        values = photo(club(angle, at), seed=number)
        if folder == "test/hole":
            mask = club(angle, at) & _end(angle, at)
            values[mask] = 230
            trees.save(ROOT / f"ground_truth/hole/{number:03d}_mask.png", mask.astype(np.uint8) * 255)
        trees.save(ROOT / folder / f"{number:03d}.png", values)


def _end(angle: float, at: tuple[float, float]) -> np.ndarray:
    y, x = np.mgrid[:128, :160] + 0.5
    return np.hypot(x - at[0] - 30 * np.cos(angle), y - at[1] - 30 * np.sin(angle)) < 4


def transforms() -> pd.DataFrame:
    return pd.read_csv(OUT / "transforms.csv", keep_default_na=False, dtype={"image_id": str})


def test_parts_at_any_angle_are_turned_and_it_says_so() -> None:
    clubs()
    summary, table = ingest()
    assert summary.fit == "part"
    assert summary.lines()[-2].startswith("fit: part: the parts lie at different angles (circular variance")
    stored = json.loads((OUT / "summary.json").read_text())
    assert (stored["fit"], stored["fit_reason"]) == ("part", summary.fit_reason)
    images = np.stack([np.asarray(Image.open(path)) for path in table["path"]]).astype(float)
    assert images.std(axis=0).max() > 20  # the holes
    good = images[(table["label"] == 0).to_numpy()]
    assert np.corrcoef(good.reshape(len(good), -1)).min() > 0.9


def test_masks_turn_along_and_the_transform_leads_back_to_the_defect() -> None:
    clubs()
    _, table = ingest()
    moves = transforms().set_index("image_id")
    assert list(moves.index) == list(table["image_id"])
    for row in table[table["label"] == 1].itertuples():
        mask, image = np.asarray(Image.open(row.mask_path)) > 0, np.asarray(Image.open(row.path))
        assert image[mask].mean() > image[~mask & (image < 130)].mean() + 80
        centre = np.argwhere(mask).mean(axis=0)[::-1] + 0.5
        back = Affine(*moves.loc[row.image_id, list(Affine._fields)].astype(float)).apply([centre])[0]
        own = np.asarray(Image.open(ROOT / f"ground_truth/hole/{Path(row.source).stem}_mask.png")) > 0
        assert back == pytest.approx(np.argwhere(own).mean(axis=0)[::-1] + 0.5, abs=1.5)


def test_photos_that_lie_alike_come_out_byte_for_byte_as_stretched() -> None:
    clubs(turned=False)
    summary, _ = ingest("stretch")
    before = contents()
    found, _ = ingest("auto")
    assert (summary.fit_reason, found.fit) == ("", "stretch")
    assert found.lines()[-2].startswith("fit: stretch: the parts lie alike")
    after = contents()
    differ = {name for name in before | after if before.get(name) != after.get(name)}
    assert differ == {"data/ingested/summary.json"}


def test_photos_without_a_part_are_stretched_and_counted() -> None:
    clubs(train=30)
    for number in range(2):
        trees.save(
            ROOT / f"train/good/empty{number}.png", photo(np.zeros((128, 160), bool), seed=90 + number)
        )
    summary, table = ingest()
    assert summary.fit == "part"
    assert summary.not_turned == {"no part found": 2}
    assert summary.lines()[-2] == "fit: 2 photos: no part found, stretched"
    empty = table[table["source"].str.contains("empty")]["image_id"]
    rows = transforms().set_index("image_id").loc[empty]
    assert (rows["not_turned"] == "no part found").all()
    assert rows[["a", "b", "c", "d", "e", "f"]].to_numpy().tolist() == [[2.5, 0, 0, 0, 2, 0]] * 2


def test_again_reuses_everything_and_one_more_photo_is_done_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    clubs()
    first, _ = ingest()
    before = contents()
    second, table = ingest()
    assert (first.decoded, second.decoded, second.reused) == (18, 0, 18)
    assert contents() == before
    trees.save(ROOT / "train/good/new.png", photo(club(1.1), seed=77))
    third, more = ingest()
    assert (third.decoded, third.reused) == (1, 18)
    assert more[more["image_id"].isin(table["image_id"])].reset_index(drop=True).equals(table)
    monkeypatch.setattr(prepare, "BATCH", 3)
    monkeypatch.setenv("ADREFINE_CACHE_DIR", "elsewhere")
    after = contents()
    ingest(workers=2)
    assert contents() == after


def test_a_changed_decision_redoes_all_and_going_back_is_free() -> None:
    clubs(train=9)
    assert ingest()[0].fit == "part"
    for number in range(2):
        trees.save(
            ROOT / f"train/good/empty{number}.png", photo(np.zeros((128, 160), bool), seed=90 + number)
        )
    changed, _ = ingest()
    assert (changed.fit, changed.decoded) == ("stretch", 2)  # 9 of 11; stretched images are there already
    assert not (OUT / "examples").exists()
    for number in range(2):
        (ROOT / f"train/good/empty{number}.png").unlink()
    again, _ = ingest()
    assert (again.fit, again.decoded) == ("part", 0)


def test_test_photos_decide_nothing() -> None:
    clubs()
    for path in (ROOT / "test/good").glob("*.png"):
        path.unlink()
    for number in range(20):
        trees.save(ROOT / f"test/good/{number}.png", trees.pixels(number, 160, 128))
    summary, _ = ingest()
    assert summary.fit == "part"
    assert sum(summary.not_turned.values()) == 20


def test_examples_show_eight_photos_as_they_were() -> None:
    clubs()
    _, table = ingest()
    shown = sorted(path.stem for path in (OUT / "examples").iterdir())
    trained = table[table["split"] == "train"]["image_id"]
    assert shown == list(trained)[:8]
    with Image.open(OUT / f"examples/{shown[0]}.png") as image:
        assert image.size == (256, 205)


def test_part_turns_where_auto_would_not_and_bad_photos_still_go_to_quarantine() -> None:
    clubs(turned=False, train=40)
    (ROOT / "train/good/cut.png").write_bytes(b"broken")
    summary, _ = ingest("part")
    assert (summary.fit, summary.quarantined) == ("part", 1)
    assert summary.lines()[-2] == "fit: part: dataset.fit = part"


def test_part_without_any_part_stretches() -> None:
    trees.mvtec(ROOT)
    summary, table = ingest("part")
    assert summary.fit == "stretch"
    assert summary.fit_reason == "no part was found in any photo"
    assert len(table) == 20


def test_photos_of_sixteen_bits_turn_like_those_of_eight() -> None:
    found = {}
    for times, kind in ((1, np.uint8), (16, np.uint16)):
        for number in range(24):
            values = photo(club(number * 2.4 % (2 * pi)), seed=number).astype(kind) * kind(times)
            trees.save(ROOT / f"{'train' if number < 20 else 'test'}/good/{number:03d}.png", values)
        summary, table = ingest()
        assert (summary.fit, len(table)) == ("part", 24)
        found[times] = {row.source: sha256_file(Path(row.path)) for row in table.itertuples()}
    assert summary.scales == {"0..4080": 24}
    assert found[16] == found[1]
    assert ingest()[0].decoded == 0
