"""Two worker processes give the bytes of a single process, though workers die in the middle."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from adrefine.errors import UserError
from adrefine.features import shards
from adrefine.runtime import cluster, dask_cluster
from runtime import on_cluster
from trees import pixels, save

PHOTOS = 20
TESTS = Path(__file__).parents[1]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with photos; among them a white, a black and a broken one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shards, "MOST", 8)
    Path("params.yaml").touch()
    for number in range(PHOTOS):
        save(Path(f"photos/{'good' if number > 1 else 'late'}{number:02}.png"), pixels(number, 32, 32))
    for name, value in (("black", 0), ("good-white", 255)):
        save(Path(f"photos/{name}.png"), np.full((32, 32), value, np.uint8))
    Path("photos/broken.png").write_bytes(Path("photos/late00.png").read_bytes()[:200])
    return tmp_path


def test_workers_give_the_bytes_of_one_process_and_name_what_kills_them(project: Path) -> None:
    said = _on_cluster(project).splitlines()
    assert (project / "died").exists()
    assert said[0] == f"computed: {PHOTOS - 1}"
    assert said[1].startswith("said: photos/black.png: 2 workers died of it")
    assert said[1].endswith("(1 more)")  # the broken one
    assert said[2] == "computed then: 0"  # beside the two nothing was lost
    photos = [path for path in sorted(Path("photos").iterdir()) if path.stem[0] in "gl"]
    on_cluster.embedded(Path("here"), photos)
    on_cluster.learned(Path("here"), photos)
    files = [path.relative_to("here") for path in Path("here").rglob("*.*") if path.suffix != ".sqlite"]
    assert {"maps-0000.npy", "maps-0003.npy", "padim.pt", "evidence.csv"} <= {path.name for path in files}
    for path in files:
        assert ("here" / path).read_bytes() == ("cluster" / path).read_bytes(), path


def added(count: int) -> str:
    return cluster.tree(
        lambda sign, job: f"{sign}{job}", lambda one, other: f"({one} {other})", range(count), "sum", "+"
    )


def test_a_tree_adds_in_an_order_that_the_number_of_jobs_decides() -> None:
    assert added(1) == "+0"
    assert added(5) == "(((+0 +1) (+2 +3)) +4)"
    assert added(6) == "(((+0 +1) (+2 +3)) (+4 +5))"


@pytest.mark.parametrize("count", range(1, 10))
def test_workers_that_end_in_any_order_add_in_that_one(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    alone, rng = added(count), np.random.default_rng(count)

    def submitter(function: Any, name: str, shared: Any) -> Any:
        def submit(number: int, job: Any) -> SimpleNamespace:
            given = [part.made for part in job] if function is cluster._pair else job
            return SimpleNamespace(wrapped_future=object(), made=function(shared, given))

        return submit

    monkeypatch.setattr(cluster, "_work", print)
    monkeypatch.setattr(cluster, "_submitter", submitter)
    monkeypatch.setattr(cluster, "_result", lambda future: future.made)
    monkeypatch.setattr(dask_cluster, "slots", lambda: 3)
    monkeypatch.setattr(dask_cluster, "done_of", lambda futures: [futures[rng.integers(len(futures))]])
    assert added(count) == alone


def test_a_scheduler_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(UserError, match="no Dask scheduler answers there"):
        cluster.run(address, "test", lambda: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'adrefine\[dask\]'"):
        cluster.run("local", "test", lambda: None)


def _on_cluster(project: Path) -> str:
    """What on_cluster.py prints, with a Prefect server of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    source = TESTS.parent / "src"
    own = {
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_HOME": str(project / "prefect"),
        "ADREFINE_CACHE_DIR": str(project / "side"),
        "PYTHONPATH": os.pathsep.join(map(str, (source, TESTS))),
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    done = subprocess.run(
        [sys.executable, "-m", "runtime.on_cluster"],
        env=kept | own,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
