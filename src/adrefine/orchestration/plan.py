"""What a `dvc repro` would run, and why, read off what DVC finds changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

PLAN = "PLAN "  # begins the line in which the standing comes
Prospect = Literal["runs", "may run", "up to date"]
_SHOWN = 3  # changed files that a reason names


@dataclass(frozen=True)
class Standing:
    """How things stand, in DVC's words.

    stages: names in the order of `dvc repro`; edges: (needed, needs it); never: stages that never ran;
    changed: what `dvc status --json` says of each stage that changed.
    """

    stages: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]
    never: frozenset[str]
    changed: Mapping[str, list[Any]]

    @classmethod
    def read(cls, line: str) -> Standing:
        """The standing in a line of the DVC process."""
        said = json.loads(line.removeprefix(PLAN))
        edges = tuple((str(first), str(second)) for first, second in said["edges"])
        return cls(tuple(said["stages"]), edges, frozenset(said["never"]), said["changed"])

    def after(self, stage: str) -> frozenset[str]:
        """All stages that `stage` needs, directly or through others."""
        direct = {first for first, second in self.edges if second == stage}
        return frozenset(direct.union(*(self.after(name) for name in direct)))


@dataclass(frozen=True)
class Planned:
    """A stage and what is to be expected of it; one that runs may yet be restored from the run cache."""

    stage: str
    prospect: Prospect
    why: str


def plan(standing: Standing, force: bool = False) -> list[Planned]:
    """What each stage would do, in the order of `dvc repro`."""
    return [_planned(standing, stage, force) for stage in standing.stages]


def _planned(standing: Standing, stage: str, force: bool) -> Planned:
    if force:
        return Planned(stage, "runs", "forced")
    if stage in standing.never:
        return Planned(stage, "runs", "never ran")
    why = list(reasons(standing.changed.get(stage, [])))
    if why:
        return Planned(stage, "runs", "; ".join(why))
    restless = standing.after(stage) & (standing.changed.keys() | standing.never)
    if restless:
        first = [name for name in standing.stages if name in restless]
        return Planned(stage, "may run", f"if {_listed(first)} {_verb(first, 'changes', 'change')} its input")
    return Planned(stage, "up to date", "")


def reasons(changed: Iterable[Any]) -> Iterator[str]:
    """DVC's status entries of one stage in words: what of settings, inputs and results changed."""
    for entry in changed:
        if isinstance(entry, str):
            yield entry  # "changed command", "always changed"
            continue
        for what, items in entry.items():
            if what != "changed deps":
                yield f"{_listed(list(items))} {_verb(items, 'is', 'are')} {_and(items.values())}"
                continue
            settings = [key for value in items.values() if isinstance(value, dict) for key in value]
            files = {name: word for name, word in items.items() if not isinstance(word, dict)}
            if settings:
                yield f"{_listed(settings)} changed"
            if files:
                yield f"{_listed(list(files))} {_verb(files, 'is', 'are')} {_and(files.values())}"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(f"`{name}`" for name in names[:_SHOWN]) + more


def _verb(names: Iterable[Any], one: str, many: str) -> str:
    return one if len(list(names)) == 1 else many


def _and(words: Iterable[str]) -> str:
    return " or ".join(sorted(set(words)))
