"""docs/use.md: from photos to predictions, every line of it, and the graph's scores found again."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest

from adrefine import manifest
from docs import pages
from pipeline.project import PHOTOS, Project, Run

pytestmark = pytest.mark.pipeline
SECTION = "From a folder of photos to a prediction"


def test_the_walk_through_does_what_it_says(first: tuple[Project, Run, str]) -> None:
    project = first[0]
    project.reset()
    tested = sorted((project.root / PHOTOS / "test").rglob("*.png"))
    (project.root / "new").mkdir()
    for number, photo in enumerate(tested):
        shutil.copyfile(photo, project.root / f"new/{number}.png")
    for words, text in _blocks():
        if words == "sh":
            for line in text.splitlines():
                module, *arguments = line.split()
                run = project.run("adrefine.cli" if module == "adrefine" else module, *arguments)
                assert not run.code, f"{line}: {run.out}{run.err}"
        else:
            (project.root / "walk.py").write_text(text)
            run = project.run("walk")
            assert not run.code, run.err
            assert "(64, 64)" in run.out
    _compare(project)


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
