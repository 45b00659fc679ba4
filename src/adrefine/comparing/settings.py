"""Which settings two versions of params.yaml do not share."""

from __future__ import annotations

from typing import Any


def changed(one: dict[str, Any], other: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """Dotted key and both values of each setting that differs; none where a version has no settings."""
    if not (one and other):
        return []
    a, b = _flat(one), _flat(other)
    return [(key, a.get(key), b.get(key)) for key in sorted(a.keys() | b.keys()) if a.get(key) != b.get(key)]


def _flat(content: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(content, dict):
        return {prefix: content}
    return {
        inner: value
        for key, part in content.items()
        for inner, value in _flat(part, f"{prefix}.{key}" if prefix else str(key)).items()
    }
