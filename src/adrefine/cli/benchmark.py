"""`adrefine benchmark`: strategies over datasets, noise levels and seeds."""

from __future__ import annotations

import argparse
from pathlib import Path

_HELP = """\
Every strategy of CONFIG.yaml on every dataset, noise level, seed and detector in it, each beside
`vanilla` (nothing removed) and `oracle` (trained without the hidden defects, the ceiling).

  datasets:   [{name: tiles, layout: mtd, root: ../mtd, n_train: 380}]
  levels:     [0, 0.1, 0.3]      share of the training photos that are hidden defects
  seeds:      [0, 1, 2]          hidden defects, weights and folds
  strategies:                    a name, and any sections of params.yaml
    irp in sample: {refine: {strategy: irp, scorer: in_sample}}

Writes, to the folder results beside CONFIG.yaml:
  NAME.csv       one row a run, written after each: stopped at any moment, the same command goes on
  NAME.md        tables, means and deviations over the seeds, with published figures where there are some
  NAME_*.png     AUROC, gap to the oracle closed, precision and recall of the removal, against the noise

Rows made with other settings of a strategy are stale and done again; nothing else is. Photos are
ingested and embedded once, under .adrefine/benchmarks (safe to delete). A dataset that changed on
disk does not make its rows stale: delete them, or the CSV."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The subcommand and its help."""
    parser = commands.add_parser(
        "benchmark",
        help="compare strategies over datasets, noise levels and seeds; tables and figures",
        description=_HELP,
        epilog="Example: adrefine benchmark benchmarks/consensus.yaml --dry-run",
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
    parser.set_defaults(run=benchmark)


def benchmark(chosen: argparse.Namespace) -> None:
    """Run a benchmark file, list its runs, or draw its results."""
    from adrefine.benchmark import command

    command.benchmark(chosen.config, chosen.workers, chosen.dry_run, chosen.render_only)


def _at_least_one(text: str) -> int:
    """A number of processes."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is under 1")
    return number
