"""Columns of text and of Python objects.

Objects that are all text are text. Others are tagged JSON, one text per cell, and where one of them has no
JSON form (an array, a Series) all cells are Arrow streams of what their own codec makes of them. A cell that
holds None is NULL.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from scidb.codecs import base
from scidb.codecs.base import Parameters, unsupported
from scidb.codecs.columns import ColumnKind, end_to_end
from scidb.codecs.contents import Compared
from scidb.codecs.tagged import from_text, is_utf8, path_text, to_text
from scidb.exceptions import SerializationError, UnsupportedValueError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

__all__ = ["ObjectColumn", "StreamColumn", "StringColumn", "TextColumn", "from_stream", "to_stream"]

_PLAIN: Final = frozenset((type(None), bool, int, float, str, bytes))
"""Types whose values have a JSON form, whatever they are."""
_SAMPLE: Final = 10_000
"""So many texts show whether they repeat."""
_ENCODING: Final = b"scidb.encoding"


# ------------------------------------------------------------------ text


class TextColumn(ColumnKind):
    """Objects that are all text, None or NaN standing for what is missing."""

    name = "text"

    def describe(self, array: Any, keys: tuple[object, ...]) -> Parameters | None:  # noqa: ARG002
        """Return what stands for missing text."""
        if array.dtype != object:
            return None
        cells = array.tolist()
        kinds = set(map(type, cells))
        if not kinds <= {str, type(None)}:
            numbers = (cell for cell in cells if type(cell) is float)
            if not (kinds <= {str, float} and all(map(math.isnan, numbers))):
                return None
        words = cells if kinds == {str} else [cell for cell in cells if type(cell) is str]
        return {"missing": "nan" if float in kinds else "None"} if is_utf8("".join(words)) else None

    def compared(self, parameters: Parameters) -> Compared | None:  # noqa: ARG002
        """Return that it is text."""
        return Compared("text")

    def store(self, arrays: Sequence[Any], parameters: Parameters, keys: tuple[object, ...]) -> list[pa.Array]:  # noqa: ARG002
        """Return the texts."""
        return [end_to_end([pa.array(array, pa.large_string(), from_pandas=True) for array in arrays])]

    def restore(self, parts: Sequence[pa.Array], parameters: Parameters) -> NDArray[np.object_]:
        """Return Python's texts."""
        (cell,) = parts
        whole = _words(cell)
        if cell.null_count and parameters["missing"] == "nan":
            whole[cell.is_null().to_numpy(zero_copy_only=False)] = np.nan
        return whole


class StringColumn(ColumnKind):
    """Text of the dtypes ``str`` and ``string``, kept by Python or by Arrow."""

    name = "str"

    def describe(self, array: Any, keys: tuple[object, ...]) -> Parameters | None:  # noqa: ARG002
        """Return what keeps the text, what is missing, and whether it is beyond UTF-8."""
        dtype = array.dtype
        if not isinstance(dtype, pd.StringDtype):
            return None
        described: Parameters = {"storage": dtype.storage, "missing": "NA" if dtype.na_value is pd.NA else "nan"}
        if dtype.storage == "python" and not is_utf8("".join(filter(None, _objects(array)))):
            described["tagged"] = True
        return described

    def compared(self, parameters: Parameters) -> Compared | None:
        """Return that it is text, unless that is beyond UTF-8."""
        return None if parameters.get("tagged") else Compared("text")

    def store(self, arrays: Sequence[Any], parameters: Parameters, keys: tuple[object, ...]) -> list[pa.Array]:  # noqa: ARG002
        """Return the texts."""
        if parameters.get("tagged"):
            return [_texts(cell for array in arrays for cell in _objects(array))]
        parts = [pa.array(array, pa.large_string()) for array in arrays]
        return [end_to_end(parts)]

    def restore(self, parts: Sequence[pa.Array], parameters: Parameters) -> Any:
        """Return text of that dtype."""
        (cell,) = parts
        missing = pd.NA if parameters["missing"] == "NA" else np.nan
        try:
            dtype = pd.StringDtype(parameters["storage"], na_value=missing)
        except TypeError:
            # pandas 2.2 has only the dtype whose missing value is NA, and keeps other text as objects.
            if missing is not pd.NA:
                return TextColumn().restore(parts, parameters)
            dtype = pd.StringDtype(parameters["storage"])
        if parameters["storage"] == "pyarrow":
            return dtype.__from_arrow__(cell.cast(pa.large_string()))
        words = _untexts(cell) if parameters.get("tagged") else _words(cell)
        return pd.array(words, dtype=dtype)


