"""A Prefect server with a password, to watch runs in the browser, or for workers on other machines.

    python flows/server.py                                  # http://127.0.0.1:4200, for this machine alone
    python flows/server.py --host 0.0.0.0 --name nas.local  # for all that reach this machine

It runs until ctrl-C. Programs of this project on the same machine find the password by themselves; on another
machine set PREFECT_API_URL and PREFECT_API_AUTH_STRING.
"""

from __future__ import annotations

import adrefine.serving.environment  # noqa: F401  # isort: skip  # first, so that Prefect sends nothing anywhere

from adrefine.errors import exit_cleanly
from adrefine.serving import guard, password, server


def main() -> None:
    """Serve until stopped."""
    chosen = guard.arguments(__doc__)
    secret = server.use_password()
    print(f"Prefect    http://{chosen.host}:{chosen.port}")
    print(f"password   {password.told(secret, server.home())}", flush=True)
    guard.run(chosen.host, chosen.port, chosen.name)


if __name__ == "__main__":
    exit_cleanly(main)
