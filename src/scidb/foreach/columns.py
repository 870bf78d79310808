"""Columns of stored values, as inputs: which there are, and the selection of some."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from scidb.exceptions import PipelineError, did_you_mean
from scidb.hashing.inputs import preview

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scidb.filters import ColumnSelection

__all__ = ["missing_columns", "selected"]

_WHOLE: Final = "Give the variable whole, and select in the function."


def selected(value: Any, columns: ColumnSelection) -> Any:
    """Return one column of a table as a Series or an array, or several as a table; of the kind that the table is.

    Raises
    ------
    PipelineError
        When the value is no table, or does not have the columns once each.

    """
    labels = _labels(value)
    if labels is None:
        raise PipelineError(
            f"{columns.to_key()}: the value is {preview(value)} ({type(value).__name__}), which has no columns that "
            f"have names. {_WHOLE}"
        )
    if problem := missing_columns(columns, labels):
        raise problem
    places = [_place(labels, label) for label in columns.columns]
    if isinstance(value, pd.DataFrame):
        return value.iloc[:, places[0] if columns.is_single else places]
    if isinstance(value, pa.Table | pa.RecordBatch):
        return value.column(places[0]) if columns.is_single else value.select(places)
    return value[columns.columns[0] if columns.is_single else list(columns.columns)]


def missing_columns(columns: ColumnSelection, labels: Sequence[object]) -> PipelineError | None:
    """Return what is wrong with a selection from a table with these columns, if anything is."""
    if list(labels) == [None]:
        return PipelineError(f"{columns.to_key()}: the values have no columns that have names. {_WHOLE}")
    found = [_count(labels, label) for label in columns.columns]
    if all(count == 1 for count in found):
        return None
    several = [repr(label) for label, count in zip(columns.columns, found, strict=True) if count > 1]
    if several:
        return PipelineError(f"{columns.to_key()}: several columns are called {', '.join(several)}.")
    missing = [label for label, count in zip(columns.columns, found, strict=True) if not count]
    names = [label for label in labels if isinstance(label, str)]
    there = ", ".join(map(repr, labels)) or "none"
    hint = did_you_mean(missing[0], names) if isinstance(missing[0], str) else ""
    word = "column" if len(missing) == 1 else "columns"
    return PipelineError(
        f"{columns.to_key()}: there is no {word} {', '.join(map(repr, missing))}; the columns are {there}.{hint}"
    )


def _labels(value: Any) -> list[object] | None:
    if isinstance(value, pd.DataFrame):
        return [label.item() if isinstance(label, np.generic) else label for label in value.columns]
    if isinstance(value, np.ndarray):
        return None if value.dtype.names is None else list(value.dtype.names)
    if isinstance(value, pa.Table | pa.RecordBatch):
        return list(value.schema.names)
    is_polars = type(value).__module__.partition(".")[0] == "polars" and type(value).__name__ == "DataFrame"
    return list(value.columns) if is_polars else None


def _count(labels: Sequence[object], wanted: object) -> int:
    return sum(type(label) is type(wanted) and label == wanted for label in labels)


def _place(labels: Sequence[object], wanted: object) -> int:
    return next(i for i, label in enumerate(labels) if type(label) is type(wanted) and label == wanted)
