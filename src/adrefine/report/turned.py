"""The report's part on photos that were turned to the part: why, and a few before and after."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from adrefine.io import read_json
from adrefine.report import pictures
from adrefine.text import counted

_SIDE = 160  # pixels of a picture


@dataclass(frozen=True)
class Pair:
    """A photo as it was and as it is used, as data URIs."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class Turned:
    """Why the photos were turned, which were not, and examples; without examples if none was turned."""

    intro: str = ""
    pairs: tuple[Pair, ...] = ()


NONE = Turned()


def find(ingested: Path) -> Turned:
    """From what ingest left in its folder."""
    examples = sorted((ingested / "examples").glob("*.png"))
    if not examples:
        return NONE
    summary = read_json(ingested / "summary.json")
    left = [f"{counted(count, 'photo')}: {problem}" for problem, count in summary["not_turned"].items()]
    stretched = f" Stretched instead: {', '.join(left)}." if left else ""
    intro = (
        "Each photo was turned and cropped to its part, the thicker end to the right "
        f"({summary['fit_reason']}).{stretched} Left as it was, right as it is used."
    )
    pairs = (_pair(path, ingested / "images" / path.name) for path in examples)
    return Turned(intro, tuple(pair for pair in pairs if pair))


def _pair(before: Path, after: Path) -> Pair | None:
    """None if one of the two cannot be read."""
    shown = [pictures.thumbnail(path, _SIDE) for path in (before, after)]
    uris = [pictures.data_uri(picture) for picture in shown if picture is not None]
    return Pair(before.stem, *uris) if len(uris) == len(shown) else None
