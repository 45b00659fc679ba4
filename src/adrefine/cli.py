"""The command `adrefine`: what is not a stage of the graph."""

from __future__ import annotations

import argparse
from pathlib import Path

from adrefine import paths
from adrefine.errors import UserError, exit_cleanly

_BENCHMARK = """\
Every strategy of CONFIG.yaml on every dataset, noise level, seed and detector in it, each beside
`vanilla` (nothing removed) and `oracle` (trained without the hidden defects, the ceiling).

  datasets:   [{name: tiles, layout: mtd, root: ../mtd, n_train: 380}]
  levels:     [0, 0.1, 0.3]      share of the training photos that are hidden defects
  seeds:      [0, 1, 2]          hidden defects, weights and folds
  strategies:                    a name, and any sections of params.yaml
    irp as published: {refine: {strategy: irp, scorer: in_sample}}

Writes, to the folder results beside CONFIG.yaml:
  NAME.csv       one row a run, written after each: stopped at any moment, the same command goes on
  NAME.md        tables, means and deviations over the seeds, with published figures where there are some
  NAME_*.png     AUROC, gap to the oracle closed, precision and recall of the removal, against the noise

Rows made with other settings of a strategy are stale and done again; nothing else is. Photos are
ingested and embedded once, under .adrefine/benchmarks (safe to delete). A dataset that changed on
disk does not make its rows stale: delete them, or the CSV."""


def main() -> None:
    """Entry point of the `adrefine` command."""
    exit_cleanly(run)


def run(arguments: list[str] | None = None) -> None:
    """Parse `arguments` (the command line's by default) and run the subcommand."""
    parser = argparse.ArgumentParser(
        prog="adrefine",
        description="Find the defects hidden among good training photos. `dvc repro` runs the graph; "
        "this command does the rest.",
        epilog="Example: adrefine check && dvc repro && adrefine summary",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser(
        "summary", help="print the result of the last run: what was removed and what it gained"
    )
    commands.add_parser(
        "check",
        help="say at once what is wrong with params.yaml; `dvc repro` reads it only where a stage has to run",
    )
    _add_benchmark(commands)
    chosen = parser.parse_args(arguments)
    if chosen.command == "benchmark":
        benchmark(chosen)
    else:
        {"summary": summary, "check": check}[chosen.command]()


def summary() -> None:
    """Print the short result of the last run."""
    from adrefine.io import read_json
    from adrefine.report.summary import summary_lines

    metrics = paths.REPORTS / "metrics.json"
    if not metrics.exists():
        raise UserError(f"{metrics} is missing: run `dvc repro` first")
    print("\n".join(summary_lines(read_json(metrics), paths.REPORTS / "report.html")))


def check() -> None:
    """Say whether params.yaml is sound."""
    from adrefine import params

    settings = params.load()
    print(f"params.yaml is sound: {settings.dataset.name}, {settings.detector}, {settings.refine.strategy}")


def benchmark(chosen: argparse.Namespace) -> None:
    """Run a benchmark file, list its runs, or draw its results."""
    from adrefine.benchmark import command

    command.benchmark(chosen.config, chosen.workers, chosen.dry_run, chosen.render_only)


def _add_benchmark(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The subcommand `benchmark` and its help."""
    parser = commands.add_parser(
        "benchmark",
        help="compare strategies over datasets, noise levels and seeds; tables and figures",
        description=_BENCHMARK,
        epilog="Example: adrefine benchmark benchmarks/ksdd.yaml --dry-run",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "config",
        metavar="CONFIG.yaml",
        nargs="?",
        type=Path,
        default=Path("benchmarks/example.yaml"),
        help="what to compare; default: %(default)s, on generated photos, with every key explained",
    )
    parser.add_argument(
        "--workers",
        type=_at_least_one,
        help="processes of one core each; default: as many as there are cores",
    )
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--dry-run", action="store_true", help="list all runs and what is done; run nothing")
    only.add_argument(
        "--render-only", action="store_true", help="tables and figures of the runs that are done; run nothing"
    )


def _at_least_one(text: str) -> int:
    """A number of processes."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is under 1")
    return number
