"""Would the tests notice? Each entry of equations.yaml breaks one equation; its tests must fail.

    python -m benchmarks.mutations                # writes results/mutations.md
    python -m benchmarks.mutations --only osr     # those whose name has that word; writes nothing

The package is copied, broken and tested there; nothing of the repository is touched. What survives is a test
that is missing. The command fails if any does, or if a line to break is not there any more.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from adrefine import strict_yaml
from adrefine.errors import UserError
from adrefine.io import write_text
from adrefine.runtime import progress
from adrefine.text import markdown
from benchmarks.common import RESULTS

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src/adrefine"
PATIENCE = 300  # seconds
YES, HANGS, NO = "yes", f"not in {PATIENCE} s", "**no**"


class Mutation(NamedTuple):
    """What is broken: a `line` of a `file` becomes `broken`; `tests` of it, below tests/."""

    name: str
    file: str
    line: str
    broken: str
    tests: str


def main() -> None:
    """Break one after the other; write the table, and fail if one survived."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", metavar="WORD")
    args = parser.parse_args()
    listed = strict_yaml.read(Path(__file__).with_name("equations.yaml"))
    chosen = [one for one in (Mutation(**row) for row in listed) if args.only in one.name]
    for one in chosen:
        _once(one)
    _whole(chosen)
    told: dict[Mutation, str] = {}
    for one in progress.over(chosen, label="mutations", unit="mutation"):
        told[one] = noticed(one)
        if told[one] == NO:
            print(f"survived: {one.name}", flush=True)
    if not args.only:
        write_text(RESULTS / "mutations.md", report(told))
    survived = sum(answer == NO for answer in told.values())
    print(f"{len(told)} mutations, {survived} survived")
    sys.exit(bool(survived))


def noticed(one: Mutation, patience: int = 1) -> str:
    """YES if a test fails, or the package cannot even be imported; HANGS if the tests do not end; NO.

    patience: in PATIENCE.
    """
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(PACKAGE, Path(folder) / "adrefine", ignore=shutil.ignore_patterns("__pycache__"))
        file = Path(folder) / "adrefine" / one.file
        if one.line:
            file.write_text(file.read_text().replace(one.line, one.broken))
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--no-header", "--tb=no", "-x"]
        command += ["-m", "not browser and not pipeline", *one.tests.split()]
        seen = os.environ | {"PYTHONPATH": folder, "ADREFINE_CACHE_DIR": f"{folder}/cache"}
        try:
            limit = patience * PATIENCE
            done = subprocess.run(
                command, cwd=ROOT / "tests", env=seen, capture_output=True, text=True, timeout=limit
            )
        except subprocess.TimeoutExpired:
            return HANGS
    if done.returncode not in (0, 1, 2):
        raise UserError(f"{one.name}: pytest could not run: {done.stdout[-500:]}{done.stderr[-500:]}")
    return YES if done.returncode else NO


def _whole(chosen: list[Mutation]) -> None:
    """Refuse to break anything while tests fail without it: every answer would be yes."""
    tests = sorted({path for one in chosen for path in one.tests.split()})
    if noticed(Mutation("nothing", "__init__.py", "", "", " ".join(tests)), len(tests)) != NO:
        raise UserError(f"these fail or do not end with nothing broken: {', '.join(tests)}")


def _once(one: Mutation) -> None:
    """Refuse a mutation of a line that is not there, or not alone."""
    count = (PACKAGE / one.file).read_text().count(one.line)
    if count != 1:
        raise UserError(
            f"benchmarks/mutations/equations.yaml: {one.name}: {one.file} has {one.line!r} {count} times"
        )


def report(told: dict[Mutation, str]) -> str:
    """A row for each."""
    cells = [[one.name, _code(one.line), _code(one.broken), answer] for one, answer in told.items()]
    heads = ["what is broken", "line", "becomes", "a test fails"]
    return "\n".join(["`python -m benchmarks.mutations`", "", *markdown(heads, cells)])


def _code(lines: str) -> str:
    """As a cell of a table: in one line."""
    return " ".join(f"`{line.strip()}`" for line in lines.splitlines())


if __name__ == "__main__":
    main()
