"""`adrefine init`: a project of one's own, from nothing but a folder of photos."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from adrefine.errors import UserError

SECONDS = 10.0  # of looking at photos


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The subcommand and its help."""
    parser = commands.add_parser(
        "init",
        help="make a project for a folder of photos; then `adrefine run` there",
        description="Looks at the photos, guesses their layout, and writes dvc.yaml, params.yaml, .dvc for "
        "the installed package: this repository is not needed. One product a project; several lie side by "
        "side.",
        epilog="Example: adrefine init bottle --photos ~/photos/bottle && cd bottle && adrefine run",
    )
    parser.add_argument("path", nargs="?", default=".", help="folder of the project; default: this one")
    parser.add_argument("--photos", help="their folder; `demo`: photos are generated. Asked for if left out")
    parser.add_argument("--layout", help="their layout: folder, mvtec, ... (dataset.name); default: guessed")
    parser.add_argument("--no-git", action="store_true", help="make no git repository where there is none")
    parser.set_defaults(run=init)


def init(chosen: argparse.Namespace) -> None:
    """Look, write, and say what comes next."""
    from adrefine import params
    from adrefine.starting import look, project

    root = Path(chosen.path)
    project.refuse(root)
    photos = chosen.photos or _ask()
    if photos == "demo":
        project.create(root, "demo", None, not chosen.no_git)
        print(f"{root}: a project with generated photos")
    else:
        folder = Path(project.expanded(photos))
        if not folder.is_dir():
            raise UserError(f"{folder} is no folder: give that of your photos to --photos")
        layout = chosen.layout or look.guess(folder)
        dataset = params.parse({"dataset": {"name": layout, "root": str(folder)}}, "--layout").dataset
        seen = look.look(dataset, SECONDS)
        print("\n".join(seen.lines()))
        project.create(root, layout, folder, not chosen.no_git)
        print(f"{root}: a project; params.yaml has every setting with a comment")
    there = "" if root.resolve() == Path.cwd() else f"cd {chosen.path} && "
    print(f"Next: {there}adrefine run")


def _ask() -> str:
    if not sys.stdin.isatty():
        raise UserError("where are the photos? Give their folder: --photos FOLDER, or --photos demo")
    answer = input("Where are the photos? Their folder, or `demo`: ").strip()
    if not answer:
        raise UserError("no folder was given: nothing was written")
    return answer
