"""`dataset.roi` to the region of interest of the fitted photos: a mask, polygons, or where the part is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image, ImageDraw

from adrefine.areas import foreground
from adrefine.areas.region import Flags, Region
from adrefine.errors import UserError
from adrefine.ingestion import cache, decode, fitting
from adrefine.ingestion.affine import Affine
from adrefine.ingestion.decision import PART
from adrefine.ingestion.decode import Decoded
from adrefine.params import Dataset
from adrefine.paths import ROI, refuse_elsewhere
from adrefine.runtime import hardware
from adrefine.runtime.seeds import derived_seed

AUTO = "auto"
_KEY = "dataset.roi"
_TAPS = 3.5  # pixels to either side that resizing mixes, of the larger ones: Lanczos, and a box before it
_LOOKED_AT = 200  # photos at which `auto` looks: one more hardly moves where the part is
_LARGEST = 2**27  # bytes of a JSON: labelme puts the photo into it
_MOST = 2**28  # pixels of a mask


@dataclass(frozen=True)
class Drawn:
    """A region as somebody drew it: a mask (L, 0 or 255) of the file `name`."""

    name: str
    mask: Image.Image


def drawn(name: str | None) -> Drawn | None:
    """What the file `name` says; None for `auto` and for none.

    Raises:
        UserError: it is not in the folder that DVC watches, not there, no mask and no polygons, or it marks
            nothing or everything.
    """
    if name in (None, AUTO):
        return None
    file = Path(name)
    refuse_elsewhere(_KEY, name, ROI)
    if not file.is_file():
        raise UserError(
            f"{_KEY} = {name} is not there: put a mask (.png) or polygons (.json) there, or write {AUTO}"
        )
    mask = _polygons(file) if file.suffix.lower() == ".json" else _painted(file)
    lowest, highest = mask.getextrema()
    if lowest == highest:
        none, whole = "nothing: paint white what counts", "everything: paint black what does not count"
        raise UserError(f"{_KEY} = {name} marks {whole if highest else none}")
    return Drawn(name, mask)


def _painted(file: Path) -> Image.Image:
    try:
        with Image.open(file) as image:
            if image.width * image.height > _MOST:
                raise UserError(
                    f"{_KEY} = {file} is {image.width}x{image.height}: that is not the size of a mask "
                    "of a photo"
                )
            return Image.fromarray(np.where(np.asarray(image.convert("L")) > 127, 255, 0).astype(np.uint8))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"{_KEY} = {file} is no picture ({str(error)[:80]}): a PNG, white inside") from None


def _polygons(file: Path) -> Image.Image:
    """Of a JSON as labelme writes it: imageWidth, imageHeight, shapes with points in pixels."""
    form = '{"imageWidth": 640, "imageHeight": 480, "shapes": [{"points": [[x, y], ...]}]}'
    try:
        if file.stat().st_size > _LARGEST:
            raise ValueError("too large")
        content = json.loads(file.read_bytes())
        width, height = (int(content[key]) for key in ("imageWidth", "imageHeight"))
        shapes = [_points(shape) for shape in content["shapes"]]
        if not (width > 0 and height > 0 and width * height <= _MOST):
            raise ValueError("imageWidth and imageHeight")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"{_KEY} = {file} ({type(error).__name__}: {str(error)[:60]}): write {form}"
        ) from None
    mask = Image.new("L", (width, height), 0)
    for points in shapes:
        ImageDraw.Draw(mask).polygon(points, fill=255)
    return mask


def _points(shape: dict[str, Any]) -> list[tuple[float, float]]:
    if shape.get("shape_type", "polygon") not in ("polygon", "rectangle"):
        raise ValueError(f"a shape is a {shape['shape_type']}, only polygons and rectangles are understood")
    points = [(float(x), float(y)) for x, y in shape["points"]]
    if not np.isfinite(points).all() or np.abs(points).max() > _MOST:
        raise ValueError("a point is no place")
    if shape.get("shape_type") == "rectangle":
        (a, b), (c, d) = points
        points = [(a, b), (c, b), (c, d), (a, d)]
    if len(points) < 3:
        raise ValueError("a polygon needs three points")
    return points


def placed(mark: Drawn, sizes: Iterable[tuple[int, int]], side: int, fit: str) -> Region:
    """The region at the working size.

    A square mask is drawn on a fitted photo, such as those in data/ingested/images: it is taken as it is. One
    of the size of the photos is drawn on a photo: pixels of the working size that see nothing outside count.

    Args:
        sizes: width and height of the photos. fit: what is done with them, never `auto`.

    Raises:
        UserError: it is of another size, or what it marks is cropped off.
    """
    known, mask = sorted(set(sizes)), mark.mask
    if known != [mask.size] or fit == PART:
        _check_square(mark, known, fit)
        inside = np.asarray(fitting.fit(Decoded(mask, *mask.size), side, "stretch", is_mask=True)) > 127
    else:
        move = fitting.transform(*mask.size, side, fit)
        inside = _sees_only(np.asarray(mask) > 127, move, side)
    if not inside.any():
        raise UserError(
            f"{_KEY} = {mark.name} marks nothing of what dataset.fit = {fit} leaves of the photos"
        )
    return Region(inside)


def _sees_only(inside: Flags, move: Affine, side: int) -> Flags:
    """Pixels (side, side) that a photo of the mask's size gives nothing but what is `inside` (h, w).

    Args:
        move: from the pixels of the result to those of the photo, upright.
    """
    outside = ~inside
    for axis, (step, start) in enumerate([(move.e, move.f), (move.a, move.c)]):
        reach = 0.0 if step == 1 else _TAPS * max(step, 1.0) + 1
        centres = step * (np.arange(side) + 0.5) + start
        ends = np.clip(
            np.stack([np.floor(centres - reach), np.ceil(centres + reach)]), 0, outside.shape[axis]
        )
        seen = [np.take(outside, np.arange(a, b), axis).any(axis=axis) for a, b in ends.T.astype(int)]
        off = (centres < 0) | (centres >= outside.shape[axis])
        outside = np.stack(seen, axis=axis) | np.expand_dims(off, 1 - axis)
    return ~outside


def _check_square(mark: Drawn, sizes: Sequence[tuple[int, int]], fit: str) -> None:
    width, height = mark.mask.size
    if width == height:
        return
    shown = "x".join(map(str, sizes[0]))
    others = f"photos are of {len(sizes)} sizes" if len(sizes) > 1 else f"photos are {shown}"
    on_photo = "" if len(sizes) > 1 or fit == PART else f"on a photo ({shown}), or "
    turned = " and are turned to their part" if fit == PART else ""
    raise UserError(
        f"{_KEY} = {mark.name} is {width}x{height}, {others}{turned}: draw it {on_photo}on a square one of "
        "data/ingested/images, which a run without it makes"
    )


def of(params: Dataset, mask: Drawn | None, table: pd.DataFrame, fit: str) -> Region | None:
    """The region that `params` asks for; None: the whole photo counts.

    Args:
        mask: what `drawn` gave; None for `auto`, and where nothing is asked for.
        table: the photos. fit: what was done with them.
    """
    if mask is not None:
        sizes = zip(table["width"].astype(int), table["height"].astype(int), strict=True)
        return placed(mask, sizes, params.image_size, fit)
    return of_part(table) if params.roi == AUTO else None


def of_part(table: pd.DataFrame) -> Region:
    """Where the part is in the photos that may train: `auto`. Labels and test photos decide nothing.

    Args:
        table: image_id, split and file, the image at the working size.

    Raises:
        UserError: no part stands out.
    """
    rows = table[table["split"].isin(("train", "val"))]
    order = sorted(rows["image_id"], key=lambda image_id: derived_seed("roi", image_id))[:_LOOKED_AT]
    files = rows.set_index("image_id")["file"].loc[order]
    inside = foreground.common(map(_pixels, files))
    if inside is None:
        raise UserError(
            f"{_KEY} = {AUTO}: in most photos no part stands out from the background: draw a mask"
        )
    return Region(inside)


def _pixels(file: str) -> npt.NDArray[np.float32]:
    """(h, w, 3), 0 to 1."""
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"), dtype=np.float32) / np.float32(255)


@dataclass(frozen=True)
class Applied:
    """Photos with one shade outside a region, as `table` has them: file, mask_file and mask_area are new.

    Attributes:
        cut, lost: masks of defects that reached out of the region, and those of them that had nothing inside.
    """

    table: pd.DataFrame
    cut: int
    lost: int


def applied(table: pd.DataFrame, region: Region) -> Applied:
    """The photos of `table` and their masks as the region leaves them; both kept in the side cache."""
    masked = table["mask_area"] > 0
    with ThreadPoolExecutor(hardware.threads()) as pool:
        files = list(pool.map(lambda file: _filled(Path(file), region), table["file"]))
        masks = list(pool.map(lambda file: _cut(Path(file), region), table["mask_file"][masked]))
    photos = table.assign(file=files)
    photos.loc[masked, "mask_file"] = [file for file, _ in masks]
    photos.loc[masked, "mask_area"] = [area for _, area in masks]
    before, after = table["mask_area"][masked], photos["mask_area"][masked]
    return Applied(photos, int((after < before).sum()), int((after == 0).sum()))


def _filled(file: Path, region: Region) -> str:
    made = _beside(file, region)
    if cache.read(made) is None:
        with Image.open(file) as image:
            cache.store(made, decode.png(region.only(image)), {})
    return str(made)


def _cut(file: Path, region: Region) -> tuple[str, float]:
    """The cut mask and the share of the image that it marks."""
    made = _beside(file, region)
    record = cache.read(made)
    if record is None:
        with Image.open(file) as image:
            mask = region.cut(image)
        record = {"area": float(np.count_nonzero(np.asarray(mask))) / (mask.width * mask.height)}
        cache.store(made, decode.png(mask), record)
    return str(made), record["area"]


def _beside(file: Path, region: Region) -> Path:
    return file.parent / f"roi-{region.digest}" / file.name
