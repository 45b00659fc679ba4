"""What a stage imports is among its dependencies in dvc.yaml, or an edit of it would rerun nothing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from pipeline.project import REPOSITORY, STAGES

SOURCE = REPOSITORY / "src"
PACKAGE = SOURCE / "adrefine"
PLUMBING = {
    PACKAGE / name
    for name in (
        *("__init__.py", "cells.py", "errors.py", "io.py", "params.py", "paths.py"),
        *(
            "runtime/cluster.py",
            "runtime/dask_cluster.py",
            "runtime/progress.py",
            "registry.py",
            "sections.py",
            "strict_yaml.py",
            "runtime/steady.py",
            "dvc_driver/lockfile.py",
            "validation/needs.py",  # it refuses, or changes nothing
        ),
    )
}
MAPS = PACKAGE / "detectors/gradient_maps.py"  # imported by a method that evaluate alone calls


@pytest.mark.parametrize("stage", STAGES)
def test_imports_are_dependencies(stage: str) -> None:
    deps = _dependencies(stage)
    assert all(dep.exists() for dep in deps)
    used = _imported(PACKAGE / f"stages/{stage}.py", set() if stage == "evaluate" else {MAPS}, _runs(stage))
    working = {file for file in used - PLUMBING if _does_something(file)}
    missing = {file for file in working if not any(dep in (file, *file.parents) for dep in deps)}
    assert {str(file.relative_to(SOURCE)) for file in missing} == set()


@pytest.mark.parametrize("stage", STAGES)
def test_dependencies_are_imported(stage: str) -> None:
    """A dependency that is not used would rerun the stage for nothing."""
    used = _imported(PACKAGE / f"stages/{stage}.py", set())
    idle = {dep for dep in _dependencies(stage) if not any(dep in (file, *file.parents) for file in used)}
    assert {str(dep.relative_to(SOURCE)) for dep in idle} == set()


def _runs(stage: str) -> bool:
    """Whether the stage calls functions of what it imports; select only asks for a section's attributes."""
    return stage != "select"


def _dependencies(stage: str) -> list[Path]:
    """The code among a stage's dependencies."""
    deps = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"][stage]["deps"]
    return [REPOSITORY / dep for dep in deps if dep.startswith("src/")]


def _imported(start: Path, without: set[Path], inside: bool = True) -> set[Path]:
    """The project's files that `start` imports, directly or not, at the top or `inside` a function."""
    found: set[Path] = set()
    todo = {start}
    while todo:
        file = todo.pop()
        found.add(file)
        if file not in PLUMBING:  # params.py knows every kind, and decides nothing with it
            todo |= set(filter(None, map(_file, _names(file, inside)))) - found - without
    return found


def _does_something(file: Path) -> bool:
    """Whether it holds more than a docstring, as a package's `__init__.py` may."""
    body = ast.parse(file.read_text()).body
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in body)


def _names(file: Path, inside: bool) -> Iterator[str]:
    """Everything in `file` that may be the name of a module, also in a registry; not what only types need."""
    tree = ast.parse(file.read_text())
    idle = [n for n in ast.walk(tree) if _is_for_types(n) or (isinstance(n, ast.FunctionDef) and not inside)]
    skipped = {inner for node in idle for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from re.findall(r"^(adrefine[.\w]*):\w+$", node.value)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _file(module: str) -> Path | None:
    """The project's file of a module; None: somebody else's, or no module."""
    path = SOURCE.joinpath(*module.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in candidates if file.is_file() and PACKAGE in file.parents), None)
