"""`dataset.roi`: what may be named, where it lies on photos of each fit, and what ingest says of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adrefine import manifest
from adrefine.areas import region
from adrefine.errors import UserError
from adrefine.ingestion import roi
from adrefine.ingestion.pipeline import ingest
from adrefine.io import read_json
from adrefine.params import Dataset
from adrefine.report import interest

SIDE = 32
HALF = np.repeat([[255, 0]], 40, axis=0).repeat(30, axis=1).astype(np.uint8)  # 40 high, 60 wide, its left


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project's folder for masks, as stages see it."""
    monkeypatch.chdir(tmp_path)
    Path("data/roi").mkdir(parents=True)
    return Path("data/roi")


def saved(values: np.ndarray, path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return str(path)


def labelme(path: Path, *shapes: dict[str, object]) -> str:
    path.write_text(json.dumps({"imageWidth": 60, "imageHeight": 40, "shapes": shapes}))
    return str(path)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: "data/elsewhere.png", "put the file there and name it data/roi/"),
        (lambda folder: "data/roi/../elsewhere.png", "put the file there and name it data/roi/"),
        (lambda folder: "data/roi/none.png", "is not there"),
        (lambda folder: saved(HALF * 0, folder / "a.png"), "marks nothing: paint white"),
        (lambda folder: saved(HALF | 255, folder / "a.png"), "marks everything: paint black"),
        (lambda folder: str(_text(folder / "a.png")), "is no picture"),
        (lambda folder: str(_text(folder / "a.json")), "write {"),
        (lambda folder: labelme(folder / "a.json", {"points": [[0, 0], [9, 9]]}), "needs three points"),
        (
            lambda folder: labelme(folder / "a.json", {"points": [[1, 1]], "shape_type": "point"}),
            "only polygons and rectangles",
        ),
        (
            lambda folder: labelme(folder / "a.json", {"points": [[1, 1], [float("inf"), 1], [2, 2]]}),
            "a point is no place",
        ),
        (lambda folder: labelme(folder / "a.json"), "marks nothing"),
    ],
)
def test_what_is_wrong_with_a_mask_is_said_in_one_line(folder: Path, make, said: str) -> None:
    name = make(folder)
    with pytest.raises(UserError) as told:
        roi.drawn(name)
    assert said in str(told.value)
    assert f"dataset.roi = {name}" in str(told.value)
    assert "\n" not in str(told.value)


def _text(path: Path) -> Path:
    path.write_text("no picture, no polygon")
    return path


def test_polygons_are_laid_together(folder: Path) -> None:
    name = labelme(
        folder / "a.json",
        {"points": [[0, 0], [19, 0], [19, 39], [0, 39]]},
        {"points": [[40, 10], [50, 20]], "shape_type": "rectangle"},
    )
    found = roi.drawn(name)
    assert found is not None
    marked = np.asarray(found.mask) > 0
    assert marked[:, :19].all()
    assert marked[10:20, 40:50].all()
    assert not marked[:, 25:35].any()


