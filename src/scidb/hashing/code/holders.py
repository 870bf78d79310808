"""Values that may hold code: which containers do, in which order they are read, what wraps a function."""

from __future__ import annotations

import functools
import types
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from types import FunctionType, MethodType, ModuleType
from typing import Any, Final

from scidb.exceptions import UnhashableValueError
from scidb.hashing.canonical.encode import canonical_hash
from scidb.hashing.code.members import is_user_class
from scidb.hashing.inside import own_classes
from scidb.hashing.origin import is_library_code, is_transparent, type_name

__all__ = ["CONTAINERS", "LEAVES", "LruCache", "holds_code", "is_plain", "pairs", "rank", "wrapped_functions"]

LEAVES: Final = frozenset({type(None), bool, int, float, complex, str, bytes})
CONTAINERS: Final[tuple[type, ...]] = (
    list,
    tuple,
    set,
    frozenset,
    dict,
    OrderedDict,
    defaultdict,
    deque,
    types.MappingProxyType,
    types.SimpleNamespace,
)

_WRAPPED: Final = ("__wrapped__", "py_func", "pyfunc")  # functools, numba, numpy.vectorize
LruCache: Final = type(functools.lru_cache(lambda: None))


def wrapped_functions(obj: object) -> Iterator[tuple[str, object]]:
    """Yield the functions that an instance of a library's class, such as lru_cache's, wraps."""
    for name in _WRAPPED:
        inner = getattr(obj, name, None)
        # Not just any callable: a mock has every attribute that it is asked for.
        if isinstance(inner, FunctionType | MethodType | functools.partial | LruCache):
            yield name, inner


def _items(obj: Any) -> Iterator[object]:
    if isinstance(obj, types.SimpleNamespace):
        obj = vars(obj)
    if isinstance(obj, Mapping):
        yield from obj.keys()
        yield from obj.values()
    else:
        yield from obj


def is_plain(obj: Any, depth: int = 0) -> bool:
    """Tell whether a container holds no code, so that it counts as one value."""
    kinds = set(map(type, _items(obj))) - LEAVES
    if any(issubclass(kind, FunctionType | type | ModuleType) or is_user_class(kind) for kind in kinds):
        return False
    others = kinds.difference(CONTAINERS)
    if others and own_classes([item for item in _items(obj) if type(item) in others], unwrap=False):
        return False  # objects of the user's in an array or a table
    if len(others) == len(kinds):
        return True
    return depth < 50 and all(is_plain(item, depth + 1) for item in _items(obj) if type(item) in CONTAINERS)


def holds_code(obj: object) -> bool:
    """Tell whether a value leads to code of the user."""
    if is_transparent(obj) or isinstance(obj, functools.partial | MethodType):
        return True
    if type(obj) in CONTAINERS:
        return not is_plain(obj)
    if isinstance(obj, FunctionType):
        return not is_library_code(obj.__code__) or hasattr(obj, "__wrapped__")
    return is_user_class(obj if isinstance(obj, type) else type(obj))


def pairs(mapping: Mapping[Any, object]) -> Iterable[tuple[object, object]]:
    """Return the items of a mapping; the order of a plain one does not count."""
    if all(type(key) is str for key in mapping) and not isinstance(mapping, OrderedDict):
        return sorted(mapping.items())
    return mapping.items()


def rank(item: object) -> tuple[str, str]:
    """Order the members of a set, whose own order differs between processes."""
    name = getattr(item, "__qualname__", None)
    if isinstance(name, str):
        return ("code", name)
    try:
        return ("value", canonical_hash(item))
    except UnhashableValueError:
        return ("type", type_name(type(item)))
