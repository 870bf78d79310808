"""The command line: `main` is what the console script ``scidb`` runs.

Each verb imports the facade when it runs, so that help is there at once.
"""

from __future__ import annotations

import io
import os
import sys

from scidb.cli.app import app

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line and exit: 0 ok, 1 failure, 2 usage, 3 stale."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that has no letter for what was saved gets a question mark, not a traceback.
        sys.stdout.reconfigure(errors="replace")
    try:
        try:
            app(prog_name="scidb")
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read us has seen enough, as in `scidb log | head`; the last flush of Python must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
