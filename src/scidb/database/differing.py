"""By how much two values differ: a number where that means something, and a word where it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Amount", "difference"]

Amount: TypeAlias = tuple[int | float | complex | None, str]
"""The difference, if there is one, and a note."""

_EQUAL = "the numbers are equal"


def difference(before: Any, after: Any) -> Amount:
    """Return by how much a value differs from an earlier one, and a note.

    Numbers give ``after - before``, exactly for whole numbers. Arrays, lists and tables of one shape give the
    largest absolute difference of their numbers. Everything else gives None, and the note says why.

    Examples
    --------
    >>> difference(2, 5), difference([1.0, 2.0], [1.0, 1.5])
    ((3, ''), (0.5, 'largest of 2'))
    >>> difference("left", "right")
    (None, 'str')

    """
    before, after = _plain(before), _plain(after)
    if _is_number(before) and _is_number(after):
        return _between_numbers(before, after)
    for kinds in (("ndarray",), ("list", "tuple"), ("Series", "DataFrame")):
        if type(before).__name__ in kinds and type(after).__name__ in kinds:
            return _between_tables(before, after) if kinds[0] == "Series" else _between_arrays(before, after)
    return None, _other_type(before, after) or type(after).__name__


def _plain(value: Any) -> Any:
    """Return a numpy scalar, which would count in circles, as the number that it is."""
    return value.item() if isinstance(value, np.generic) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | complex) and not isinstance(value, bool)


def _other_type(before: Any, after: Any) -> str:
    kinds = type(before).__name__, type(after).__name__
    return "" if kinds[0] == kinds[1] else f"was {kinds[0]}, is {kinds[1]}"


# ------------------------------------------------------------------ numbers


def _between_numbers(before: Any, after: Any) -> Amount:
    note = _other_type(before, after)
    try:
        amount = after - before
    except OverflowError:
        return None, note or "too large"
    if amount != amount:  # noqa: PLR0124 - nan
        return None, f"was {before}, is {after}"
    return amount, note


# ------------------------------------------------------------------ arrays


def _between_arrays(before: Any, after: Any) -> Amount:
    note = _other_type(before, after)
    first, second = _array(before), _array(after)
    if first is None or second is None:
        return None, note or f"{type(after).__name__} with more than numbers"
    if first.shape != second.shape:
        return None, f"shape was {first.shape}, is {second.shape}"
    if first.dtype.kind not in "iufc" or second.dtype.kind not in "iufc":
        return None, f"{second.dtype} array"
    if first.dtype != second.dtype:
        note = note or f"was {first.dtype}, is {second.dtype}"
    return _summary(*_largest(first, second), first.size, note)


def _summary(largest: float | None, gaps: int, count: int, note: str = "") -> Amount:
    """Return the largest of `count` differences, and what has to be said about it."""
    missing = f"{gaps} missing in one of them" if gaps else ""
    what = "no numbers" if largest is None else f"largest of {count}" if largest else _EQUAL
    return largest, "; ".join(filter(None, [what, note, missing]))


def _array(value: Any) -> Any:
    """Return an array, or a list of numbers as one; None for other lists."""
    if isinstance(value, np.ndarray):
        return value
    if not all(_is_number(_plain(item)) for item in value):
        return None
    try:
        return np.asarray(value) if value else np.empty(0)
    except OverflowError:
        return None


def _largest(first: Any, second: Any) -> tuple[int | float | None, int]:
    """Return the largest absolute difference of two numeric arrays of one shape, and how many have one number only."""
    if not first.size:
        return None, 0
    first, second = np.atleast_1d(first), np.atleast_1d(second)
    both = np.result_type(first, second)
    if both.kind in "iu":
        first, second = first.astype(both, copy=False), second.astype(both, copy=False)
        apart = np.maximum(first, second) - np.minimum(first, second)
        # Beyond the largest signed number the difference wraps around, to what is right without a sign.
        return int(apart.view(f"u{both.itemsize}").max()), 0
    # Beyond the precision of the smaller type nothing is lost by this, and halves would overflow.
    wide = np.result_type(both, np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(second.astype(wide, copy=False) - first.astype(wide, copy=False))
    gaps = int(np.count_nonzero(np.isnan(first) != np.isnan(second)))
    apart[(first == second) | (np.isnan(first) & np.isnan(second))] = 0  # equal infinities differ by nan
    known = apart[~np.isnan(apart)]
    return (float(known.max()) if known.size else None), gaps


# ------------------------------------------------------------------ tables


def _between_tables(before: Any, after: Any) -> Amount:
    note = _other_type(before, after)
    if note or not hasattr(before, "iloc") or not hasattr(after, "iloc"):  # polars has frames, too
        return None, note or f"{type(after).__module__.partition('.')[0]} {type(after).__name__}"
    if before.shape != after.shape:
        return None, f"shape was {before.shape}, is {after.shape}"
    if before.ndim == 2 and not before.columns.equals(after.columns):
        return None, "other columns"
    # Rows are compared by position, which may not be the rows of one label.
    index = "" if before.index.equals(after.index) else "other index"
    amounts: list[int | float] = []
    missing = count = 0
    for first, second in zip(_columns(before), _columns(after), strict=True):
        if first is None or second is None:
            continue
        amount, gaps = _largest(first, second)
        missing += gaps
        count += first.size
        amounts += [] if amount is None else [amount]
    return _summary(max(amounts, default=None), missing, count, index)


def _columns(table: pd.DataFrame | pd.Series) -> list[Any]:
    """Return the columns as numeric arrays; None for those that hold no numbers."""
    columns = [table] if table.ndim == 1 else [table.iloc[:, number] for number in range(table.shape[1])]
    return [_numbers(column) for column in columns]


def _numbers(column: pd.Series) -> Any:
    import pandas as pd

    kinds = pd.api.types
    if not kinds.is_numeric_dtype(column.dtype) or kinds.is_bool_dtype(column.dtype):
        return None
    if isinstance(column.dtype, np.dtype):
        return column.to_numpy()
    return None if kinds.is_complex_dtype(column.dtype) else column.to_numpy(dtype=np.float64, na_value=np.nan)
