"""Every command of README and docs/ exists: subcommand, options, files, make targets, keys and values."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import yaml

from adrefine.params import load
from docs import pages
from docs.pages import REPOSITORY
from pipeline.project import with_changes

# Programs of the system and of other projects, whose options are not ours to check.
FOREIGN = {".", "cd", "cp", "curl", "export", "git", "ln", "open", "pip", "python3", ".venv/bin/python"}


@cache
def _pages() -> list[tuple[str, list[str]]]:
    """(page, words) of every command in a shell block, and of what stands between backticks and is one."""
    found = []
    for page in pages.manual():
        within = [
            code for code in pages.inline(page) if code.split()[0] in ("adrefine", "dvc", "make", "python")
        ]
        lines = pages.shell(page) + "\n".join(code for code in within if " " in code) + "\n"
        found += [(page, words) for words in pages.commands(lines)]
    return found


@pytest.mark.parametrize(
    ("page", "words"), _pages(), ids=lambda part: part if isinstance(part, str) else " ".join(part)
)
def test_command_exists(page: str, words: list[str]) -> None:
    program, *arguments = words
    if program not in FOREIGN:
        CHECKS[program](arguments)


@pytest.mark.parametrize("page", pages.manual())
def test_blocks_are_sound(page: str) -> None:
    for block in pages.blocks(page):
        assert block.words, f"{page}: a block does not say what it is:\n{block.text}"
        if block.words[0] == "sh":
            done = subprocess.run(
                ["bash", "-n"], input=block.text, capture_output=True, text=True, check=False
            )
            assert not done.returncode, f"{page}: {done.stderr}"
        elif block.words[0] == "python":
            compile(block.text, page, "exec")
            for name in block.words[1:]:
                assert (REPOSITORY / name).read_text() == block.text, f"{page}: {name} is another text"
        elif block.words[0] == "yaml":
            yaml.safe_load(block.text)
        else:
            assert block.words[0] in ("text", "mermaid", "toml"), f"{page}: {block.words}"


def _make(arguments: list[str]) -> None:
    content = (REPOSITORY / "Makefile").read_text()
    for word in arguments:
        name, is_variable, _ = word.partition("=")
        wanted = rf"\$\({name}\)|^{name} \?=" if is_variable else rf"^{name}:"
        assert re.search(wanted, content, re.MULTILINE), f"the Makefile has no {name}"


def _adrefine(arguments: list[str]) -> None:
    words = [word for word in arguments[:1] if not word.startswith("-")]
    _options_are_known(_help(sys.executable, "-m", "adrefine.cli", *words), arguments)
    _files_are_there(arguments)


def _dvc(arguments: list[str]) -> None:
    from dvc.cli import DvcParserError
    from dvc.cli.parser import get_main_parser

    try:
        given = get_main_parser().parse_args(arguments)
    except DvcParserError as error:
        pytest.fail(f"dvc {' '.join(arguments)}: {error}")
    _settings_are_possible(dict(change.split("=", 1) for change in getattr(given, "set_param", None) or []))
    if arguments[:2] == ["repro"] or arguments[:2] == ["exp", "run"]:
        stages = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"]
        assert set(given.targets or []) <= set(stages)


def _python(arguments: list[str]) -> None:
    if arguments[0] == "-m":
        module = REPOSITORY.joinpath(*arguments[1].split("."))
        ours = module.with_suffix(".py").is_file() or (module / "__main__.py").is_file()
        assert ours or arguments[1] in ("pytest", "pip", "venv") or arguments[1].startswith("adrefine")
        _files_are_there(arguments[2:])
        return
    _files_are_there(arguments[:1])
    if not arguments[0].startswith("flows/"):
        return
    if any(word.startswith("--") for word in arguments):
        _options_are_known(_help(sys.executable, arguments[0]), arguments[1:])
    axes = [word.split("=", 1) for word in arguments[1:] if re.match(r"[a-z_.]+=", word)]
    for key, values in axes:
        for value in values.split(","):
            _settings_are_possible({key: value})


def _prefect(arguments: list[str]) -> None:
    words = [word for word in arguments if re.fullmatch(r"[a-z-]+", word) and not word.startswith("-")]
    depth = 2 if words[0] in ("server", "work-pool", "worker", "flow") else 1
    _options_are_known(_help(sys.executable, "-m", "prefect", *words[:depth]), arguments)


def _dask(arguments: list[str]) -> None:
    pytest.importorskip("distributed")
    _options_are_known(_help(sys.executable, "-m", "dask", arguments[0]), arguments)


CHECKS: dict[str, Callable[[list[str]], None]] = {
    "adrefine": _adrefine,
    "dask": _dask,
    "dvc": _dvc,
    "make": _make,
    "prefect": _prefect,
    "python": _python,
}


@cache
def _help(*command: str) -> str:
    done = subprocess.run([*command, "--help"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert not done.returncode, f"{' '.join(command[1:])}: {done.stderr or done.stdout}"
    return done.stdout


def _options_are_known(help_text: str, arguments: list[str]) -> None:
    for word in arguments:
        if word.startswith("--") and word not in ("--help", "--no-prompt"):
            assert re.search(rf"{word.split('=')[0]}\b", help_text), f"{word} is not in:\n{help_text}"


def _files_are_there(arguments: list[str]) -> None:
    for word in arguments:
        if word.startswith(("src/", "tests/", "flows/", "benchmarks/", "docs/")):
            assert (REPOSITORY / word).exists(), word


def _settings_are_possible(changes: dict[str, str]) -> None:
    """params.yaml with these changes is sound, as `adrefine check` would say."""
    if not changes:
        return
    settings = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    typed = {key: yaml.safe_load(value) for key, value in changes.items()}
    path = Path("params.yaml")
    path.write_text(with_changes(settings, typed))
    load(path)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
