"""The values inside the arguments of a call: those that know their origin, and what the function gets."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

from scidb.hashing.inputs import PLAIN, holds_tracked, is_tracked
from scidb.thunk.output import ThunkOutput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scidb.hashing.inputs import Tracked

__all__ = ["resolve", "tracked_in", "without_history"]

# What classes raise whose instances cannot be copied, such as a lock, an open file or a tensor in a graph.
_NO_COPY: Final = (TypeError, ValueError, RuntimeError, copy.Error)


def tracked_in(value: object, path: str) -> Iterator[tuple[str, Tracked]]:
    """Yield the tracked values in an argument, each with its path, where `identify_input` finds them too."""
    if is_tracked(value):
        yield path, value
    elif holds_tracked(value):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from tracked_in(item, f"{path}[{key!r}]")


def resolve(value: Any, *, unwrap: bool) -> Any:
    """Return what the function receives for an argument.

    A result of a thunk becomes its value, a variable its data unless variables are given whole; each is a
    copy, because what the function does to it in place must not reach whoever else holds it. A generated
    file has no value: the function receives None, as it does when the file was made in an earlier process.
    """
    if isinstance(value, ThunkOutput):
        return _copied(value.data) if value.has_value else None
    if is_tracked(value):
        inner = value.data
        data = resolve(inner, unwrap=unwrap) if isinstance(inner, ThunkOutput) else _copied(inner)
        return data if unwrap else _with_data(value, data)
    return _rebuilt(value, lambda item: resolve(item, unwrap=unwrap))


def _copied(value: Any) -> Any:
    """Return a copy that shares nothing that can be changed; what cannot be copied is passed as it is."""
    if type(value) in (list, dict):  # deepcopy takes a third of a second for a million numbers
        items = value.values() if type(value) is dict else value
        if PLAIN.issuperset(map(type, items)):
            return value.copy()
    try:
        return copy.deepcopy(value)
    except _NO_COPY:
        return value


def _with_data(variable: Any, data: Any) -> Any:
    whole = copy.copy(variable)
    whole.data = data
    return whole


def without_history(value: Any) -> Any:
    """Return what a function gave back, with the results of thunks called inside it as plain values."""
    if isinstance(value, ThunkOutput):
        return value.data
    return _rebuilt(value, without_history)


def _rebuilt(value: Any, item_of: Callable[[Any], Any]) -> Any:
    """Return a container with its items replaced; one that holds nothing tracked is passed as it is."""
    if not holds_tracked(value):
        return value
    if isinstance(value, dict):
        return {key: item_of(item) for key, item in value.items()}
    items = [item_of(item) for item in value]
    if isinstance(value, list):
        return items
    make = getattr(value, "_make", tuple)  # a namedtuple stays one
    return make(items)
