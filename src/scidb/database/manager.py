"""`DatabaseManager`: the one facade, whatever the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scidb import current
from scidb.database.retrying import Retrying

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from types import TracebackType
    from typing import Self

    from scidb.database.admin import Admin

__all__ = ["DatabaseManager"]


class DatabaseManager(Retrying):
    """One open database: save, load, provenance.

    Made by ``configure_database``, ``scidb.open`` or, over any store, directly.

    Examples
    --------
    >>> from scidb import BaseVariable, DatabaseManager
    >>> from scidb.store.memory import MemoryStore
    >>> from scidb.store.model import SchemaKey
    >>> class Height(BaseVariable):
    ...     \"\"\"Body height.\"\"\"
    ...     units = "m"
    >>> with DatabaseManager(MemoryStore([SchemaKey("subject")])) as db:
    ...     _ = Height.save(1.8, subject=1, db=db)
    ...     Height.load_one(subject=1, db=db).data
    1.8

    """

    @property
    def admin(self) -> Admin:
        """What the owner of a database does to it: ``db.admin.rename_variable(old, new)``."""
        # Late: few scripts need it, and what it stands on would be a sixth of what importing ours takes.
        from scidb.database.admin import Admin

        return Admin(self._store, self._user, self._memo.hits)

    def close(self) -> None:
        """Release this handle; if this is the default database of the process, there is none afterwards."""
        if current.default() is self:
            current.set_default(None)
        self._memo.hits.write()
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def as_current(self) -> AbstractContextManager[None]:
        """Make this the current database inside a ``with`` block; the previous one comes back after it."""
        return current.as_current(self)

    def set_current_db(self) -> None:
        """Make this the current database of the process."""
        current.set_default(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.target} ({', '.join(self.schema_keys) or 'no schema keys'})>"
