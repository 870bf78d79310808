"""Arrays whose items have no columns, taken apart into values that do, and put together again.

That is arrays of objects, and structured or masked arrays with objects in them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from scidb.codecs.dtypes import dtype_from_json, dtype_to_json
from scidb.exceptions import SerializationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

__all__ = ["PUT_TOGETHER", "Pieces", "take_apart"]

_CLASSES: Final[dict[str, type[NDArray[Any]]]] = {"matrix": np.matrix, "recarray": np.recarray}


class Pieces(NamedTuple):
    """What an array consists of: how to put it together, and pieces with the step that leads to each, if any."""

    tag: str
    said: Any
    pieces: Sequence[tuple[tuple[object, ...], Any]]


def take_apart(value: Any) -> Pieces:
    """Return the pieces of an array, or of a single item with fields."""
    if type(value) is np.void:
        return Pieces("$item", None, [((), np.asarray(value))])
    if isinstance(value, np.ma.MaskedArray):
        return _masked(value)
    for name, kind in _CLASSES.items():
        if type(value) is kind:
            return Pieces("$class", name, [((), np.asarray(value))])
    if value.dtype.names is not None:
        said = [dtype_to_json(value.dtype), list(value.shape)]
        return Pieces("$fields", said, [((name,), value[name]) for name in value.dtype.names])
    places = range(value.size) if value.ndim == 1 else np.ndindex(value.shape)
    items = [((place,), item) for place, item in zip(places, value.reshape(-1).tolist(), strict=True)]
    return Pieces("$objects", list(value.shape), items)


def _masked(value: np.ma.MaskedArray[Any, Any]) -> Pieces:
    mask = np.ma.getmaskarray(value)
    pieces: list[tuple[tuple[object, ...], Any]] = [
        ((), _emptied(np.ma.getdata(value, subok=False), mask)),
        ((), mask),
    ]
    with np.errstate(over="ignore"):  # numpy's fill value is beyond half precision
        usual = np.ma.zeros(0, value.dtype).fill_value
    if not _agree(value.fill_value, usual):
        fill: NDArray[Any] = np.empty((), value.dtype)
        fill[()] = value.fill_value
        pieces.append((("fill_value",), fill))
    return Pieces("$masked", bool(value.hardmask), pieces)


def _agree(fill: Any, usual: Any) -> bool:
    """Say whether a fill value is numpy's own, which may be of another dtype than the items."""
    if isinstance(fill, np.void) and fill.dtype.names is not None:
        return all(_agree(fill[name], usual[name]) for name in fill.dtype.names)
    pairs = zip(_flat(fill), _flat(usual), strict=True)
    return all(type(item) is type(other) and item == other for item, other in pairs)


def _flat(fill: Any) -> list[Any]:
    if isinstance(fill, np.ndarray):
        flat: list[Any] = fill.reshape(-1).tolist()
        return flat
    return [fill.item() if isinstance(fill, np.generic) else fill]


def _emptied(data: NDArray[Any], mask: NDArray[Any]) -> NDArray[Any]:
    # What lies under a mask is not part of the value, and may be what cannot be stored.
    emptied = data.copy()
    if data.dtype.names is None:
        emptied[mask] = np.zeros((), data.dtype)
    else:
        for name in data.dtype.names:
            emptied[name] = _emptied(data[name], mask[name])
    return emptied


# ------------------------------------------------------------------ putting together


def _objects(shape: Sequence[int], items: Sequence[Any]) -> NDArray[Any]:
    # numpy.array would make a table of equally long lists.
    whole = np.empty(shape, object)
    if whole.size != len(items):
        raise SerializationError(f"An array of the shape {shape} has {len(items)} items.")
    whole.reshape(-1)[:] = np.fromiter(items, object, len(items))
    return whole


def _fields(said: Sequence[Any], items: Sequence[NDArray[Any]]) -> NDArray[Any]:
    dtype, shape = dtype_from_json(said[0]), said[1]
    whole = np.zeros(shape, dtype)
    for name, item in zip(dtype.names or (), items, strict=True):
        whole[name] = item
    return whole


def _masked_again(hard: Any, items: Sequence[NDArray[Any]]) -> Any:
    data, mask, *fills = items
    fill: Any = fills[0][()] if fills else None
    with np.errstate(over="ignore"):
        return np.ma.MaskedArray(data, mask, fill_value=fill, hard_mask=bool(hard))


PUT_TOGETHER: Final[dict[str, Callable[[Any, Sequence[Any]], Any]]] = {
    "$item": lambda _, items: items[0][()],
    "$class": lambda name, items: items[0].view(_CLASSES[name]),
    "$fields": _fields,
    "$objects": _objects,
    "$masked": _masked_again,
}
"""How the array of a tag is made from what was said and its pieces."""
