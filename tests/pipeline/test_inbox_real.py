"""The inbox flow on a real graph: photos in, a model promoted, a worse one refused, a kill survived."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import psutil
import pytest

from adrefine.serving import versions
from pipeline import photos
from pipeline.project import PHOTOS, Project
from prefect_server import Server

pytestmark = pytest.mark.pipeline
SETTINGS = {
    "noise.level": 0.0,
    "inbox.settle": 0.2,
    "refine.strategy": "vanilla",
    "promotion.tolerance": 0.0,
}


class Inbox:
    """A project with an inbox."""

    def __init__(self, project: Project, server: Server) -> None:
        self.project, self.server = project, server
        self.promoted, self.folder = project.root / "promoted", project.root / "data/inbox"

    def start(self, project: Project) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "flows/inbox.py"],
            cwd=project.root,
            env=project.environment() | self.server.variables | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self) -> str:
        process = self.start(self.project)
        out, _ = process.communicate(timeout=900)
        assert process.returncode == 0, out
        return out

    def killed(self, at: str) -> None:
        """Run until a line holds `at`, then SIGKILL the flow and all that it started."""
        process = self.start(self.project.cold)
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if at in line:
                break
        flow = psutil.Process(process.pid)
        for one in [flow, *flow.children(recursive=True)]:
            one.kill()
        process.wait()
        assert any(at in line for line in lines), "".join(lines)

    def history(self) -> list[tuple[str, str]]:
        return [(line["decision"], line["version"]) for line in versions.history(self.promoted)]

    def sources(self) -> list[str]:
        """Photos from the inbox that the graph has ingested."""
        table = pd.read_csv(self.project.root / "data/ingested/manifest.csv", dtype=str)
        return sorted(name for name in table["source"] if "/inbox-" in name)


@pytest.fixture(scope="module")
def inbox(template: Project, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Inbox:
    project = template.clone(tmp_path_factory.mktemp("inbox") / "copy")
    project.set(SETTINGS)
    return Inbox(project, server)


def test_photos_are_learned_and_promoted_though_the_run_is_killed(inbox: Inbox) -> None:
    for number in range(3):
        photos.save(inbox.folder / f"line {number % 2}/photo.{number}.png", photos.plate(6000 + number))
    dropped = sorted(path.read_bytes() for path in inbox.folder.rglob("*.png"))
    inbox.killed("3 new photos taken")
    assert inbox.history() == [("promoted", "0001")]
    out = inbox.run()
    arrived = (inbox.project.root / PHOTOS / "train/good").glob("inbox-*")
    assert sorted(path.read_bytes() for path in arrived) == dropped
    assert len(inbox.sources()) == 3
    assert not (inbox.promoted / versions.UNDECIDED).exists()
    assert len(inbox.history()) == 2
    told = versions.history(inbox.promoted)[1]
    assert "both on the same 8 good and 7 defective held-out photos" in told["reason"] in out
    assert (told["decision"] == "promoted") == (float(told["value"]) >= float(told["reference"]))


def test_the_figure_is_that_of_the_report_and_the_version_can_be_restored(inbox: Inbox) -> None:
    measured = json.loads((inbox.project.root / "reports/metrics.json").read_text())
    told = versions.history(inbox.promoted)[-1]
    assert float(told["value"]) == pytest.approx(measured["detection"]["refined"]["auroc"], abs=1e-6)
    first = json.loads((inbox.promoted / "0001/promotion.json").read_text())
    assert 'alt="Heat map of ' in (inbox.promoted / "0001/report.html").read_text()
    assert first["from_inbox"] == 0
    assert first["git_commit"] == inbox.project.git("rev-parse", "HEAD").strip()
    for name in ("params.yaml", "dvc.lock"):
        (inbox.project.root / name).write_bytes((inbox.promoted / "0001" / name).read_bytes())
    assert inbox.project.run("dvc", "checkout").code == 0
    for inside, outside in (("manifest.csv", "data/refined"), ("model/padim.pt", "models/refined")):
        restored = inbox.project.root / outside / Path(inside).name
        assert restored.read_bytes() == (inbox.promoted / "0001" / inside).read_bytes()


def test_a_model_that_is_worse_is_refused_with_the_reason(inbox: Inbox) -> None:
    """Forty photos of defective parts were dropped as good ones."""
    inbox.project.set(SETTINGS)
    before = versions.current(inbox.promoted)
    for number in range(20):
        for place, (kind, shape) in enumerate(photos.DEFECTS.items()):
            values, _ = photos.damaged(9000 + 100 * place + number, shape)
            photos.save(inbox.folder / f"{kind} {number}.png", values)
    out = inbox.run()
    told = versions.history(inbox.promoted)[-1]
    assert told["decision"] == "refused", told
    assert float(told["value"]) < float(told["reference"])
    assert told["reason"].startswith("worse by more than promotion.tolerance = 0: AUROC ")
    assert f"refused, promoted/current stays {before}" in out
    assert versions.current(inbox.promoted) == before
    assert len(inbox.sources()) == 43  # they stay: what the next model makes of them is open


def test_with_nothing_new_nothing_runs(inbox: Inbox) -> None:
    before = inbox.history()
    assert "data/inbox holds no new photo" in inbox.run()
    assert inbox.history() == before
