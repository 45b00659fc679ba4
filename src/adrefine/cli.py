"""The command `adrefine`: what is not a stage of the graph."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from adrefine import paths, review
from adrefine.errors import UserError, exit_cleanly

_SHOWN = 12  # of the review queue
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
        help="say at once what is wrong with params.yaml (`dvc repro` reads it only where a stage runs); "
        "mend DVC's list of locks if DVC was killed while it wrote it",
    )
    _add_review(commands)
    _add_promote(commands)
    _add_benchmark(commands)
    chosen = parser.parse_args(arguments)
    if chosen.command == "review" and chosen.image_id:
        answer(chosen.image_id, chosen.verdict, chosen.note)
    elif chosen.command == "review":
        show_queue()
    elif chosen.command == "benchmark":
        benchmark(chosen)
    elif chosen.command == "promote":
        promote(chosen.anyway)
    else:
        {"summary": summary, "check": check}[chosen.command]()


def summary() -> None:
    """Print the short result of the last run."""
    from adrefine.io import read_json, timings
    from adrefine.report.summary import summary_lines

    metrics, timing = paths.REPORTS / "metrics.json", paths.REPORTS / "timing.json"
    if not metrics.exists():
        raise UserError(f"{metrics} is missing: run `dvc repro` first")
    print("\n".join(summary_lines(read_json(metrics), paths.REPORTS / "report.html", timings(timing))))


def check() -> None:
    """Say whether params.yaml is sound; mend what a killed DVC left."""
    from adrefine import params
    from adrefine.dvc_driver import locks

    if mended := locks.mend():
        print(mended)
    settings = params.load()
    print(f"params.yaml is sound: {settings.dataset.name}, {settings.detector}, {settings.refine.strategy}")


def show_queue() -> None:
    """Print the first photos of the review queue that have no answer yet, and how to answer."""
    from adrefine import manifest

    queue, answers = manifest.read(paths.REVIEW_QUEUE), review.read(paths.REVIEW)
    open_ = queue[~queue["image_id"].isin(list(answers))]
    print(f"{len(open_)} photos have no answer yet, {len(answers)} have one. The most doubtful:")
    first = open_.head(_SHOWN)
    width = first["reason"].map(len).max()
    for row in first.itertuples():
        print(f"  {row.image_id}  {row.reason!s:{width}}  {row.path}")
    if len(first):
        name = first["image_id"].iloc[0]
        print(f"Look at a photo, then: adrefine review {name} keep")
        print(f'                   or: adrefine review {name} remove --note "what is wrong with it"')
    print(f"Answers are in {paths.REVIEW}; `dvc repro` applies them.")


def answer(beginning: str, verdict: str | None, note: str = "") -> None:
    """Add or change the answer for the training photo whose id begins with `beginning`."""
    if verdict is None:
        raise UserError(f"what is to be done with {beginning}? Add keep or remove")
    image_id, answers = _training_photo(beginning.strip()), review.read(paths.REVIEW)
    before = answers.get(image_id)
    answers[image_id] = review.Answer(verdict, " ".join(note.split()))
    review.write(paths.REVIEW, answers)
    was = f" (was: {' '.join([before.verdict, before.note]).strip()})" if before else ""
    print(f"{paths.REVIEW}: {verdict} {image_id}{was}. `dvc repro` applies it.")


def promote(anyway: bool) -> None:
    """Promote the refined model and its dataset, if they are no worse than what is promoted."""
    from dataclasses import replace

    from adrefine import manifest, params
    from adrefine.dvc_driver import processes
    from adrefine.serving import candidate, promotion, versions

    settings = params.load()
    promotion.refuse_hidden(settings.noise)
    if "up to date" not in processes.output([sys.executable, "-m", "dvc", "status"]):
        raise UserError(
            "models/refined is not what params.yaml and the photos would give now: run `dvc repro` first"
        )
    held = promotion.held_out(manifest.read(paths.REFINED / paths.MANIFEST))
    found = candidate.of_workspace(settings, held)
    verdict = promotion.judge(settings.promotion, held, found.record, versions.best(paths.PROMOTED))
    if anyway and not verdict.promote:
        verdict = replace(verdict, promote=True, best=True, reason=f"by hand, although {verdict.reason}")
    version = versions.settle(paths.PROMOTED, found, verdict)
    link = paths.PROMOTED / versions.CURRENT
    if verdict.promote:
        print(f"promoted as {version}, {link}: {verdict.reason}")
    else:
        print(f"refused, {link} stays {version}: {verdict.reason}")
        print("The photos stay in the dataset. To promote it all the same: adrefine promote --anyway")


def _add_promote(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The subcommand `promote` and its help."""
    parser = commands.add_parser(
        "promote",
        help="put the refined model into use if it is no worse than the one in use on held-out photos",
        description="Compares the model of the last `dvc repro` with the best promoted one on the photos "
        "held out from both (section `promotion` of params.yaml). A model that is no worse is copied with "
        "its dataset to a new folder in promoted/, where promoted/current leads. promoted/history.csv has "
        "every decision.",
        epilog="Example: dvc repro && adrefine promote",
    )
    parser.add_argument("--anyway", action="store_true", help="promote it whatever the comparison says")


def _training_photo(beginning: str) -> str:
    """The one training photo that has this id, or whose id begins so."""
    from adrefine import manifest

    noisy = manifest.read(paths.NOISY / paths.MANIFEST)
    ids = sorted(manifest.of_split(noisy, "train")["image_id"])
    found = [name for name in ids if name == beginning] or [
        name for name in ids if name.startswith(beginning)
    ]
    if not found:
        raise UserError(f"no training photo has an id that begins with {beginning!r}: see `adrefine review`")
    if len(found) > 1:
        raise UserError(
            f"{len(found)} training photos have an id that begins with {beginning!r}: give more of it"
        )
    return found[0]


def _add_review(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The subcommand `review` and its help."""
    parser = commands.add_parser(
        "review",
        help="list the photos that a human should look at first, or answer for one of them",
        description="Without arguments: the photos of which the last run was least sure, worst first. "
        "With a photo and a verdict: your answer, which goes to data/review.csv and overrides every strategy "
        "from the next `dvc repro` on. A new answer replaces an old one; to withdraw one, delete its line.",
        epilog='Example: adrefine review 3fa2b1c0 remove --note "scratch at the rim" && dvc repro',
    )
    parser.add_argument("image_id", nargs="?", help="the photo: its id, or the beginning of it")
    parser.add_argument(
        "verdict",
        nargs="?",
        type=str.lower,
        choices=review.VERDICTS,
        help="keep: it is good and never removed; remove: it is defective and never learned from",
    )
    parser.add_argument("--note", default="", help="why, in your words; the report shows it")


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


def _at_least_one(text: str) -> int:
    """A number of processes."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is under 1")
    return number


if __name__ == "__main__":
    main()
