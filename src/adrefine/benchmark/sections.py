"""Sections of params.yaml laid over each other, and which of their keys a benchmark decides itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from adrefine.errors import UserError

# Key of params.yaml: the key of the benchmark file that sets it.
SET_BY = {
    "dataset.name": "datasets: layout",
    "dataset.root": "datasets: root",
    "noise.level": "levels",
    "noise.mode": "modes",
    "noise.n_train": "datasets: n_train",
    "noise.seed": "seeds",
}


def merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """All layers in one mapping; a later one wins, key by key in every depth."""
    result: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            known = result.get(key)
            both = isinstance(known, Mapping) and isinstance(value, Mapping)
            result[key] = merged(known, value) if both else value  # type: ignore[arg-type]
    return result


def clash(sections: Mapping[str, Any], where: str) -> None:
    """Refuse a key that the benchmark sets for every run.

    Raises:
        UserError: names the key, and the key of the benchmark file to use instead.
    """
    for key, instead in SET_BY.items():
        section, _, name = key.partition(".")
        if isinstance(sections.get(section), Mapping) and name in sections[section]:
            raise UserError(f"{where}: `{key}` differs from run to run: set `{instead}` instead")


def refuse_keys(sections: Mapping[str, Any], keys: Iterable[str], where: str, why: str) -> None:
    """Refuse whole sections.

    Raises:
        UserError: names the section and why it cannot be there.
    """
    for key in keys:
        if key in sections:
            raise UserError(f"{where}: `{key}` is what {why}")
