"""Every error that SciDB raises, as one hierarchy.

::

    SciDBError
    ├── AmbiguousVersionError            several records match where one was asked for
    ├── ConflictError                    somebody else changed the same thing first
    ├── CorruptDatabaseError             the file is damaged, or is not a SciDB database
    ├── DatabaseLockedError              (TimeoutError) another process has the file
    ├── DatabaseNotConfiguredError       no current database
    ├── FilterError                      (ValueError) a filter that cannot mean anything
    ├── FormatVersionError               the file was written by another version of SciDB
    ├── LimitExceededError               larger than a limit allows
    ├── MigrationError                   an old value or file could not be brought up to date
    ├── NetworkError                     (ConnectionError) the server could not be reached
    ├── NotFoundError                    (LookupError) nothing matches
    ├── NotRegisteredError               a variable type that this database does not know
    ├── OutputCountError                 (ValueError) a function returned more or fewer values than outputs
    ├── PermissionDeniedError            the token does not allow this
    ├── PipelineError                    (ValueError) for_each calls that do not fit together
    ├── QueryError                       (ValueError) SQL that failed or is not allowed
    ├── ReservedMetadataKeyError         (ValueError) a keyword that SciDB needs for itself
    ├── SchemaKeyError                   (ValueError) a key, or a key's value, that does not fit the database
    ├── SerializationError               bytes that are not what they claim to be
    ├── ServerError                      the server failed
    ├── SettingsError                    (ValueError) a setting that cannot be meant, in scidb.toml or given
    ├── StorageError                     (OSError) disk full, no permission, forked handle
    ├── UnhashableValueError             (TypeError) a value without an identity
    ├── UnitError                        (ValueError) units that do not fit
    ├── UnsavedIntermediateError         strict lineage: something in the chain was never saved
    ├── UnsupportedOperationError        this store lacks that ability
    ├── UnsupportedValueError            (TypeError) a value that cannot be stored
    └── VariableDefinitionError          (TypeError) a variable class that cannot be used

Each has a stable ``code``, and ``details``: plain data from which a client rebuilds the same error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "AmbiguousVersionError",
    "ChangingCodeWarning",
    "ConflictError",
    "CorruptDatabaseError",
    "DatabaseLockedError",
    "DatabaseNotConfiguredError",
    "FilterError",
    "FormatVersionError",
    "IgnoreWarning",
    "InterruptedErasureWarning",
    "LargeGlobalWarning",
    "LimitExceededError",
    "MigrationError",
    "NetworkError",
    "NotFoundError",
    "NotRegisteredError",
    "OutputCountError",
    "PermissionDeniedError",
    "PipelineError",
    "QueryError",
    "ReservedMetadataKeyError",
    "SchemaKeyError",
    "SciDBError",
    "SciDBWarning",
    "SerializationError",
    "ServerError",
    "SettingsError",
    "SharedFolderWarning",
    "StorageError",
    "UncacheableWarning",
    "UnhashableValueError",
    "UnitError",
    "UnsavedIntermediateError",
    "UnsupportedOperationError",
    "UnsupportedValueError",
    "VariableDefinitionError",
]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the nearest known name, or an empty string."""
    import difflib  # late, as only what fails needs it

    by_folded = {candidate.casefold(): candidate for candidate in known}
    near = difflib.get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.6)
    return f" Did you mean {by_folded[near[0]]!r}?" if near else ""


class SciDBError(Exception):
    """The root of every error that SciDB raises on purpose.

    Parameters
    ----------
    message
        What happened, what was expected, and what to do.
    details
        Plain data about the error; also readable as attributes of the exception. A ``code`` among them is a more
        precise one than that of the class.

    """

    code: str = "scidb_error"

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details: Mapping[str, object] = details
        if "code" in details:
            self.code = str(details["code"])

    def __str__(self) -> str:
        # OSError and its kin would otherwise show an errno tuple, KeyError a repr.
        return self.message

    def __getattr__(self, name: str) -> object:
        try:
            return self.__dict__["details"][name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}") from None

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword details do not survive BaseException's own way through an executor's transport.
        return (_rebuild, (type(self), self.message, dict(self.details)))


def _rebuild(kind: type[SciDBError], message: str, details: dict[str, object]) -> SciDBError:
    return kind(message, **details)


