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
    told: dict[Mutation, int] = {}
    for one in progress.over(chosen, label="mutations", unit="mutation"):
        told[one] = failed(one)
        if not told[one]:
            print(f"survived: {one.name}", flush=True)
    if not args.only:
        write_text(RESULTS / "mutations.md", report(told))
    survived = sum(not count for count in told.values())
    print(f"{len(told)} mutations, {survived} survived")
    sys.exit(bool(survived))


def failed(one: Mutation) -> int:
    """How many tests notice it; a package that cannot even be imported counts as one, and
    so does one that does not end."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(PACKAGE, Path(folder) / "adrefine", ignore=shutil.ignore_patterns("__pycache__"))
        file = Path(folder) / "adrefine" / one.file
        file.write_text(file.read_text().replace(one.line, one.broken))
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--no-header", "--tb=no", "-x"]
        command += ["-m", "not browser and not pipeline", *one.tests.split()]
        seen = os.environ | {"PYTHONPATH": folder, "ADREFINE_CACHE_DIR": f"{folder}/cache"}
        try:
            done = subprocess.run(
                command, cwd=ROOT / "tests", env=seen, capture_output=True, text=True, timeout=PATIENCE
            )
        except subprocess.TimeoutExpired:
            return 1
    if done.returncode not in (0, 1, 2):
        raise UserError(f"{one.name}: pytest could not run: {done.stdout[-500:]}{done.stderr[-500:]}")
    return done.returncode


def _once(one: Mutation) -> None:
    """Refuse a mutation of a line that is not there, or not alone."""
    count = (PACKAGE / one.file).read_text().count(one.line)
    if count != 1:
        raise UserError(
            f"benchmarks/mutations/equations.yaml: {one.name}: {one.file} has {one.line!r} {count} times"
        )


def report(told: dict[Mutation, int]) -> str:
    """A row for each."""
    cells = [
        [one.name, f"`{one.line}`", f"`{one.broken}`", "yes" if count else "**no**"]
        for one, count in told.items()
    ]
    heads = ["what is broken", "line", "becomes", "a test fails"]
    return "\n".join(["`python -m benchmarks.mutations`", "", *markdown(heads, cells)])


if __name__ == "__main__":
    main()
