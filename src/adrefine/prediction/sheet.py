"""What `adrefine predict --out` leaves: predictions.csv, pictures of maps and a page sorted by score."""

from __future__ import annotations

import csv
import heapq
import io
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from adrefine.cells import tame
from adrefine.errors import UserError
from adrefine.io import atomic_open, fresh_folder, write_bytes, write_text
from adrefine.prediction import pictures
from adrefine.prediction.model import Model
from adrefine.prediction.photo import Result
from adrefine.text import counted, utf8

TABLE, PAGE, MAPS = "predictions.csv", "predictions.html", "maps"
COLUMNS = (
    *("path", "sha256", "score", "threshold", "verdict", "x", "y", "width", "height", "milliseconds", "note"),
)
DEFECTIVE, GOOD, UNREADABLE = "defective", "good", "unreadable"
_SHOWN = 500  # photos on the page: the highest scores; the table has all
_STYLE = """:root{color-scheme:light dark;font-family:system-ui,sans-serif}
body{margin:2rem auto;max-width:72rem;padding:0 1rem}
main{display:grid;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr));gap:1rem}
figure{margin:0}img{width:100%;display:block}figcaption{font-size:.85rem;overflow-wrap:anywhere}
.defective b{color:#c2410c}li{overflow-wrap:anywhere}"""


@dataclass
class Sheet:
    """What is written while photos pass; nothing grows with their number but the files.

    Attributes:
        counts: photos by verdict. unlike: photos with a warning, `first` the first of them.
        unread: paths and reasons, the first ones.
    """

    model: Model
    out: Path | None
    maps: str
    counts: dict[str, int] = field(default_factory=lambda: {DEFECTIVE: 0, GOOD: 0, UNREADABLE: 0})
    unlike: int = 0
    first: str = ""
    unread: list[tuple[str, str]] = field(default_factory=list)
    _top: list[tuple[float, int, str, str, str]] = field(default_factory=list)
    _lines: io.TextIOWrapper | None = None

    @contextmanager
    def writing(self) -> Iterator[Sheet]:
        """Within the block photos may be added; then the files are there, whole."""
        with ExitStack() as open_:
            if self.out is not None:
                if (self.out / MAPS).exists() and not (self.out / TABLE).exists():
                    raise UserError(f"{self.out / MAPS} is there already: give another folder to --out")
                fresh_folder(self.out / MAPS)
                binary = open_.enter_context(atomic_open(self.out / TABLE))
                self._lines = io.TextIOWrapper(binary, "utf-8", newline="", write_through=True)
                csv.writer(self._lines, lineterminator="\n").writerow(COLUMNS)
            yield self
            if self._lines is not None:
                self._lines.detach()
        if self.out is not None:
            if self.maps == "none":
                (self.out / MAPS).rmdir()
            write_text(self.out / PAGE, self._page())

    def add(self, path: Path, result: Result | str) -> None:
        """Take a photo in."""
        verdict = UNREADABLE if isinstance(result, str) else DEFECTIVE if result.defective else GOOD
        self.counts[verdict] += 1
        name = utf8(str(path))
        if isinstance(result, str):
            if len(self.unread) < _SHOWN:
                self.unread.append((name, result))
            self._row([name, "", "", "", verdict, "", "", "", "", "", result])
            return
        if result.notes:
            self.unlike += 1
            self.first = self.first or f"{name}: {'; '.join(result.notes)}"
        box = result.box or ("", "", "", "")
        numbers = [result.sha256, f"{result.score:.9g}", f"{result.threshold:.9g}", verdict, *map(str, box)]
        self._row([name, *numbers, f"{result.milliseconds:g}", "; ".join(result.notes)])
        picture = self._picture(path, result)
        entry = (result.score, -sum(self.counts.values()), name, verdict, picture)
        (heapq.heappush if len(self._top) < _SHOWN else heapq.heappushpop)(self._top, entry)

    def line(self) -> str:
        """The summary, for people."""
        seen, unread = self.counts[DEFECTIVE] + self.counts[GOOD], self.counts[UNREADABLE]
        text = f"{counted(seen, 'photo')}: {self.counts[DEFECTIVE]} defective, {self.counts[GOOD]} good"
        return text + (f"; {unread} unreadable" if unread else "")

    def _row(self, cells: list[str]) -> None:
        if self._lines is not None:
            csv.writer(self._lines, lineterminator="\n").writerow(map(tame, cells))

    def _picture(self, path: Path, result: Result) -> str:
        """Write the picture of a photo's map; its name on the page."""
        if self.out is None or self.maps == "none":
            return ""
        plain = re.sub(r"[^\w.-]", "_", path.stem[:60], flags=re.ASCII)
        name = f"{MAPS}/{sum(self.counts.values()):06d}-{plain}.png"
        as_heat = self.maps == "heat"
        made = pictures.heat(result) if as_heat else pictures.overlay(result, path, self.model.preparation)
        write_bytes(self.out / name, made)
        return name

    def _page(self) -> str:
        contents = self.model.contents
        shown = sorted(self._top, key=lambda entry: (-entry[0], -entry[1]))
        figures = "\n".join(_figure(*entry[2:], entry[0]) for entry in shown)
        rest = sum(self.counts.values()) - self.counts[UNREADABLE] - len(shown)
        more = f"<p>The {len(shown)} highest; {rest} more are in {TABLE}.</p>" if rest else ""
        bad = "".join(f"<li>{escape(path)}: {escape(reason)}</li>" for path, reason in self.unread)
        return (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Predictions</title>'
            f"<style>{_STYLE}</style><h1>{escape(self.line())}</h1>"
            f"<p>Model {escape(contents.detector)} of {escape(str(contents.dataset['name']))}. Defective: "
            f"score over {contents.threshold.value:.4g}. The highest score comes first; colour begins "
            f"at half the threshold of maps.</p>{more}\n<main>{figures}</main>"
            + (f"<h2>Unreadable</h2><ul>{bad}</ul>" if bad else "")
            + "</html>\n"
        )


def _figure(path: str, verdict: str, picture: str, score: float) -> str:
    image = f'<img loading="lazy" src="{escape(picture)}" alt="map of {escape(path)}">' if picture else ""
    caption = f"<b>{verdict}</b> {score:.4g}<br>{escape(path)}"
    return f'<figure class="{verdict}">{image}<figcaption>{caption}</figcaption></figure>'
