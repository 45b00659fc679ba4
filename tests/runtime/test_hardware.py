"""Cores are counted in one way, for people who share a machine; torch is imported by those who need it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from adrefine.runtime import hardware


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine of 16 cores, all of them ours; returns the file of the control group, which is not there."""
    monkeypatch.delattr(os, "process_cpu_count", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(hardware, "_CPU_MAX", tmp_path / "cpu.max")
    return tmp_path / "cpu.max"


def test_affinity_counts_and_not_the_size_of_the_machine(machine, monkeypatch):
    assert hardware.cores() == 16
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5, 8})
    assert hardware.cores() == 3


@pytest.mark.parametrize(("count", "cores"), [(4, 4), (None, 1)])
def test_without_affinity_it_is_the_size_of_the_machine(machine, monkeypatch, count, cores):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert hardware.cores() == cores


def test_a_newer_python_knows_itself(machine, monkeypatch):
    monkeypatch.setattr(os, "process_cpu_count", lambda: 7, raising=False)
    assert hardware.cores() == 7


@pytest.mark.parametrize(
    ("limit", "cores"),
    [("max 100000\n", 16), ("200000 100000\n", 2), ("150000 100000\n", 2), ("1000 100000\n", 1), ("odd", 16)],
)
def test_a_container_gets_no_more_processes_than_its_share(machine, limit, cores):
    machine.write_text(limit)
    assert hardware.cores() == cores


def test_counting_cores_imports_no_torch():
    code = (
        "import sys; from adrefine.runtime.hardware import cores; cores(); assert 'torch' not in sys.modules"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_nobody_else_counts_cores():
    package = Path(hardware.__file__).parents[1]
    files = [file for file in package.rglob("*.py") if file != Path(hardware.__file__)]
    assert not [
        file.name for file in files if "cpu_count" in file.read_text() or "getaffinity" in file.read_text()
    ]


@pytest.mark.parametrize(
    ("asked", "threads"), [(None, 16), ("4", 4), ("64", 16), ("3,2", 3), ("0", 1), ("", 16), ("many", 16)]
)
def test_as_many_threads_as_cores_and_no_more_than_asked_for(machine, monkeypatch, asked, threads):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if asked is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert hardware.threads() == threads


def test_a_container_with_little_time_gets_few_threads_whatever_is_asked_for(machine, monkeypatch):
    machine.write_text("200000 100000\n")
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert hardware.threads() == 2
