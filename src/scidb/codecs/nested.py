"""Lists, tuples, dicts and sets of anything that can be stored.

A list of numbers, of booleans or of texts alone is one row per item in the store, like an array; all else
is a document: a JSON text and, where it holds arrays or tables, these as Arrow streams beside it.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scidb.codecs.base import Codec, Parameters
from scidb.codecs.leaves import ARRAYS, has_columns
from scidb.codecs.literals import is_int64, is_utf8
from scidb.codecs.parts import read_parts, write_parts
from scidb.codecs.primitive import cells, lists
from scidb.codecs.tagged import Part, from_text, has_parts, to_text
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
    """One JSON text per value, and the bytes of what is not JSON in it."""

    name = "nested"
    types: ClassVar[tuple[type, ...]] = (dict, OrderedDict, tuple, set, frozenset, slice, np.void)

    def accepts(self, value: object) -> bool:
        """Take every list as well (`ListCodec` is asked first), and arrays of objects."""
        if isinstance(value, np.ndarray):
            return type(value) in ARRAYS and not has_columns(value.dtype)
        return type(value) is list

    def describe(self, value: object) -> Parameters:
        """Return whether there are parts beside the text, which says the rest."""
        return {"parts": True} if has_parts(value) else {}

    def encode(self, values: Sequence[Any], parameters: Parameters) -> pa.Table:
        """Return the texts and parts; what cannot be stored is refused here, with its path."""
        if "parts" not in parameters:
            return pa.table({"value": pa.array([to_text(value) for value in values], pa.large_string())})
        texts, streams = [], []
        for value in values:
            parts: list[Part] = []
            texts.append(to_text(value, parts=parts))
            streams.append(write_parts(parts))
        return pa.table({"value": pa.array(texts, pa.large_string()), "parts": _blobs(streams)})

    def decode(self, table: pa.Table, parameters: Parameters) -> list[Any]:
        """Return the values behind the texts."""
        texts = table.column("value").to_pylist()
        if "parts" not in parameters:
            return [from_text(text) for text in texts]
        streams = [stream.as_buffer() for stream in table.column("parts")]
        return [from_text(text, read_parts(stream)) for text, stream in zip(texts, streams, strict=True)]

    def nbytes(self, values: Sequence[Any], table: pa.Table) -> tuple[int, ...]:  # noqa: ARG002
        """Return the length of each text, and of the bytes beside it."""
        sizes = [pc.binary_length(column).to_pylist() for column in table.columns]
        return tuple(map(sum, zip(*sizes, strict=True)))


def _blobs(streams: Sequence[pa.Buffer]) -> pa.LargeBinaryArray:
    # A single stream is not copied.
    data = streams[0] if len(streams) == 1 else pa.py_buffer(b"".join(streams))
    offsets = np.cumsum([0, *(stream.size for stream in streams)], dtype=np.int64)
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(streams), [None, pa.py_buffer(offsets), data])


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
