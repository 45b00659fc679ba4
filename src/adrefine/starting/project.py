"""The files of a new project: graph, settings, DVC, and what git leaves alone."""

from __future__ import annotations

import configparser
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from adrefine.dvc_driver.left import git
from adrefine.dvc_driver.processes import reason
from adrefine.dvc_driver.settings import replaced
from adrefine.errors import UserError
from adrefine.io import write_text
from adrefine.starting import graph

_OURS = ("dvc.yaml", "params.yaml", graph.CODE.name, ".dvc")
_IGNORED = """\
/.adrefine/
/data/*
!/data/review.csv
!/data/roi/
!/data/weights/
/data/weights/*
!/data/weights/README.md
!/data/generic/
/data/generic/*
!/data/generic/README.md
/models/
/promoted/
/dvc_plots/
/reports/*
!/reports/metrics.json
!/reports/headline.json
.*.lock
.*.part
"""
_RAW_IGNORED = """\
!/data/raw/
/data/raw/*
!/data/raw/README.md
"""
_RAW = "The demo's photos are generated; its dataset.root names this folder. Yours may lie here.\n"
_DVC_IGNORED = """\
# A photo of the inbox that was half copied when the run was killed; the next run removes it.
.inbox-*.part
"""
_UNSET = re.compile(r"\$(\w+|\{\w+\})")


def expanded(path: str) -> str:
    """A folder that a person named, without `~` and environment variables: DVC knows neither.

    Raises:
        UserError: a variable is not set.
    """
    folder = os.path.expandvars(os.path.expanduser(path))
    if missing := _UNSET.search(folder):
        raise UserError(f"{path}: the environment variable {missing[0]} is not set")
    return folder


def refuse(root: Path) -> None:
    """Refuse a folder that is a project already, or cannot be one.

    Raises:
        UserError: it is.
    """
    there = [name for name in _OURS if (root / name).exists()]
    if there:
        raise UserError(
            f"{root} is already a project ({', '.join(there)}): give another folder, or run `adrefine "
            "run` there"
        )
    if root.exists() and not root.is_dir():
        raise UserError(f"{root} is not a folder: give another name")


def create(root: Path, layout: str, photos: Path | None, use_git: bool = True) -> None:
    """Write the project.

    Args:
        layout: dataset.name. photos: their folder; None: they are generated. use_git: make a git repository
            where `root` is in none.

    Raises:
        UserError: see `refuse`; DVC says no.
    """
    refuse(root)
    new = not root.exists()
    root.mkdir(parents=True, exist_ok=True)
    ignored = _IGNORED + ("" if photos else _RAW_IGNORED)
    settings = graph.template("settings.yaml")
    settings = replaced(settings, "dataset.name", layout)
    if photos is not None:
        inside = photos.resolve().is_relative_to(root.resolve())
        shown = photos.resolve().relative_to(root.resolve()).as_posix() if inside else str(photos.resolve())
        settings = replaced(replaced(settings, "dataset.root", shown), "noise.level", 0)
        if inside and not shown.startswith("data/"):
            ignored += f"/{shown}/\n"
    try:
        _init_dvc(root, use_git)
    except UserError:
        if new:  # nothing of a user's is in it
            shutil.rmtree(root)
        raise
    write_text(root / ".gitignore", _with(root / ".gitignore", ignored))
    write_text(root / ".dvcignore", _DVC_IGNORED)
    write_text(root / "data/review.csv", "image_id,verdict,note\n")
    write_text(root / "params.yaml", settings)
    graph.write(root)
    if photos is None:  # DVC stops where a folder is missing that a stage depends on
        write_text(root / "data/raw/README.md", _RAW)


def _init_dvc(root: Path, use_git: bool) -> None:
    above = git(root, "rev-parse", "--show-toplevel")
    if above is None and use_git and git(root, "init", "-q") is not None:
        above = str(root)
    kind = ["--no-scm"] if above is None else ["--subdir"] if Path(above).resolve() != root.resolve() else []
    command = [sys.executable, "-m", "dvc", "init", *kind]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"DVC: {reason((done.stderr or done.stdout).splitlines())}")
    config, file = configparser.ConfigParser(), root / ".dvc/config"
    config.read(file)
    config.read_dict({"core": {"analytics": "false", "check_update": "false"}})
    text = io.StringIO()
    config.write(text)
    write_text(file, text.getvalue().rstrip() + "\n")


def _with(file: Path, lines: str) -> str:
    """The file's content, if it is there, and those of `lines` that it lacks."""
    before = file.read_text() if file.exists() else ""
    have = set(before.splitlines())
    return before + "".join(f"{line}\n" for line in lines.splitlines() if line not in have)
