"""How a variable reaches the facade: through `scidb.current` and a protocol, by no import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

from scidb.current import current
from scidb.exceptions import DatabaseNotConfiguredError

if TYPE_CHECKING:
    from scidb.hashing.code.listing import SourceCode
    from scidb.store.model import TypeInfo

__all__ = ["Database", "database_or_current"]


class Database(Protocol):
    """What a variable asks of the facade."""

    def save(self, variable: Any, data: Any, /, *, index: Any = None, params: Any = None, **metadata: Any) -> str:
        """Save one value."""
        ...

    def save_many(self, variable: Any, items: Any, /, **common: Any) -> list[str]:
        """Save many values."""
        ...

    def save_from_dataframe(
        self, variable: Any, /, df: Any, data_column: Any, columns: Any, **common: Any
    ) -> list[str]:
        """Save each row of a table."""
        ...

    def head(self, variable: Any, /, n: int = 5, **request: Any) -> Any:
        """Load the first few values."""
        ...

    def export_value_to_csv(self, instance: Any, /, path: Any) -> None:
        """Write one value into a file."""
        ...

    def load(self, variable: Any, /, **request: Any) -> Any:
        """Load what matches."""
        ...

    def load_one(self, variable: Any, /, **request: Any) -> Any:
        """Load exactly one value."""
        ...

    def load_all(self, variable: Any, /, **request: Any) -> Any:
        """Load everything that matches."""
        ...

    def list_versions(self, variable: Any, /, **request: Any) -> list[dict[str, Any]]:
        """List log entries."""
        ...

    def get_source(self, record: Any, /, **request: Any) -> SourceCode | None:
        """Return the code that made a value."""
        ...

    def types(self) -> list[TypeInfo]:
        """Return every variable with its counts and its last change."""
        ...


def database_or_current(db: object | None) -> Database:
    """Return `db`, or the current database.

    Raises
    ------
    DatabaseNotConfiguredError
        When neither is there.

    """
    found = current() if db is None else db
    if found is None:
        raise DatabaseNotConfiguredError(
            "No database is configured. Call scidb.configure_database('study.duckdb', ['subject', 'session']) first, "
            "or pass db=.",
        )
    return cast("Database", found)
