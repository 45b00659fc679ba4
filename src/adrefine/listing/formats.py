"""A list of photos as text: a table, JSON, COCO."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from adrefine.cells import tame
from adrefine.listing.photos import COLUMNS, Photo

_CATEGORIES = {True: 1, False: 2}  # of COCO: kept, removed
_OWN = tuple(name for name in COLUMNS if name not in ("photo", "width", "height"))


def as_csv(photos: Sequence[Photo]) -> str:
    """A line each, COLUMNS; `kept` is 1 or 0; text that a spreadsheet would run is tamed."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([_cell(photo[name]) for name in COLUMNS] for photo in photos)
    return text.getvalue()


def as_json(photos: Sequence[Photo]) -> str:
    """A list of objects."""
    return _dumped(list(photos))


def as_coco(photos: Sequence[Photo]) -> str:
    """COCO (https://cocodataset.org/#format-data): each photo has one annotation of its whole area, of the
    category `kept` or `removed`; what else is known of it is in `attributes`."""
    images = [
        {"id": number, "file_name": photo["photo"], "width": photo["width"], "height": photo["height"]}
        for number, photo in enumerate(photos, 1)
    ]
    marks = [_annotation(number, photo) for number, photo in enumerate(photos, 1)]
    names = [{"id": number, "name": "kept" if kept else "removed"} for kept, number in _CATEGORIES.items()]
    return _dumped({"images": images, "annotations": marks, "categories": names})


def as_fiftyone(photos: Sequence[Photo]) -> str:
    """samples.json of FiftyOne's LegacyFiftyOneDataset: `filepath`, `tags` (kept or removed, and a human's
    verdict), and COLUMNS as fields."""
    return _dumped({"samples": list(map(_sample, photos))})


def _sample(photo: Photo) -> dict[str, Any]:
    tags = ["kept" if photo["kept"] else "removed", *filter(None, [photo["verdict"]])]
    fields = {name: photo[name] for name in ("image_id", "image", *_OWN) if name != "verdict"}
    return {"filepath": photo["photo"] or photo["image"], "tags": tags, **fields}


def _annotation(number: int, photo: Photo) -> dict[str, Any]:
    wide, high = photo["width"] or 0, photo["height"] or 0
    return {
        "id": number,
        "image_id": number,
        "category_id": _CATEGORIES[photo["kept"]],
        "bbox": [0, 0, wide, high],
        "area": wide * high,
        "iscrowd": 0,
        "attributes": {name: photo[name] for name in _OWN},
    }


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    return "" if value is None else tame(value) if isinstance(value, str) else value


def _dumped(content: Any) -> str:
    return json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
