"""Numpy arrays of numbers, booleans, times and fixed-width text, of any rank.

Memory order and byte order are not kept; everything else is.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import pyarrow as pa

from scidb.codecs.base import Codec, Parameters
from scidb.codecs.primitive import as_numpy, cells, check_dtype, dtype_from_text, dtype_text, lists, to_arrow
from scidb.exceptions import SerializationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["ArrayCodec"]

WIDEST_TABLE: Final = 64
"""Two-dimensional arrays with up to so many columns have them in the table too."""


class ArrayCodec(Codec):
    """One list element per sample.

    A 1-D array is one column `value`; a 2-D array whose second axis is short one column per position; other
    ranks are flattened in C order. The first axis is as long as the lists say, so that arrays of
    different length share an encoding, unless another axis is empty.
    """

    name = "array"
    types: ClassVar[tuple[type, ...]] = (np.ndarray,)

    def describe(self, value: object) -> Parameters:
        """Return dtype and, for other ranks than one, how the samples are arranged."""
        assert isinstance(value, np.ndarray)  # noqa: S101 - the registry dispatches on the exact type
        check_dtype(value.dtype)
        parameters: Parameters = {"dtype": dtype_text(value.dtype)}
        if value.ndim == 2 and 1 <= value.shape[1] <= WIDEST_TABLE and value.dtype.kind != "c":
            parameters["columns"] = value.shape[1]
        elif value.ndim == 0 or 0 in value.shape[1:]:
            parameters["shape"] = list(value.shape)
        elif value.ndim > 1:
            parameters["trailing"] = list(value.shape[1:])
        return parameters

    def encode(self, values: Sequence[NDArray[Any]], parameters: Parameters) -> pa.Table:
        """Return one row of lists per array."""
        if "columns" in parameters:
            width = parameters["columns"]
            lengths = [len(value) for value in values]
            columns = {f"value_{j}": to_arrow([value[:, j] for value in values]) for j in range(width)}
        else:
            flat = [value.reshape(-1) for value in values]
            lengths = [value.size for value in values]
            if values[0].dtype.kind == "c":
                columns = {
                    "real": to_arrow([value.real for value in flat]),
                    "imag": to_arrow([value.imag for value in flat]),
                }
            else:
                columns = {"value": to_arrow(flat)}
        return pa.table({name: lists(column, lengths) for name, column in columns.items()})

    def decode(self, table: pa.Table, parameters: Parameters) -> list[NDArray[Any]]:
        """Return arrays that own their memory."""
        dtype = dtype_from_text(parameters["dtype"])
        if "columns" in parameters:
            width = parameters["columns"]
            columns = [cells(table.column(f"value_{j}")) for j in range(width)]
            return [_stack(row, dtype) for row in zip(*columns, strict=True)]
        if dtype.kind == "c":
            part = np.dtype(f"f{dtype.itemsize // 2}")
            pairs = zip(cells(table.column("real")), cells(table.column("imag")), strict=True)
            flat = [_join(as_numpy(real, part), as_numpy(imag, part), dtype) for real, imag in pairs]
        else:
            flat = [np.array(as_numpy(cell, dtype)) for cell in cells(table.column("value"))]
        if "shape" in parameters:
            return [_shaped(value, parameters["shape"]) for value in flat]
        if "trailing" in parameters:
            trailing = parameters["trailing"]
            return [value.reshape(value.size // math.prod(trailing), *trailing) for value in flat]
        return flat

    def nbytes(self, values: Sequence[NDArray[Any]], table: pa.Table) -> tuple[int, ...]:  # noqa: ARG002
        """Return the bytes of the samples."""
        return tuple(value.nbytes for value in values)


def _shaped(value: NDArray[Any], shape: list[int]) -> NDArray[Any]:
    if any(length < 0 for length in shape):
        # numpy would work out the length by itself.
        raise SerializationError(f"An array cannot have the shape {shape}.")
    return value.reshape(shape)


def _stack(row: Sequence[pa.Array], dtype: np.dtype[Any]) -> NDArray[Any]:
    whole = np.empty((len(row[0]), len(row)), dtype)
    for position, cell in enumerate(row):
        whole[:, position] = as_numpy(cell, dtype)
    return whole


def _join(real: NDArray[Any], imag: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    # Not real + 1j * imag, which makes NaN of infinities.
    whole = np.empty(real.shape, dtype)
    whole.real, whole.imag = real, imag
    return whole
