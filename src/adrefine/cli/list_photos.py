"""`adrefine list`: the photos of a version, for other tools."""

from __future__ import annotations

import argparse
from pathlib import Path

from adrefine.errors import UserError

FORMATS = ("csv", "json", "coco", "fiftyone", "anomalib")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The subcommand and its help."""
    parser = commands.add_parser(
        "list",
        help="list the photos that a version keeps or removes, for other tools",
        description="Absolute path, score, limit, round, reason and a human's answer of each training photo. "
        "A version is what `adrefine diff` takes. fiftyone: samples.json, whose tags "
        "`adrefine review --tags` takes back. anomalib: a folder of links in MVTec's layout, with what "
        "trains in train/good and the test photos beside it.",
        epilog="Example: adrefine list --removed --out removed.csv",
    )
    parser.add_argument(
        "version", nargs="?", default="workspace", help="see `adrefine log`; default: %(default)s"
    )
    which = parser.add_mutually_exclusive_group()
    for name, what in (
        ("kept", "photos that train"),
        ("removed", "photos that were removed"),
        ("all", "both"),
    ):
        which.add_argument(f"--{name}", dest="which", action="store_const", const=name, help=what)
    parser.add_argument("--format", choices=FORMATS, default="csv", help="default: %(default)s")
    parser.add_argument(
        "--out", type=Path, metavar="PATH", help="file (folder with anomalib); default: print the list"
    )
    parser.set_defaults(run=list_photos, which="kept")


def list_photos(chosen: argparse.Namespace) -> None:
    """Print or write the list."""
    from adrefine.comparing.version import find
    from adrefine.listing import formats, photos

    if chosen.format == "anomalib":
        _link(chosen)
        return
    version = find(chosen.version)
    listed = photos.of(version, chosen.which)
    writers = {
        "csv": formats.as_csv,
        "json": formats.as_json,
        "coco": formats.as_coco,
        "fiftyone": formats.as_fiftyone,
    }
    made = writers[chosen.format](listed)
    if chosen.out is None:
        print(made, end="")
        return
    from adrefine.io import write_text
    from adrefine.text import counted

    write_text(chosen.out, made)
    print(f"{chosen.out}: {counted(len(listed), 'photo')}")


def _link(chosen: argparse.Namespace) -> None:
    from adrefine.comparing.version import find
    from adrefine.listing import links, photos

    if chosen.out is None or chosen.which == "removed":
        raise UserError(
            "--format anomalib makes a folder to train on: give --out FOLDER, and --kept or --all"
        )
    version = find(chosen.version)
    train = photos.of(version, chosen.which)
    count = links.write(train, version.tested, chosen.out)
    print(f"{chosen.out}: {count} photos and masks, {len(train)} of them in train/good")
