"""Types on both sides of the file: Arrow columns as DuckDB columns, key values as text, and back."""

from __future__ import annotations

import datetime as dt
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from scidb.exceptions import SchemaKeyError, UnsupportedValueError
from scidb.store.names import unique_columns
from scidb.store.texts import is_unicode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scidb.store.model import KeyType, KeyValue, SchemaKey

__all__ = [
    "KEY_SQL_TYPES",
    "Column",
    "Shape",
    "element_type",
    "elements",
    "fitting_text",
    "has_negative_zero",
    "integer_type",
    "is_list",
    "key_order",
    "key_text",
    "key_value",
    "negative_zeros",
]

# ------------------------------------------------------------------ schema keys

KEY_SQL_TYPES: Final[dict[KeyType | None, str]] = {
    "int": "BIGINT",
    "float": "DOUBLE",
    "str": "VARCHAR",
    "date": "DATE",
    "datetime": "TIMESTAMP WITH TIME ZONE",
    None: "VARCHAR",
}
_INTEGERS: Final = ("BIGINT", "HUGEINT", "VARCHAR")
_PYTHON_TYPES: Final = {"int": int, "float": float, "str": str, "date": dt.date, "datetime": dt.datetime}


def fitting_text(key: SchemaKey, value: object) -> str | None:
    """Return the text that stands for a key's value, or None if the value does not fit the key."""
    # Exactly the type: a bool is an int and a datetime a date, but neither is meant.
    kind = type(value)
    if key.value_type is None or kind is not _PYTHON_TYPES[key.value_type]:
        return None
    return _TEXTS[kind](value)


def key_text(key: SchemaKey, value: KeyValue) -> str:
    """Return the text that stands for a key's value in the file; equal values have one text.

    Raises
    ------
    SchemaKeyError
        When the value does not fit the key.

    """
    if key.value_type is None:
        raise SchemaKeyError(
            f"Schema key {key.name!r} has no type yet; send KeyTyped with its first value.", name=key.name
        )
    text = fitting_text(key, value)
    if text is None:
        raise SchemaKeyError(
            f"Schema key {key.name!r} holds {key.value_type} values; {value!r} ({type(value).__name__}) is none.",
            name=key.name,
            value_type=key.value_type,
        )
    return text


def _float_text(value: float) -> str | None:
    return None if math.isnan(value) else repr(value + 0.0)  # -0.0 is the same place as 0.0


def _str_text(value: str) -> str | None:
    return value if is_unicode(value) else None


def _datetime_text(value: dt.datetime) -> str:
    return (value if value.tzinfo is None else value.astimezone(dt.UTC)).isoformat()


_TEXTS: Final[dict[type, Callable[[Any], str | None]]] = {
    int: str,
    float: _float_text,
    str: _str_text,
    dt.date: dt.date.isoformat,
    dt.datetime: _datetime_text,
}


def key_value(kind: KeyType | None, text: str) -> KeyValue:
    """Return the value that a text in the file stands for.

    Examples
    --------
    >>> key_value("str", "01"), key_value("int", "9"), key_value("date", "2024-02-29")
    ('01', 9, datetime.date(2024, 2, 29))

    """
    match kind:
        case "int":
            return int(text)
        case "float":
            return float(text)
        case "date":
            return dt.date.fromisoformat(text)
        case "datetime":
            return dt.datetime.fromisoformat(text)
    return text


def integer_type(texts: Iterable[str], known: str = "BIGINT") -> str:
    """Return the narrowest DuckDB type from the known one on that shows all of these integers.

    Examples
    --------
    >>> integer_type(["1", "-7"]), integer_type([str(2**63)]), integer_type([str(2**200)])
    ('BIGINT', 'HUGEINT', 'VARCHAR')

    """
    bits = max((int(text).bit_length() for text in texts if len(text) > 18), default=0)
    return max(known, _INTEGERS[(bits > 63) + (bits > 127)], key=_INTEGERS.index)


def key_order(value: KeyValue) -> object:
    """Return what sorts the values of one key; a datetime without a zone counts as UTC, and comes first."""
    if isinstance(value, dt.datetime):
        return value if value.tzinfo else value.replace(tzinfo=dt.UTC), value.tzinfo is not None
    return value


# ------------------------------------------------------------------ columns of data

