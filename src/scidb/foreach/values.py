"""The values of one call: what the function returned as outputs, kept safe from whoever changes them later."""

from __future__ import annotations

import copy
import sys
import traceback
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scidb.exceptions import OutputCountError, UnsupportedValueError
from scidb.foreach.pieces import as_pieces
from scidb.hashing.inputs import is_tracked, preview

if TYPE_CHECKING:
    from scidb.foreach.protocols import RunInfo

__all__ = ["as_outputs", "said_by", "size_of", "snapshot", "traceback_of"]

_IMMUTABLE: Final = (bool, int, float, complex, str, bytes, type(None))


def snapshot(value: Any) -> Any:
    """Return a value that nobody else can change.

    Raises
    ------
    UnsupportedValueError
        When it cannot be copied, and so cannot be stored either.

    """
    if isinstance(value, _IMMUTABLE):
        return value
    try:
        return copy.deepcopy(value)
    except (TypeError, NotImplementedError, RecursionError) as error:
        raise UnsupportedValueError(
            f"{preview(value)} cannot be kept, because it cannot be copied: {error}. Return a list, an array or a "
            "table.",
            path="",
        ) from error


def said_by(error: BaseException) -> str:
    """Return what an error says, as text that can be stored whatever is in it."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a user's exception may fail to describe itself
        text = "(the error could not say what happened)"
    return _storable(text)


def traceback_of(error: BaseException) -> str:
    """Return the traceback of an error, as text that can be stored whatever is in it."""
    return _storable("".join(traceback.format_exception(error)))


def _storable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def size_of(value: Any) -> int:
    """Return about how much memory a value takes, without looking at every text in it."""
    if isinstance(value, list | tuple):
        return sys.getsizeof(value) + sum(map(size_of, value))
    if hasattr(value, "memory_usage"):
        return int(np.sum(value.memory_usage()))
    return int(getattr(value, "nbytes", 0)) or sys.getsizeof(value)


def as_outputs(result: Any, run: RunInfo, name: str) -> tuple[Any, ...]:
    """Turn what the function returned into one value per output, or into the pieces of each."""
    values = _values(result, run, name)
    return values if run.piece_key is None else as_pieces(values, run, name)


def _values(result: Any, run: RunInfo, name: str) -> tuple[Any, ...]:
    if is_tracked(result):
        result = result.data
    expected = len(run.outputs)
    if result is None:
        raise OutputCountError(
            f"{name}() returned None, where {expected} output{'s' if expected > 1 else ''} "
            f"({', '.join(output.__name__ for output in run.outputs)}) {'were' if expected > 1 else 'was'} expected. "
            "Is a return statement missing?"
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
