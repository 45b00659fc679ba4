"""YAML that refuses what it would otherwise pass over in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from adrefine.errors import UserError


def read(path: Path) -> Any:
    """The content of a YAML file.

    Raises:
        UserError: it is not YAML, or a mapping in it holds a key twice.
    """
    try:
        return yaml.load(path.read_bytes(), _Loader)
    except _Twice as error:
        raise UserError(f"{path}: {error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None


class _Twice(Exception):
    """A mapping holds a key twice."""


class _Loader(yaml.SafeLoader):
    """Refuses a key that comes twice in one mapping; YAML would silently take the last."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        first: dict[tuple[str, str], int] = {}
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            name, line = (key.tag, key.value), key.start_mark.line + 1
            if name in first:
                shown = " ".join(key.value.split())
                raise _Twice(f"key `{shown}` is there twice, in lines {first[name]} and {line}: remove one")
            first[name] = line
        return node
