"""Making a database file: whole or not at all, of the storage version that every DuckDB reads, for its owner alone."""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING

import duckdb

from scidb.store.duck.failures import translated
from scidb.store.duck.whereabouts import private_folder, restrict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["create_file", "new_file"]


def create_file(path: Path, statements: Sequence[str]) -> None:
    """Make a database file from these statements, whole or not at all; one that is there is left alone."""
    with translated(path), private_folder(path) as folder:
        draft = folder / path.name
        with closing(new_file(draft)) as connection:
            connection.execute("BEGIN")
            for statement in statements:
                connection.execute(statement)
            connection.execute("COMMIT")
            connection.execute("USE memory")
            connection.execute("DETACH draft")
        restrict(draft)
        _publish(draft, path)


def new_file(path: Path) -> duckdb.DuckDBPyConnection:
    """Make an empty file of the storage version that every DuckDB reads, in use as ``draft`` of a connection."""
    # DuckDB 1.x writes this version by itself and knows no newer one.
    version = "(STORAGE_VERSION 'v1.5.0')" if int(duckdb.__version__.split(".")[0]) > 1 else ""
    connection = duckdb.connect(":memory:")
    quoted = str(path).replace("'", "''")
    try:
        connection.execute("SET preserve_insertion_order = true")
        connection.execute(f"ATTACH '{quoted}' AS draft {version}")
        connection.execute("USE draft")
    except BaseException:
        connection.close()
        raise
    return connection


def _publish(draft: Path, path: Path) -> None:
    try:
        # Unlike a rename, a link never replaces what another process made meanwhile.
        os.link(draft, path)
    except FileExistsError:
        return
    except OSError:
        if not path.exists():
            draft.rename(path)
