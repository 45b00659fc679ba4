"""Single settings written to params.yaml: checked before, nothing else in the file touched."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import yaml

from adrefine import params, strict_yaml
from adrefine.errors import UserError
from adrefine.io import changing, followed, write_text

Value = str | float | int | bool | None
FILE = Path("params.yaml")


def choices(
    strategy: str | None = None,
    lambda_: float | None = None,
    noise: float | None = None,
    detector: str | None = None,
    dataset: str | None = None,
    root: str | None = None,
    path: Path = FILE,
) -> dict[str, Value]:
    """What a person chose, as keys of params.yaml; what is None stays as it is.

    lambda_: of the strategy chosen, or of that in params.yaml. Always written as a float: 2 and 2.0 are
    different settings to DVC.

    Raises:
        UserError: the strategy has no λ.
    """
    chosen: dict[str, Value | None] = {
        "dataset.name": dataset,
        "dataset.root": root,
        "noise.level": None if noise is None else float(noise),
        "detector": detector,
        "refine.strategy": strategy,
    }
    if lambda_ is not None:
        name = strategy or params.load(path).refine.strategy
        chosen[f"{_with_lambda(name)}.lambda"] = float(lambda_)
    return {key: value for key, value in chosen.items() if value is not None}


def write(changes: Mapping[str, Value], path: Path = FILE) -> list[str]:
    """Write the values of `changes` (dotted keys) into params.yaml, whole or not at all; comments stay.

    Returns:
        the keys whose value changed. With none the file is left alone.

    Raises:
        UserError: the file has no such key, or would not be sound; it is left as it was.
    """
    with changing(path):
        params.load(path)  # a mistake that was there before is told too
        before = text = path.read_text()
        changed = []
        for key, value in changes.items():
            edited = replaced(text, key, value)
            if edited != text:
                changed.append(key)
            text = edited
        params.parse(strict_yaml.parsed(text, str(path)), str(path))
        if text != before:
            write_text(followed(path), text)
        return changed


def replaced(text: str, key: str, value: Value) -> str:
    """`text`, YAML, with the value of the dotted `key` replaced; written as DVC's `-S` writes it.

    Raises:
        UserError: there is no such key, or no single value under it.
    """
    from ruamel.yaml import YAML

    editor = YAML()
    editor.preserve_quotes, editor.width = True, 10**6
    content = editor.load(text)
    *sections, last = key.split(".")
    section = content
    for name in sections:
        section = section.get(name) if isinstance(section, Mapping) else None
    if not isinstance(section, Mapping) or last not in section:
        raise UserError(f"params.yaml has no key `{key}`: add it")
    if isinstance(section[last], Mapping):
        raise UserError(f"params.yaml: `{key}` is a section, not a value")
    was = _reader_sees(text, (*sections, last))
    if was == value and type(was) is type(value):
        return text
    # As PyYAML writes it, for that reads it again: to ruamel.yaml, YAML 1.2, `yes` is a string.
    section[last] = editor.load(yaml.safe_dump({"value": value}, width=10**6))["value"]  # type: ignore[index]
    edited = io.StringIO()
    editor.dump(content, edited)
    return edited.getvalue()


def _reader_sees(text: str, keys: tuple[str, ...]) -> object:
    value = strict_yaml.parsed(text, str(FILE))
    for name in keys:
        value = value[name]
    return value


def _with_lambda(strategy: str) -> str:
    """`strategy`, if it has a λ."""
    has = [
        name
        for name, field in params.Params.model_fields.items()
        if any(inner.alias == "lambda" for inner in getattr(field.annotation, "model_fields", {}).values())
    ]
    if strategy not in has:
        raise UserError(f"strategy {strategy} has no λ: leave it out, or choose one of {', '.join(has)}")
    return strategy
