"""The columns that the items of a numpy array have.

A structured array has one column per *leaf*: per field that is a single number, time or text, also inside
other fields. An array with object fields, or with more leaves than a table should have columns, has none.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scidb.codecs.primitive import as_numpy, native, to_arrow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["ARRAYS", "Leaf", "has_columns", "leaves"]

ARRAYS: Final = (np.ndarray, np.memmap, np.matrix, np.recarray, np.ma.MaskedArray)
"""The exact types of numpy's arrays; a subclass of theirs may behave differently."""

MOST_LEAVES: Final = 256
"""Leaves up to which structured items have a column each."""


class Leaf(NamedTuple):
    """One single value in every item of an array: the steps to it, and its dtype."""

    path: tuple[str | int, ...]
    dtype: np.dtype[Any]

    def of(self, items: NDArray[Any]) -> NDArray[Any]:
        """Return the leaf of each of one-dimensional items, as a view."""
        for step in self.path:
            if isinstance(step, str):
                items = items[step]
            else:
                place: tuple[Any, ...] = np.unravel_index(step, items.shape[1:])
                items = items[(slice(None), *place)]
        return items

    def columns(self, *, may_be_masked: bool) -> list[str]:
        """Return the names of the leaf's columns."""
        name = "_".join(map(str, self.path))
        if self.dtype.kind == "c":
            return [f"{name}_real", f"{name}_imag"] if name else ["real", "imag"]
        name = name or "value"
        return [name, f"{name}_mask"] if may_be_masked and self._has_nulls else [name]

    @property
    def _has_nulls(self) -> bool:
        # NULL is their own missing value, and cannot say what is masked.
        return self.dtype.kind in "MmT"

    def to_columns(self, arrays: Sequence[NDArray[Any]], masks: Sequence[NDArray[Any]] | None = None) -> list[pa.Array]:
        """Return the leaf of all items of the arrays, end to end; NULL where it is masked."""
        own = [self.of(array) for array in arrays]
        if masks is None:
            return self._plain_columns(own)
        hidden = [self.of(mask) for mask in masks]
        # What lies under a mask is not part of the value.
        blank = np.zeros((), self.dtype)
        columns = self._plain_columns([np.where(mask, blank, items) for mask, items in zip(hidden, own, strict=True)])
        marks = pa.array(np.concatenate(hidden))
        if self._has_nulls:
            return [*columns, marks]
        return [pc.if_else(marks, pa.scalar(None, column.type), column) for column in columns]

    def _plain_columns(self, own: Sequence[NDArray[Any]]) -> list[pa.Array]:
        if self.dtype.kind == "c":
            return [to_arrow([items.real for items in own]), to_arrow([items.imag for items in own])]
        return [to_arrow(own)]

    def restore(self, columns: Sequence[pa.Array], items: NDArray[Any], mask: NDArray[Any] | None = None) -> None:
        """Write the leaf's columns into items, and what is masked into the mask."""
        if mask is not None:
            marks = columns[-1] if self._has_nulls else columns[0].is_null()
            self.of(mask)[...] = as_numpy(marks, np.dtype(bool))
            if not self._has_nulls:
                columns = [column.fill_null(_blank(column.type, self.dtype)) for column in columns]
        target = self.of(items)
        if self.dtype.kind == "c":
            part = np.dtype(f"f{self.dtype.itemsize // 2}")
            target.real, target.imag = (as_numpy(column, part) for column in columns)
        else:
            target[...] = as_numpy(columns[0], self.dtype)


def _blank(column: pa.DataType, dtype: np.dtype[Any]) -> Any:
    if dtype.kind == "V":
        return bytes(dtype.itemsize)
    if dtype.kind in "US":
        return b"" if pa.types.is_large_binary(column) or pa.types.is_binary(column) else ""
    return pa.scalar(0, pa.int8()).cast(column)


def has_columns(dtype: np.dtype[Any]) -> bool:
    """Say whether the items of a dtype have columns; otherwise an array of them is taken apart."""
    if dtype.names is None:
        return dtype.kind != "O"
    return not dtype.hasobject and 1 <= _count(dtype) <= MOST_LEAVES


def leaves(dtype: np.dtype[Any]) -> tuple[Leaf, ...]:
    """Return the leaves of a dtype that has columns.

    Examples
    --------
    >>> [leaf.path for leaf in leaves(np.dtype([("x", "f4"), ("at", "M8[s]", (2,))]))]
    [('x',), ('at', 0), ('at', 1)]

    """
    return (Leaf((), native(dtype)),) if dtype.names is None else _cached_leaves(dtype)


@functools.lru_cache(maxsize=256)
def _cached_leaves(dtype: np.dtype[Any]) -> tuple[Leaf, ...]:
    return tuple(_walk(dtype, ()))


def _walk(dtype: np.dtype[Any], path: tuple[str | int, ...]) -> Iterator[Leaf]:
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        for position in range(math.prod(shape)):
            yield from _walk(base, (*path, position))
    elif dtype.names is not None:
        for name in dtype.names:
            yield from _walk(dtype[name], (*path, name))
    else:
        yield Leaf(path, native(dtype))


def _count(dtype: np.dtype[Any]) -> int:
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return math.prod(shape) * _count(base)
    return 1 if dtype.names is None else sum(_count(dtype[name]) for name in dtype.names)
