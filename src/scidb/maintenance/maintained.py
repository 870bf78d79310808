"""The ability of a store that maintaining it takes."""

from __future__ import annotations

from scidb.exceptions import UnsupportedOperationError
from scidb.store import Maintenance, Store

__all__ = ["maintained"]


def maintained(store: Store) -> Maintenance:
    """Return a store as one that can be maintained.

    Raises
    ------
    UnsupportedOperationError
        When it cannot.

    """
    if not isinstance(store, Maintenance):
        raise UnsupportedOperationError(
            f"The store {store.describe().target!r} cannot be maintained: it neither removes nor compacts.",
            ability="maintenance",
        )
    return store