class AmbiguousVersionError(SciDBError):
    """Several records match where exactly one was asked for."""

    code = "ambiguous_version"


class ConflictError(SciDBError):
    """Somebody else changed the same thing first."""

    code = "conflict"


class CorruptDatabaseError(SciDBError):
    """The file is damaged, or is not a SciDB database at all."""

    code = "corrupt_database"


class DatabaseLockedError(SciDBError, TimeoutError):
    """Another process has the database open; ``pid``, ``host``, ``user`` and ``since`` say who."""

    code = "database_locked"


class DatabaseNotConfiguredError(SciDBError):
    """No current database: call ``configure_database`` or pass ``db=``."""

    code = "database_not_configured"


class FilterError(SciDBError, ValueError):
    """A filter that does not fit its target."""

    code = "filter"


class FormatVersionError(SciDBError):
    """The file was written in a format that this version of SciDB does not read."""

    code = "format_version"


class LimitExceededError(SciDBError):
    """Something is larger than a limit allows."""

    code = "limit_exceeded"


class MigrationError(SciDBError):
    """An old value or file could not be brought up to date."""

    code = "migration"


class NetworkError(SciDBError, ConnectionError):
    """The server could not be reached."""

    code = "network"


class NotFoundError(SciDBError, LookupError):
    """Nothing matches."""

    code = "not_found"


class NotRegisteredError(SciDBError):
    """The database holds no variable of that name."""

    code = "not_registered"


class OutputCountError(SciDBError, ValueError):
    """A function returned more or fewer values than it has outputs."""

    code = "output_count"


class PermissionDeniedError(SciDBError):
    """The caller may not do this."""

    code = "forbidden"


class PipelineError(SciDBError, ValueError):
    """A for_each call, or several of them, that cannot be run as written."""

    code = "pipeline"


class QueryError(SciDBError, ValueError):
    """SQL that failed or is not allowed."""

    code = "query"


class ReservedMetadataKeyError(SciDBError, ValueError):
    """A metadata key that SciDB needs for itself."""

    code = "reserved_metadata_key"


class SchemaKeyError(SciDBError, ValueError):
    """A schema key, or the value of one, that does not fit this database."""

    code = "schema_key"


class SerializationError(SciDBError):
    """Stored or received data that is not what it claims to be."""

    code = "serialization"


class ServerError(SciDBError):
    """The server failed while answering."""

    code = "server"


class SettingsError(SciDBError, ValueError):
    """A setting that cannot be meant: in `scidb.toml`, or given to `scidb.hashing.configure` or `thunk`."""

    code = "settings"


class StorageError(SciDBError, OSError):
    """The file system refused: disk full, no permission, or a handle used after a fork."""

    code = "storage"


class UnhashableValueError(SciDBError, TypeError):
    """A value has no identity by content; ``path`` says where inside the value."""

    code = "unhashable_value"


class UnitError(SciDBError, ValueError):
    """Units that do not fit together."""

    code = "unit"


class UnsavedIntermediateError(SciDBError):
    """Strict lineage: a result depends on something that was never saved."""

    code = "unsaved_intermediate"


class UnsupportedOperationError(SciDBError):
    """The store lacks the ability that was asked for."""

    code = "unsupported_operation"


class UnsupportedValueError(SciDBError, TypeError):
    """A value that cannot be stored; ``path`` says where inside the value."""

    code = "unsupported_value"


class VariableDefinitionError(SciDBError, TypeError):
    """A variable class that cannot be used as written."""

    code = "variable_definition"


class SciDBWarning(UserWarning):
    """The root of every warning that SciDB gives on purpose."""


class UncacheableWarning(SciDBWarning):
    """A call that cannot be recognised again, and is therefore computed every time."""


class ChangingCodeWarning(SciDBWarning):
    """A function changes a global or closure value that it reads, and with it its own identity."""


class IgnoreWarning(SciDBWarning):
    """A name in ``ignore=`` has no effect, because the code reads nothing of that name."""


class InterruptedErasureWarning(SciDBWarning):
    """Somebody was erased from a database, and their bytes may still be in its file: it was not written anew."""


class LargeGlobalWarning(SciDBWarning):
    """A function reads so much from outside that finding out whether it changed slows every call down."""


class SharedFolderWarning(SciDBWarning):
    """A database lies on a network share or in a folder that is synced, where it can be damaged."""
