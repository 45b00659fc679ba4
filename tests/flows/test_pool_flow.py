"""The flow of a pool's workers and what the sweep asks of Prefect, with a made-up client; no server."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
import yaml

from adrefine.errors import UserError
from adrefine.sweeps.experiments import Experiment
from adrefine.sweeps.isolated import Source
from loaded_flow import loaded

ROOT = Path(__file__).parents[2]
ID = "00000000-0000-0000-0000-000000000001"
EXPERIMENT = Experiment("osr", {"refine.strategy": "osr"}, {})


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """flows/pool.py; the variables that it sets are gone afterwards."""
    with loaded("pool", tmp_path_factory.mktemp("prefect")) as module:
        yield module


class Client:
    """Prefect's client, with one deployment and the runs and heartbeats of the test."""

    api_url = "http://prefect:4200/api"

    def __init__(self) -> None:
        self.variables: dict[str, Any] = {"env": {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}}
        self.runs: list[SimpleNamespace] = []
        self.beats: list[datetime] = []
        self.set: list[tuple[UUID, str, bool]] = []

    def read_deployment_by_name(self, name: str) -> SimpleNamespace:
        assert name == "adrefine-experiment/gpus"
        return SimpleNamespace(id=UUID(int=7), job_variables=self.variables)

    def read_flow_runs(self, flow_run_filter: Any) -> list[SimpleNamespace]:
        assert flow_run_filter.deployment_id.any_ == [UUID(int=7)]
        names, kinds = flow_run_filter.name.any_, flow_run_filter.state.type.any_
        return [run for run in self.runs if run.name in names and run.state.type in kinds]

    def read_flow_run(self, run: UUID) -> SimpleNamespace:
        return next(known for known in self.runs if known.id == run)

    def read_events(self, filter: Any, limit: int) -> SimpleNamespace:
        assert filter.resource.id == [f"prefect.flow-run.{ID}"]
        return SimpleNamespace(events=[SimpleNamespace(occurred=beat) for beat in self.beats[:limit]])

    def set_flow_run_state(self, run: UUID, state: Any, force: bool = False) -> None:
        self.set.append((run, state.type.value, force))


