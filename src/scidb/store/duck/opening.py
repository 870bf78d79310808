"""Opening a file: what may be a database, what makes one, and whether it is what the caller expects."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import duckdb

from scidb.exceptions import (
    CorruptDatabaseError,
    FormatVersionError,
    InterruptedErasureWarning,
    SchemaKeyError,
    SciDBError,
    StorageError,
)
from scidb.store.duck.creating import create_file
from scidb.store.duck.migrations import migrate, steps_from
from scidb.store.duck.tables import FORMAT_VERSION, check_new_key, create_all

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scidb.store.duck.connection import Connection
    from scidb.store.model import SchemaKey

__all__ = ["check_format", "create", "is_file", "note_writer", "warn_of_interrupted"]


def is_file(path: Path) -> bool:
    """Say whether there is a database file; refuse what cannot be one."""
    try:
        if path.is_dir():
            raise StorageError(
                f"{path} is a folder; name a file in it, such as {path / 'study.duckdb'}.", path=str(path)
            )
        if not path.parent.is_dir():
            raise StorageError(f"There is no folder {path.parent}; make it first.", path=str(path))
        if not path.exists():
            return False
        empty = path.stat().st_size == 0
    except OSError as error:
        if isinstance(error, SciDBError):
            raise
        raise StorageError(f"{path}: {error.strerror or error}.", path=str(path)) from error
    if empty:
        # DuckDB would make a database of it.
        raise _not_ours(path, "is an empty file, not a SciDB database")
    return True


def _not_ours(path: Path, what: str) -> CorruptDatabaseError:
    return CorruptDatabaseError(
        f"{path} {what}; it was left as it is. Choose another path to make a new database.", path=str(path)
    )


def create(path: Path, schema_keys: Sequence[SchemaKey] | None) -> None:
    """Make the file of a new database, whole or not at all."""
    if schema_keys is None:
        raise SchemaKeyError(
            f"There is no database {path} yet, and a new one needs its schema keys: pass them in order, such as "
            "schema_keys=['subject', 'session', 'trial'].",
            path=str(path),
        )
    seen: set[str] = set()
    for key in schema_keys:
        check_new_key(key.name)
        if key.name.casefold() in seen:
            raise SchemaKeyError(f"The schema key {key.name!r} is given twice (case does not count).", name=key.name)
        seen.add(key.name.casefold())
    create_file(path, create_all(schema_keys))


def check_format(connection: Connection, *, read_only: bool) -> None:
    """Refuse a file of another program, or of a later SciDB; bring one of an earlier SciDB up to date."""
    try:
        # Listing the tables would fill DuckDB's catalog, which takes as long as half of opening.
        [(version, creator)] = connection.rows("SELECT format_version, creator FROM _format")
    except StorageError as error:
        if isinstance(error.__cause__, duckdb.CatalogException | duckdb.BinderException):
            raise _not_ours(connection.path, "is a DuckDB file without the tables of SciDB") from error
        raise
    if version == FORMAT_VERSION:
        return
    steps = steps_from(version)
    if steps and not read_only:
        migrate(connection, version)
        return
    if steps:
        changes = "; then it ".join(step.changes for step in steps)
        way = (
            f"To open it for writing, as scidb.open({connection.path.name!r}) does, brings it up to date: that "
            f"{changes}. A copy of what it was is kept beside it."
        )
    elif version > FORMAT_VERSION:
        way = "Install a newer SciDB."
    else:
        way = "It is older than the first release of SciDB: make it anew, or read it with plain DuckDB."
    raise FormatVersionError(
        f"{connection.path} has format version {version} (made by {creator}); this SciDB reads version "
        f"{FORMAT_VERSION}. {way}",
        path=str(connection.path),
        version=version,
    )


def note_writer(connection: Connection) -> None:
    """Note which DuckDB writes to the file."""
    connection.execute("UPDATE _format SET duckdb_version = ? WHERE duckdb_version <> ?", [duckdb.__version__] * 2)


def warn_of_interrupted(connection: Connection) -> None:
    """Warn of an erasure that ended before the file was written anew."""
    [(stamp,)] = connection.rows("SELECT min(timestamp) FROM _removals WHERE NOT rewritten")
    if stamp is not None:
        warnings.warn(
            f"An erasure from {connection.path} was interrupted on {stamp}: the records are gone, and their bytes may "
            "still be in the file. Run `scidb compact`, or db.admin.compact(), to complete it.",
            InterruptedErasureWarning,
            stacklevel=2,
        )
