"""A sweep on two workers of which one dies in the middle: does it end in the same eight experiments?

    PYTHONPATH=tests python -m benchmarks.two_workers

Takes 10 to 15 minutes on two busy cores; writes results/two_workers.json.

In a temporary folder: a bare git remote, a DVC remote, a Prefect server, two workers, each with a clone, a
cache and a temporary folder of its own, and the tiny project of the tests. The sweep of eight runs is started
in another clone. When three experiments are done and the second worker runs one, all processes of that worker
are killed at once, as if its machine lost power. At the end a fresh clone asks git and DVC what there is.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from adrefine.dvc_driver.processes import output
from adrefine.serving.server import answers
from adrefine.sweeps import experiments, overrides, planning
from adrefine.sweeps.project import settings
from pipeline import photos, project

HERE = Path(__file__).resolve().parent
WANTED = ["refine.strategy=vanilla,osr,irp,mad", "noise.level=0.1,0.2"]
POOL, WORKERS, DONE_BEFORE = "adrefine", ("worker-a", "worker-b"), 3
SECRET = f"two:{secrets.token_urlsafe()}"
LONGEST = 1800.0  # seconds
PERSON = {
    f"GIT_{who}_{what}": f"{what.lower()}@example.org"
    for who in ("AUTHOR", "COMMITTER")
    for what in ("NAME", "EMAIL")
}


def main() -> None:
    """Run it and write the result."""
    with tempfile.TemporaryDirectory(prefix="two-workers-") as name:
        root = Path(name).resolve()
        commit = make_remotes(root)
        environment = common(root)
        programs: dict[str, subprocess.Popen[bytes]] = {}
        try:
            result = prove(root, commit, environment, programs)
        except BaseException:
            for log in sorted(root.glob("*.log")):
                print(f"--- {log.name}\n{log.read_text()[-3000:]}")
            raise
        finally:
            for program in programs.values():
                kill(program.pid)
    (HERE / "results/two_workers.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


def make_remotes(root: Path) -> str:
    """The tiny project as a bare git repository, with a folder as its DVC remote; its commit."""
    first = root / "first"
    project.create(first)
    photos.write_tree(first / project.PHOTOS)
    config = first / ".dvc/config"
    config.write_text(
        f"{config.read_text()}    remote = store\n['remote \"store\"']\n    url = {root}/store\n"
    )
    project.commit(first)
    (root / "store").mkdir()
    project.git(root, "clone", "--quiet", "--bare", str(first), "remote.git")
    shutil.rmtree(first)
    return project.git(root / "remote.git", "rev-parse", "HEAD").strip()


def common(root: Path) -> dict[str, str]:
    """Variables of every program: this server, and nothing read or written outside the folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "DVC_"))}
    return outside | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "HOME": str(root / "home"),
        "PREFECT_HOME": str(root / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_API_AUTH_STRING": SECRET,
        "PREFECT_API_AUTH_STRING": SECRET,
        "DO_NOT_TRACK": "1",
        "PREFECT_WORKER_QUERY_SECONDS": "3",
        "ADREFINE_DEVICE": "cpu",
        "OMP_NUM_THREADS": "1",
    }


def clone(root: Path, name: str, environment: dict[str, str]) -> dict[str, str]:
    """A clone in folder `name`, with caches of its own; the variables of a program that runs in it."""
    project.git(root, "clone", "--quiet", "remote.git", name)
    (root / f"{name}-tmp").mkdir()
    return environment | {
        "PYTHONPATH": str(root / name / "src"),
        "TMPDIR": str(root / f"{name}-tmp"),
        "ADREFINE_DVC_CACHE": str(root / f"{name}-cache/dvc"),
        "DVC_SITE_CACHE_DIR": str(root / f"{name}-tmp/site"),
    }


