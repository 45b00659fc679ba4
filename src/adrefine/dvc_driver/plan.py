"""What a `dvc repro` would run, and why, read off what DVC finds changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from adrefine.text import harmless

PLAN = "PLAN "  # begins the line in which the standing comes
Prospect = Literal["runs", "may run", "up to date"]
_SHOWN = 3  # changed files that a reason names


@dataclass(frozen=True)
class Standing:
    """How things stand, in DVC's words.

    stages: names in the order of `dvc repro`; edges: (needed, needs it); never: stages that never ran;
    changed: what `dvc status --json` says of each stage that changed; settings: by stage, the dotted key of
    each setting that is not as when it ran, with the value of then and of now.
    """

    stages: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]
    never: frozenset[str]
    changed: Mapping[str, list[Any]]
    settings: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)

    @classmethod
    def read(cls, line: str) -> Standing:
        """The standing in a line of the DVC process."""
        said = json.loads(line.removeprefix(PLAN))
        edges = tuple((str(first), str(second)) for first, second in said["edges"])
        return cls(tuple(said["stages"]), edges, frozenset(said["never"]), said["changed"], said["settings"])

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
    why = list(reasons(standing.changed.get(stage, []), standing.settings.get(stage, {})))
    if why:
        return Planned(stage, "runs", "; ".join(why))
    restless = standing.after(stage) & (standing.changed.keys() | standing.never)
    if restless:
        first = [name for name in standing.stages if name in restless]
        return Planned(
            stage, "may run", f"if {_listed(first)} {'changes' if len(first) == 1 else 'change'} its input"
        )
    return Planned(stage, "up to date", "")


def reasons(changed: Iterable[Any], settings: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """What changed of settings, inputs and results of one stage, in words.

    Args:
        changed: DVC's status entries of it. settings: see `Standing`.
    """
    for key, (was, now) in list(settings.items())[:_SHOWN]:
        yield f"`{key}` {harmless(was)} → {harmless(now)}"
    if len(settings) > _SHOWN:
        yield f"{len(settings) - _SHOWN} more settings"
    for entry in changed:
        if isinstance(entry, str):
            yield entry  # "changed command", "always changed"
            continue
        for items in entry.values():
            files = {name: word for name, word in items.items() if isinstance(word, str)}
            if files:
                verb = "is" if len(files) == 1 else "are"
                yield f"{_listed(list(files))} {verb} {' or '.join(sorted(set(files.values())))}"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(f"`{harmless(name)}`" for name in names[:_SHOWN]) + more