def _words(cell: pa.Array) -> NDArray[np.object_]:
    """Return text as Python's; what is repeated often is made once."""
    start = cell.slice(0, _SAMPLE)
    if len(cell) > _SAMPLE and pc.count_distinct(start).as_py() < _SAMPLE // 2:
        coded = cell.dictionary_encode()
        words = np.append(coded.dictionary.to_numpy(zero_copy_only=False), [None])
        return np.asarray(words[coded.indices.fill_null(-1).to_numpy()])
    return np.asarray(cell.to_numpy(zero_copy_only=False), object)


def _objects(array: Any) -> list[Any]:
    cells: list[Any] = array.to_numpy(dtype=object, na_value=None).tolist()
    return cells


def _texts(cells: Iterable[object], keys: tuple[object, ...] = ()) -> pa.Array:
    texts = [None if cell is None else to_text(cell, *keys, row) for row, cell in enumerate(cells)]
    return pa.array(texts, pa.large_string())


def _untexts(cell: pa.Array) -> NDArray[np.object_]:
    # numpy.array would make a table of equally long tuples.
    items = (None if text is None else from_text(text) for text in cell.to_pylist())
    return np.fromiter(items, object, len(cell))


# ------------------------------------------------------------------ objects


class ObjectColumn(ColumnKind):
    """Objects as tagged JSON, one text per cell."""

    name = "objects"

    def describe(self, array: Any, keys: tuple[object, ...]) -> Parameters | None:  # noqa: ARG002
        """Return nothing: the texts say it all."""
        if array.dtype != object:
            return None
        cells = array.tolist()
        if not set(map(type, cells)) <= _PLAIN:
            try:
                for cell in cells:
                    to_text(cell)
            except UnsupportedValueError:
                return None
        return {}

    def store(self, arrays: Sequence[Any], parameters: Parameters, keys: tuple[object, ...]) -> list[pa.Array]:  # noqa: ARG002
        """Return the texts."""
        return [end_to_end([_texts(array.tolist(), keys) for array in arrays])]

    def restore(self, parts: Sequence[pa.Array], parameters: Parameters) -> NDArray[np.object_]:  # noqa: ARG002
        """Return the objects."""
        return _untexts(parts[0])


class StreamColumn(ColumnKind):
    """Objects as Arrow streams, one per cell."""

    name = "streams"

    def describe(self, array: Any, keys: tuple[object, ...]) -> Parameters | None:  # noqa: ARG002
        """Return nothing: the streams say it all."""
        return {} if array.dtype == object else None

    def store(self, arrays: Sequence[Any], parameters: Parameters, keys: tuple[object, ...]) -> list[pa.Array]:  # noqa: ARG002
        """Return the streams."""
        streams: list[bytes | None] = []
        for array in arrays:
            for row, cell in enumerate(array.tolist()):
                streams.append(None if cell is None else to_stream(cell, *keys, row))
        return [pa.array(streams, pa.large_binary())]

    def restore(self, parts: Sequence[pa.Array], parameters: Parameters) -> NDArray[np.object_]:  # noqa: ARG002
        """Return the objects."""
        whole = np.empty(len(parts[0]), object)
        for row, stream in enumerate(parts[0]):
            # Not by slices, for which numpy would look into arrays.
            whole[row] = from_stream(stream.as_buffer()) if stream.is_valid else None
        return whole


def to_stream(value: object, *keys: object) -> bytes:
    """Return any value that can be stored as an Arrow stream; `keys` lead to it, for errors."""
    path = path_text(*keys)
    try:
        (part,) = base.encode([value])
    except UnsupportedValueError as error:
        raise UnsupportedValueError(f"In {path}: {error}", path=f"{path}{error.path}") from error
    except RecursionError:
        raise unsupported("a value that holds itself", path) from None
    table = part.table.replace_schema_metadata({_ENCODING: part.encoding.encode()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    stream: bytes = sink.getvalue().to_pybytes()
    return stream


def from_stream(stream: Any) -> Any:
    """Restore the value behind the stream of `to_stream`."""
    with pa.ipc.open_stream(stream) as reader:
        table = reader.read_all()
    metadata = table.schema.metadata or {}
    if _ENCODING not in metadata:
        raise SerializationError("A cell holds an Arrow stream that does not say how it was encoded.")
    (value,) = base.decode(metadata[_ENCODING].decode(), table)
    return value
