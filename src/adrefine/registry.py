"""What can be chosen by name in params.yaml: ours, in a table, and what installed packages add.

A package adds one by an entry point of the registry's group; `docs/extending.md` shows each kind.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module, metadata
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from adrefine.errors import UserError


@dataclass(frozen=True)
class Registry:
    """Everything of one kind, by name. Nothing is imported before it is asked for.

    Attributes:
        key: key of params.yaml whose value is one of the names, or that holds one key for each.
        group: entry points of this group add to `table`.
        table: `module:attribute` by name.
    """

    key: str
    group: str
    table: Mapping[str, str]

    def names(self) -> tuple[str, ...]:
        """Ours in the order of the table, then those of installed packages, sorted."""
        return (*self.table, *sorted({point.name for point in self._points()} - set(self.table)))

    def get(self, name: str) -> Any:
        """What is registered as `name`.

        Raises:
            UserError: there is none of that name; its line names what is not there; a package's cannot be
                imported, or its name is taken.
        """
        if added := self.added(name):
            return _load(added, self.group)
        if name not in self.table:
            raise UserError(
                f"params.yaml: `{self.key}` = {name!r} is unknown: {hint(str(name), self.names())}"
            )
        return _ours(name, self.key, self.table[name])

    def all(self, kind: type) -> dict[str, Any]:
        """Everything by its name, see `get`; each of them is a subclass of `kind`."""
        for point in self._points():
            self.added(point.name)
        by_name = {name: self.get(name) for name in self.names()}
        for name, item in by_name.items():
            if not (isinstance(item, type) and issubclass(item, kind)):
                raise UserError(self._no(kind, name))
        return by_name

    def added(self, name: str) -> EntryPoint | None:
        """The entry point of an installed package that adds `name`; None: it is ours, or there is none.

        Raises:
            UserError: two packages, or one and we ourselves, have this name.
        """
        points = [point for point in self._points() if point.name == name]
        owners = [*(["adrefine"] if name in self.table else []), *map(origin, points)]
        if points and len(owners) > 1:
            raise UserError(
                f"`{name}` is registered in {self.group} by {' and by '.join(owners)}: uninstall all but one"
            )
        return points[0] if points else None

    def _no(self, kind: type, name: str) -> str:
        if name in self.table:
            target = self.table[name]
            return f"the registry of `{self.key}`: `{name}` names {target}, which is no {kind.__name__}"
        return (
            f"the plug-in `{name}` of {origin(self.added(name))} ({self.group}) is no {kind.__name__}: "
            "repair or uninstall that package"
        )

    def _points(self) -> tuple[EntryPoint, ...]:
        return _points(self.group)


def hint(name: str, names: Sequence[str]) -> str:
    """Which of the `names` was meant, or all of them if none comes near."""
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean `{near[0]}`?" if near else f"use one of {', '.join(names)}"


def imported(target: str) -> Any:
    """What `module:attribute` names."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


def origin(point: EntryPoint | None) -> str:
    """Name and version of the installed package that an entry point belongs to; None: it is ours."""
    if point is None:
        return "adrefine"
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown package"


def installed(package: str) -> str:
    """Version of a package that an extra of ours brings; it is not imported.

    Raises:
        UserError: it is not installed.
    """
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        raise UserError(f"{package} is not installed: pip install 'adrefine[{package}]'") from None


def _ours(name: str, key: str, target: str) -> Any:
    """What a line of a table of ours names; an error inside its module is that module's own."""
    module, _, attribute = target.partition(":")
    line = f"the registry of `{key}`: `{name}` names"
    try:
        return imported(target)
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):
            raise
        raise UserError(f"{line} the module {module}, which does not exist") from None
    except AttributeError as error:
        if error.obj is not sys.modules.get(module):
            raise
        there = [one for one, item in vars(error.obj).items() if getattr(item, "__module__", "") == module]
        raise UserError(f"{line} {target}, which is not there: {hint(attribute, there)}") from None


@lru_cache
def _points(group: str) -> tuple[EntryPoint, ...]:
    """Entry points of `group`; the same one found twice on the path counts once."""
    return tuple(dict.fromkeys(entry_points(group=group)))


def _load(point: EntryPoint, group: str) -> Any:
    try:
        return point.load()
    except Exception as error:  # whatever a foreign module does when it is imported
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(
            f"the plug-in `{point.name}` of {origin(point)} ({group}: {point.value}) cannot be loaded, "
            f"{reason}: repair or uninstall that package"
        ) from None
