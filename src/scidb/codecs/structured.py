"""Structured and masked numpy arrays: a column per simple field, NULL where an item is masked.

What lies under a mask is not part of a value and is not kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from scidb.codecs.array import PLAIN_ARRAYS, arrange, describe_arrangement, describe_class, restore_class
from scidb.codecs.base import Codec, Parameters, canonical_json
from scidb.codecs.dtypes import dtype_from_json, dtype_to_json
from scidb.codecs.leaves import Leaf, has_columns, leaves
from scidb.codecs.primitive import cells, check_dtype, lists
from scidb.codecs.tagged import from_json, path_text, to_json
from scidb.store.names import unique_columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["MaskedCodec", "StructuredCodec"]


class _LeafCodec(Codec):
    """One list element per item in each column of each leaf."""

    def _describe(self, value: NDArray[Any], *, may_be_masked: bool) -> Parameters:
        for leaf in leaves(value.dtype):
            check_dtype(leaf.dtype, path_text(*leaf.path))
        names = [name for leaf in leaves(value.dtype) for name in leaf.columns(may_be_masked=may_be_masked)]
        said = {"dtype": dtype_to_json(value.dtype), "physical": unique_columns(names)}
        return {**said, **describe_arrangement(value.shape)}

    def _table(
        self, values: Sequence[NDArray[Any]], masks: Sequence[NDArray[Any]] | None, parameters: Parameters
    ) -> pa.Table:
        flat = [value.reshape(-1) for value in values]
        hidden = [mask.reshape(-1) for mask in masks] if masks is not None else None
        lengths = [value.size for value in values]
        columns = [column for leaf in leaves(values[0].dtype) for column in leaf.to_columns(flat, hidden)]
        named = zip(parameters["physical"], columns, strict=True)
        return pa.table({name: lists(column, lengths) for name, column in named})

    def _rows(self, table: pa.Table, parameters: Parameters) -> Iterator[tuple[pa.Array, ...]]:
        return zip(*(cells(table.column(name)) for name in parameters["physical"]), strict=True)

    def nbytes(self, values: Sequence[NDArray[Any]], table: pa.Table) -> tuple[int, ...]:  # noqa: ARG002
        """Return the bytes of the items."""
        return tuple(value.nbytes for value in values)


class StructuredCodec(_LeafCodec):
    """Arrays with fields, as arrays or as record arrays."""

    name = "structured"

    def accepts(self, value: object) -> bool:
        """Take arrays whose fields have columns."""
        if type(value) not in PLAIN_ARRAYS:
            return False
        dtype: np.dtype[Any] = value.dtype  # type: ignore[attr-defined]
        return dtype.names is not None and has_columns(dtype)

    def describe(self, value: object) -> Parameters:
        """Return the dtype with its fields, the columns, and how the items are arranged."""
        assert isinstance(value, np.ndarray)  # noqa: S101 - `accepts` has seen it
        return {**self._describe(value, may_be_masked=False), **describe_class(value)}

    def encode(self, values: Sequence[NDArray[Any]], parameters: Parameters) -> pa.Table:
        """Return one row of lists per array."""
        return self._table([np.asarray(value) for value in values], None, parameters)

    def decode(self, table: pa.Table, parameters: Parameters) -> list[NDArray[Any]]:
        """Return arrays that own their memory."""
        dtype = dtype_from_json(parameters["dtype"])
        restored = []
        for row in self._rows(table, parameters):
            items = np.zeros(len(row[0]), dtype)
            _restore(leaves(dtype), row, items)
            restored.append(restore_class(arrange(items, parameters), parameters))
        return restored


class MaskedCodec(_LeafCodec):
    """Masked arrays, structured ones too."""

    name = "masked"

    def accepts(self, value: object) -> bool:
        """Take masked arrays whose items have columns."""
        return type(value) is np.ma.MaskedArray and has_columns(value.dtype)

    def describe(self, value: object) -> Parameters:
        """Return besides the dtype the fill value, unless it is numpy's own, and whether the mask is hard."""
        assert isinstance(value, np.ma.MaskedArray)  # noqa: S101 - `accepts` has seen it
        parameters = self._describe(value, may_be_masked=True)
        fill = _fill_to_json(value)
        with np.errstate(over="ignore"):  # numpy's fill value is beyond half precision
            usual = _fill_to_json(np.ma.zeros(0, value.dtype))
        if canonical_json(fill) != canonical_json(usual):
            parameters["fill"] = fill
        if value.hardmask:
            parameters["hard"] = True
        return parameters

    def encode(self, values: Sequence[np.ma.MaskedArray[Any, Any]], parameters: Parameters) -> pa.Table:
        """Return one row of lists per array."""
        data = [np.ma.getdata(value, subok=False) for value in values]
        return self._table(data, [np.ma.getmaskarray(value) for value in values], parameters)

    def decode(self, table: pa.Table, parameters: Parameters) -> list[np.ma.MaskedArray[Any, Any]]:
        """Return masked arrays that own their memory."""
        dtype = dtype_from_json(parameters["dtype"])
        fill = _fill_from_json(parameters["fill"], dtype) if "fill" in parameters else None
        restored = []
        for row in self._rows(table, parameters):
            items = np.zeros(len(row[0]), dtype)
            mask = np.zeros(len(row[0]), np.ma.make_mask_descr(dtype))
            _restore(leaves(dtype), row, items, mask)
            whole, hidden = arrange(items, parameters), arrange(mask, parameters)
            hard = parameters.get("hard", False)
            with np.errstate(over="ignore"):
                restored.append(np.ma.MaskedArray(whole, hidden, fill_value=fill, hard_mask=hard))
        return restored


def _restore(
    own: Sequence[Leaf], row: Sequence[pa.Array], items: NDArray[Any], mask: NDArray[Any] | None = None
) -> None:
    start = 0
    for leaf in own:
        stop = start + len(leaf.columns(may_be_masked=mask is not None))
        leaf.restore(row[start:stop], items, mask)
        start = stop


# ------------------------------------------------------------------ fill values


def _fill_to_json(value: np.ma.MaskedArray[Any, Any]) -> list[Any]:
    # numpy's own fill value may be of another dtype than the items.
    fill = np.asarray(value.fill_value).reshape(1)
    return [to_json(_scalar(leaf.of(fill)[0])) for leaf in leaves(fill.dtype)]


def _scalar(item: Any) -> Any:
    return item.tobytes() if isinstance(item, np.void) else item


def _fill_from_json(said: Sequence[Any], dtype: np.dtype[Any]) -> Any:
    if dtype.names is None:
        return from_json(said[0])
    fill = np.zeros(1, dtype)
    for leaf, item in zip(leaves(dtype), said, strict=True):
        leaf.of(fill)[0] = from_json(item)
    return fill[0]
