"""The files of flows/ as modules, without a server, and what their tasks log."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

FLOWS = Path(__file__).parents[1] / "flows"


class Log:
    """What a task logged, in place of Prefect's logger, which exists in a run only."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, line: str) -> None:
        self.lines.append(line)


@contextmanager
def loaded(name: str, home: Path) -> Iterator[ModuleType]:
    """flows/`name`.py as Prefect loads it, which keeps its files in `home`; variables that it sets are gone
    afterwards."""
    spec = importlib.util.spec_from_file_location(f"prefect_{name}", FLOWS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with patch.dict(os.environ, PREFECT_HOME=str(home)):
        spec.loader.exec_module(module)
        yield module
