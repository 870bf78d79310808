"""Canonical encoding of xarray's variables, arrays and datasets.

Part of the value: dims and their order, data with dtype, name, coordinates with which of them are indexed
together, attrs of the whole and of every variable. Ignored: ``encoding`` (how a file was written), the
order of coordinates, of data variables and of attrs, and the ``freq`` of an index.

Decisions
---------
- A variable is its dims, its attrs and its values: a numpy array, or a pandas array where xarray keeps one.
  The coordinate of tuples that stands for a MultiIndex has null for values, since its levels have them.
- An ``IndexVariable`` by itself is a kind of its own; among coordinates the indexes say which are indexed.
- What is not in memory (dask, a file opened lazily) is refused rather than computed; so are other arrays than
  numpy's, indexes other than pandas's, and a ``DataTree``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import xarray as xr
from pandas.api.extensions import ExtensionArray

from scidb.hashing.canonical.cbor import NULL, array, mapping, text, typed
from scidb.hashing.canonical.encode import Refusal, encode, encode_items, in_brackets

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from scidb.hashing.canonical.encode import Active, Writer

__all__ = ["WRITERS", "contents", "index_groups", "tuples_of"]

Group: TypeAlias = "tuple[str, Any, list[Hashable]]"
"""The kind of an index, the index, and the names of its coordinates."""

_ADAPTERS: Final = frozenset({"PandasIndexingAdapter", "PandasMultiIndexingAdapter", "PandasExtensionArray"})
_KINDS: Final = {xr.indexes.PandasIndex: "pandas", xr.indexes.PandasMultiIndex: "multi"}


def contents(variable: xr.Variable) -> Any:
    """Return the values of a variable as a numpy array, or as the pandas array behind it.

    Nothing is read or computed: a variable that is not in memory is refused.
    """
    data: Any = variable._data  # noqa: SLF001 - every public way to the data may compute them
    if type(data) is not np.ndarray and type(data).__name__ not in _ADAPTERS and not isinstance(data, ExtensionArray):
        if variable.chunks is not None or type(data).__module__.startswith("xarray."):
            raise Refusal("its data are not in memory; load() it first")
        kind = type(data)
        raise Refusal(f"its data are a {kind.__module__}.{kind.__qualname__}, not a numpy array; convert them first")
    if isinstance(variable.dtype, np.dtype):
        return np.asarray(variable.values)
    inner = getattr(data, "array", data)
    return getattr(inner, "array", inner)


def index_groups(value: xr.DataArray | xr.Dataset) -> list[Group]:
    """Return the indexes of an object with the names of their coordinates."""
    groups: list[Group] = []
    for index, variables in value.xindexes.group_by_index():
        kind = _KINDS.get(type(index))
        names = list(variables)
        if kind is None:
            raise Refusal(
                f"the index of {', '.join(map(repr, names))} is a {type(index).__qualname__}, which is not one of "
                "pandas; drop_indexes() first"
            )
        groups.append((kind, index, names))
    return groups


def tuples_of(groups: list[Group]) -> set[Hashable]:
    """Return the names of coordinates that hold no more than the tuples of a MultiIndex."""
    return {index.dim for kind, index, _ in groups if kind == "multi"}


def _part(value: object, name: str, active: Active) -> bytes:
    try:
        return encode(value, active)
    except Refusal as refusal:
        refusal.trail.append(name)
        raise


def _variable(value: xr.Variable, active: Active, *, word: str = "xr.Variable", values: bool = True) -> bytes:
    dims = array(encode_items(value.dims, value.dims, active))
    attrs = _part(dict(value.attrs), ".attrs", active)
    return b"".join((typed(word, 3), dims, attrs, _values(value, active) if values else NULL))


def _values(variable: xr.Variable, active: Active) -> bytes:
    try:
        return encode(contents(variable), active)
    except Refusal as refusal:
        refusal.trail.append(".values")
        raise


def _variables(variables: Mapping[Any, Any], without: set[Hashable], active: Active) -> bytes:
    pairs = []
    for name, one in variables.items():
        try:
            pairs.append((encode(name, active), _variable(one.variable, active, values=name not in without)))
        except Refusal as refusal:
            refusal.trail.append(in_brackets(name))
            raise
    return mapping(sorted(pairs))


def _coordinates(value: xr.DataArray | xr.Dataset, active: Active) -> bytes:
    groups = index_groups(value)
    shown = [array([text(kind), array([encode(name, active) for name in names])]) for kind, _, names in groups]
    return _variables(value.coords, tuples_of(groups), active) + array(sorted(shown))


def _data_array(value: xr.DataArray, active: Active) -> bytes:
    name = encode(value.name, active)
    return typed("xr.DataArray", 4) + name + _variable(value.variable, active) + _coordinates(value, active)


def _dataset(value: xr.Dataset, active: Active) -> bytes:
    attrs = _part(dict(value.attrs), ".attrs", active)
    return typed("xr.Dataset", 4) + attrs + _variables(value.data_vars, set(), active) + _coordinates(value, active)


def _tree(value: object, _: Active) -> bytes:
    raise Refusal(f"an xarray {type(value).__name__} is many datasets; use to_dict() of it")


WRITERS: Final[dict[type, Writer]] = {
    xr.Variable: _variable,
    xr.IndexVariable: lambda value, active: _variable(value, active, word="xr.IndexVariable"),
    xr.DataArray: _data_array,
    xr.Dataset: _dataset,
    xr.DataTree: _tree,
}
