"""`adrefine benchmark`: run what is missing, then draw tables and figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from adrefine.benchmark import plan
from adrefine.benchmark.config import Benchmark, load
from adrefine.benchmark.plan import Cell, Run
from adrefine.benchmark.results import Results
from adrefine.errors import UserError
from adrefine.runtime import progress


def benchmark(
    path: Path, workers: int | None = None, dry_run: bool = False, render_only: bool = False
) -> None:
    """Run the benchmark file `path`; results go to the folder `results` beside it.

    Args:
        workers: processes, each on one core; None: one a core, with CUDA one.
        dry_run: only list the runs and what is done of them.
        render_only: only write tables and figures of the runs that are done.

    Raises:
        UserError: the file is wrong, photos are missing, or a run is impossible.
    """
    config = load(path)
    results = Results(path.parent / "results" / f"{path.stem}.csv", plan.cells(config))
    if dry_run:
        print("\n".join(listing(results)))
        return
    if not render_only:
        complete(results, config, workers)
    from adrefine.benchmark import render  # draws with matplotlib, which a list of runs does not need

    for written in render.write(results, config, path):
        print(written)


def listing(results: Results) -> Iterable[str]:
    """Every run with its state, and how many there are of each."""
    runs = [run for members in results.cells.values() for run in members]
    states = [results.state(run) for run in runs]
    yield from (f"{state:<12}{run}" for state, run in zip(states, runs, strict=True))
    counts = ", ".join(f"{count} {state}" for state, count in sorted(Counter(states).items()))
    yield f"{len(runs)} runs: {counts}; results in {results.path}"


def complete(results: Results, config: Benchmark, workers: int | None) -> None:
    """Do every run that is missing or stale, each recorded as it is done."""
    from adrefine.benchmark import runs, schedule
    from adrefine.runtime import hardware

    pending = reachable(results, results.pending())
    left = {cell: len(members) for cell, members in pending.items()}
    on_cpu = not pending or hardware.device().type == "cpu"
    workers = workers or (hardware.cores() if on_cpu else 1)
    with progress.bar(total=sum(left.values()), label=results.path.stem, unit="run") as bar:
        for run, row in schedule.results(runs.execute, list(pending.values()), workers):
            results.add(row)
            bar.update()
            left[run.cell] -= 1
            if not left[run.cell] and not config.keep_models:
                runs.forget_model(run)


def reachable(results: Results, pending: dict[Cell, list[Run]]) -> dict[Cell, list[Run]]:
    """Those of `pending` that the photos can make; the others are recorded. Every dataset is prepared here,
    before any worker starts."""
    from adrefine.benchmark import prepared, runs

    by_cell: dict[Cell, list[Run]] = {}
    tables: dict[Path, prepared.Prepared] = {}
    for cell, members in pending.items():
        first = members[0]
        folder = prepared.folder(first.params, first.twins)
        try:
            tables[folder] = tables.get(folder) or prepared.prepare(first.params, first.twins)
        except UserError as error:
            raise UserError(f"dataset {cell.dataset} {cell.part}".rstrip() + f": {error}") from None
        row = runs.unreachable(results.cells[cell][0], tables[folder].table)
        if row:
            results.add(row)
        else:
            by_cell[cell] = members
    return by_cell
