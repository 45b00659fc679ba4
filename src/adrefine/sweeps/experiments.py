"""The experiments of a sweep: their names, DVC's arguments for them, and which of them are done."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adrefine import params
from adrefine.dvc_driver.processes import output
from adrefine.errors import UserError
from adrefine.sweeps.overrides import Overrides, typed, with_overrides

BASELINE = "baseline"  # name of the experiment that overrides nothing
_WORDS = ("dataset.name", "detector", "refine.strategy")  # their values say alone what they are
_SHORT = {"noise.level": "noise"}
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")  # text that Hydra's grammar takes as it is
_NO_TEXT = ("true", "false", "null", "nan", "inf")
_LONGEST = 120


@dataclass(frozen=True)
class Experiment:
    """One run: its name in `dvc exp show`, what it changes, and all of params.yaml with that changed."""

    name: str
    overrides: Overrides
    settings: dict[str, Any]

    @property
    def arguments(self) -> list[str]:
        """For `dvc exp run`."""
        pairs = [f"++{key}={hydra(value)}" for key, value in self.overrides.items()]
        return ["--name", self.name, *(part for pair in pairs for part in ("--set-param", pair))]


@dataclass(frozen=True)
class Result:
    """An experiment that ran, as `dvc exp show` tells it."""

    name: str
    settings: dict[str, Any]
    metrics: dict[str, Any]


def plan(base: Mapping[str, Any], wanted: Iterable[Overrides]) -> list[Experiment]:
    """The experiments, each once.

    Args:
        base: params.yaml as committed.
        wanted: the overrides of each.

    Raises:
        UserError: a key is unknown, a value is impossible; names the key.
    """
    planned: dict[str, Experiment] = {}
    for given in wanted:
        overrides = typed(base, given)
        name = name_of(overrides)
        planned.setdefault(name, Experiment(name, overrides, with_overrides(base, overrides)))
    return list(planned.values())


def name_of(overrides: Mapping[str, Any]) -> str:
    """A name that tells the overrides, the same however they were ordered, and valid as a git ref.

    What cannot be in such a name is left out and a digest of all overrides follows.
    """
    keys = sorted(overrides, key=lambda key: (key not in _WORDS, key))
    raw = "-".join(_part(key, overrides[key]) for key in keys) or BASELINE
    name = re.sub(r"[^A-Za-z0-9._=+-]+|\.(?=\.)", "_", raw)[:_LONGEST].strip("._-")
    if name == raw and not name.endswith(".lock"):
        return name
    content = json.dumps({key: overrides[key] for key in keys})
    return f"{name}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


def _part(key: str, value: Any) -> str:
    """`osr`, `noise0.3`, `irp.lambda2`, `refine.scorer=in_sample`."""
    text = json.dumps(value) if not isinstance(value, str) else value
    if key in _WORDS:
        return text
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{_SHORT.get(key, key)}{'' if number else '='}{text.removesuffix('.0') if number else text}"


def hydra(value: Any) -> str:
    """A value in the grammar of `dvc exp run --set-param`."""
    if isinstance(value, list | tuple):
        return f"[{','.join(hydra(item) for item in value)}]"
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _NO_TEXT:
        return value
    quoted = re.sub(r"(\\*)(?='|$)", r"\1\1", value).replace("'", r"\'")  # only those before a quote count
    return f"'{quoted}'"


def results(root: Path, commit: str) -> dict[str, Result]:
    """The experiments that belong to `commit`, by name; those that left no metrics are not among them."""
    return parse_show(output(["dvc", "exp", "show", "--json", "--rev", commit, "-n", "1"], folder=root))


def parse_show(text: str) -> dict[str, Result]:
    """As `results`, from what `dvc exp show --json` prints."""
    by_name = {}
    for baseline in json.loads(text):
        for experiment in baseline.get("experiments") or []:
            data = (experiment.get("revs") or [{}])[0].get("data") or {}
            settings = _content(data.get("params"), "params.yaml")
            metrics = _content(data.get("metrics"), "reports/headline.json")
            if experiment.get("name") and settings and metrics:
                by_name[experiment["name"]] = Result(experiment["name"], settings, metrics)
    return by_name


def _content(files: Any, name: str) -> dict[str, Any]:
    return ((files or {}).get(name) or {}).get("data") or {}


def done(planned: Iterable[Experiment], by_name: Mapping[str, Result]) -> set[str]:
    """Names of the planned experiments that exist, with these settings in full.

    Raises:
        UserError: there is one of that name with other settings, made by hand.
    """
    names = set()
    for experiment in planned:
        if experiment.name not in by_name:
            continue
        if not _same(by_name[experiment.name].settings, experiment.settings):
            raise UserError(
                f"there is an experiment `{experiment.name}` of this commit with other settings: "
                f"`dvc exp rename {experiment.name} OTHER`, or `dvc exp remove {experiment.name}`"
            )
        names.add(experiment.name)
    return names


def _same(value: Any, wanted: Any) -> bool:
    """Whether they mean the same to the stages: DVC's YAML and ours write some numbers in other ways."""
    try:
        return params.parse(value) == params.parse(wanted)
    except UserError:  # of an experiment with other keys
        return False
