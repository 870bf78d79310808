"""DataFrames and Series of polars: one list element per row, in the columns that Arrow arrays have.

Categories and integers of 128 bits are text; the dtype in the parameters restores them. Everything else is
stored as `scidb.codecs.arrow` says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import polars as pl
import pyarrow as pa

from scidb.codecs.arrow import column_from_arrow, column_to_arrow, describe_column
from scidb.codecs.base import Codec, Parameters, unsupported
from scidb.codecs.contents import Compared, Contents, StoredColumn, items
from scidb.codecs.primitive import cells, lists
from scidb.codecs.tagged import path_text
from scidb.exceptions import SerializationError, UnsupportedValueError
from scidb.hashing.canonical.encode import Refusal
from scidb.hashing.canonical.polars import SIMPLE, as_arrow, dtype_form, storable
from scidb.store.names import unique_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["PolarsCodec"]


class PolarsCodec(Codec):
    """One list element per row; a lazy frame is refused, since it is a plan and no data."""

    name = "polars"
    types: ClassVar[tuple[type, ...]] = (pl.DataFrame, pl.Series, pl.LazyFrame, pl.Expr)

    def describe(self, value: object) -> Parameters:
        """Return names, dtypes, how each column is stored, and the physical column names."""
        if isinstance(value, pl.LazyFrame | pl.Expr):
            raise UnsupportedValueError(
                f"Cannot store a polars {type(value).__name__}: it is a plan and no data. Call collect() on it first, "
                "and save the DataFrame.",
                path="",
            )
        columns, keyed = _columns(value), isinstance(value, pl.DataFrame)
        names = [column.name for column in columns]
        return {
            "type": "frame" if keyed else "series",
            "names": names,
            "columns": [_describe(column, *([column.name] if keyed else [])) for column in columns],
            "physical": unique_columns((names if keyed else [names[0] or "value"]) or ["empty"]),
        }

    def encode(self, values: Sequence[Any], parameters: Parameters) -> pa.Table:
        """Return one row of lists per value."""
        by_value = [_columns(value) for value in values]
        lengths = [len(value) for value in values]
        table: dict[str, pa.Array] = {}
        for position, described in enumerate(parameters["columns"]):
            chunks = [as_arrow(columns[position]) for columns in by_value]
            flat = column_to_arrow(chunks, chunks[0].type, described)
            table[parameters["physical"][position]] = lists(flat, lengths)
        if not table:
            # Nothing else would say how many rows there are.
            table[parameters["physical"][0]] = lists(pa.nulls(sum(lengths), pa.bool_()), lengths)
        return pa.table(table)

    def decode(self, table: pa.Table, parameters: Parameters) -> list[Any]:
        """Return frames or Series of exactly these dtypes."""
        dtypes = [_dtype(described["dtype"]) for described in parameters["columns"]]
        by_column = [cells(table.column(name)) for name in parameters["physical"]]
        restored: list[Any] = []
        for row in zip(*by_column, strict=True):
            if not dtypes:
                restored.append(pl.DataFrame(height=len(row[0])) if len(row[0]) else pl.DataFrame())
                continue
            columns = [
                _restore(name, cell, dtype, described)
                for name, cell, dtype, described in zip(
                    parameters["names"], row, dtypes, parameters["columns"], strict=True
                )
            ]
            restored.append(columns[0] if parameters["type"] == "series" else _frame(columns))
        return restored

    def contents(self, parameters: Parameters) -> Contents:
        """Return the columns of a frame, or the one of a Series."""
        compared = [_compared(said["dtype"]) for said in parameters["columns"]]
        if parameters["type"] == "series":
            return items(compared[0], parameters["physical"][0])
        # A frame without columns has a physical one all the same.
        named = zip(parameters["names"], parameters["physical"], compared, strict=False)
        return Contents("table", tuple(StoredColumn(*one) for one in named))

    def nbytes(self, values: Sequence[Any], table: pa.Table) -> tuple[int, ...]:
        """Return the size of each row of the table."""
        if len(values) == 1:
            return (table.nbytes,)
        return tuple(table.slice(position, 1).nbytes for position in range(len(values)))


def _columns(value: Any) -> list[pl.Series]:
    return list(value.iter_columns()) if isinstance(value, pl.DataFrame) else [value]


def _describe(column: pl.Series, *keys: object) -> Parameters:
    try:
        dtype = dtype_form(column.dtype)
    except Refusal:
        raise unsupported(f"a polars column of dtype {column.dtype}", path_text(*keys)) from None
    return {"dtype": dtype, **describe_column(as_arrow(column), *keys)}


def _compared(form: Any) -> Compared | None:
    match form:
        case [("Categorical" | "Enum") as name, *_]:
            return Compared("text", ordered=name == "Categorical")
        case ["Datetime", _, zone]:
            return Compared("datetime with a time zone" if zone else "datetime")
        case ["Duration", str(unit)]:
            return Compared("timedelta", unit)
        case str(name):
            return _COMPARED.get(name)
    return None


_WIDTHS: Final = ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")
_COMPARED: Final = {
    "Boolean": Compared("bool"),
    "Categorical": Compared("text"),
    "Date": Compared("date"),
    "Null": Compared(None),
    "String": Compared("text"),
    **dict.fromkeys((*_WIDTHS, "Float16", "Float32", "Float64"), Compared("number")),
}


def _restore(name: str, cell: pa.Array, dtype: Any, described: Parameters) -> pl.Series:
    plain = storable(dtype)
    values = column_from_arrow(cell, pl.Series([], dtype=plain).to_arrow().type, described)
    column = pl.Series(name, values)
    if column.dtype == dtype:
        return column
    try:
        return column.cast(dtype)
    except pl.exceptions.PolarsError as error:
        raise SerializationError(f"The column {name!r} cannot be restored as {dtype}: {error}", column=name) from error


def _frame(columns: list[pl.Series]) -> pl.DataFrame:
    # By name, since polars takes an empty one in a list for none.
    return pl.DataFrame({column.name: column for column in columns})


def _dtype(form: Any) -> Any:
    """Return the dtype behind the form of `dtype_form`."""
    name, *parts = [form] if isinstance(form, str) else form
    if name in _DTYPES:
        return _DTYPES[name](*parts)
    if name in SIMPLE and not parts and hasattr(pl, name):
        return getattr(pl, name)()
    raise SerializationError(f"polars {pl.__version__} has no dtype {form!r}. Update polars.", dtype=str(form))


def _categorical(*own: Any) -> Any:
    if not own:
        return pl.Categorical()
    name, namespace, physical = own
    return pl.Categorical(pl.Categories(name, namespace, _dtype(physical)))


_DTYPES: Final[dict[str, Callable[..., Any]]] = {
    "Categorical": _categorical,
    "Datetime": pl.Datetime,
    "Duration": pl.Duration,
    "Decimal": pl.Decimal,
    "Enum": pl.Enum,
    "List": lambda inner: pl.List(_dtype(inner)),
    "Array": lambda inner, size: pl.Array(_dtype(inner), size),
    "Struct": lambda fields: pl.Struct([pl.Field(name, _dtype(inner)) for name, inner in fields]),
    "Map": lambda key, value: pl.Map(_dtype(key), _dtype(value)),
}
