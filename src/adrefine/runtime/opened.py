"""What is on disk, opened once by each process, and again when it was written anew."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def opened(make: Callable[..., T], mark: Path, *arguments: Hashable) -> T:
    """`make(*arguments)`, kept until `mark` is another file.

    A refinement asks for the same folder at every fit and score of every fold and round.

    Args:
        make: opens it; a class or a function of a module.
        mark: the file that is written last and never changed; without it nothing is kept, and `make` says
            what to run.
    """
    try:
        status = mark.stat()
    except FileNotFoundError:
        return make(*arguments)
    kept: T = _made(make, arguments, (status.st_dev, status.st_ino, status.st_mtime_ns))
    return kept


@lru_cache(maxsize=4)  # a run reads at most features or pixels, their teacher, and places
def _made(make: Callable[..., Any], arguments: tuple[Hashable, ...], written: tuple[int, ...]) -> Any:
    return make(*arguments)
