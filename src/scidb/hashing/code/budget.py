"""How large are the values that code reads from outside: they are hashed before every call, and that takes time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from scidb.hashing.inputs import PLAIN

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["BUDGET", "nbytes_of", "too_large"]

BUDGET: Final = 32 * 1024 * 1024
"""Bytes that take some 20 milliseconds to hash; a user who waits longer at every call should know why."""

_NAMED: Final = 3
_POINTER: Final = 16
_MEASURED: Final = frozenset({"numpy", "pandas", "pyarrow", "polars", "xarray"})


def too_large(values: Iterable[tuple[str, object]]) -> str:
    """Name the largest of these values with their size, when all together exceed the budget; else nothing.

    Examples
    --------
    >>> import numpy as np
    >>> too_large([("TABLE", np.zeros(10_000_000)), ("K", 0.2)])
    'TABLE (80 MB)'

    """
    sizes = sorted(((nbytes_of(value), name) for name, value in values), reverse=True)
    if sum(size for size, _ in sizes) <= BUDGET:
        return ""
    shown = [f"{name} ({round(size / 1e6)} MB)" for size, name in sizes[:_NAMED] if size > BUDGET / 100]
    more = sum(size > BUDGET / 100 for size, _ in sizes[_NAMED:])
    return ", ".join(shown) + (f" and {more} more" if more else "")


def nbytes_of(value: object) -> int:
    """Return about how many bytes of a value are hashed."""
    if isinstance(value, str | bytes):
        return len(value)
    if type(value).__module__.partition(".")[0] in _MEASURED:
        return _measured(value)
    if isinstance(value, Mapping):
        return _items(value.keys()) + _items(value.values())
    return _items(value) if isinstance(value, list | tuple | set | frozenset) else 0


def _measured(value: Any) -> int:
    size = getattr(value, "nbytes", None)  # arrays, Series, Arrow and xarray
    if isinstance(size, int):
        return size
    for measure in ("memory_usage", "estimated_size"):  # a frame of pandas, and of polars
        found = getattr(value, measure, None)
        if callable(found) and not isinstance(value, type):
            total = found()
            return int(total if isinstance(total, int) else total.sum())
    return 0


def _items(items: Collection[Any]) -> int:
    larger = set(map(type, items)) - (PLAIN - {str, bytes})
    return _POINTER * len(items) + sum(nbytes_of(item) for item in items if type(item) in larger)
