"""What DuckDB and the file system say when something fails, in our own words."""

from __future__ import annotations

import re
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import duckdb

from scidb.exceptions import (
    ConflictError,
    CorruptDatabaseError,
    QueryError,
    SciDBError,
    StorageError,
    UnsupportedOperationError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["is_invalidated", "is_lost", "translated"]

# Of DuckDB, which takes the words from the C library, and of Windows.
_NO_ROOM: Final = ("No space left on device", "Disk quota exceeded", "not enough space on the disk")
_NO_MEMORY: Final = ("Out of Memory Error", "ailed to allocate", "ould not allocate")
_INVALIDATED: Final = "database has been invalidated"
_ORIGINAL: Final = re.compile(r'Original error: "(.*)"', re.DOTALL)
_FATAL: Final = (duckdb.FatalException, duckdb.InternalException)


@contextmanager
def translated(path: Path, refused: type[SciDBError] = StorageError) -> Iterator[None]:
    """Turn DuckDB's exceptions into ours; `refused` stands for statements that do not work."""
    try:
        yield
    except duckdb.Error as error:
        # Met while DuckDB asked Python for Arrow data, it survives as text only; a user's SQL may say anything.
        if "KeyboardInterrupt" in str(error) and refused is not QueryError:
            raise KeyboardInterrupt from error
        raise _our_error(path, error, refused) from error
    except OSError as error:
        if isinstance(error, SciDBError):
            raise
        raise _of_the_system(path, str(error.strerror or error)) from error
    except RuntimeError as error:
        if str(error) != "Query interrupted":
            raise
        # So DuckDB reports that a signal handler raised; DuckDB 1.x says what, and 2.0 forgets it.
        if error.__cause__ is not None:
            raise error.__cause__ from None
        raise KeyboardInterrupt from error


def is_lost(error: SciDBError) -> bool:
    """Say whether DuckDB refuses everything after this error, until the file is opened again."""
    return isinstance(error.__cause__, _FATAL) or is_invalidated(error)


def is_invalidated(error: SciDBError) -> bool:
    """Say whether this is the fault of something that failed before."""
    return error.__cause__ is not None and _INVALIDATED in str(error.__cause__)


def _our_error(path: Path, error: duckdb.Error, refused: type[SciDBError]) -> SciDBError:
    said = str(error)
    if _INVALIDATED in said:
        return _after_another(path, said)
    # A COMMIT that finds no room is refused as a transaction.
    if isinstance(error, (duckdb.IOException, duckdb.OutOfMemoryException, duckdb.TransactionException, *_FATAL)):
        want = _want(path, _first_line(said))
        if want is not None:
            return want
    return _by_kind(path, error, said, refused)


def _by_kind(path: Path, error: duckdb.Error, said: str, refused: type[SciDBError]) -> SciDBError:
    match error:
        case duckdb.FatalException() | duckdb.InternalException() | duckdb.SerializationException():
            return _damaged(path, _first_line(said))
        case duckdb.TransactionException() | duckdb.ConstraintException():
            return _transaction_error(path, error, refused)
        case duckdb.IOException() | duckdb.ConnectionException():
            is_other = "not a valid DuckDB database file" in said
            return _not_a_database(path) if is_other else StorageError(f"{path}: {_first_line(said)}.", path=str(path))
        case duckdb.PermissionException() if refused is not QueryError:
            # A file of another engine, for which DuckDB would load an extension.
            return _not_a_database(path)
        case duckdb.NotImplementedException():
            return UnsupportedOperationError(f"DuckDB cannot do that: {_first_line(said)}.")
    what = said if refused is QueryError else _first_line(said)
    return refused(f"{type(error).__name__.removesuffix('Exception')}: {what}")


def _after_another(path: Path, said: str) -> SciDBError:
    """Return the error of whoever was under way when something of somebody else failed for good."""
    original = _ORIGINAL.search(said)
    reason = _first_line(original[1] if original else said)
    return _want(path, reason) or StorageError(
        f"The database {path} had to be opened again while this was under way, because of an error before it: "
        f"{reason}. Nothing of this was stored; try again.",
        path=str(path),
    )


def _want(path: Path, said: str) -> StorageError | None:
    """Return the error for want of room or memory, if it is about that."""
    if any(sign in said for sign in _NO_ROOM):
        return _no_room(path, said)
    return _no_memory(path, said) if any(sign in said for sign in _NO_MEMORY) else None


def _of_the_system(path: Path, said: str) -> StorageError:
    return _want(path, said) or StorageError(f"{path}: {said}.", path=str(path))


def _no_room(path: Path, said: str) -> StorageError:
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError:
        free = None
    left = "" if free is None else f" {free / 2**20:,.1f} MiB are free there."
    return StorageError(
        f"The disk is full on which {path} is ({said}).{left} Nothing of this was stored, and all that was saved "
        "before is there. Free some space, then do it again; the database need not be opened anew.",
        path=str(path),
        free=free,
    )


def _no_memory(path: Path, said: str) -> StorageError:
    return StorageError(
        f"There was not enough memory for this in {path} ({said}). Nothing of it was stored, and all that was saved "
        "before is there. Save or load fewer values at once, or end what else needs memory, then do it again.",
        path=str(path),
    )


def _damaged(path: Path, said: str) -> CorruptDatabaseError:
    return CorruptDatabaseError(
        f"The database {path} is damaged, or was written by a newer DuckDB than {duckdb.__version__}: {said}. "
        "Close it, keep a copy, and open a backup.",
        path=str(path),
    )


def _not_a_database(path: Path) -> CorruptDatabaseError:
    return CorruptDatabaseError(
        f"{path} is not a DuckDB database, so it cannot be a SciDB database; it was left as it is. Choose another "
        "path to make a new database.",
        path=str(path),
    )


def _transaction_error(path: Path, error: duckdb.Error, refused: type[SciDBError]) -> SciDBError:
    if "read-only" in str(error):
        return refused(f"Nothing can be written here: {_first_line(str(error))}.")
    return ConflictError(f"{path} was changed by somebody else meanwhile: {_first_line(str(error))}. Try again.")


def _first_line(said: str) -> str:
    return said.split("\n", maxsplit=1)[0].rstrip(".")
