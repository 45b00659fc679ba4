"""docs/use.md: from photos to predictions, every line of it, and the graph's scores found again."""

from __future__ import annotations

import json
import shlex
import shutil
import socket
import subprocess
from contextlib import ExitStack
from functools import cache

import pandas as pd
import pytest

from adrefine import manifest
from docs import pages
from pipeline.project import PHOTOS, Project, Run

pytestmark = pytest.mark.pipeline
SECTION, PORT = "From a folder of photos to a prediction", "8321"


def test_the_walk_through_does_what_it_says(first: tuple[Project, Run, str]) -> None:
    project = first[0]
    project.reset()
    tested = sorted((project.root / PHOTOS / "test").rglob("*.png"))
    (project.root / "new").mkdir()
    for number, photo in enumerate(tested):
        shutil.copyfile(photo, project.root / f"new/{number}.png")
    with ExitStack() as running:
        for words, text in _blocks():
            if words == "sh":
                for line in text.splitlines():
                    _command(project, running, line)
            else:
                (project.root / "walk.py").write_text(text)
                run = project.run("walk")
                assert not run.code, run.err
                assert "(64, 64)" in run.out
    _compare(project)


def _command(project: Project, running: ExitStack, line: str) -> None:
    """A line of a shell block; a server stays until the end."""
    program, *arguments = shlex.split(line.replace(PORT, str(_port())))
    module = "adrefine.cli" if program == "adrefine" else program
    if arguments[-1] == "&":
        server = project.start(module, *arguments[:-1], "--port", str(_port()))
        running.callback(server.wait, 20)
        running.callback(server.terminate)
    elif program == "curl":
        done = subprocess.run(
            ["curl", "-sS", *arguments], cwd=project.root, capture_output=True, text=True, check=True
        )
        said = json.loads(done.stdout)
        table = pd.read_csv(project.root / "results/predictions.csv").set_index("path")
        assert said["score"] == pytest.approx(table.at["new/0.png", "score"], rel=1e-8)
        assert said["model"]["name"] == "bundle"
    else:
        run = project.run(module, *arguments)
        assert not run.code, f"{line}: {run.out}{run.err}"


@cache
def _port() -> int:
    """A free one."""
    with socket.create_server(("127.0.0.1", 0)) as place:
        return int(place.getsockname()[1])


def _compare(project: Project) -> None:
    """Predicted scores are those that evaluate measured: of the last round, for every test photo."""
    found = pd.read_csv(project.root / "results/predictions.csv").set_index("path")
    rounds = pd.read_csv(project.root / "data/refined/round_scores.csv", dtype={"image_id": str})
    known = rounds.set_index("image_id").iloc[:, -1]
    ids = found["sha256"].str[:16]
    both = found[ids.isin(known.index)]
    assert len(both) == manifest.read(project.root / "data/noisy/manifest.csv")["in_test"].sum()
    assert both["score"].tolist() == pytest.approx(known[both["sha256"].str[:16]].tolist(), rel=1e-6)
    assert set(found["verdict"]) <= {"good", "defective"}


def _blocks() -> list[tuple[str, str]]:
    text = pages.text("docs/use.md").split(f"## {SECTION}\n")[1].split("\n## ")[0]
    found = [block for block in pages.blocks("docs/use.md") if block.text in text]
    assert {block.words[0] for block in found} == {"sh", "python"}
    return [(block.words[0], block.text) for block in found]
