"""The git remote that workers clone, without the credentials that its URL may hold.

    python -m adrefine.sweeps.origin    # prints it; prefect.yaml asks when a pool is deployed

A URL given to Prefect is stored on its server and shown to all who see a run. Each machine has credentials of
its own: git's credential helper, ~/.netrc or an SSH key.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from adrefine.dvc_driver.processes import output
from adrefine.errors import exit_cleanly


def url(root: Path) -> str:
    """The URL of `origin` of the repository in `root`.

    Raises:
        Failed: there is no such remote.
    """
    return without_credentials(output(["git", "remote", "get-url", "origin"], folder=root).strip())


def without_credentials(remote: str) -> str:
    """`remote` without user and password over HTTP, and without the password elsewhere; paths as they are."""
    if "://" not in remote:
        return remote
    parts = urlsplit(remote)
    user, at, host = parts.netloc.rpartition("@")
    user = "" if parts.scheme in ("http", "https") else user.partition(":")[0]
    return urlunsplit(parts._replace(netloc=f"{user}{at if user else ''}{host}"))


if __name__ == "__main__":
    exit_cleanly(lambda: print(url(Path())))
