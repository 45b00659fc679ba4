"""Words and tables for people."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any


def counted(number: int, noun: str) -> str:
    """`1 photo`, `2 photos`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def harmless(words: str) -> str:
    """Names of files and other people's words, for a page that renders Markdown: no link, no code that ends
    early, no `javascript:`."""
    plain = words.replace("](", "] (").replace("`", "'").replace("<", "‹").replace(">", "›")
    return re.sub(r"(?i)(javascript|data|vbscript)\s*:", r"\1 :", plain)


def utf8(name: str) -> str:
    """The name of a file with `\\xff` for what is not UTF-8 in it: it can be written and printed."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def printable(name: str) -> str:
    """The name of a file on one line of a terminal, which obeys nothing in it."""
    return re.sub("[\x00-\x1f\x7f-\x9f]", lambda found: f"\\x{ord(found[0]):02x}", utf8(name))


def markdown(header: Sequence[str], rows: Iterable[Sequence[object]], right: Sequence[str] = ()) -> list[str]:
    """Lines of a Markdown table and an empty one; the columns named in `right` are set to the right."""
    marks = "|".join("---:" if name in right else "---" for name in header)
    lines = [f"| {' | '.join(map(str, row))} |" for row in (header, *rows)]
    return [lines[0], f"|{marks}|", *lines[1:], ""]


def region_words(roi: dict[str, Any]) -> str:
    """What ingest's summary says of the region of interest, for people."""
    cut, lost = counted(roi["masks_cut"], "mask"), roi["masks_lost"]
    outside = f", {lost} of them wholly outside" if lost else ""
    reach = f"; {cut} of defects cut at its edge{outside}" if roi["masks_cut"] else ""
    return f"{roi['source']}, {roi['share']:.1%} of each photo{reach}"
