"""A disk that is full while a graph is written: told in a line, whatever the library does."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from adrefine.errors import explained
from adrefine.export import formats

Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize("free", [0, 10**9])
def test_openvino_that_cannot_write(free: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Broken:
        def save_model(self, *_: Any) -> None:
            raise RuntimeError("basic_ios::clear: iostream error")

    monkeypatch.setattr(formats, "openvino_package", Broken)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 0, free))
    with pytest.raises((OSError, RuntimeError)) as told:
        formats._save(None, tmp_path / "model.xml")
    line = explained(told.value)
    assert (line is None) if free else (line or "").startswith(f"{tmp_path}: the disk is full")
