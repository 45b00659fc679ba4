"""YAML that refuses what it would otherwise pass over in silence, and what would never end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from adrefine import io
from adrefine.errors import UserError

_BYTES = 256 * 1024  # of a file; params.yaml has 13 kB
_DEPTH = 20  # of sections and lists in each other
_NODES = 20_000  # keys and values, those of an alias counted wherever it is named
_LARGE = 64  # times as much: what programs write, such as dvc.lock
_LONGEST = 40  # characters of a value that a message repeats
# YAML 1.1, which this reader follows, takes 010 for 8 and 1:30 for 90; DVC follows 1.2, where they are not.
_DOUBTFUL = re.compile(r"[-+]?(0[0-9_]+|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)")
_OWN = "tag:yaml.org,2002:"
_INT, _FLOAT, _MERGE = (_OWN + kind for kind in ("int", "float", "merge"))


def read(path: Path) -> Any:
    """The content of a YAML file.

    Raises:
        UserError: it is not YAML; it is too large or too deep; a mapping in it holds a key twice; a value
            cannot be read as what YAML takes it for, or is a number that YAML 1.1 and 1.2 read differently.
    """
    return parsed(io.content(path), str(path))


def parsed(content: bytes | str, where: str) -> Any:
    """The content of YAML text.

    Args:
        where: it stands: a file's name, or what was typed on the command line.

    Raises:
        UserError: as of `read`.
    """
    if len(content) > _BYTES:
        raise UserError(f"{where} has {len(content)} bytes: a file of settings may have at most {_BYTES}")
    try:
        return loads(content)
    except _Refused as error:
        raise UserError(f"{where}: {error}") from None
    except Exception as error:  # of a reader that meets bytes it was not made for
        raise UserError(f"{where} is not valid YAML: {' '.join(str(error).split())}") from None


def mapping(content: bytes | str) -> dict[str, Any]:
    """The mapping that a program wrote as YAML, such as dvc.lock; empty, if it is none, or cannot be read:
    who needs what it holds says so. Ten times faster than `parsed`, and as bounded."""
    kind = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        if len(content) > _LARGE * _BYTES or _depth(content, kind) > _DEPTH:
            return {}
        loader = kind(content)
        root: Any = loader.get_single_node()
        _bounded(root, _LARGE * _NODES)
        _refuse_twins(root)
        found = loader.construct_document(root)
    except Exception:
        return {}
    return found if isinstance(found, dict) else {}


def _refuse_twins(root: yaml.Node) -> None:
    """Refuse a key that comes twice in one mapping, which DVC cannot read."""
    seen, left = set[int](), [root]
    while left:
        node = left.pop()
        if id(node) not in seen:
            seen.add(id(node))
            left += [child for _, child in _children(node)]
            names = [key.value for key, _ in node.value] if isinstance(node, yaml.MappingNode) else []
            if len(names) > len({name for name in names if isinstance(name, str)}):
                raise _Refused("a key appears twice, or is not a word")


def _depth(content: bytes | str, kind: type[Any]) -> int:
    """Of sections and lists in each other: 50,000 brackets end the process in libyaml's composer."""
    deepest = depth = 0
    for event in yaml.parse(content, kind):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        deepest = max(deepest, depth)
        if depth > _DEPTH:
            break
    return deepest


def loads(content: bytes | str) -> Any:
    """The content of YAML text; raises what `read` turns into a message, and any error of PyYAML."""
    loader = _Loader(content)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        _bounded(root)
        for key, node in _scalars(root):
            loader.check(key, node)
        return loader.construct_document(root)
    finally:
        loader.dispose()


class _Refused(Exception):
    """What YAML allows and a file of settings has no use for; says what to change."""


class _Loader(yaml.SafeLoader):
    """Refuses a key that comes twice in one mapping; YAML would silently take the last."""

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._depth += 1
        if self._depth > _DEPTH:
            line = self.peek_event().start_mark.line + 1
            raise _Refused(f"line {line}: sections and lists are nested more than {_DEPTH} deep")
        event = self.peek_event()
        if getattr(event, "tag", None) == "!":  # nothing to YAML 1.1, an empty word to 1.2
            raise _Refused(f"line {event.start_mark.line + 1}: a lone `!`: remove it, or put it in quotes")
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        first: dict[tuple[str, str], int] = {}
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            name, line = (key.tag, key.value), key.start_mark.line + 1
            if name in first:
                raise _Refused(
                    f"key `{_short(key.value)}` appears twice, in lines {first[name]} and {line}: remove one"
                )
            first[name] = line
        return node

    def check(self, key: str, node: yaml.ScalarNode) -> None:
        """Refuse a value that cannot be read; `key` is where it stands."""
        where, shown = f"`{key}` (line {node.start_mark.line + 1})", _short(node.value)
        if node.tag in (_INT, _FLOAT) and _DOUBTFUL.fullmatch(node.value):
            raise _Refused(f"{where} = {shown}: write the number in decimal digits, without leading 0 or `:`")
        try:
            self.construct_object(node)
        except Exception:  # ValueError, KeyError, AttributeError ...: whatever a constructor trips over
            kind = node.tag.removeprefix(_OWN).lstrip("!")
            raise _Refused(
                f"{where} = {shown}: cannot be read as {kind}: correct it, or put it in quotes"
            ) from None


# As YAML 1.2 reads them, and so DVC; to 1.1 they are words: a folder `1e5` would be another one to DVC.
_Loader.add_implicit_resolver(_FLOAT, re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+"), None)
_Loader.add_implicit_resolver(_INT, re.compile(r"0o[0-7]+"), ["0"])


def _bounded(root: yaml.Node, most: int = _NODES) -> None:
    """Refuse what holds itself, or has over `most` keys and values with its aliases written out."""
    sizes: dict[int, int | None] = {}  # by node; None: not yet counted to its end

    def size(node: yaml.Node) -> int:
        if id(node) in sizes:
            known = sizes[id(node)]
            if known is None:
                raise _Refused(f"line {node.start_mark.line + 1}: it contains an alias of itself")
            return known
        sizes[id(node)] = None
        total = 1 + sum(size(child) for _, child in _children(node))
        if total > most:
            raise _Refused(
                f"more than {most} keys and values, aliases included: too many for a file of settings"
            )
        sizes[id(node)] = total
        return total

    size(root)


def _scalars(root: yaml.Node) -> Iterator[tuple[str, yaml.ScalarNode]]:
    """Every single value with its key, as `section.key`; an aliased one once."""
    seen: set[int] = set()
    left = [("", root)]
    while left:
        key, node = left.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.ScalarNode) and node.tag != _MERGE:
            yield key or "the value", node
        left += [(f"{key}.{name}" if key else name, child) for name, child in reversed([*_children(node)])]


def _children(node: yaml.Node) -> Iterator[tuple[str, yaml.Node]]:
    """Keys and values of a mapping, items of a list, each with the name that a message gives it."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = _short(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            yield name, key
            yield name, value
    elif isinstance(node, yaml.SequenceNode):
        for place, value in enumerate(node.value):
            yield str(place), value


def _short(text: str) -> str:
    """On one line, and cut."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
