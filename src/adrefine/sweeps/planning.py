"""What a sweep decides without running anything: order, GPU slots, what is worth reading, what is best."""

from __future__ import annotations

import json
import os
import queue
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from adrefine import text
from adrefine.dvc_driver.processes import Failed
from adrefine.errors import UserError
from adrefine.sweeps.experiments import Experiment, Result

# Sections that the stages before `train` read, but for inject_noise; a test holds them to dvc.yaml.
INPUTS = ("dataset", "runtime", "validate", "synthesize", "embed", "pretrain_pdn")
MEASURE = "after"
COLUMNS = {  # heading → metric of reports/headline.json
    "before": "before",
    "after": MEASURE,
    "ceiling": "ceiling",
    "gain reached": "gain",
    "removed": "removed",
    "defects among them": "removed_defects",
}
ON_TEST_PHOTOS = (
    "The best are best on the test photos: that compares runs. A setting chosen so looks better there than "
    "it is: before you report its figure, confirm it with other seeds or with photos that had no part in it."
)
_ROUTINE = re.compile(r"^\s*$|\d%\||^WARNING: No file hash|^(Updating|Generating) lock file|^To push cached")
_STAGE = re.compile(r"[Ss]tage '(\w+)'")


@dataclass(frozen=True)
class Step:
    """An experiment, and another one that it waits for until that one reaches the stage `until`."""

    experiment: Experiment
    leader: str | None = None
    until: str | None = None


def ordered(experiments: Iterable[Experiment]) -> list[Step]:
    """The order to start in, such that no two compute the same photos, features or first training at once.

    The first experiment of each set of inputs goes ahead; others with these inputs wait until it trains, and
    those that share its training until it refines. They then find the results in DVC's run cache.
    """
    inputs: dict[str, str] = {}
    trainings: dict[str, str] = {}
    steps = []
    for experiment in experiments:
        shared, training = _inputs(experiment.settings), _training(experiment.settings)
        if training in trainings:
            steps.append(Step(experiment, trainings[training], "refine"))
        elif shared in inputs:
            steps.append(Step(experiment, inputs[shared], "train"))
        else:
            steps.append(Step(experiment))
        inputs.setdefault(shared, experiment.name)
        trainings.setdefault(training, experiment.name)
    return sorted(steps, key=lambda step: (None, "train", "refine").index(step.until))


def _inputs(settings: Mapping[str, Any]) -> str:
    return json.dumps([settings.get(name) for name in INPUTS], sort_keys=True)


def _training(settings: Mapping[str, Any]) -> str:
    detector = settings.get("detector")
    own = [detector, settings.get(str(detector)), settings.get("noise")]
    return _inputs(settings) + json.dumps(own, sort_keys=True)


def reached(line: str) -> str | None:
    """The stage that DVC says it has come to, ran or skipped."""
    match = _STAGE.search(line)
    return match[1] if match else None


def worth_reading(line: str) -> bool:
    """False for progress bars and DVC's routine remarks."""
    return not _ROUTINE.search(line)


def reason(error: UserError) -> str:
    """Why a run failed, in one line: what the stage said, or else what the program's error says."""
    lines = error.lines if isinstance(error, Failed) else []
    said = [line for line in lines if line.startswith("adrefine: error: ")]
    return said[-1].removeprefix("adrefine: error: ") if said else str(error)


class Slots:
    """GPUs to hand out, one run each at a time. Without GPUs a run need not wait."""

    def __init__(self, gpus: Iterable[str]) -> None:
        self._free: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.count = 0
        for gpu in gpus:
            self._free.put(gpu)
            self.count += 1

    @contextmanager
    def taken(self) -> Iterator[dict[str, str]]:
        """Wait for a GPU; the variables that make a run see it alone."""
        if not self.count:
            yield {}
            return
        gpu = self._free.get()
        try:
            yield {"CUDA_VISIBLE_DEVICES": gpu}
        finally:
            self._free.put(gpu)


def gpus() -> list[str]:
    """The GPUs that CUDA_VISIBLE_DEVICES leaves, or else all that nvidia-smi lists; none without it."""
    if os.environ.get("ADREFINE_DEVICE") == "cpu":
        return []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [gpu.strip() for gpu in visible.split(",") if gpu.strip() not in ("", "-1")]
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.split() if done.returncode == 0 else []


def table(experiments: Iterable[Experiment], results: Mapping[str, Result]) -> list[dict[str, Any]]:
    """A row an experiment that has a result: name, what any of them changed, figures that people compare."""
    planned = list(experiments)
    keys = list(dict.fromkeys(key for experiment in planned for key in experiment.overrides))
    rows = []
    for experiment in planned:
        if experiment.name in results:
            metrics = results[experiment.name].metrics
            settings = {key: _shown(_at(experiment.settings, key)) for key in keys}
            figures = {heading: _shown(_at(metrics, key)) for heading, key in COLUMNS.items()}
            rows.append({"experiment": experiment.name, **settings, **figures})
    empty = {heading for heading in COLUMNS if all(row[heading] == "" for row in rows)}
    return [{key: value for key, value in row.items() if key not in empty} for row in rows]


def best(experiments: Iterable[Experiment], results: Mapping[str, Result]) -> list[str]:
    """A line for each set of photos and noise that several experiments share: who has the highest test AUROC.

    Figures under different noise do not compare; equal ones are all named. No line without labels.
    """
    groups: dict[str, dict[str, float]] = {}
    for experiment in experiments:
        if experiment.name in results:
            figure = _at(results[experiment.name].metrics, MEASURE)
            if figure is not None:
                data = [experiment.settings.get("dataset"), experiment.settings.get("noise")]
                groups.setdefault(json.dumps(data, sort_keys=True), {})[experiment.name] = figure
    lines = []
    for figures in (group for group in groups.values() if len(group) > 1):
        top = max(figures.values())
        names = [f"`{name}`" for name, figure in figures.items() if figure == top]
        others = len(figures) - len(names)
        how = f"best of {len(figures)}" if others else f"all {len(figures)} equal"
        lines.append(f"{', '.join(names)}: test AUROC {top:.3f}, {how} on the same photos and noise")
    return lines


def markdown(rows: list[dict[str, Any]]) -> str:
    """A table in Markdown."""
    if not rows:
        return "No experiment has a result."
    return "\n".join(text.markdown(list(rows[0]), [list(row.values()) for row in rows])[:-1])


def _at(content: Any, key: str) -> Any:
    for name in key.split("."):
        content = content.get(name) if isinstance(content, Mapping) else None
    return content


def _shown(value: Any) -> Any:
    """A cell: short, and of a kind that every table takes."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, int | str) else str(value)
