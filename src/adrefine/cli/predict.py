"""`adrefine predict`: new photos through a trained model."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adrefine.cli.output import add_json
from adrefine.text import counted, printable

if TYPE_CHECKING:
    from adrefine.prediction.photo import Result
    from adrefine.prediction.sheet import Sheet

DEFAULT = Path("promoted/current")


def add_model(parser: argparse.ArgumentParser) -> None:
    """The option `--model`."""
    parser.add_argument(
        "--model",
        type=Path,
        default=DEFAULT,
        metavar="BUNDLE",
        help="folder of the model, such as models/bundle; default: %(default)s",
    )


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The subcommand and its help."""
    parser = commands.add_parser(
        "predict",
        help="score new photos with a trained model",
        description="Scores photos with a model that was promoted, or with models/bundle of the last run. "
        "Needs nothing but that folder. Exit code 0 whatever the photos show; with --fail-on-defect 1 if one "
        "is defective or unreadable; 2 for a mistake in the command.",
        epilog="Example: adrefine predict new/ --model models/bundle --out results",
    )
    parser.add_argument("photos", nargs="+", metavar="PHOTO|FOLDER|PATTERN", help="what to score")
    add_model(parser)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="write predictions.csv, predictions.html and pictures of the maps to this folder",
    )
    parser.add_argument(
        "--maps",
        choices=["overlay", "heat", "none"],
        default="overlay",
        help="pictures in --out: the photo under its anomaly map, the map alone, none; default: %(default)s",
    )
    parser.add_argument(
        "--fail-on-defect", action="store_true", help="exit code 1 if a photo is defective or unreadable"
    )
    add_json(parser)
    parser.set_defaults(run=predict)


def predict(chosen: argparse.Namespace) -> None:
    """Score the photos, print a line each (as JSON: an object each) and a summary."""
    from adrefine.prediction import files, model, run, sheet
    from adrefine.runtime import progress

    count = sum(1 for _ in files.named(chosen.photos))
    with sheet.Sheet(model.load(chosen.model), chosen.out, chosen.maps).writing() as made:
        results = run.each(made.model, files.named(chosen.photos), maps=chosen.maps != "none")
        _print_all(made, progress.over(results, total=count, label="predict", unit="photo"), chosen)
    _warn(made)
    if chosen.fail_on_defect and made.counts[sheet.DEFECTIVE] + made.counts[sheet.UNREADABLE]:
        sys.stdout.flush()
        sys.exit(1)


def _print_all(made: Sheet, results: Iterator[tuple[Path, Result | str]], chosen: argparse.Namespace) -> None:
    """Print and take in what is found, one photo at a time; JSON is one object in the end."""
    if chosen.json:
        print('{"results": [', end="")
    for number, (path, result) in enumerate(results):
        made.add(path, result)
        if chosen.json:
            print(",\n" if number else "\n", json.dumps(_record(path, result)), sep="", end="")
        elif chosen.out is None:
            print(_line(path, result))
    if chosen.json:
        print(f'\n], "summary": {json.dumps({**made.counts, "model": str(chosen.model)})}}}')
    else:
        where = f", see {chosen.out / 'predictions.html'}" if chosen.out else ""
        print(f"{made.line()}{where}")


def _record(path: Path, result: Result | str) -> dict[str, Any]:
    if isinstance(result, str):
        return {"path": str(path), "unreadable": result}
    return {"path": str(path), **result.as_json()}


def _line(path: Path, result: Result | str) -> str:
    if isinstance(result, str):
        return f"unreadable            {printable(str(path))}: {result}"
    return f"{'defective' if result.defective else 'good':10} {result.score:10.4g}  {printable(str(path))}"


def _warn(made: Sheet) -> None:
    """Once, not for each photo."""
    if made.unlike:
        print(
            f"adrefine: warning: {counted(made.unlike, 'photo')} that differ from the training photos, "
            "the first: "
            f"{printable(made.first)}",
            file=sys.stderr,
        )
    if made.out is None:
        return  # they were printed among the others
    for path, reason in made.unread[:5]:
        print(f"adrefine: unreadable: {printable(path)}: {reason}", file=sys.stderr)
