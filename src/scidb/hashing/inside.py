"""Objects of the user's own classes, wherever they stand in the containers of Python, numpy, pandas and xarray.

Only what can hold such objects is opened: a column of numbers is not. Libraries are never imported, since no value can
be of one that is not.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from scidb.hashing.code.members import is_user_class
from scidb.hashing.inputs import PLAIN, is_tracked

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

__all__ = ["own_classes", "without_plain"]


def own_classes(values: Collection[object], *, unwrap: bool, whole: Iterable[type] = ()) -> tuple[type, ...]:
    """Return the classes of the user's own among values, at any depth: who is given the values may run their methods.

    The data of a variable is not looked at, because that could mean loading it for a call that is recalled.
    `whole` are the classes of variables that the function will receive whole, where these are not loaded yet.
    """
    found: set[type] = set(filter(is_user_class, whole))
    seen: dict[int, object] = {}  # with the object, since the id of one that is gone may be given anew
    pending = list(without_plain(values))
    while pending:
        value = pending.pop()
        if id(value) in seen:
            continue
        seen[id(value)] = value
        if is_tracked(value) and not is_user_class(type(value)):
            pending.append(value.data)  # the result of a thunk, which is there already
            continue
        tracked = is_tracked(value)
        if tracked and unwrap:
            continue
        if is_user_class(type(value)):
            found.add(type(value))
            if not tracked:
                pending.extend(_attributes(value))
        pending.extend(without_plain(_inside(value)))
    return tuple(sorted(found, key=lambda cls: (cls.__qualname__, cls.__module__)))


def without_plain(items: Collection[object]) -> Collection[object]:
    """Leave out plain items; most containers hold nothing else, and may be long."""
    kinds = set(map(type, items)) - PLAIN
    return [item for item in items if type(item) in kinds] if kinds else ()


def _attributes(instance: object) -> Iterator[object]:
    state = object.__getstate__(instance)  # the instance dictionary, or a pair of it and the slots
    for part in state if isinstance(state, tuple) else (state,):
        yield from (part or {}).values()


def _inside(value: Any) -> Collection[Any]:
    """Return what a container holds directly; nothing for anything else."""
    if isinstance(value, list | tuple | set | frozenset):
        return value
    if isinstance(value, Mapping):
        return [*value.keys(), *value.values()]
    root = type(value).__module__.partition(".")[0]
    if root == "builtins":
        return ()
    for library, parts in (("numpy", _numpy), ("pandas", _pandas), ("xarray", _xarray)):
        module: Any = sys.modules.get(library)
        if module is not None:
            found = parts(module, value)
            if found is not None:
                return found
    return ()


def _numpy(numpy: Any, value: Any) -> Collection[Any] | None:
    if not isinstance(value, numpy.ndarray | numpy.void):
        return None
    found: list[Any] = value.ravel().tolist() if value.dtype.hasobject else []
    return found


def _pandas(pandas: Any, value: Any) -> Collection[Any] | None:
    if isinstance(value, pandas.DataFrame):
        open_columns = [number for number, dtype in enumerate(value.dtypes) if _may_hold(dtype)]
        return [value.attrs, value.index, value.columns, *(_data(value.iloc[:, number]) for number in open_columns)]
    if isinstance(value, pandas.Series):
        return [value.attrs, value.index, value.name, *([_data(value)] if _may_hold(value.dtype) else ())]
    if isinstance(value, pandas.MultiIndex):
        return [*value.levels, *value.names]
    if isinstance(value, pandas.Index):
        return [value.name, *([_data(value)] if _may_hold(value.dtype) else ())]
    if isinstance(value, pandas.Categorical):
        return [value.categories]
    return [value.to_numpy()] if isinstance(value, pandas.arrays.NumpyExtensionArray) else None


def _may_hold(dtype: Any) -> bool:
    return getattr(dtype, "hasobject", False) or hasattr(dtype, "categories")


def _data(column: Any) -> Any:
    return column.dtype.categories if hasattr(column.dtype, "categories") else column.to_numpy()


def _xarray(xarray: Any, value: Any) -> Collection[Any] | None:
    if isinstance(value, xarray.Dataset):
        return [value.attrs, *value.variables.values()]
    if isinstance(value, xarray.DataArray):
        return [value.attrs, value.variable, *value.coords.values()]
    if isinstance(value, xarray.Variable):
        return [value.attrs, *([value.values] if value.dtype.hasobject else ())]
    return None
