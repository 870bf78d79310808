"""Rows of a loaded value, as pandas selects them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scidb.exceptions import NotFoundError, SciDBError, UnsupportedOperationError
from scidb.hashing.inputs import preview

if TYPE_CHECKING:
    from scidb.variable import BaseVariable

__all__ = ["select_rows"]


def select_rows(instance: BaseVariable, loc: Any, iloc: Any) -> BaseVariable:
    """Keep only the wanted rows of a frame, Series or array.

    The labels of an array are its positions, so that ``loc=slice(0, 2)`` gives three of its rows, as in pandas.

    Raises
    ------
    NotFoundError
        When there is no such row.
    SciDBError
        When the selection is none, or the value has no rows.

    """
    if loc is None and iloc is None:
        return instance
    if loc is not None and iloc is not None:
        raise SciDBError("Give loc= or iloc=, not both.")
    record = instance._record  # noqa: SLF001 - loaded instances have one
    said = f"loc={preview(loc)}" if iloc is None else f"iloc={preview(iloc)}"
    try:
        instance.data = _selected(instance.data, loc, iloc)
    except LookupError as error:
        size = f"{len(instance.data)} rows{_labels(instance.data)}"
        raise NotFoundError(
            f"{said}: {instance!r} has no such row ({str(error) or type(error).__name__}). It has {size}."
        ) from error
    except _unsuitable() as error:
        raise SciDBError(f"{said} selects no rows of {instance!r}: {error}.") from error
    if record is not None:
        instance.came_from(record, selected=True)
    return instance


def _selected(data: Any, loc: Any, iloc: Any) -> Any:
    import pandas as pd

    if isinstance(data, pd.DataFrame | pd.Series):
        return data.loc[loc] if iloc is None else data.iloc[iloc]
    if isinstance(data, pd.Index):
        return _at(data, pd.RangeIndex(len(data)), loc) if iloc is None else data[iloc]
    if isinstance(data, np.ndarray) and data.ndim:
        return _at(data, pd.RangeIndex(len(data)), loc) if iloc is None else data[iloc]
    if isinstance(data, list | tuple) and (isinstance(iloc, int | slice)):
        return data[iloc]
    raise UnsupportedOperationError(
        f"loc= and iloc= select rows of a DataFrame, Series or array, and this is {preview(data)} "
        f"({type(data).__name__}). Load it whole, and select from its data."
    )


def _at(data: Any, labels: Any, loc: Any) -> Any:
    import pandas as pd

    positions = pd.Series(np.arange(len(data)), index=labels).loc[loc]
    return data[positions.to_numpy() if isinstance(positions, pd.Series) else int(positions)]


def _unsuitable() -> tuple[type[Exception], ...]:
    """Return what pandas and numpy raise for a selection that makes no sense to them."""
    import pandas as pd

    return TypeError, ValueError, pd.errors.IndexingError, pd.errors.InvalidIndexError


def _labels(data: Any) -> str:
    index = getattr(data, "index", None)
    if index is None or not len(data) or callable(index):
        return ""
    return f", labelled {index[0]!r} to {index[-1]!r}"
