"""Canonical encoding of pandas tables, columns, indexes and scalars.

Part of the value: index, order and names of columns, index names, ``attrs``, categories with their order,
time zone, and which kind of missing value a dtype has. Ignored, because it is storage or differs between
releases of pandas: block layout, ``RangeIndex`` or not, unused levels, ``freq`` of an index, the resolution
of dates beyond what the values need, whether text is kept by Python or by Arrow.

Decisions
---------
- A column of dtype ``object`` that holds nothing but ``str``, and None or NaN between them, is the ``str``
  column that pandas 3 makes of it; an empty one too. One with missing values only stays what it is.
- Dates and durations of one column, and single ones, are in the coarsest of s, ms, us, ns that loses nothing.
- A sparse column is its fill value and its dense values. An Arrow-backed column is its Arrow array.
- ``flags`` are not part of a value. Subclasses of DataFrame, Series and Index are refused.
"""

from __future__ import annotations

from itertools import chain
from operator import countOf
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import pandas as pd

from scidb.hashing.canonical.cbor import NULL, array, binary, head, integer, payload, text, typed
from scidb.hashing.canonical.encode import Refusal, encode, encode_items, in_brackets
from scidb.hashing.canonical.numpy import encode_dtype, encode_strings, numeric_parts, numeric_runs
from scidb.hashing.canonical.stdlib import encode_zone

if TYPE_CHECKING:
    from scidb.hashing.canonical.cbor import Parts
    from scidb.hashing.canonical.encode import Active, Writer

__all__ = ["WRITERS"]

Frame: TypeAlias = Any
Column: TypeAlias = Any
Integers: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"

_UNITS: Final = ("s", "ms", "us", "ns")
_NAT: Final = np.iinfo(np.int64).min


# ---------------------------------------------------------------- tables and indexes


def _frame(value: Frame, active: Active) -> bytes:
    columns: list[bytes | memoryview] = []
    for position, name in enumerate(value.columns):
        try:
            # By position: some labels, such as NA, cannot be looked up.
            columns += _values(value.iloc[:, position], active)
        except Refusal as refusal:
            refusal.trail.append(in_brackets(name if value.columns.is_unique else position))
            raise
    labels = (_part(value.columns, ".columns", active), _part(value.index, ".index", active))
    attrs = _part(value.attrs, ".attrs", active)
    return b"".join((typed("pd.DataFrame", 4), *labels, attrs, head(4, len(value.columns)), *columns))


def _series(value: Column, active: Active) -> bytes:
    name, index = encode(value.name, active), _part(value.index, ".index", active)
    attrs = _part(value.attrs, ".attrs", active)
    return b"".join((typed("pd.Series", 4), name, index, attrs, *_values(value, active)))


def _part(value: object, name: str, active: Active) -> bytes:
    try:
        return encode(value, active)
    except Refusal as refusal:
        refusal.trail.append(name)
        raise


def _index(value: Column, active: Active) -> bytes:
    name = encode(value.name, active)
    return b"".join((typed("pd.Index", 3), name, integer(len(value)), *_values(value, active)))


def _multi_index(value: Column, active: Active) -> bytes:
    # Without names, because pandas takes a number for the name of a level if one has it.
    bare = value.set_names([None] * value.nlevels)
    columns = [bare.get_level_values(level).rename(name) for level, name in enumerate(value.names)]
    levels = [_index(column, active) for column in columns]
    return typed("pd.MultiIndex", len(levels)) + b"".join(levels)


def _bare_array(value: Column, active: Active) -> bytes:
    return b"".join((typed("pd.array", 2), integer(len(value)), *_values(pd.Series(value, copy=False), active)))


# ---------------------------------------------------------------- columns


def _values(column: Column, active: Active) -> Parts:  # noqa: PLR0911 (one line a dtype)
    """Encode the values of a Series or an Index by its dtype, in parts that are joined once."""
    dtype = column.dtype
    if isinstance(dtype, np.dtype):
        return _numpy_values(column.to_numpy(), active)
    if isinstance(dtype, pd.DatetimeTZDtype):
        return _instants("pd.datetime", dtype.unit, encode_zone(dtype.tz), column.array.asi8)
    if isinstance(dtype, pd.CategoricalDtype):
        ordered = b"\xf5" if dtype.ordered else b"\xf4"
        codes = numeric_parts(column.array.codes.astype("<i8"))
        return (typed("pd.categorical", 3), ordered, _part(dtype.categories, ".categories", active), *codes)
    if isinstance(dtype, pd.StringDtype):
        return (typed("pd.string" if dtype.na_value is pd.NA else "pd.str", 1), *_text(column))
    if isinstance(dtype, pd.PeriodDtype):
        return (typed("pd.period", 2), text(_freq(dtype)), *numeric_parts(column.array.asi8))
    if isinstance(dtype, pd.IntervalDtype):
        ends = _part(column.array.left, ".left", active) + _part(column.array.right, ".right", active)
        return (typed("pd.interval", 3), text(dtype.closed), ends)
    if isinstance(dtype, pd.SparseDtype):
        fill = encode(dtype.fill_value, active)
        return (typed("pd.sparse", 2), fill, *_numpy_values(column.array.to_dense(), active))
    if isinstance(dtype, pd.ArrowDtype):
        return (typed("pd.arrow", 1), _arrow(column))
    if isinstance(dtype, pd.api.extensions.ExtensionDtype) and hasattr(dtype, "numpy_dtype"):
        return _masked(column, dtype, active)
    raise Refusal(f"the pandas dtype {dtype} is not supported")