_DUCK_TYPES: Final = {
    pa.bool_(): "BOOLEAN",
    pa.int8(): "TINYINT",
    pa.int16(): "SMALLINT",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.uint8(): "UTINYINT",
    pa.uint16(): "USMALLINT",
    pa.uint32(): "UINTEGER",
    pa.uint64(): "UBIGINT",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.string(): "VARCHAR",
    pa.large_string(): "VARCHAR",
    pa.binary(): "BLOB",
    pa.large_binary(): "BLOB",
    pa.date32(): "DATE",
    pa.time64("us"): "TIME",
    pa.timestamp("s"): "TIMESTAMP_S",
    pa.timestamp("ms"): "TIMESTAMP_MS",
    pa.timestamp("us"): "TIMESTAMP",
    pa.timestamp("ns"): "TIMESTAMP_NS",
}
_BY_NAME: Final = {str(arrow): arrow for arrow in _DUCK_TYPES}
_LISTS: Final = {"list": pa.list_, "large_list": pa.large_list}
_SIGN_ONLY: Final = {
    pa.float32(): (pa.int32(), -(2**31)),
    pa.float64(): (pa.int64(), -(2**63)),
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a chunk's table, and the physical columns that hold it.

    `zeros` marks the elements that are -0.0. DuckDB compresses runs of equal numbers, and to it -0.0 and
    0.0 are equal, so that one of them would come back as the other.
    """

    label: str
    name: str
    type: str
    zeros: str | None = None

    @property
    def arrow(self) -> pa.DataType:
        """The type of one element."""
        return _BY_NAME[self.type]

    @property
    def duck(self) -> str:
        """The type of one element in DuckDB."""
        return _DUCK_TYPES[self.arrow]


@dataclass(frozen=True, slots=True)
class Shape:
    """The physical shape of a chunk's table: whose columns, and whether its cells are lists."""

    columns: tuple[Column, ...]
    lists: str | None = None  # the kind of list, if the cells are lists

    @classmethod
    def of(cls, table: pa.Table) -> Shape:
        """Return the shape in which a table is stored.

        Raises
        ------
        UnsupportedValueError
            When a column has a type that cannot be stored exactly.

        """
        kinds = {_list_kind(column.type) for column in table.columns}
        if len(kinds) > 1:
            raise UnsupportedValueError(
                "A table mixes columns of lists and columns without; make all of them the one or the other: "
                f"{', '.join(f'{field.name} ({field.type})' for field in table.schema)}."
            )
        zeros = [has_negative_zero(column) for column in table.columns]
        labels = table.schema.names
        names = unique_columns(
            [*labels, *(f"{name}_negative_zero" for name, is_in in zip(labels, zeros, strict=True) if is_in)]
        )
        marks = iter(names[len(labels) :])
        columns = tuple(
            Column(label, name, _type_name(label, column.type), next(marks) if is_in else None)
            for label, name, column, is_in in zip(labels, names, table.columns, zeros, strict=False)
        )
        return cls(columns, kinds.pop() if kinds else None)

    @classmethod
    def from_json(cls, text: str) -> Shape:
        """Return the shape that a comment in the file describes."""
        said = json.loads(text)
        return cls(tuple(Column(*column) for column in said["columns"]), said["lists"])

    def to_json(self) -> str:
        """Describe the shape in a comment on its table."""
        columns = [[column.label, column.name, column.type, column.zeros] for column in self.columns]
        return json.dumps({"lists": self.lists, "columns": columns})

    def physical(self) -> list[tuple[str, str]]:
        """Return name and DuckDB type of every physical column."""
        own = [(column.name, column.duck) for column in self.columns]
        return own + [(column.zeros, "BOOLEAN") for column in self.columns if column.zeros]

    def describe(self) -> str:
        """Describe the shape in a few words for people."""
        suffix = "[]" if self.lists else ""
        return ", ".join(f"{column.name} {column.duck}{suffix}" for column in self.columns)

    def column_type(self, column: Column) -> pa.DataType:
        """Return the Arrow type of a whole cell."""
        return _LISTS[self.lists](column.arrow) if self.lists else column.arrow


def is_list(kind: pa.DataType) -> bool:
    """Say whether cells of this type are lists."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def element_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of one element of a column."""
    return kind.value_type if is_list(kind) else kind


def _list_kind(kind: pa.DataType) -> str | None:
    if pa.types.is_large_list(kind):
        return "large_list"
    return "list" if pa.types.is_list(kind) else None


def _type_name(label: str, kind: pa.DataType) -> str:
    element = element_type(kind)
    if element not in _DUCK_TYPES:
        raise UnsupportedValueError(
            f"Column {label!r} has the Arrow type {kind}, which DuckDB does not hold exactly. Its codec should use "
            f"one of {', '.join(_BY_NAME)}, or lists of one of them."
        )
    return str(element)


def has_negative_zero(column: pa.ChunkedArray) -> bool:
    """Say whether any element of a column, or of its lists, is -0.0."""
    if element_type(column.type) not in _SIGN_ONLY:
        return False
    return any(pc.any(negative_zeros(elements(part))).as_py() or False for part in column.chunks)


def negative_zeros(values: pa.Array) -> pa.Array:
    """Say of each float whether it is -0.0."""
    integers, sign_only = _SIGN_ONLY[values.type]
    return pc.equal(values.view(integers), pa.scalar(sign_only, integers))


def elements(part: pa.Array) -> pa.Array:
    """Return the elements of an array's lists end to end, or the array itself."""
    return part.flatten() if is_list(part.type) else part
