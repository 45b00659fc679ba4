"""The sweep on a Prefect work pool: the flow that its workers run, and the submitting and watching of it.

prefect.yaml has the deployment; docs/machines.md says how to set up a pool and its workers.
"""

from __future__ import annotations

import os
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import adrefine.serving.environment  # noqa: F401  # isort: skip  # first, so that Prefect sends nothing anywhere

from prefect import State, flow, get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterName,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.deployments import run_deployment
from prefect.events.filters import (
    EventFilter,
    EventNameFilter,
    EventOccurredFilter,
    EventResourceFilter,
)
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelling, Crashed, Failed

from adrefine.dvc_driver.processes import output
from adrefine.errors import UserError
from adrefine.sweeps import isolated, origin, planning
from adrefine.sweeps.experiments import Experiment
from adrefine.sweeps.machines import Phase, Sight

FLOW = "adrefine-experiment"
_PREFECTS_HEARTBEAT = 180  # seconds, where the deployment does not say
_PHASES: dict[StateType, Phase] = {
    StateType.SCHEDULED: "waiting",
    StateType.PAUSED: "waiting",
    StateType.PENDING: "starting",
    StateType.RUNNING: "running",
    StateType.CANCELLING: "running",
    StateType.COMPLETED: "completed",
    StateType.FAILED: "failed",
    StateType.CRASHED: "lost",
    StateType.CANCELLED: "cancelled",
}
_OPEN = [kind for kind, phase in _PHASES.items() if phase in ("waiting", "starting", "running")]


@flow(name=FLOW, flow_run_name="{name}")
def run_on_worker(repository: str, commit: str, name: str, overrides: dict[str, Any]) -> State | None:
    """One experiment of a sweep, in a clone of `repository`: pull, run, push data and experiment.

    The worker keeps DVC's cache in ADREFINE_DVC_CACHE (~/.cache/adrefine/dvc), for all its runs.
    """
    logger, home = get_run_logger(), Path.home() / ".cache/adrefine"
    cache = Path(os.environ.get("ADREFINE_DVC_CACHE", home / "dvc")).resolve()
    source = isolated.Source(repository, commit, cache, cache.with_name("side"), pull=True)
    worker = os.environ.get("PREFECT__WORKER_NAME", "?")
    logger.info(f"worker {worker}, cache {cache}")
    try:
        with closing(
            isolated.run(source, Experiment(name, overrides, {}), Path.cwd() / "run" / name)
        ) as lines:
            for line in filter(planning.worth_reading, lines):
                logger.info(line)
    except UserError as error:
        return Failed(message=planning.reason(error))
    return None


class Pool:
    """A work pool with the deployment of prefect.yaml, as the place where experiments run."""

    def __init__(self, name: str, repository: str, commit: str) -> None:
        """Find the deployment.

        Raises:
            UserError: it is not there.
        """
        self.client: SyncPrefectClient = get_client(sync_client=True)
        self.deployment = f"{FLOW}/{name}"
        self.given = {"repository": repository, "commit": commit}
        try:
            deployed = self.client.read_deployment_by_name(self.deployment)
        except ObjectNotFound:
            raise UserError(
                f"the Prefect server at {self.client.api_url} has no deployment {self.deployment}: "
                "see docs/machines.md"
            ) from None
        self.id = deployed.id
        variables = (deployed.job_variables or {}).get("env") or {}
        self.heartbeat = float(variables.get("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", _PREFECTS_HEARTBEAT))

    def submit(self, experiment: Experiment) -> str:
        """Hand in a run, or find the one that a killed sweep handed in."""
        parameters = {**self.given, "name": experiment.name, "overrides": experiment.overrides}
        known = self.client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                name=FlowRunFilterName(any_=[experiment.name]),
                deployment_id=FlowRunFilterDeploymentId(any_=[self.id]),
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_OPEN)),
            )
        )
        for run in known:
            if run.parameters == parameters:
                return str(run.id)
        run = run_deployment(self.deployment, parameters=parameters, flow_run_name=experiment.name, timeout=0)
        return str(run.id)

    def see(self, run: str) -> Sight:
        """Its state, and how long ago it was last heard of."""
        flow_run = self.client.read_flow_run(UUID(run))
        state = flow_run.state
        assert state is not None
        phase = _PHASES[state.type]
        silent = 0.0
        if phase in ("starting", "running"):
            silent = (datetime.now(UTC) - max(state.timestamp, self._heartbeat(run))).total_seconds()
        return Sight(phase, silent, state.message or "")

    def _heartbeat(self, run: str) -> datetime:
        """When the run last said that it lives."""
        since = datetime.now(UTC) - timedelta(hours=1)
        page = self.client.read_events(
            EventFilter(
                occurred=EventOccurredFilter(since=since),
                event=EventNameFilter(name=["prefect.flow-run.heartbeat"]),
                resource=EventResourceFilter(id=[f"prefect.flow-run.{run}"]),
            ),
            limit=1,
        )
        return page.events[0].occurred if page.events else since

    def lose(self, run: str, reason: str) -> None:
        self.client.set_flow_run_state(UUID(run), Crashed(message=reason), force=True)

    def cancel(self, run: str) -> None:
        self.client.set_flow_run_state(UUID(run), Cancelling())


def repository(root: Path, commit: str) -> str:
    """URL of the git remote `origin`, from which workers clone, each with its own credentials.

    Raises:
        UserError: it does not have the commit.
    """
    url = origin.url(root)
    output(["git", "fetch", "--quiet", "origin"], folder=root)
    if not output(["git", "branch", "--remotes", "--contains", commit], folder=root).strip():
        raise UserError(f"workers clone {url}, which does not have commit {commit[:8]}: git push")
    return url
