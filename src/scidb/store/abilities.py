"""What a store can do beside the seven verbs, asked for where it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scidb.exceptions import UnsupportedOperationError
from scidb.store.protocol import Maintenance

if TYPE_CHECKING:
    from scidb.store.protocol import Store

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
            f"The store {store.describe().target!r} cannot be checked or maintained from here. Open the file itself, "
            "or ask whoever keeps it.",
            ability="maintenance",
        )
    return store
