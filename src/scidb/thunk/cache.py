"""What a thunk needs of a database: to be asked for the values that the same computation gave before.

The database is whatever `scidb.current` holds; one that cannot recall is no error, the call then runs.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Protocol, TypeGuard

from scidb.current import current
from scidb.exceptions import SciDBError, SciDBWarning
from scidb.hashing.paths import missing_paths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scidb.thunk.call import PipelineThunk

__all__ = ["Cache", "CacheWarning", "recall"]


class CacheWarning(SciDBWarning):
    """The database failed while it was asked for an earlier result; the call was computed instead."""


class Cache(Protocol):
    """A database that may know the values of a computation."""

    def recall(self, computation: PipelineThunk) -> Sequence[object] | None:
        """Return the values of all outputs in their order, or None unless every output is known.

        An answer also sets ``computation.recalled_from`` to the id of the call that made the values, when
        it is known, and may set ``computation.recalled_hashes`` to the content hash of each value, so that
        they are not computed again. For a function that generates a file the values are ignored, only their
        number counts.
        """
        ...


def recall(computation: PipelineThunk, *, stacklevel: int) -> Sequence[object] | None:
    """Ask the current database for the values of a computation; None means that it must run."""
    database = current()
    if not _can_recall(database) or computation.uncacheable is not None:
        return None
    if computation.thunk.generates_file and missing_paths(computation.inputs):
        return None
    try:
        values = database.recall(computation)
    except SciDBError as error:
        warnings.warn(
            f"{computation.thunk.name}() was computed, because the database failed while it was asked for "
            f"an earlier result: {error}",
            CacheWarning,
            stacklevel=stacklevel + 1,
        )
        return None
    declared = computation.thunk.n_outputs
    if values is None or (isinstance(declared, int) and len(values) != declared):
        return None
    return values


def _can_recall(database: object) -> TypeGuard[Cache]:
    # isinstance() with a protocol would cost as much as hashing a small argument.
    return callable(getattr(database, "recall", None))
