"""Every link, path, section and key that the documentation names is there."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
import yaml

from docs import pages
from docs.pages import REPOSITORY

TOP = ("src/", "tests/", "flows/", "benchmarks/", "docs/", ".ci/")
_PATH = re.compile(r"(?:src|tests|flows|benchmarks|docs)/[\w./*-]*\w[/*]?")
_SOURCES = [name for name in pages.tracked() if name.endswith((".py", ".yaml", ".toml", ".html"))]


@pytest.mark.parametrize("page", pages.markdown())
def test_relative_links_lead_somewhere(page: str) -> None:
    for link in pages.links(page):
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        name, _, anchor = link.partition("#")
        target = (REPOSITORY / page).parent / name if name else REPOSITORY / page
        assert target.exists(), f"{page} links to {link}: no such file"
        if anchor:
            there = pages.anchors(target.resolve().relative_to(REPOSITORY).as_posix())
            assert anchor in there, f"{page} links to {link}: no such heading, only {sorted(there)}"


@pytest.mark.parametrize("page", pages.manual())
def test_paths_in_code_exist(page: str) -> None:
    for code in pages.inline(page):
        for path in _PATH.findall(code) if code.startswith(TOP) else ():
            assert list(REPOSITORY.glob(path.rstrip("/"))), f"{page} names {code}: no such file"


@pytest.mark.parametrize("page", pages.manual())
def test_keys_are_those_of_params_yaml(page: str) -> None:
    settings = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    for code in pages.inline(page):
        found = re.fullmatch(r"([a-z_]+)\.([a-z_0-9.]+)(?:[:= ].*)?", code)
        if not found or found[1] not in settings or found[2] == "csv":
            continue
        place = settings[found[1]]
        for key in found[2].split("."):
            assert isinstance(place, dict), f"{page} names {code}: {found[1]} is no section"
            assert key in place, f"{page} names {code}: params.yaml has no such key"
            place = place[key]


def test_pages_that_the_code_cites_exist() -> None:
    dangling = []
    for name in _SOURCES:
        content = (REPOSITORY / name).read_text(encoding="utf-8")
        for path, section in re.findall(r"\b(docs/\w[\w./-]*\.md)(?:,? (?:section )?(\d+)\b)?", content):
            there = (REPOSITORY / path).exists()
            headings = pages.text(path) if there else ""
            if not there or (section and not re.search(rf"^## {section}\. ", headings, re.MULTILINE)):
                dangling.append(f"{name}: {path} {section}".strip())
    assert not dangling


def test_every_page_is_reached_from_the_readme() -> None:
    reached = {link.partition("#")[0] for link in pages.links("README.md")}
    assert {page for page in pages.manual() if page.startswith("docs/")} <= reached


def test_numbers_of_sections_go_up() -> None:
    numbers = [int(n) for n in re.findall(r"^## (\d+)\. ", pages.text("docs/methods.md"), re.MULTILINE)]
    assert all(after == before + 1 for before, after in pairwise([0, *numbers]))
