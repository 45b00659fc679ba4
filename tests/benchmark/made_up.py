"""Rows of a benchmark that nobody ran: smooth figures of noise, strategy and seed."""

from __future__ import annotations

from pathlib import Path

import yaml

from adrefine.benchmark import plan
from adrefine.benchmark.config import Benchmark, load
from adrefine.benchmark.plan import Run
from adrefine.benchmark.results import Results
from adrefine.benchmark.runs import key_columns


def written(folder: Path, content: dict, name: str = "made") -> Path:
    """A benchmark file with `content`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return folder / f"{name}.yaml"


def row(run: Run) -> dict[str, object]:
    """A row of `run`, as if it had been run on 100 photos."""
    noise, hidden = run.cell.noise, round(100 * run.cell.noise)
    better = {"vanilla": 0.0, "oracle": 1.0}.get(run.strategy, 0.2 + 0.6 * (len(run.strategy) % 5) / 5)
    made: dict[str, object] = {
        **key_columns(run),
        "n_train": 100,
        "realised": noise,
        "seconds": 1.5,
        "auroc": 0.95 - noise * (1 - 0.9 * better) + 0.01 * run.cell.seed - len(run.cell.part) / 200,
        "aupr": 0.8 - noise,
    }
    if run.strategy == "oracle":
        known = {"ceiling_rank_auroc": 0.9, "ceiling_precision_at_defects": 0.8}
        return made | ({**known, "ceiling_auroc": made["auroc"] - 0.01} if hidden else {})
    made |= {"removed": 8, "removed_defects": min(hidden, 6), "removed_good": 8 - min(hidden, 6)}
    made |= {"rounds": 1, "stop_reason": "converged, so it says", "good_retained": 0.97}
    if hidden:
        found = min(hidden, 6)
        made |= {"precision": found / 8, "recall": found / hidden, "rank_auroc": 0.6 + better / 4}
        made |= {"precision_at_defects": 0.5, "rank_ap": 0.4, "rank_depth_90": 0.3, "rank_depth_100": 0.7}
    return made


def results(path: Path) -> tuple[Benchmark, Results]:
    """The results of the benchmark file `path`, read anew."""
    config = load(path)
    cells = plan.cells(config)
    return config, Results(path.parent / "results" / f"{path.stem}.csv", cells)


def filled(path: Path, unreachable: tuple[tuple[str, float], ...] = ()) -> tuple[Benchmark, Results]:
    """All runs of the benchmark file `path` done, but those of (class, level) in `unreachable`."""
    config, found = results(path)
    rows = []
    for run in (run for members in found.cells.values() for run in members):
        if (run.cell.part, run.cell.noise) not in unreachable:
            rows.append(row(run))
        elif run.strategy == "vanilla":
            rows.append({**key_columns(run), "unreachable": "there are too few defects"})
    found.add(*rows)
    return config, found
