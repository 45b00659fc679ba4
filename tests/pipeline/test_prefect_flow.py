"""The real flow with a real server on a tiny project: the results of `dvc repro`, shown in Prefect."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest

from pipeline.project import STAGES, Project, Run
from prefect_server import Server

pytestmark = pytest.mark.pipeline


@pytest.fixture(scope="module")
def flowed(
    template: Project, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Project, dict[str, object], str]:
    """A project whose graph a flow ran once from nothing, the flow run and what it printed."""
    copy = template.clone(tmp_path_factory.mktemp("flowed") / "copy")
    process = copy.flow(variables=server.variables)
    out, _ = process.communicate(timeout=600)
    assert process.returncode == 0, out
    return copy, server.last_run(), out


def test_a_flow_makes_what_dvc_makes(
    flowed: tuple[Project, dict[str, object], str], first: tuple[Project, Run, str]
) -> None:
    assert flowed[0].lock == first[2]
    assert flowed[0].repro().skipped == set(STAGES)


def test_there_is_a_task_for_each_stage_in_the_order_of_the_run(
    flowed: tuple[Project, dict[str, object], str], server: Server
) -> None:
    tasks = server.tasks(flowed[1], "publish")
    assert tasks[0] == ("plan", "Completed")
    assert tasks[-1] == ("publish", "Completed")
    assert tasks[1:-1] == [(name, "Ran") for name in STAGES]


def test_the_log_of_a_stage_is_in_its_task(
    flowed: tuple[Project, dict[str, object], str], server: Server
) -> None:
    run = flowed[1]
    task = server.ask(
        "task_runs/filter", flow_runs={"id": {"any_": [run["id"]]}}, task_runs={"name": {"any_": ["refine"]}}
    )
    logs = server.ask("logs/filter", logs={"task_run_id": {"any_": [task[0]["id"]]}})
    said = [line["message"] for line in logs]
    assert "Running stage 'refine':" in said
    assert sum("refine.max_rounds = 3 reached" in line for line in said) == 1
    assert 0 < sum("round/s]" in line or "s/round]" in line for line in said) < 6


def test_the_artifacts_show_graph_figures_and_what_was_removed(
    flowed: tuple[Project, dict[str, object], str], server: Server
) -> None:
    copy, run, _ = flowed
    artifacts = server.artifacts(run)
    assert artifacts.keys() == {"graph", "metrics", "removed", "report"}
    assert artifacts["graph"].count(":::ran") == len(STAGES)
    assert artifacts["graph"].count("| never ran |") == len(STAGES)
    measured = json.loads((copy.root / "reports/metrics.json").read_text())
    assert artifacts["metrics"][0] == {
        "figure": "auroc",
        "before cleaning": round(measured["detection"]["initial"]["auroc"], 4),
        "after cleaning": round(measured["detection"]["refined"]["auroc"], 4),
        "ceiling": round(measured["detection"]["oracle"]["auroc"], 4),
    }
    assert len(artifacts["removed"]) == measured["cleaning"]["removed"] > 0
    assert all(row["score"] > row["threshold"] for row in artifacts["removed"])
    assert (copy.root / "reports/report.html").resolve().as_uri() in artifacts["report"]


def test_a_failed_stage_fails_its_task_and_the_flow(ready: Project, server: Server) -> None:
    ready.set({"validate.min_train": 1000})
    process = ready.flow(variables=server.variables)
    out, _ = process.communicate(timeout=600)
    assert process.returncode != 0
    run = server.last_run()
    assert run["state"]["name"] == "Failed"
    assert "failed to reproduce 'validate'" in run["state"]["message"], out
    names = dict(server.tasks(run, "publish"))
    assert names == {"plan": "Completed", "ingest": "Skipped", "validate": "Failed", "publish": "Completed"}
    artifacts = server.artifacts(run)
    assert artifacts.keys() == {"graph"}
    assert artifacts["graph"].count(":::not_run") == len(STAGES) - 2
    assert artifacts["graph"].count(":::failed") == 1


def test_a_wrong_setting_on_the_command_line_runs_nothing(ready: Project, server: Server) -> None:
    settings = (ready.root / "params.yaml").read_text()
    for arguments, said in [
        (["--strategy", "magic"], "invalid choice: 'magic'"),
        (["--strategy", "mad", "--lambda", "2"], "strategy mad has no λ"),
    ]:
        process = ready.flow(*arguments, variables=server.variables)
        out, _ = process.communicate(timeout=120)
        assert process.returncode != 0
        assert said in out
    assert (ready.root / "params.yaml").read_text() == settings


def test_a_stopped_flow_leaves_nothing_running_and_the_workspace_sound(
    ready: Project, server: Server
) -> None:
    ready.set(
        {"detector": "differnet", "differnet.seed": 7, "differnet.epochs": 2000, "differnet.patience": 2000}
    )
    process = ready.flow(variables=server.variables)
    assert process.stdout is not None
    for line in process.stdout:
        if "> python -m adrefine.stages.train" in line:
            break
    end = time.monotonic() + 120
    while not any("stages.train" in command for command in ready.processes()):
        assert time.monotonic() < end
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGTERM)
    process.communicate(timeout=120)
    assert process.returncode != 0
    assert ready.processes() == []
    assert server.last_run()["state"]["type"] in ("CRASHED", "CANCELLED", "FAILED")

    ready.set({"detector": "differnet", "differnet.seed": 7})
    resumed = ready.repro()
    assert resumed.ran == {"select", "train", "refine", "evaluate"}
    lock = ready.lock
    again = ready.repro("--force", "--single-item", "train", "refine", "evaluate")
    assert again.ran == {"train", "refine", "evaluate"}
    assert ready.lock == lock
