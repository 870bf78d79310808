"""The entry point of ``scidb-server``, which this version does not have yet."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Say that there is no server yet, and exit with 1."""
    sys.stderr.write(
        "scidb-server: this version of SciDB has no server yet. Open the database file itself: "
        "scidb.configure_database('study.duckdb'), or scidb --db study.duckdb ls.\n"
    )
    sys.exit(1)
