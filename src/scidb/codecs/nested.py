"""Lists, tuples, dicts and sets of scalars.

A list of numbers, of booleans or of texts alone is one row per item in the store, like an array; all else
is a document.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Final

import pyarrow as pa
import pyarrow.compute as pc

from scidb.codecs.base import Codec, Parameters
from scidb.codecs.primitive import cells, lists
from scidb.codecs.tagged import from_text, is_int64, is_utf8, to_text
from scidb.exceptions import SerializationError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ListCodec", "NestedCodec"]

_ITEMS: Final[dict[type, pa.DataType]] = {
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    str: pa.large_string(),
}
_NAMES: Final = {kind.__name__: column for kind, column in _ITEMS.items()}


class NestedCodec(Codec):
    """One JSON text per value."""

    name = "nested"
    types: ClassVar[tuple[type, ...]] = (dict, tuple, set, frozenset)

    def accepts(self, value: object) -> bool:
        """Take every list as well; `ListCodec` is asked first."""
        return type(value) is list

    def describe(self, value: object) -> Parameters:  # noqa: ARG002
        """Return nothing: the text says it all."""
        return {}

    def encode(self, values: Sequence[Any], parameters: Parameters) -> pa.Table:  # noqa: ARG002
        """Return the texts; a part that cannot be stored is refused here, with its path."""
        return pa.table({"value": pa.array([to_text(value) for value in values], pa.large_string())})

    def decode(self, table: pa.Table, parameters: Parameters) -> list[Any]:  # noqa: ARG002
        """Return the values behind the texts."""
        return [from_text(text) for text in table.column("value").to_pylist()]

    def nbytes(self, values: Sequence[Any], table: pa.Table) -> tuple[int, ...]:  # noqa: ARG002
        """Return the length of each text."""
        return tuple(pc.binary_length(table.column("value")).to_pylist())


class ListCodec(Codec):
    """One list element per item, for lists whose items are all of one type that has a column."""

    name = "list"

    def accepts(self, value: object) -> bool:
        """Take lists that are not empty and whose items all fit the column of their one type."""
        if type(value) is not list or not value:
            return False
        kinds = set(map(type, value))
        if len(kinds) > 1 or not kinds <= _ITEMS.keys():
            return False
        if kinds == {int}:
            return is_int64(min(value)) and is_int64(max(value))
        return kinds != {str} or all(map(is_utf8, value))

    def describe(self, value: object) -> Parameters:
        """Return the type of the items."""
        assert isinstance(value, list)  # noqa: S101 - `accepts` has seen it
        return {"items": type(value[0]).__name__}

    def encode(self, values: Sequence[list[Any]], parameters: Parameters) -> pa.Table:
        """Return one list per row."""
        items = values[0] if len(values) == 1 else list(chain.from_iterable(values))
        column = pa.array(items, _NAMES[parameters["items"]])
        return pa.table({"value": lists(column, [len(value) for value in values])})

    def decode(self, table: pa.Table, parameters: Parameters) -> list[list[Any]]:
        """Return lists of exactly that type."""
        restored = []
        for cell in cells(table.column("value")):
            if cell.null_count:
                raise SerializationError(f"A list of {parameters['items']} has missing items.")
            numeric = parameters["items"] in ("int", "float")
            restored.append(cell.to_numpy().tolist() if numeric else cell.to_pylist())
        return restored

    def nbytes(self, values: Sequence[list[Any]], table: pa.Table) -> tuple[int, ...]:
        """Return eight bytes an item, one for booleans, and the bytes of texts."""
        column = table.column("value")
        if column.type.value_type != pa.large_string():
            width = max(1, column.type.value_type.bit_width // 8)
            return tuple(width * len(value) for value in values)
        return tuple(pc.sum(pc.binary_length(cell)).as_py() for cell in cells(column))
