"""Numpy arrays of numbers, booleans, times, text and bytes, of any rank.

Memory order and byte order are not kept; everything else is. A memory map is where an array lives: it comes
back as an array.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from scidb.codecs.base import Codec, Parameters, canonical_json
from scidb.codecs.contents import Contents, dtype_compared, items, single
from scidb.codecs.primitive import (
    as_numpy,
    can_be_kept,
    cells,
    check_dtype,
    dtype_from_text,
    dtype_text,
    kept,
    lists,
    to_arrow,
)
from scidb.exceptions import SerializationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["PLAIN_ARRAYS", "ArrayCodec", "arrange", "describe_arrangement", "describe_class", "restore_class"]

WIDEST_TABLE: Final = 64
"""Two-dimensional arrays with up to so many columns have them in the table too."""

PLAIN_ARRAYS: Final = (np.ndarray, np.memmap, np.matrix, np.recarray)
"""The exact types of arrays without a mask."""

_CLASSES: Final[dict[str, type[NDArray[Any]]]] = {"matrix": np.matrix, "recarray": np.recarray}


class ArrayCodec(Codec):
    """One list element per sample.

    A 1-D array is one column `value`; a 2-D array whose second axis is short one column per position; other
    ranks are flattened in C order. The first axis is as long as the lists say, so that arrays of
    different length share an encoding, unless another axis is empty.
    """

    name = "array"

    def accepts(self, value: object) -> bool:
        """Take arrays whose items are each a single cell."""
        if type(value) not in PLAIN_ARRAYS:
            return False
        dtype: np.dtype[Any] = value.dtype  # type: ignore[attr-defined]
        return dtype.kind != "O" and dtype.names is None

    def describe(self, value: object) -> Parameters:
        """Return dtype and, for other ranks than one, how the samples are arranged."""
        assert isinstance(value, np.ndarray)  # noqa: S101 - `accepts` has seen it
        check_dtype(value.dtype)
        parameters: Parameters = {"dtype": dtype_text(value.dtype), **describe_class(value)}
        if value.ndim == 2 and 1 <= value.shape[1] <= WIDEST_TABLE and value.dtype.kind != "c":
            return {**parameters, "columns": value.shape[1]}
        return {**parameters, **describe_arrangement(value.shape)}

    def partition(self, values: Sequence[Any]) -> list[tuple[Parameters, Sequence[int]]]:
        """Group by what is quick to look at before describing."""
        alike: dict[object, list[int]] = {}
        for position, value in enumerate(values):
            key = (type(value), value.dtype, value.ndim, value.shape[1:], value.shape if 0 in value.shape else None)
            alike.setdefault(key, []).append(position)
        groups: dict[str, tuple[Parameters, list[int]]] = {}
        for positions in alike.values():
            parameters = self.describe(values[positions[0]])
            groups.setdefault(canonical_json(parameters), (parameters, []))[1].extend(positions)
        return [(parameters, sorted(positions)) for parameters, positions in groups.values()]

    def encode(self, values: Sequence[NDArray[Any]], parameters: Parameters) -> pa.Table:
        """Return one row of lists per array."""
        values = [np.asarray(value) for value in values]
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
            whole = [_stack(row, dtype) for row in zip(*columns, strict=True)]
        elif dtype.kind == "c":
            part = np.dtype(f"f{dtype.itemsize // 2}")
            pairs = zip(cells(table.column("real")), cells(table.column("imag")), strict=True)
            flat = [_join(as_numpy(real, part), as_numpy(imag, part), dtype) for real, imag in pairs]
            whole = [arrange(value, parameters) for value in flat]
        else:
            flat = [np.array(as_numpy(cell, dtype)) for cell in cells(table.column("value"))]
            whole = [arrange(value, parameters) for value in flat]
        return [restore_class(value, parameters) for value in whole]

    def adopt(self, table: pa.Table, parameters: Parameters) -> list[NDArray[Any]]:
        """Return arrays of numbers in the memory of the table."""
        dtype = dtype_from_text(parameters["dtype"])
        if "columns" in parameters or not can_be_kept(dtype):
            return self.decode(table, parameters)
        flat = [kept(cell, dtype) for cell in cells(table.column("value"))]
        return [restore_class(arrange(value, parameters), parameters) for value in flat]

    def contents(self, parameters: Parameters) -> Contents:
        """Return the one column of a 1-D array; of other ranks, nothing."""
        dtype = dtype_from_text(parameters["dtype"])
        if parameters.get("shape") == []:
            return single(dtype_compared(dtype))
        if parameters.keys() & {"columns", "trailing", "shape"} or dtype.kind == "c":
            return Contents("other")
        return items(dtype_compared(dtype))

    def nbytes(self, values: Sequence[NDArray[Any]], table: pa.Table) -> tuple[int, ...]:  # noqa: ARG002
        """Return the bytes of the samples."""
        return tuple(value.nbytes for value in values)


def describe_class(value: NDArray[Any]) -> Parameters:
    """Return which class of numpy's an array is of; nothing for the usual one."""
    return next(({"class": name} for name, kind in _CLASSES.items() if type(value) is kind), {})


def restore_class(value: NDArray[Any], parameters: Parameters) -> NDArray[Any]:
    """Return an array as one of the class that it had."""
    return value.view(_CLASSES[parameters["class"]]) if "class" in parameters else value


def describe_arrangement(shape: tuple[int, ...]) -> Parameters:
    """Return how items that were put end to end are arranged; nothing when that is all.

    Examples
    --------
    >>> describe_arrangement((5,)), describe_arrangement((5, 2)), describe_arrangement((5, 0)), describe_arrangement(())
    ({}, {'trailing': [2]}, {'shape': [5, 0]}, {'shape': []})

    """
    if not shape or 0 in shape[1:]:
        return {"shape": list(shape)}
    return {"trailing": list(shape[1:])} if len(shape) > 1 else {}


def arrange(flat: NDArray[Any], parameters: Parameters) -> NDArray[Any]:
    """Return items in the shape of `describe_arrangement`."""
    if "trailing" in parameters:
        trailing = parameters["trailing"]
        return flat.reshape(flat.size // math.prod(trailing), *trailing)
    shape = parameters.get("shape", [flat.size])
    if any(length < 0 for length in shape):
        # numpy would work out the length by itself.
        raise SerializationError(f"An array cannot have the shape {shape}.")
    return flat.reshape(shape)


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
