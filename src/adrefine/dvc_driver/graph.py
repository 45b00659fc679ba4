"""The graph of a run as Markdown: a Mermaid picture coloured by what each stage did, and a table of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from adrefine import text
from adrefine.dvc_driver.plan import Planned, Standing

Done = Literal["ran", "restored", "skipped", "failed", "not run"]
_STYLES: Mapping[Done, str] = {
    "ran": "fill:#2e9e5b,stroke:#1d6b3d,color:#ffffff",
    "restored": "fill:#3b7dd8,stroke:#25539a,color:#ffffff",
    "skipped": "fill:#e8ebef,stroke:#9aa4b2,color:#3a4350",
    "failed": "fill:#d64545,stroke:#8f2727,color:#ffffff",
    "not run": "fill:#ffffff,stroke:#c4cad3,color:#8a93a0,stroke-dasharray:4 3",
}
_MEANS: Mapping[Done, str] = {
    "ran": "green: ran",
    "restored": "blue: restored from the run cache",
    "skipped": "grey: skipped, nothing it uses changed",
    "failed": "red: failed",
    "not run": "dashed: not run",
}


@dataclass(frozen=True)
class StageOutcome:
    """What a stage did and how many seconds that took."""

    stage: str
    done: Done
    seconds: float


def markdown(standing: Standing, planned: Sequence[Planned], outcomes: Mapping[str, StageOutcome]) -> str:
    """The picture, its legend, and a row per stage: what it did, seconds, why."""
    why = {row.stage: row.why for row in planned}
    done = [outcomes.get(stage, StageOutcome(stage, "not run", 0.0)) for stage in standing.stages]
    rows = [(one.stage, one.done, _seconds(one), why.get(one.stage, "")) for one in done]
    kinds = [kind for kind in _MEANS if any(one.done == kind for one in done)]
    return "\n".join(
        [
            "```mermaid",
            mermaid(standing, {one.stage: one for one in done}),
            "```",
            "",
            " · ".join(_MEANS[kind] for kind in kinds) + ". Arrows that follow from others are left out.",
            "",
            *text.markdown(["stage", "", "seconds", "why"], rows, right=["seconds"])[:-1],
        ]
    )


def mermaid(standing: Standing, outcomes: Mapping[str, StageOutcome]) -> str:
    """The Mermaid flowchart: a box per stage in the colour of what it did."""
    names = {stage: f"s{number}" for number, stage in enumerate(standing.stages)}
    boxes = [
        f'  {names[stage]}["{_label(outcomes[stage])}"]:::{_class(outcomes[stage].done)}' for stage in names
    ]
    arrows = [f"  {names[first]} --> {names[second]}" for first, second in direct(standing)]
    used = {outcome.done for outcome in outcomes.values()}
    classes = [f"  classDef {_class(kind)} {style}" for kind, style in _STYLES.items() if kind in used]
    return "\n".join(["flowchart TD", *boxes, *arrows, *classes])


def direct(standing: Standing) -> list[tuple[str, str]]:
    """The edges between stages that no longer way leads along as well."""
    return [
        (first, second)
        for first, second in standing.edges
        if not any(
            first in standing.after(between)
            for between, end in standing.edges
            if end == second and between != first
        )
    ]


def _label(outcome: StageOutcome) -> str:
    took = f" · {_seconds(outcome)} s" if outcome.done in ("ran", "restored", "failed") else ""
    return f"<b>{outcome.stage}</b><br/>{outcome.done}{took}"


def _seconds(outcome: StageOutcome) -> str:
    if outcome.done in ("skipped", "not run"):
        return ""
    return f"{outcome.seconds:.1f}"


def _class(done: Done) -> str:
    return done.replace(" ", "_")