@pytest.fixture
def client(flow: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Client:
    made_up = Client()
    monkeypatch.setattr(flow, "get_client", lambda sync_client: made_up)
    return made_up


def known(flow: ModuleType, kind: str, ago: float = 0.0, **given: Any) -> SimpleNamespace:
    """A run of EXPERIMENT in that state since `ago` seconds."""
    parameters = {"repository": "url", "commit": "c", "name": "osr", "overrides": EXPERIMENT.overrides}
    since = datetime.now(UTC) - timedelta(seconds=ago)
    state = SimpleNamespace(type=flow.StateType[kind], timestamp=since, message="why")
    return SimpleNamespace(id=UUID(ID), name="osr", parameters={**parameters, **given}, state=state)


def test_a_run_that_a_killed_sweep_handed_in_is_found_again(
    flow: ModuleType, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed_in: list[Any] = []

    def deploy(*arguments: Any, **named: Any) -> SimpleNamespace:
        handed_in.append((arguments, named))
        return SimpleNamespace(id="new")

    monkeypatch.setattr(flow, "run_deployment", deploy)
    pool = flow.Pool("gpus", "url", "c")
    client.runs = [known(flow, "RUNNING", commit="another"), known(flow, "CRASHED")]
    assert pool.submit(EXPERIMENT) == "new"
    assert handed_in == [
        (
            ("adrefine-experiment/gpus",),
            {
                "parameters": known(flow, "RUNNING").parameters,
                "flow_run_name": "osr",
                "timeout": 0,
            },
        )
    ]
    client.runs.append(known(flow, "PENDING"))
    assert pool.submit(EXPERIMENT) == ID
    assert len(handed_in) == 1


@pytest.mark.parametrize(
    ("kind", "phase"),
    [("SCHEDULED", "waiting"), ("COMPLETED", "completed"), ("CRASHED", "lost"), ("CANCELLED", "cancelled")],
)
def test_states_become_phases(flow: ModuleType, client: Client, kind: str, phase: str) -> None:
    client.runs = [known(flow, kind, ago=500)]
    assert flow.Pool("gpus", "url", "c").see(ID) == flow.Sight(phase, 0.0, "why")


def test_every_state_of_prefect_has_a_phase(flow: ModuleType) -> None:
    assert set(flow._PHASES) == set(flow.StateType)


def test_silence_counts_from_the_last_heartbeat_or_the_change_of_state(
    flow: ModuleType, client: Client
) -> None:
    client.runs = [known(flow, "RUNNING", ago=500)]
    pool = flow.Pool("gpus", "url", "c")
    assert pool.see(ID).silent == pytest.approx(500, abs=5)
    client.beats = [datetime.now(UTC) - timedelta(seconds=20), datetime.now(UTC) - timedelta(seconds=50)]
    assert pool.see(ID).silent == pytest.approx(20, abs=5)


def test_the_heartbeat_is_the_deployments_or_prefects(flow: ModuleType, client: Client) -> None:
    assert flow.Pool("gpus", "url", "c").heartbeat == 30
    client.variables = {}
    assert flow.Pool("gpus", "url", "c").heartbeat == 180


def test_lost_runs_crash_and_stopped_ones_are_cancelled(flow: ModuleType, client: Client) -> None:
    pool = flow.Pool("gpus", "url", "c")
    pool.lose(ID, "silent")
    pool.cancel(ID)
    assert client.set == [(UUID(ID), "CRASHED", True), (UUID(ID), "CANCELLING", False)]


def test_a_pool_without_the_deployment_is_told(
    flow: ModuleType, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(name: str) -> None:
        raise flow.ObjectNotFound(Exception())

    monkeypatch.setattr(client, "read_deployment_by_name", nothing)
    with pytest.raises(UserError, match=r"has no deployment adrefine-experiment/gpus: see docs/machines\.md"):
        flow.Pool("gpus", "url", "c")


def test_a_worker_runs_the_experiment_with_its_own_cache(
    flow: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def run(*arguments: Any) -> Generator[str]:
        seen.extend(arguments)
        yield "done"
        raise UserError("no space left")

    log: list[str] = []
    monkeypatch.setattr(flow.isolated, "run", run)
    monkeypatch.setattr(flow, "get_run_logger", lambda: SimpleNamespace(info=log.append))
    monkeypatch.setenv("ADREFINE_DVC_CACHE", str(tmp_path / "dvc"))
    monkeypatch.chdir(tmp_path)
    state = flow.run_on_worker.fn("url", "c", "osr", EXPERIMENT.overrides)
    assert state.is_failed()
    assert state.message == "no space left"
    assert seen == [
        Source("url", "c", tmp_path / "dvc", tmp_path / "side", pull=True),
        EXPERIMENT,
        tmp_path / "run/osr",
    ]
    assert log[-1] == "done"


def test_the_deployment_is_of_this_flow_and_named_after_its_pool(flow: ModuleType) -> None:
    (deployment,) = (
        entry
        for entry in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
        if entry["entrypoint"].startswith("flows/pool.py:")
    )
    assert getattr(flow, deployment["entrypoint"].partition(":")[2]).name == flow.FLOW
    assert deployment["name"] == deployment["work_pool"]["name"]
    heartbeat = deployment["work_pool"]["job_variables"]["env"]["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"]
    assert int(heartbeat) >= 30  # Prefect refuses less


def test_no_run_is_given_a_token_of_the_remote(flow: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """What workers clone becomes a parameter of their runs, which the server keeps and shows."""
    remote = "https://bob:SECRET@host.example/r.git"

    def git(command: list[str], folder: Path) -> str:
        return "origin/main" if "branch" in command else remote

    monkeypatch.setattr(flow, "output", git)
    monkeypatch.setattr(flow.origin, "output", git)
    assert flow.repository(Path(), "0" * 40) == "https://host.example/r.git"
    monkeypatch.setattr(flow, "output", lambda command, folder: "")
    with pytest.raises(UserError, match="does not have commit") as told:
        flow.repository(Path(), "0" * 40)
    assert "SECRET" not in str(told.value)
    (deployment,) = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    (build,) = deployment["build"]
    assert build["prefect.deployments.steps.run_shell_script"]["script"] == "python -m adrefine.sweeps.origin"