def _numpy_values(values: Any, active: Active) -> Parts:
    kind = values.dtype.kind
    if kind == "O":
        return _objects(values.tolist(), values, active)
    if kind in "Mm":
        word = "pd.datetime" if kind == "M" else "pd.timedelta"
        native = values.astype(values.dtype.newbyteorder("="), copy=False)
        return _instants(word, np.datetime_data(native.dtype)[0], NULL, native.view("i8"))
    return (typed("pd.np", 2), encode_dtype(values.dtype, active), *numeric_parts(values))


def _objects(items: list[object], owner: object, active: Active) -> Parts:
    # To count the texts is faster than to gather the types, and mostly there is nothing else.
    kinds = {str} if countOf(map(type, items), str) == len(items) else set(map(type, items))
    if str in kinds and kinds <= {str, type(None), float}:
        numbers = (item for item in items if type(item) is float) if float in kinds else ()
        if all(item != item for item in numbers):  # noqa: PLR0124
            return (typed("pd.str", 1), *_strings(items))
    return (typed("pd.object", 1), array(encode_items(owner, items, active)))


def _text(column: Column) -> Parts:
    if column.dtype.storage == "python":
        return _strings(column.array.to_numpy(dtype=object, na_value=None).tolist())
    import pyarrow as pa

    from scidb.hashing.canonical.arrow import arrow_strings

    return arrow_strings(pa.array(column.array))


def _strings(items: list[Any]) -> Parts:
    """Encode texts, None and NaN being missing ones; through Arrow, which is faster, if it can hold them."""
    import pyarrow as pa

    from scidb.hashing.canonical.arrow import arrow_strings

    try:
        whole = pa.array(items, pa.large_string(), from_pandas=True)
    except UnicodeEncodeError:
        return (encode_strings([item if type(item) is str else None for item in items]),)
    return arrow_strings(whole)


def _arrow(column: Column) -> bytes:
    import pyarrow as pa

    from scidb.hashing.canonical.arrow import encode_arrow

    return encode_arrow(pa.array(column.array))


def _masked(column: Column, dtype: Any, active: Active) -> Parts:
    masked = column.array
    missing = np.asarray(masked.isna())
    plain = dtype.numpy_dtype
    if missing.any():
        bits = payload(np.packbits(missing, bitorder="little").data)
        values = masked.to_numpy(dtype=plain, na_value=plain.type(0))
    else:
        bits, values = binary(b""), masked.to_numpy(dtype=plain)
    return (typed("pd.masked", 3), encode_dtype(plain, active), bits, *numeric_parts(values))


def _freq(dtype: Any) -> str:
    return str(dtype).removeprefix("period[").removesuffix("]")


# ---------------------------------------------------------------- dates and durations


def _instants(word: str, unit: str, zone: bytes, ticks: Integers) -> Parts:
    """Encode points in time or durations in the coarsest unit that loses nothing."""
    coarse, factor = _coarsest(ticks, unit)
    contents = numeric_parts(ticks, None if factor == 1 else lambda run: _divided(run, factor))
    return (typed(word, 3), text(coarse), zone, *contents)


def _divided(run: Integers, factor: int) -> Integers:
    return np.where(run == _NAT, _NAT, run // factor)


def _coarsest(ticks: Integers, unit: str) -> tuple[str, int]:
    """Return the coarsest unit that holds every value, and what the values are divided by."""
    finest = _UNITS.index(unit)
    steps = finest
    for run in numeric_runs(ticks):
        present = run[run != _NAT]
        while steps and (present % 1000**steps).any():
            steps -= 1
        if steps == 0:
            break
    return _UNITS[finest - steps], 1000**steps


def _instant_scalar(word: str, value: Any, zone: bytes) -> bytes:
    ticks = np.asarray([value.asm8 if word == "pd.Timestamp" else value.to_timedelta64()])
    unit = np.datetime_data(ticks.dtype)[0]
    whole = ticks.view("i8")
    coarse, factor = _coarsest(whole, unit)
    return typed(word, 3) + text(coarse) + zone + integer(int(whole[0]) // factor)


def _interval(value: Any, active: Active) -> bytes:
    ends = b"".join(encode_items(value, (value.left, value.right), active))
    return typed("pd.Interval", 3) + text(value.closed) + ends


def _period(value: Any, _: Active) -> bytes:
    return typed("pd.Period", 2) + text(_freq(pd.PeriodDtype(value.freq))) + integer(value.ordinal)


def _own_arrays(base: type) -> list[type]:
    """Return pandas's own array classes below a base; a user's subclass is none of them."""
    below = chain.from_iterable(map(_own_arrays, base.__subclasses__()))
    return [kind for kind in [base, *below] if kind.__module__.partition(".")[0] == "pandas"]


WRITERS: Final[dict[type, Writer]] = {
    **dict.fromkeys(_own_arrays(pd.api.extensions.ExtensionArray), _bare_array),
    pd.DataFrame: _frame,
    pd.Series: _series,
    pd.MultiIndex: _multi_index,
    **dict.fromkeys(
        (
            pd.Index,
            pd.RangeIndex,
            pd.CategoricalIndex,
            pd.DatetimeIndex,
            pd.TimedeltaIndex,
            pd.PeriodIndex,
            pd.IntervalIndex,
        ),
        _index,
    ),
    pd.Timestamp: lambda value, _: _instant_scalar("pd.Timestamp", value, encode_zone(value.tz)),
    pd.Timedelta: lambda value, _: _instant_scalar("pd.Timedelta", value, NULL),
    pd.Period: _period,
    pd.Interval: _interval,
    type(pd.NaT): lambda _value, _active: typed("pd.NaT", 0),
    type(pd.NA): lambda _value, _active: typed("pd.NA", 0),
}
