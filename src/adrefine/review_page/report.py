"""The report as the page shows it: what opens a photo leads to this server, not to a file of the machine."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

_LINK = re.compile(r'<a([^>]*?) href="(?!#)[^"]*"([^>]*)>([^<]*)</a>')


def served(file: Path, ids: Mapping[str, str]) -> str:
    """The report in `file`. A link by the name of a photo among `ids` (name to id) opens that; others open
    nothing, for a browser lets no page lead to files of the machine."""

    def turned(link: re.Match[str]) -> str:
        before, after, name = link.groups()
        found = ids.get(html.unescape(name).strip())
        href = "" if found is None else f' href="picture/native/{quote(found)}"'
        return f"<a{before}{href}{after}>{name}</a>"

    return _LINK.sub(turned, file.read_text(encoding="utf-8"))
