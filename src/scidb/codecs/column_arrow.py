"""Columns that pandas keeps as Arrow arrays (``pd.ArrowDtype``)."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from scidb.codecs import arrow
from scidb.codecs.columns import ColumnKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scidb.codecs.base import Parameters
    from scidb.codecs.contents import Compared

__all__ = ["ArrowColumn"]


class ArrowColumn(ColumnKind):
    """An Arrow array, stored as `ArrowCodec` stores it."""

    name = "arrow"

    def describe(self, array: Any, keys: tuple[object, ...]) -> Parameters | None:
        """Return the Arrow type, and how its values are stored."""
        if not isinstance(array.dtype, pd.ArrowDtype):
            return None
        whole = pa.array(array)
        schema = pa.schema([("", whole.type)]).serialize()
        shown = str(whole.type)
        return {"type": shown, "schema": base64.b64encode(schema).decode(), **arrow.describe_column(whole, *keys)}

    def compared(self, parameters: Parameters) -> Compared | None:
        """Return what the values of the Arrow type are compared with."""
        return arrow.compared_with(_type(parameters), parameters)

    def store(self, arrays: Sequence[Any], parameters: Parameters, keys: tuple[object, ...]) -> list[pa.Array]:  # noqa: ARG002
        """Return the values in the nearest type that a store has."""
        wholes = [pa.array(array) for array in arrays]
        chunks = [
            chunk for whole in wholes for chunk in (whole.chunks if isinstance(whole, pa.ChunkedArray) else [whole])
        ]
        return [arrow.column_to_arrow(chunks, wholes[0].type, parameters)]

    def restore(self, parts: Sequence[pa.Array], parameters: Parameters) -> Any:
        """Return the values in exactly that type."""
        return pd.arrays.ArrowExtensionArray(arrow.column_from_arrow(parts[0], _type(parameters), parameters))


def _type(parameters: Parameters) -> pa.DataType:
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(parameters["schema"]))).field(0).type
