"""Values as plain text in rows and columns, as a CSV file has them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scidb.database.querying import QueryResult
from scidb.exceptions import UnsupportedValueError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pandas as pd

__all__ = ["cell_text", "flat_table"]

_NESTED: Final = (list, dict, tuple, set, frozenset, bytes, bytearray, np.ndarray, np.void)


def flat_table(
    name: str, keys: Sequence[str], places: Sequence[Mapping[str, Any]], values: Iterable[Any]
) -> Iterator[pd.DataFrame]:
    """Yield values and their places as tables that together have the columns of the first of them.

    A single value or a document is one row; an array, a Series or a frame one row per sample, numbered by ``row``.
    Values that are not in a sequence are gone through twice, first for the columns, and are not held.

    Raises
    ------
    UnsupportedValueError
        When a value has no form of rows and columns.

    """
    parts: Iterable[pd.DataFrame] = _parts(name, places, values)
    if isinstance(values, Sequence):
        parts = list(parts)
    found: dict[Any, None] = {}
    for part in parts:
        found.update(dict.fromkeys(part))
    present = {key for shown in places for key in shown}
    columns = [key for key in keys if key in present]
    columns += [key for shown in places for key in shown if key not in keys]
    columns += ["row"] * ("row" in found)
    columns = list(dict.fromkeys([*columns, *found]))
    for part in parts if isinstance(parts, list) else _parts(name, places, values):
        yield part.reindex(columns=columns)


def cell_text(value: Any) -> str | None:
    """Return one value as text that says all of it; None stands for a missing one.

    Raises
    ------
    UnsupportedValueError
        When the value is no number, text, time or document of these.

    Examples
    --------
    >>> cell_text(0.1), cell_text({"a": [1, None]}), cell_text(float("nan"))
    ('0.1', '{"a": [1, null]}', None)

    """
    import pandas as pd

    if isinstance(value, list | dict | tuple):
        try:
            return json.dumps(value, ensure_ascii=False)
        except (TypeError, ValueError) as error:
            raise _refused(value, f"as a document it would have to be JSON: {error}") from error
    if isinstance(value, _NESTED) or (hasattr(value, "__len__") and not isinstance(value, str)):
        raise _refused(value, "it has no form of rows and columns")
    if value is None or (np.ndim(value) == 0 and pd.isna(value)):
        return None
    if isinstance(value, np.floating) and value.itemsize <= 8:
        value = float(value)
    if isinstance(value, float):
        return None if math.isnan(value) else repr(value)
    return str(value)


# ------------------------------------------------------------------ one table for values that follow each other


def _parts(name: str, places: Sequence[Mapping[str, Any]], values: Iterable[Any]) -> Iterator[pd.DataFrame]:
    import pandas as pd

    single: list[dict[str, Any]] = []
    for place, value in zip(places, values, strict=True):
        keys = {key: cell_text(one) for key, one in place.items()}
        rows = _rows(name, value)
        if rows is None:
            single.append({**keys, _free(name, keys): cell_text(value)})
            continue
        if single:
            yield pd.DataFrame(single, dtype=object)
            single = []
        count = len(rows[0][1]) if rows else 0
        columns: dict[str, Any] = {key: [text] * count for key, text in keys.items()}
        columns["row"] = range(count)
        for label, cells in rows:
            columns[_free(label, columns)] = cells
        yield pd.DataFrame(columns)
    if single:
        yield pd.DataFrame(single, dtype=object)


def _free(name: str, taken: Mapping[str, Any]) -> str:
    """Return a name of a column that no key has, nor another column."""
    while name in taken:
        name = f"{name}_value"
    return name


def _rows(name: str, value: Any) -> list[tuple[str, Any]] | None:
    """Return the columns of a value that has rows, or None."""
    import pandas as pd
    import pyarrow as pa

    if isinstance(value, np.ndarray) and value.ndim:
        return _array_columns(name, value)
    if isinstance(value, np.ndarray):
        raise _refused(value, "an array without a dimension has no rows; save it as a single value")
    if isinstance(value, pd.Index):
        value = value.to_frame(index=False, name=list(value.names) if any(value.names) else None)
    elif isinstance(value, pd.Series):
        value = value.to_frame(name if value.name is None else value.name)
    elif not isinstance(value, pd.DataFrame) and hasattr(value, "__arrow_c_stream__"):
        value = QueryResult(pa.table(value)).to_pandas()
    return _frame_columns(value) if isinstance(value, pd.DataFrame) else None


def _array_columns(name: str, array: Any) -> list[tuple[str, Any]]:
    if array.ndim > 2 or array.dtype.kind in "VSO":
        raise _refused(array, f"an array of {array.ndim} dimensions and dtype {array.dtype} has no columns")
    if isinstance(array, np.ma.MaskedArray):
        array = np.ma.filled(array.astype(object), None)
    if array.ndim == 1:
        return [(name, array)]
    return [(f"{name}_{number}", array[:, number]) for number in range(array.shape[1])]


def _frame_columns(frame: pd.DataFrame) -> list[tuple[str, Any]]:
    import pandas as pd

    if frame.columns.nlevels > 1:
        raise _refused(frame, "its columns have several levels; join their names first")
    if not (isinstance(frame.index, pd.RangeIndex) and frame.index.equals(pd.RangeIndex(len(frame)))):
        # With the names that pandas gives to levels without one, and apart from columns of the same name.
        levels = frame.index.to_frame(index=False)
        names = [f"level_{label}" if isinstance(label, int) else str(label) for label in levels.columns]
        labels = ["index"] if names == ["level_0"] else names
        columns = [(label, levels.iloc[:, number].array) for number, label in enumerate(labels)]
    else:
        columns = []
    for number, label in enumerate(frame.columns):
        column = frame.iloc[:, number]
        if column.dtype == object and any(isinstance(cell, _NESTED) for cell in column):
            raise _refused(frame, f"its column {label!r} holds values that are not single")
        columns.append((str(label), column.array))
    return columns


def _refused(value: Any, why: str) -> UnsupportedValueError:
    return UnsupportedValueError(
        f"A value of type {type(value).__name__} cannot be written as CSV: {why}. Load it, and write what you need of "
        "it yourself.",
        path="",
    )
