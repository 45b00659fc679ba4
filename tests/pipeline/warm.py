"""Stages in processes that have imported torch already.

A stage of tiny photos works for half a second and imports packages for two. Tests that ask *what* DVC runs
again use `started`: a process that has imported the packages forks a child for every `python -m
adrefine.stages.NAME`. The child has the folder, environment, standard streams and the project's own copy of
adrefine that a process of its own would have. Tests of kills, of time or of two processes that must agree run
stages as users do.
"""

from __future__ import annotations

import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ADDRESS = "WARM_STAGES"  # environment variable: path of the server's socket
_PACKAGES = (
    *("great_expectations", "matplotlib.figure", "pandas", "pydantic", "scipy.ndimage", "scipy.stats"),
    *("sklearn.decomposition", "torch", "torch._dynamo"),
)
_CLIENT = """#!{python} -SEs
import array, json, os, socket, sys
if sys.argv[1:2] != ["-m"] or not sys.argv[2].startswith("adrefine.stages.") or {address!r} not in os.environ:
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
call = dict(argv=sys.argv[2:], cwd=os.getcwd(), env=dict(os.environ))
with socket.socket(socket.AF_UNIX) as server:
    server.connect(os.environ[{address!r}])
    streams = array.array("i", [0, 1, 2]).tobytes()
    server.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
    server.sendall(json.dumps(call).encode() + b"\\n")
    code = server.recv(1)
sys.exit(code[0] if code else 137)
"""


@contextmanager
def started(folder: Path) -> Iterator[dict[str, str]]:
    """Variables that make the stages of a project children of such a process, which ends with the block.

    PATH is the folder that goes before the others.
    """
    program, address = folder / "bin" / "python", folder / "socket"
    program.parent.mkdir(parents=True)
    program.write_text(_CLIENT.format(python=sys.executable, address=ADDRESS))
    program.chmod(0o755)
    server = subprocess.Popen(
        [sys.executable, __file__, str(address)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    try:
        assert server.stdout
        assert server.stdout.readline() == b"listening\n"
        yield {"PATH": str(program.parent), ADDRESS: str(address)}
    finally:
        server.kill()
        server.wait()


def _serve(address: str) -> None:
    for name in _PACKAGES:
        __import__(name)
    assert threading.active_count() == 1, "a fork would lose the other threads"
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        print("listening", flush=True)
        while sys.stdin not in select.select([server, sys.stdin], [], [])[0]:  # until the tests end
            client, _ = server.accept()
            if os.fork() == 0:
                server.close()
                _child(client)
            client.close()


def _child(client: socket.socket) -> None:
    """Run one stage, then tell its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, streams, _, _ = socket.recv_fds(client, 1, 3)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    with client.makefile("rb") as lines:
        call = json.loads(lines.readline())
    threading.Thread(target=_end_with, args=(client,), daemon=True).start()
    os.chdir(call["cwd"])
    os.environ.clear()
    os.environ.update(call["env"])
    del os.environ[ADDRESS]  # what a stage starts is started as usual
    os.environ.pop("DVC_STAGE", None)  # DVC is no parent of this process; `_end_with` ends it
    code = _run(call["argv"])
    client.sendall(bytes([code]))
    os._exit(code)


def _run(argv: list[str]) -> int:
    there = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = [os.getcwd(), *there, *(path for path in sys.path[1:] if path not in there)]
    sys.argv = argv
    try:
        runpy.run_module(argv[0], run_name="__main__", alter_sys=True)
        code: object = 0
    except SystemExit as end:
        code = end.code
    except BaseException:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        code = 1
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return int(code or 0) & 255


def _end_with(client: socket.socket) -> None:
    """A stage ends with the process that asked for it."""
    client.recv(1)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    _serve(sys.argv[1])
