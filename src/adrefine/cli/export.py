"""`adrefine export`: a trained model for runtimes that do without adrefine."""

from __future__ import annotations

import argparse
from pathlib import Path

from adrefine.cli.output import add_json, print_json
from adrefine.cli.predict import add_model

FORMATS = ("onnx", "openvino", "torchscript")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The subcommand and its help."""
    parser = commands.add_parser(
        "export",
        help="turn a trained model into a file that ONNX Runtime, OpenVINO or TorchScript executes",
        description="Writes one graph from photo to score and map, and an example without adrefine. "
        "The graph is compared with the model on held-out and test photos; if it differs, nothing is "
        "written. export.json has the figures.",
        epilog="Example: adrefine export --model models/bundle --format onnx --out plant/",
    )
    add_model(parser)
    parser.add_argument(
        "--format", choices=FORMATS, required=True, help="runtime that will execute the graph"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="output folder; default: exports/FORMAT, with -int8 added for --int8",
    )
    parser.add_argument(
        "--photos",
        nargs="+",
        default=[],
        metavar="PHOTO|FOLDER|PATTERN",
        help="compare on these; default: held-out and test photos of the project",
    )
    parser.add_argument(
        "--input",
        metavar="WIDTHxHEIGHT|working",
        help="size of the photos that the graph takes, or `working`: pictures at the working size; default: "
        "the size of the photos that trained, if they have one",
    )
    parser.add_argument("--no-map", action="store_true", help="only the score: smaller and faster")
    parser.add_argument(
        "--int8", action="store_true", help="convolutions in 8 bits, calibrated on kept training photos"
    )
    parser.add_argument(
        "--max-loss",
        type=float,
        default=0.01,
        metavar="AUROC",
        help="that int8 may cost on test photos; default: %(default)s",
    )
    add_json(parser)
    parser.set_defaults(run=export)


def export(chosen: argparse.Namespace) -> None:
    """Export, and print what was measured."""
    from adrefine.export import run

    out = chosen.out or Path("exports") / (chosen.format + ("-int8" if chosen.int8 else ""))
    order = run.Order(
        model=chosen.model,
        kind=chosen.format,
        out=out,
        photos=chosen.photos,
        input=chosen.input,
        maps=not chosen.no_map,
        int8=chosen.int8,
        max_loss=chosen.max_loss,
    )
    done = run.export(order)
    if chosen.json:
        print_json(done.facts)
        return
    print("\n".join(done.lines))
    print(f"{done.out} has the graph, export.json and README.md with an example")
