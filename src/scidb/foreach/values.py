"""The values of one call: what the function returned as outputs, kept safe from whoever changes them later."""

from __future__ import annotations

import copy
import sys
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scidb.exceptions import OutputCountError
from scidb.hashing.inputs import is_tracked

if TYPE_CHECKING:
    from scidb.foreach.protocols import RunInfo

__all__ = ["as_outputs", "size_of", "snapshot"]

_IMMUTABLE: Final = (bool, int, float, complex, str, bytes, type(None))


def snapshot(value: Any) -> Any:
    """Return a value that nobody else can change."""
    return value if isinstance(value, _IMMUTABLE) else copy.deepcopy(value)


def size_of(value: Any) -> int:
    """Return about how much memory a value takes, without looking at every text in it."""
    if hasattr(value, "memory_usage"):
        return int(np.sum(value.memory_usage()))
    return int(getattr(value, "nbytes", 0)) or sys.getsizeof(value)


def as_outputs(result: Any, run: RunInfo, name: str) -> tuple[Any, ...]:
    """Turn what the function returned into one value per output."""
    if is_tracked(result):
        result = result.data
    expected = len(run.outputs)
    if result is None:
        raise OutputCountError(
            f"{name}() returned None, where {expected} output{'s' if expected > 1 else ''} "
            f"({', '.join(output.__name__ for output in run.outputs)}) were expected. Is a return statement missing?"
        )
    if expected == 1 and run.declared_outputs != "unpack":
        return (result,)
    if not isinstance(result, tuple | list) or len(result) != expected:
        got = f"{len(result)} values" if isinstance(result, tuple | list) else f"one {type(result).__name__}"
        raise OutputCountError(
            f"{name}() returned {got}, where a tuple of {expected} was expected, one for each of "
            f"{', '.join(output.__name__ for output in run.outputs)}."
        )
    return tuple(item.data if is_tracked(item) else item for item in result)
