"""Errors that people read: what was wrong, where (file, row, key) and what to do about it."""

from __future__ import annotations

import sys
from collections.abc import Callable


class UserError(Exception):
    """A mistake in data or parameters that the user can mend. Printed as one line, never as a traceback."""


def exit_cleanly(main: Callable[[], None]) -> None:
    """Run `main`; a UserError becomes one clear line on stderr and exit code 2."""
    try:
        main()
    except UserError as error:
        print(f"adrefine: error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("adrefine: interrupted", file=sys.stderr)
        sys.exit(130)
