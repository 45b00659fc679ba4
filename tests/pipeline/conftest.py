"""The projects that pipeline tests share. Making one costs a second, running its graph half a minute."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import prefect_server
from pipeline import photos, project, warm
from pipeline.project import Project

RUNS = ".dvc/cache/runs"


@pytest.fixture(scope="session")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Variables with which stages start in a fifth of the time."""
    with warm.started(tmp_path_factory.mktemp("warm")) as variables:
        yield variables


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, forked: dict[str, str]) -> Project:
    """The project as committed, never run: clone it."""
    root = tmp_path_factory.mktemp("template")
    project.create(root)
    photos.write_tree(root / project.PHOTOS)
    project.commit(root)
    return Project(root, forked)


@pytest.fixture(scope="session")
def first(template: Project, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, project.Run, str]:
    """A project whose graph ran once from nothing, what DVC said, and the dvc.lock it left."""
    copy = template.clone(tmp_path_factory.mktemp("project") / "copy")
    run = copy.repro()
    return copy, run, copy.lock


@pytest.fixture(scope="session")
def first_runs(first: tuple[Project, project.Run, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What DVC's run cache knew after this first run."""
    return shutil.copytree(first[0].root / RUNS, tmp_path_factory.mktemp("runs") / "first")


@pytest.fixture(scope="module")
def shared(first: tuple[Project, project.Run, str], first_runs: Path) -> Project:
    """The project that has run, without the runs of other files: they would change what runs in this one."""
    copy, _, lock = first
    shutil.rmtree(copy.root / RUNS)
    shutil.copytree(first_runs, copy.root / RUNS)
    (copy.root / "dvc.lock").write_text(lock)
    return copy


@pytest.fixture
def ready(shared: Project) -> Project:
    """A project that has run with the committed settings and photos, which are back in place.

    Its results may still be those of another test's settings: DVC brings back what is wanted.
    """
    shared.reset()
    return shared


@pytest.fixture
def fresh(template: Project, tmp_path: Path) -> Project:
    """A project that never ran and has no cache."""
    return template.clone(tmp_path / "copy")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[prefect_server.Server]:
    """A Prefect server for all tests of the flows."""
    with prefect_server.started(tmp_path_factory.mktemp("prefect")) as running:
        yield running
