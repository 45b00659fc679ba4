"""Tables and figures of a benchmark's results, from the CSV alone; the same rows give the same bytes."""

from __future__ import annotations

import json
from pathlib import Path

from adrefine.benchmark import figures, papers, tables
from adrefine.benchmark.config import Benchmark
from adrefine.benchmark.results import Results
from adrefine.benchmark.summary import groups
from adrefine.io import write_bytes, write_text

FIGURES = {
    "auroc": "AUROC on the test photos: mean over the seeds, bars: one standard deviation",
    "classes": "AUROC by class",
    "gap": "Share of the gap to the oracle that is closed, from −110 % to 160 %",
    "removed": "Good photos and hidden defects removed (OSR table 1, IRP and META table 2)",
    "removal": "Precision and recall of what was removed",
}


def write(results: Results, config: Benchmark, source: Path) -> list[Path]:
    """Write `<name>.md` and `<name>_<figure>.png` beside the CSV; figures without content are deleted.

    Args:
        source: the benchmark file, as the reader may type it.

    Returns:
        The files written.
    """
    rows = results.valid()
    all_groups = list(groups(rows, config))
    drawn = figures.draw(all_groups, config) if all_groups else {}
    name, folder = results.path.stem, results.path.parent
    written = []
    for figure in FIGURES:
        path = folder / f"{name}_{figure}.png"
        path.unlink(missing_ok=True)
        if figure in drawn:
            write_bytes(path, drawn[figure])
            written.append(path)
    lines = _head(results, config, source, tables.explained(all_groups))
    for figure, says in FIGURES.items():
        if figure in drawn:
            lines += [f"![{says}]({name}_{figure}.png)", ""]
    for group in all_groups:
        if not group.part:  # classes are in the documents' layout, or one by one below
            lines += tables.of_group(group, config)
    layout = papers.in_their_layout(all_groups, rows, config)
    lines += layout
    covered = bool(layout)
    lines += [
        line for group in all_groups if group.part and not covered for line in tables.of_group(group, config)
    ]
    write_text(folder / f"{name}.md", "\n".join(lines).rstrip() + "\n")
    return [*written, folder / f"{name}.md"]


def _head(results: Results, config: Benchmark, source: Path, explained: str) -> list[str]:
    """Command, settings, how to read the tables, and what is not done yet."""
    runs = [run for members in results.cells.values() for run in members]
    left = sum(results.state(run) in ("missing", "stale") for run in runs)
    seeds = ", ".join(map(str, config.seeds))
    lines = [f"`adrefine benchmark {source.as_posix()}`", ""]
    lines += [f"**{left} of {len(runs)} runs are not done yet.**", ""] if left else []
    lines += [f"Mean ± standard deviation over the seeds {seeds}. Every run: `{results.path.name}`.", ""]
    lines += [*(f"- {name}: `{_flow(sections)}`" for name, sections in config.strategies.items())]
    lines += [
        f"- detector {name}: `{_flow(sections)}`" for name, sections in config.detectors.items() if sections
    ]
    lines += [f"- all runs: `{_flow(config.params)}`"] if config.params else []
    return [*lines, "", explained, ""]


def _flow(sections: object) -> str:
    """Settings on one line."""
    return json.dumps(sections, ensure_ascii=False).replace('"', "")