@pytest.mark.parametrize(
    ("fit", "rows", "columns"),
    [
        ("stretch", slice(0, SIDE), slice(0, 12)),  # 3.5 pixels from the middle
        ("letterbox", slice(6, 26), slice(0, 12)),
        ("crop", slice(0, SIDE), slice(0, 12)),
    ],
)
def test_a_mask_on_a_photo_goes_where_the_photo_goes(
    folder: Path, fit: str, rows: slice, columns: slice
) -> None:
    found = roi.placed(_half(folder), [(60, 40)], SIDE, fit).inside
    assert found[rows, columns].all()
    assert not found[:, SIDE // 2 :].any()
    if fit == "letterbox":  # 21 rows of the photo, from the sixth on
        assert not found[:5].any()
        assert not found[26:].any()


def _half(folder: Path) -> roi.Drawn:
    found = roi.drawn(saved(HALF, folder / "half.png"))
    assert found is not None
    return found


@pytest.mark.parametrize("size", [(60, 40), (24, 20), (SIDE, 50), (700, 300), (200, 500)])
def test_no_pixel_outside_reaches_one_inside(size: tuple[int, int]) -> None:
    """Enlarged, shrunk, and shrunk so far that it takes two steps."""
    from adrefine.ingestion import fitting
    from adrefine.ingestion.decode import Decoded

    width, height = size
    rng = np.random.default_rng(width)
    mask = np.zeros((height, width), np.uint8)
    mask[height // 8 : 7 * height // 8, width // 8 :] = 255
    photos = rng.integers(0, 256, (2, height, width), dtype=np.uint8)
    photos[1][mask > 0] = photos[0][mask > 0]
    for fit in ("stretch", "letterbox", "crop"):
        inside = roi.placed(roi.Drawn("drawn", Image.fromarray(mask)), [size], SIDE, fit).inside
        first, second = (
            np.asarray(fitting.fit(Decoded(Image.fromarray(photo), *size), SIDE, fit)) for photo in photos
        )
        assert (first != second).any()
        np.testing.assert_array_equal(first[inside], second[inside])


def test_a_mask_that_fits_no_photo_is_refused(folder: Path) -> None:
    half = _half(folder)
    with pytest.raises(UserError, match=r"60x40, photos are 64x64: draw it on a photo \(64x64\), or on a"):
        roi.placed(half, [(64, 64)], SIDE, "stretch")
    with pytest.raises(UserError, match="photos are of 2 sizes: draw it on a square one of data/ingested"):
        roi.placed(half, [(60, 40), (64, 64)], SIDE, "stretch")
    with pytest.raises(UserError, match="and are turned to their part: draw it on a square one"):
        roi.placed(half, [(60, 40)], SIDE, "part")
    edge = roi.Drawn("edge.png", Image.fromarray(np.where(np.arange(60) < 5, HALF, 0).astype(np.uint8)))
    with pytest.raises(UserError, match=r"marks nothing of what .* = crop leaves"):
        roi.placed(edge, [(60, 40)], SIDE, "crop")


def test_a_square_mask_lies_on_the_fitted_photo(folder: Path) -> None:
    square = np.zeros((2 * SIDE, 2 * SIDE), np.uint8)
    square[:SIDE] = 255
    found = roi.placed(roi.Drawn("square", Image.fromarray(square)), [(60, 40), (9, 9)], SIDE, "part").inside
    assert found[: SIDE // 2].all()
    assert not found[SIDE // 2 :].any()


def _photos(root: Path) -> Dataset:
    """A bright part in the middle of dark photos; one defect on it, one across its edge, one beside it."""
    rng = np.random.default_rng(0)
    for number in range(12):
        values = rng.integers(20, 40, (64, 64)).astype(np.uint8)
        values[16:48, 16:48] += 150
        place = {9: (slice(20, 26), slice(20, 26)), 10: (slice(30, 34), slice(40, 60))}.get(number)
        place = (slice(2, 6), slice(2, 6)) if number == 11 else place
        kind = "good" if place is None else "defect/spot"
        if place is not None:
            mask = np.zeros_like(values)
            mask[place], values[place] = 255, 255
            saved(mask, root / f"masks/{kind}/{number:02d}.png")
        saved(values, root / f"{kind}/{number:02d}.png")
    return Dataset(name="folder", root=str(root), image_size=64, fit="stretch", val_fraction=0.2)


def test_ingest_keeps_what_is_inside_alone(folder: Path) -> None:
    params = _photos(Path("photos"))
    square = np.zeros((64, 64), np.uint8)
    square[10:54, 10:54] = 255
    name = saved(square, folder / "middle.png")
    whole, within = Path("whole"), Path("within")
    ingest(params, whole, workers=1)
    done = ingest(params.model_copy(update={"roi": name}), within, workers=1)
    assert done.decoded == 0  # the side cache has every photo
    found = region.find(within)
    assert found is not None
    before, after = manifest.read(whole / "manifest.csv"), manifest.read(within / "manifest.csv")
    for first, second in zip(before["path"], after["path"], strict=True):
        shown, seen = np.asarray(Image.open(first)), np.asarray(Image.open(second))
        np.testing.assert_array_equal(shown[found.inside], seen[found.inside])
        assert set(seen[~found.inside]) == {region.SHADE}
    assert read_json(within / "summary.json")["roi"] == {
        "source": name,
        "share": round(float(found.inside.mean()), 4),
        "masks_cut": 2,
        "masks_lost": 1,
    }
    assert "roi" not in read_json(whole / "summary.json")
    assert region.find(whole) is None
    assert "2 masks of defects cut at its edge, 1 of them wholly outside" in "\n".join(done.lines())
    assert any("dataset.roi can cut a defect off" in line for line in done.warnings)
    shown = interest.find(within)
    assert "2 masks of defects cut at its edge" in shown.intro
    assert shown.picture.startswith("data:image/jpeg;base64,")
    assert interest.find(whole) == interest.WHOLE


def test_auto_is_where_the_part_is(folder: Path) -> None:
    params = _photos(Path("photos"))
    ingest(params.model_copy(update={"roi": roi.AUTO}), Path("out"), workers=1)
    found = region.find(Path("out"))
    assert found is not None
    assert found.inside[18:46, 18:46].all()
    assert not found.inside[:10].any()
    for number in range(12):  # texture that fills the photo
        noise = np.random.default_rng(number).integers(60, 200, (64, 64)).astype(np.uint8)
        saved(noise, Path(f"noise/{number}.png"))
    flat = params.model_copy(update={"root": "noise", "roi": roi.AUTO})
    with pytest.raises(UserError, match="in most photos no part stands out from the background"):
        ingest(flat, Path("flat"), workers=1)
