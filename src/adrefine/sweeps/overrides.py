"""Settings that a sweep changes: read, checked against params.py, and brought to their types."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from adrefine import params, strict_yaml
from adrefine.errors import UserError

Overrides = dict[str, Any]  # dotted key of params.yaml → value


def read(arguments: Iterable[str]) -> list[Overrides]:
    """What is to be run: every combination of `key=value,value` arguments, and what YAML files say.

    A file holds `grid: {key: [values]}`, every combination of them, or `list: [{key: value}]`, or both.
    Combinations on the command line are also combined with each entry of the files.

    Raises:
        UserError: an argument or a file cannot be understood; says which.
    """
    grid: dict[str, list[Any]] = {}
    entries: list[Overrides] = []
    for argument in arguments:
        key, equals, text = argument.partition("=")
        if not equals:
            entries += _of_file(Path(argument))
        elif key in grid:
            raise UserError(f"`{key}` appears twice: give all its values in one argument, with commas")
        else:
            grid[key] = _values(argument, text)
    return [{**entry, **combination} for entry in entries or [{}] for combination in _product(grid)]


def _values(argument: str, text: str) -> list[Any]:
    where = f"`{argument}`: after = come values with commas between, as in YAML: this"
    values = strict_yaml.parsed(f"[{text}]", where)
    if not isinstance(values, list) or not values:
        raise UserError(f"`{argument}` gives no value")
    return values


def _of_file(path: Path) -> list[Overrides]:
    if not path.is_file():
        raise UserError(f"`{path}` is neither key=value nor a YAML file with `grid:` or `list:`")
    content = strict_yaml.read(path)
    if not isinstance(content, dict) or not content or set(content) - {"grid", "list"}:
        raise UserError(
            f"{path} must contain `grid:` (key: [values]) or `list:` (of key: value), nothing else"
        )
    grid, entries = content.get("grid", {}), content.get("list", [])
    if not isinstance(grid, dict) or not all(isinstance(v, list) and v for v in grid.values()):
        raise UserError(f"{path}: `grid` must give each key a list, as in `noise.level: [0.1, 0.3]`")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UserError(f"{path}: each entry of `list` must be a mapping, as in `- refine.strategy: osr`")
    combinations = _product(grid) if grid else []
    return [{str(key): value for key, value in entry.items()} for entry in [*combinations, *entries]]


def _product(grid: Mapping[str, list[Any]]) -> list[Overrides]:
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def with_overrides(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The content of params.yaml with the overrides made.

    Raises:
        UserError: a key goes through what is no section.
    """
    changed = copy.deepcopy(dict(base))
    for key, value in overrides.items():
        *parents, last = key.split(".")
        section: Any = changed
        for name in parents:
            section = section.setdefault(name, {})
            if not isinstance(section, dict):
                raise UserError(f"unknown key `{key}`: `{name}` is a setting, not a section")
        section[last] = value
    return changed


def typed(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> Overrides:
    """The overrides with values of the types that params.py gives them: λ = 2 becomes 2.0.

    Raises:
        UserError: a key is unknown, a value is impossible; names the key.
    """
    content = with_overrides(base, overrides)
    checked = params.parse(content, "the sweep").model_dump(by_alias=True)
    return {key: _typed(key, value, checked) for key, value in overrides.items()}


def _typed(key: str, value: Any, checked: Any) -> Any:
    for name in key.split("."):
        checked = checked[name]
    if isinstance(checked, dict):
        raise UserError(f"`{key}` is a section: name one setting of it, as in `refine.strategy=osr`")
    return None if value is None else checked  # a preset fills in null; the override stays null
