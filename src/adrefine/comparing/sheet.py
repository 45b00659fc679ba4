"""A difference as a page: each photo with its map under both versions. One file, offline, without scripts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from adrefine import paths
from adrefine.areas import region
from adrefine.comparing import words
from adrefine.comparing.difference import KINDS, Difference
from adrefine.comparing.version import Version
from adrefine.report.pictures import contrast, data_uri, overlay, thumbnail

SIDE = 224  # pixels of a picture's longer side
MOST = 60  # photos with pictures, of each kind


def render(difference: Difference) -> str:
    """The page; maps are drawn where data/prepared/places of this workspace has the photos."""
    sections = []
    for kind in KINDS:
        rows = difference.of_kind(kind)
        if rows:
            cards = [
                {"row": row, "why": words.described(row), "pictures": pictures}
                for row, pictures in zip(rows[:MOST], _pictures(difference, rows[:MOST]), strict=True)
            ]
            sections.append({"title": difference.title(kind), "total": len(rows), "cards": cards})
    files = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    head = words.lines(difference)[: 1 + len(difference.measures) + len(difference.settings)]
    return files.get_template("sheet.html").render(
        a=difference.a.name, b=difference.b.name, head=head, sections=sections
    )


def _pictures(difference: Difference, rows: list[dict[str, object]]) -> list[list[tuple[str, str]]]:
    """For each row the photo and its maps: (what it is, data URI)."""
    ids = [str(row["image_id"]) for row in rows]
    files = [Path(str(row["path"])) for row in rows]
    maps = {version.name: _maps(version, ids, files) for version in (difference.a, difference.b)}
    drawn = [heat for by_id in maps.values() for heat in by_id.values()]
    usual = float(np.median([contrast(heat) for heat in drawn])) if drawn else 0.0
    shown = []
    for image_id, file in zip(ids, files, strict=True):
        photo = thumbnail(file, SIDE)
        pictures = [] if photo is None else [("photo", data_uri(photo))]
        for name, by_id in maps.items():
            if photo is not None and image_id in by_id:
                pictures.append((f"map of {name}", data_uri(overlay(photo, by_id[image_id], usual))))
        shown.append(pictures)
    return shown


def _maps(version: Version, ids: list[str], files: list[Path]) -> dict[str, np.ndarray]:
    """Maps of the photos beside those that the version keeps; of those that the store has."""
    from adrefine.places import maps
    from adrefine.places.store import open_places

    folder = paths.PREPARED / paths.PLACES
    if not (folder / "meta.json").exists():
        return {}
    store = open_places(folder)
    learned = [name for name in version.photos.index[version.photos["kept"] == 1] if store.has([name])]
    asked = [
        (name, file) for name, file in zip(ids, files, strict=True) if store.has([name]) and file.is_file()
    ]
    if len(learned) < 2 or not asked:
        return {}
    names, there = [name for name, _ in asked], [file for _, file in asked]
    drawn, inside = maps.of_photos(paths.PREPARED, learned, names, there), region.find(paths.INGESTED)
    return dict(zip(names, drawn if inside is None else inside.calmed(drawn), strict=True))
