"""The graph as a Prefect flow. DVC alone decides what is up to date; Prefect shows the run and its log.

python flows/pipeline.py            # `adrefine check`, then what `dvc repro` would run
python flows/pipeline.py --force    # every stage again
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess

os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")
# Without a server Prefect starts one of its own, which takes 9 to 15 seconds.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE


@task(cache_policy=NO_CACHE)
def check() -> None:
    """Refuse a params.yaml with a mistake, also in a part that no stage would read this time.

    Raises:
        RuntimeError: what is wrong with it, in one line.
    """
    done = subprocess.run(["adrefine", "check"], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    get_run_logger().info(done.stdout.strip())


@task(cache_policy=NO_CACHE, name="dvc repro")
def reproduce(force: bool = False) -> None:
    """Run `dvc repro`; its lines go to the task log as they come, a cancel ends the whole process group.

    Raises:
        RuntimeError: a stage failed; the log says which and why.
    """
    logger = get_run_logger()
    command = ["dvc", "repro", *(["--force"] if force else [])]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.strip():
                    logger.info(line.strip())
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            raise
    if process.returncode:
        raise RuntimeError("dvc repro failed: the last lines of the log say which stage and why")


@task(cache_policy=NO_CACHE)
def summarize() -> str:
    """The short result of the run."""
    done = subprocess.run(["adrefine", "summary"], capture_output=True, text=True, check=True)
    get_run_logger().info(done.stdout)
    return done.stdout


@flow(name="adrefine", log_prints=True)
def pipeline(force: bool = False) -> str:
    """Bring every stage of the graph up to date and report the result."""
    check()
    reproduce(force)
    return summarize()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--force", action="store_true", help="run every stage, up to date or not")
    pipeline(force=parser.parse_args().force)
