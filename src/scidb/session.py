"""Opening a database, and the one that is current."""

from __future__ import annotations

import json
import os
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from scidb import current
from scidb.addressing import schema_keys_from
from scidb.database import DatabaseManager
from scidb.exceptions import DatabaseNotConfiguredError, PipelineError, SchemaKeyError
from scidb.settings import REPRODUCING
from scidb.store import is_remote, open_store
from scidb.store.model import Batch, KeyTyped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scidb.database.core import LineageMode
    from scidb.store import Store
    from scidb.store.model import SchemaKey

__all__ = ["configure_database", "get_database", "open_database", "warn_of_pipeline_path"]

_configuring: Final = threading.Lock()


def configure_database(
    dataset_db_path: str | Path | None = None,
    dataset_schema_keys: Sequence[str] | Mapping[str, type | str] | None = None,
    pipeline_db_path: str | Path | None = None,
    lineage_mode: LineageMode = "strict",
    *,
    lock_timeout: float = 10.0,
    read_only: bool = False,
) -> DatabaseManager:
    """Open a database, or make it, and make it the current one.

    Parameters
    ----------
    dataset_db_path
        The file. Left out: the environment variable ``SCIDB_DATASET_DB_PATH`` or ``SCIDB_DATABASE``.
    dataset_schema_keys
        The ordered keys that say where in the dataset a value belongs, for example
        ``["subject", "session"]``, or with types ``{"subject": int, "session": str}``. Needed for a new
        database; an existing one knows its keys.
    pipeline_db_path
        Ignored: lineage lives in the same file.
    lineage_mode
        ``"strict"`` refuses to save a result that depends on something never saved; ``"ephemeral"`` records
        that by lineage alone.
    lock_timeout
        How many seconds to wait for another process that has the file open.
    read_only
        Refuse all writing.

    Raises
    ------
    SchemaKeyError
        When a new database gets no keys, or an existing one other keys.
    CorruptDatabaseError
        When the file is not a SciDB database.
    DatabaseLockedError
        When another process has it open.

    Examples
    --------
    >>> import scidb, tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> db = scidb.configure_database(folder / "study.duckdb", ["subject", "session"])
    >>> db.schema_keys
    ('subject', 'session')
    >>> db.close()

    """
    warn_of_pipeline_path(pipeline_db_path)
    target = dataset_db_path or os.environ.get("SCIDB_DATASET_DB_PATH") or os.environ.get("SCIDB_DATABASE")
    if not target:
        raise DatabaseNotConfiguredError(
            "configure_database needs a path: configure_database('study.duckdb', ['subject', 'session'])."
        )
    with _configuring:
        before = current.default()
        if isinstance(before, DatabaseManager) and _same_target(
            before, target, dataset_schema_keys, lineage_mode, read_only=read_only
        ):
            return before
        database = open_database(
            target,
            dataset_schema_keys if dataset_schema_keys is not None else _keys_from_environment(),
            lineage_mode=lineage_mode,
            lock_timeout=lock_timeout,
            read_only=read_only,
        )
        current.set_default(database)
    return database


def warn_of_pipeline_path(path: object) -> None:
    """Say, where the caller of the caller was called, that a second file has no use; None is none."""
    if path is not None:
        warnings.warn(
            "pipeline_db_path is ignored: lineage is kept in the database file itself. Leave it out.",
            DeprecationWarning,
            stacklevel=3,
        )


def open_database(
    target: str | Path,
    schema_keys: Sequence[str] | Mapping[str, type | str] | None = None,
    *,
    lineage_mode: LineageMode = "strict",
    lock_timeout: float = 10.0,
    read_only: bool = False,
    token: str | None = None,
    timeout: float = 30.0,
) -> DatabaseManager:
    """Open a database without making it the current one; also known as ``scidb.open``.

    Parameters and errors are those of `configure_database`, and for the address of a server ``token`` and ``timeout``
    as for `scidbnet.configure_remote_database`; a file needs neither.

    Examples
    --------
    >>> import scidb
    >>> with scidb.open("memory:", ["subject"]) as db:
    ...     db.schema_keys
    ('subject',)

    """
    _check_may_open(target)
    keys = None if schema_keys is None else schema_keys_from(schema_keys)
    remote = {"token": token, "timeout": timeout} if is_remote(target) else {}
    store = open_store(target, keys, lock_timeout=lock_timeout, read_only=read_only, **remote)
    try:
        _declare_types(store, keys or (), read_only=read_only)
        return DatabaseManager(store, lineage_mode=lineage_mode)
    except BaseException:
        store.close()
        raise


def _check_may_open(target: object) -> None:
    """Refuse to open a database in the fresh process: there it is not the one that a function was given then.

    Raises
    ------
    PipelineError
        At once, where the asking process may hold the file.

    """
    if os.environ.get(REPRODUCING) and str(target) != "memory:":
        raise PipelineError(
            f"This code runs because a record is being reproduced, and opens the database {str(target)!r}. A function "
            "that is reproduced gets all that it needs as arguments; open databases under: "
            'if __name__ == "__main__":'
        )


def _declare_types(store: Store, keys: Sequence[SchemaKey], *, read_only: bool) -> None:
    """Give declared types to keys that have none yet; refuse others than the database has."""
    actual = {key.name: key.value_type for key in store.describe().schema_keys}
    new = []
    for key in keys:
        known = actual[key.name]
        if key.value_type and known and key.value_type != known:
            raise SchemaKeyError(
                f"The schema key {key.name!r} holds {known} values in this database, but {key.value_type} was "
                f"declared. Declare {known}, or leave the type out.",
                key=key.name,
            )
        if key.value_type and not known:
            new.append(KeyTyped(key.name, key.value_type))
    if new and not read_only:
        store.write(Batch(events=tuple(new)))


def get_database() -> DatabaseManager:
    """Return the current database.

    Raises
    ------
    DatabaseNotConfiguredError
        When there is none; the message says what to call.

    Examples
    --------
    >>> import scidb
    >>> with scidb.open("memory:", ["subject"]) as db, db.as_current():
    ...     scidb.get_database().schema_keys
    ('subject',)

    """
    database = current.current()
    if database is None:
        raise DatabaseNotConfiguredError(
            "No database is configured. Call scidb.configure_database('study.duckdb', ['subject', 'session']) first."
        )
    return cast("DatabaseManager", database)


def _same_target(
    database: DatabaseManager,
    target: str | Path,
    keys: Sequence[str] | Mapping[str, type | str] | None,
    lineage_mode: str,
    *,
    read_only: bool,
) -> bool:
    """Say whether a call asks for the database that is current already; other keys are for the store to refuse."""
    if database.target.startswith(("memory:", "http:", "https:")) or database.lineage_mode != lineage_mode:
        return False
    same_keys = keys is None or list(keys) == list(database.schema_keys)
    return same_keys and database.read_only == read_only and Path(database.target).absolute() == Path(target).absolute()


def _keys_from_environment() -> list[str] | None:
    text = os.environ.get("SCIDB_DATASET_SCHEMA_KEYS")
    if not text:
        return None
    try:
        keys = json.loads(text)
    except ValueError as error:
        raise SchemaKeyError(
            f'SCIDB_DATASET_SCHEMA_KEYS={text!r} is not JSON; write for example ["subject", "session"].'
        ) from error
    return cast("list[str]", keys)
