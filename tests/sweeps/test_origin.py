"""What workers are told to clone holds no credentials."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from adrefine.sweeps.origin import url, without_credentials


@pytest.mark.parametrize(
    ("remote", "shown"),
    [
        ("https://bob:SECRET@host.example/r.git", "https://host.example/r.git"),
        ("https://SECRET@host.example:8443/r.git", "https://host.example:8443/r.git"),
        ("https://bob:a%40b@host.example/r@2.git", "https://host.example/r@2.git"),
        ("http://bob:SE@CRET@host.example/r.git", "http://host.example/r.git"),
        ("ssh://git:SECRET@host.example:22/r.git", "ssh://git@host.example:22/r.git"),
        ("ssh://git@host.example/r.git", "ssh://git@host.example/r.git"),  # a name, which SSH needs
        ("git@host.example:group/r.git", "git@host.example:group/r.git"),
        ("https://host.example/r.git", "https://host.example/r.git"),
        ("/srv/git/r.git", "/srv/git/r.git"),
        ("file:///srv/r.git", "file:///srv/r.git"),
    ],
)
def test_user_and_password_are_left_out(tmp_path: Path, remote: str, shown: str) -> None:
    assert without_credentials(remote) == shown
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    subprocess.run(["git", "-C", str(tmp_path), "remote", "add", "origin", remote], check=True)
    assert url(tmp_path) == shown


def test_the_command_of_prefect_yaml_prints_it(tmp_path: Path) -> None:
    for command in (["init", "-q"], ["remote", "add", "origin", "https://bob:SECRET@host.example/r.git"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    done = subprocess.run(
        [sys.executable, "-m", "adrefine.sweeps.origin"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "https://host.example/r.git\n"
