"""The pages of the documentation, taken apart: code blocks, inline code, links, headings, commands."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import dropwhile, groupby
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block; `words`: what follows the fence, such as ("sh", "run")."""

    page: str
    words: tuple[str, ...]
    text: str


@cache
def tracked() -> tuple[str, ...]:
    """Files of the repository, new ones included, relative to its root."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    return tuple(name for name in listed.stdout.split("\0") if name and (REPOSITORY / name).is_file())


def markdown() -> list[str]:
    """All pages: README, docs/, the notebooks of benchmarks/ and every other one that is not a result."""
    return [name for name in tracked() if name.endswith(".md") and not name.startswith("benchmarks/results/")]


def manual() -> list[str]:
    """The pages that a user follows: README and docs/, and how to contribute."""
    return [name for name in markdown() if "/" not in name or name.startswith("docs/")]


def text(page: str) -> str:
    """The page's text."""
    return (REPOSITORY / page).read_text(encoding="utf-8")


def blocks(page: str) -> list[Block]:
    """The fenced blocks of the page."""
    return [Block(page, tuple(words.split()), body) for words, body in _FENCE.findall(text(page))]


def prose(page: str) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", text(page))


def inline(page: str) -> list[str]:
    """What stands between backticks, outside of blocks."""
    return re.findall(r"`([^`\n]+)`", prose(page))


def links(page: str) -> list[str]:
    """Targets of links and pictures, outside of blocks and inline code."""
    return _LINK.findall(re.sub(r"`[^`\n]*`", "", prose(page)))


def anchors(page: str) -> set[str]:
    """The names that GitHub gives to the page's headings."""
    headings = re.findall(r"^#+ +(.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(shell: str) -> Iterator[list[str]]:
    """The words of every command in shell text: comments gone, lines joined, assignments in front dropped."""
    for line in shell.replace("\\\n", " ").splitlines():
        words = shlex.shlex(line, posix=True, punctuation_chars=";&|")
        words.whitespace_split = True
        for is_between, command in groupby(words, lambda word: set(word) <= set(";&|")):
            rest = list(dropwhile(re.compile(r"[A-Z_]+=").match, command))
            if rest and not is_between:
                yield rest


def shell(page: str) -> str:
    """All shell blocks of the page."""
    return "".join(block.text for block in blocks(page) if block.words[:1] == ("sh",))
