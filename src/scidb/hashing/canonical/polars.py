"""Canonical encoding of polars tables and columns, by dtype and values.

Part of the value: names, order of rows and columns, dtypes with their units, zones, precisions and the
categories of an Enum in their order. Ignored, because it is storage: chunking, flags such as "sorted",
the codes of a Categorical.

Decisions
---------
- A dtype is its name, or an array of its name and its parts: the form that `dtype_form` gives.
- The values are those of the Arrow array that polars makes, categories and integers of 128 bits as text.
- A DataFrame is its height and its columns. A polars column never equals an Arrow or a pandas one.
- ``Object``, ``Unknown`` and extension dtypes are refused, and so is a lazy frame: it is a plan, not data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import polars as pl

from scidb.hashing.canonical.arrow import encode_column
from scidb.hashing.canonical.cbor import array, integer, text, typed
from scidb.hashing.canonical.encode import Refusal, encode, in_brackets

if TYPE_CHECKING:
    from scidb.hashing.canonical.encode import Active, Writer

__all__ = ["SIMPLE", "WRITERS", "as_arrow", "dtype_form", "storable"]

DType: TypeAlias = Any

SIMPLE: Final = frozenset(
    (
        *("Boolean", "String", "Binary", "Date", "Time", "Null"),
        *("Int8", "Int16", "Int32", "Int64", "Int128", "UInt8", "UInt16", "UInt32", "UInt64", "UInt128"),
        *("Float16", "Float32", "Float64"),
    )
)
"""The dtypes that their name says all about."""

_PARTS: Final = {"Datetime": ("time_unit", "time_zone"), "Duration": ("time_unit",), "Decimal": ("precision", "scale")}
_AS_TEXT: Final = frozenset({"Categorical", "Enum", "Int128", "UInt128"})


def dtype_form(dtype: DType) -> Any:  # noqa: PLR0911 (one line a dtype)
    """Return a dtype as JSON types.

    Examples
    --------
    >>> dtype_form(pl.Int8()), dtype_form(pl.List(pl.Datetime("us", "UTC")))
    ('Int8', ['List', ['Datetime', 'us', 'UTC']])

    """
    name = type(dtype).__name__
    if name in SIMPLE:
        return name
    if name in _PARTS:
        return [name, *(getattr(dtype, part) for part in _PARTS[name])]
    match name:
        case "Categorical":
            return _categorical(dtype)
        case "Enum":
            return [name, dtype.categories.to_list()]
        case "List":
            return [name, dtype_form(dtype.inner)]
        case "Array" if dtype.size:
            return [name, dtype_form(dtype.inner), dtype.size]
        case "Struct":
            return [name, [[field.name, dtype_form(field.dtype)] for field in dtype.fields]]
        case "Map":
            return [name, dtype_form(dtype.key), dtype_form(dtype.value)]
    raise Refusal(f"polars's dtype {dtype} holds what cannot be looked at, or is unknown here")


def _categorical(dtype: DType) -> Any:
    # Categories of one's own came with polars 1.31.
    categories = getattr(dtype, "categories", None)
    if categories is None or categories.is_global():
        return "Categorical"
    return ["Categorical", categories.name(), categories.namespace(), dtype_form(categories.physical()())]


def storable(dtype: DType) -> DType:
    """Return the dtype with text in place of what Arrow has no type for, or only with codes, at any depth."""
    name = type(dtype).__name__
    if name in _AS_TEXT:
        return pl.String()
    if name == "List":
        return pl.List(storable(dtype.inner))
    if name == "Array":
        return pl.Array(storable(dtype.inner), dtype.size)
    if name == "Struct":
        return pl.Struct([pl.Field(field.name, storable(field.dtype)) for field in dtype.fields])
    if name == "Map":
        return type(dtype)(storable(dtype.key), storable(dtype.value))
    return dtype


def as_arrow(column: pl.Series) -> Any:
    """Return the values of a column as an Arrow array of its storable dtype."""
    plain = storable(column.dtype)
    return (column if plain == column.dtype else column.cast(plain)).to_arrow()


def _values(column: pl.Series, active: Active) -> bytes:
    dtype = encode(dtype_form(column.dtype), active)
    return typed("pl.values", 3) + dtype + integer(len(column)) + encode_column(as_arrow(column))


def _series(value: pl.Series, active: Active) -> bytes:
    return typed("pl.Series", 2) + text(value.name) + _values(value, active)


def _frame(value: pl.DataFrame, active: Active) -> bytes:
    columns = []
    for column in value.iter_columns():
        try:
            columns.append(array([text(column.name), _values(column, active)]))
        except Refusal as refusal:
            refusal.trail.append(in_brackets(column.name))
            raise
    return typed("pl.DataFrame", 2) + integer(value.height) + array(columns)


def _plan(value: object, _: Active) -> bytes:
    raise Refusal(f"a polars {type(value).__name__} is a plan and no data; collect() it first")


WRITERS: Final[dict[type, Writer]] = {
    pl.DataFrame: _frame,
    pl.Series: _series,
    pl.LazyFrame: _plan,
    pl.Expr: _plan,
}
