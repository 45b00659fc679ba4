"""The one place that decides device and cores."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")  # Linux control groups, version 2


def cores() -> int:
    """Cores that this process may use: its CPU affinity, and no more than a container's share of time."""
    if hasattr(os, "process_cpu_count"):  # Python 3.13
        allowed = os.process_cpu_count()
    elif hasattr(os, "sched_getaffinity"):  # Linux
        allowed = len(os.sched_getaffinity(0))
    else:
        allowed = os.cpu_count()
    return max(1, min(allowed or 1, _quota(_CPU_MAX)))


def _quota(file: Path) -> int:
    """Whole cores that the control group in `file` grants, rounded up; where it sets no limit, very many."""
    try:
        quota, period = map(int, file.read_text().split())
    except (OSError, ValueError):  # no such file, or `max 100000`
        return sys.maxsize
    return -(-quota // period)


def threads() -> int:
    """Threads that compute at the same time: one a core, and no more than OMP_NUM_THREADS, if that is set."""
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]  # a list: one number a level of nesting
    return min(cores(), max(1, int(asked))) if asked.isdigit() else cores()


@lru_cache(maxsize=1)
def device() -> torch.device:
    """CUDA where there is one, else the CPU. ADREFINE_DEVICE (cpu, cuda, cuda:1 ...) overrides."""
    import torch

    name = os.environ.get("ADREFINE_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


def use_one_core() -> None:
    """Let the calling thread's torch operations run on one core."""
    import torch

    torch.set_num_threads(1)


@contextmanager
def one_core_each() -> Iterator[None]:
    """Within the block torch uses one core per Python thread; then as many as before."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
