"""Prefect's pages in a real browser: the run, its tasks and artifacts, the form, and a cancel by click.

make test-ui           # what CI runs; Chromium is Debian's package
make screenshots       # the same, and the pictures in docs/ anew
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, get_args
from urllib.parse import urlparse

import pytest

import chromium
from adrefine.params import StrategyName
from pipeline.project import REPOSITORY, STAGES, Project
from prefect_server import PATIENCE, Server

pytestmark = pytest.mark.browser

DRAWN = 60_000  # milliseconds for a page to show something, on a machine that is busy, too


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium.started() as running:
        yield running


@pytest.fixture
def page(browser: Any, server: Server) -> Iterator[Any]:
    """A page that reaches the server and nothing else; what it asked for elsewhere must send nothing."""
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(DRAWN)
    elsewhere: list[Any] = []

    def only_the_server(route: Any) -> None:
        if urlparse(route.request.url).netloc == urlparse(server.address).netloc:
            route.continue_()
        else:
            elsewhere.append(route.request)
            route.abort()

    page.route("http*://**", only_the_server)
    page.goto(server.address)
    page.locator("input").first.fill(server.secret)
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Dashboard").first.wait_for()
    yield page
    page.close()
    # Prefect's page asks for the settings of its analytics, which are off; it works without an answer.
    assert [request.url for request in elsewhere if request.method != "GET" or request.post_data] == []


@pytest.fixture(scope="module")
def shown(first: tuple[Project, Any, str], server: Server) -> tuple[Project, dict[str, Any]]:
    """A flow run in which some stages ran, one was restored and some were skipped."""
    project = first[0]
    project.reset()
    project.repro()
    project.set({"noise.level": 0.1})
    project.repro("inject_noise")
    # A value that no other test sets: the project is shared, and what ran once would be restored.
    project.set({"noise.level": 0.1, "padim.top": 0.0731})
    process = project.flow("--noise", "0.2", variables=server.variables)
    out, _ = process.communicate(timeout=600)
    assert process.returncode == 0, out
    run = server.last_run()
    server.tasks(run, "publish", *STAGES)
    return project, run


@pytest.fixture
def picture(page: Any) -> Callable[[str], None]:
    """Write docs/NAME.png, if the pictures of the docs are to be made anew."""

    def write(name: str) -> None:
        if os.environ.get("SCREENSHOTS"):
            page.mouse.move(0, 0)
            page.wait_for_timeout(2500)  # the timeline moves into place
            page.screenshot(path=REPOSITORY / "docs" / name)

    return write


def test_a_run_shows_its_tasks_and_what_became_of_them(
    page: Any, server: Server, shown: tuple[Project, dict[str, Any]], picture: Callable[[str], None]
) -> None:
    run = shown[1]
    page.goto(f"{server.address}/v2/runs")
    there = page.get_by_role("link", name=run["name"]).first.get_attribute("href")
    page.goto(f"{server.address}{there}?tab=TaskRuns")
    counts = page.get_by_text(re.compile(r"^\(\d+ .*Ran.*\)$")).first.inner_text()
    assert set(counts.strip("()").split(", ")) == {"2 Completed", "4 Ran", "5 Skipped", "1 Restored"}
    page.locator("canvas").first.wait_for()  # the timeline, drawn after the page
    picture("prefect_run.png")
    page.get_by_placeholder("Search by run name").fill("inject_noise")
    page.get_by_role("link", name="inject_noise").first.click()
    said = "Stage 'inject_noise' is cached - skipping run, checking out outputs"
    page.get_by_text(said, exact=True).wait_for()


def test_the_graph_is_drawn_in_the_colours_of_what_happened(
    page: Any, server: Server, shown: tuple[Project, dict[str, Any]], picture: Callable[[str], None]
) -> None:
    page.goto(artifact(server, shown[1], "graph"))
    page.locator("svg .node").nth(len(STAGES) - 1).wait_for()
    page.wait_for_timeout(500)  # colours come after the shapes
    fill = "getComputedStyle(box.querySelector('rect')).fill"
    drawn = page.locator("svg .node").evaluate_all(f"all => all.map(box => [box.textContent, {fill}])")
    ran, restored = {"select", "train", "refine", "evaluate"}, {"inject_noise"}
    assert len(drawn) == len(STAGES)
    for text, colour in drawn:
        name = next(stage for stage in STAGES if text.strip().startswith(stage))
        if name in ran:
            assert (colour, "ran" in text) == ("rgb(46, 158, 91)", True)
        elif name in restored:
            assert (colour, "restored" in text) == ("rgb(59, 125, 216)", True)
        else:
            assert text.strip() == f"{name}skipped"
    page.get_by_text("noise.level").first.wait_for()
    picture("prefect_graph.png")


def test_the_tables_and_the_report_are_there(
    page: Any, server: Server, shown: tuple[Project, dict[str, Any]]
) -> None:
    run = shown[1]
    page.goto(artifact(server, run, "metrics"))
    for head in ("before cleaning", "after cleaning", "ceiling"):
        page.get_by_role("columnheader", name=head).wait_for()
    page.goto(artifact(server, run, "removed"))
    for row in server.artifacts(run)["removed"]:
        page.get_by_role("cell", name=row["image_id"], exact=True).wait_for()
    page.goto(artifact(server, run, "report"))
    page.get_by_text(f"In a browser: {shown[0].root.resolve()}/reports/report.html").wait_for()


def test_a_run_is_started_from_the_form_and_cancelled_by_click(
    page: Any, server: Server, shown: tuple[Project, dict[str, Any]]
) -> None:
    project = shown[0]
    project.set({"detector": "differnet", "differnet.epochs": 5000, "differnet.patience": 5000})
    serving = subprocess.Popen(
        [sys.executable, "-m", "prefect", "flow", "serve", "flows/pipeline.py:pipeline", "--name", "here"],
        cwd=project.root,
        env=project.environment() | server.variables | {"PREFECT_RUNNER_POLL_FREQUENCY": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: server.ask("deployments/filter"), "the deployment is served")
        deployment = server.ask("deployments/filter")[0]["id"]
        page.goto(f"{server.address}/v2/deployments/deployment/{deployment}/run")
        page.get_by_text("what removes photos").wait_for()
        page.get_by_role("tab", name="str").first.click()
        page.get_by_role("button", name="Select").first.click()
        page.get_by_role("option", name="osr").wait_for()
        assert page.get_by_role("option").all_inner_texts() == list(get_args(StrategyName))
        page.get_by_role("option", name="osr").click()
        page.get_by_role("option").first.wait_for(state="hidden")  # a click beneath the list would be lost
        submit = page.get_by_role("button", name="Submit")
        submit.click()
        page.wait_for_timeout(5000)
        of_it = {"deployments": {"id": {"any_": [deployment]}}}
        if not server.ask("flow_runs/filter", **of_it):  # the first click only took the focus from the list
            submit.click()
        until(lambda: server.ask("flow_runs/filter", **of_it), "the server has the run that was submitted")
        until(lambda: any("stages.train" in command for command in project.processes()), "training began")
        assert "strategy: osr" in (project.root / "params.yaml").read_text()
        run = server.last_run()
        page.goto(f"{server.address}/v2/runs/flow-run/{run['id']}")
        page.get_by_text("train").first.wait_for()
        page.get_by_role("button", name="Open menu").first.click()
        page.get_by_role("menuitem", name="Cancel").click()
        page.get_by_role("button", name="Cancel Flow Run").click()
        until(lambda: server.run(run["id"])["state"]["name"] == "Cancelled", "the run is cancelled")
        until(lambda: not any("dvc" in name or "stages" in name for name in project.processes()), "all ended")
    finally:
        serving.terminate()
        serving.wait(60)
    project.reset()
    run_again = project.repro()
    assert run_again.skipped | run_again.restored >= {
        "ingest",
        "embed",
    }  # no lock is left, and the workspace is sound


def artifact(server: Server, run: dict[str, Any], key: str) -> str:
    """The address of the run's artifact of that key."""
    found = server.ask(
        "artifacts/filter", flow_runs={"id": {"any_": [run["id"]]}}, artifacts={"key": {"any_": [key]}}
    )
    return f"{server.address}/v2/artifacts/artifact/{found[0]['id']}"


def until(true: Callable[[], Any], what: str) -> None:
    """Return when it is true; `what` is said if it never is."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, f"waited in vain until {what}"
        time.sleep(0.2)
