"""Blocks marked `sh run` do what they show, in a small copy of the project."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from docs import pages
from pipeline import photos, project

BLOCKS = [block for page in pages.manual() for block in pages.blocks(page) if block.words == ("sh", "run")]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> project.Project:
    """The project with tiny photos and settings, committed, never run."""
    root = tmp_path_factory.mktemp("docs") / "project"
    root.mkdir()
    made = project.create(root)
    photos.write_tree(root / project.PHOTOS)
    project.commit(root)
    return made


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.page}: {block.text.splitlines()[0]}")
def test_block_runs(block: pages.Block, copy: project.Project, tmp_path: Path) -> None:
    commands = tmp_path / "adrefine"
    commands.write_text('#!/bin/sh\nexec python -m adrefine.cli "$@"\n')
    commands.chmod(0o755)
    there = copy.environment()
    done = subprocess.run(
        [shutil.which("bash") or "bash", "-euc", block.text],
        cwd=copy.root,
        env=there | {"PATH": f"{tmp_path}:{there['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert not done.returncode, done.stdout + done.stderr


def test_there_are_some() -> None:
    assert len(BLOCKS) >= 3