def prove(
    root: Path, commit: str, common: dict[str, str], programs: dict[str, subprocess.Popen[bytes]]
) -> dict[str, Any]:
    """The whole course; what happened."""

    def start(name: str, folder: Path, environment: dict[str, str], *command: str) -> None:
        with (root / f"{name}.log").open("wb") as log:
            programs[name] = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    (root / "home").mkdir()
    port = common["PREFECT_API_URL"].split(":")[2].split("/")[0]
    start("server", root, common, sys.executable, "-m", "adrefine.serving.guard", "--port", port)
    wait("the server", lambda: answers(common["PREFECT_API_URL"]))
    desk = clone(root, "desk", common)
    for command in (
        ["prefect", "work-pool", "create", POOL, "--type", "process"],
        ["prefect", "--no-prompt", "deploy", "--all"],
    ):
        subprocess.run(command, cwd=root / "desk", env=desk, check=True, capture_output=True)
    for name in WORKERS:
        worker = ["prefect", "worker", "start", "--pool", POOL, "--name", name, "--limit", "1"]
        start(name, root / name, clone(root, name, common), *worker)
    began = time.time()
    start("sweep", root / "desk", desk, sys.executable, "flows/sweep.py", *WANTED, "--pool", POOL)
    killed: dict[str, Any] = {}

    def victim_is_at_work() -> bool:
        assert programs["sweep"].poll() is None, "the sweep ended before a worker was killed"
        if len(pushed(root, commit)) < DONE_BEFORE:
            return False
        running = [run for run in runs(common) if run["state"] == "RUNNING" and run["worker"] == WORKERS[1]]
        killed.update(running[0] if running else {})
        return bool(running)

    wait("the second worker to run an experiment", victim_is_at_work)
    kill(programs[WORKERS[1]].pid)
    killed_after = time.time() - began
    done_before = len(pushed(root, commit))
    wait("the sweep to end", lambda: programs["sweep"].poll() is not None)
    seconds = time.time() - began
    assert programs["sweep"].returncode == 0, "the sweep failed"
    all_runs = runs(common)
    return {
        "command": f"python flows/sweep.py {' '.join(WANTED)} --pool {POOL}",
        "seconds": round(seconds, 1),
        "killed": {
            "worker": WORKERS[1],
            "while it ran": killed["experiment"],
            "after seconds": round(killed_after, 1),
            "experiments done by then": done_before,
        },
        "submitted again": [run["experiment"] for run in all_runs if run["state"] == "CRASHED"],
        "runs": [
            {
                **{key: run[key] for key in ("experiment", "worker", "state")},
                "began": round(run["start"] - began, 1) if run["start"] else None,
                "ended": round(run["end"] - began, 1) if run["end"] else None,
            }
            for run in all_runs
        ],
        "dvc exp show in a third clone": shown(root, commit, clone(root, "third", common)),
    }


def shown(root: Path, commit: str, environment: dict[str, str]) -> list[dict[str, Any]]:
    """What a clone that took no part has after `dvc exp pull`: names and figures; all files are there."""
    folder = root / "third"
    pull = [sys.executable, "-m", "dvc", "exp", "pull", "--rev", commit, "origin"]
    subprocess.run(pull, cwd=folder, env=environment, check=True, capture_output=True)
    os.environ.update(environment | PERSON)
    results = experiments.results(folder, commit)
    for name in results:  # the files of each: the cleaned data set and the model among them
        output([sys.executable, "-m", "dvc", "exp", "apply", name], folder=folder)
        missing = [
            path for path in ("data/refined/manifest.csv", "models/refined") if not (folder / path).exists()
        ]
        assert not missing, f"{name}: {missing}"
    planned = experiments.plan(settings(folder, commit), overrides.read(WANTED))
    assert experiments.done(planned, results) == {experiment.name for experiment in planned} == set(results)
    return planning.table(planned, results)


def pushed(root: Path, commit: str) -> list[str]:
    """Experiments that the git remote has."""
    refs = f"refs/exps/{commit[:2]}/{commit[2:]}"
    return project.git(root / "remote.git", "for-each-ref", "--format=%(refname)", refs).splitlines()


_ASK = """
import json
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowFilter, FlowFilterName, LogFilter, LogFilterFlowRunId)
client = get_client(sync_client=True)
said = []
for run in client.read_flow_runs(flow_filter=FlowFilter(name=FlowFilterName(any_=["adrefine-experiment"]))):
    logs = client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run.id])))
    named = [log.message.split()[1].rstrip(",") for log in logs if log.message.startswith("worker ")]
    said.append({"experiment": run.name, "worker": named[0] if named else None, "state": run.state.type.value,
                 "start": run.start_time.timestamp() if run.start_time else None,
                 "end": run.end_time.timestamp() if run.end_time else None})
print(json.dumps(sorted(said, key=lambda run: run["start"] or 0)))
"""


def runs(environment: dict[str, str]) -> list[dict[str, Any]]:
    """The runs that the server knows, in the order of their start, with the worker of each."""
    done = subprocess.run(
        [sys.executable, "-c", _ASK], env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def wait(what: str, condition: Any) -> None:
    """Until the condition holds."""
    end = time.monotonic() + LONGEST
    while not condition():
        assert time.monotonic() < end, f"waited too long for {what}"
        time.sleep(2)


def kill(pid: int) -> None:
    """End a program and all that it started, without warning."""
    with suppress(psutil.NoSuchProcess):
        program = psutil.Process(pid)
        for process in [program, *program.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)


if __name__ == "__main__":
    main()
