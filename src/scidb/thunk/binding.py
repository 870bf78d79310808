"""The values inside the arguments of a call: those that know their origin, and what the function gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scidb.hashing.inputs import is_tracked
from scidb.thunk.output import ThunkOutput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scidb.hashing.inputs import Tracked

__all__ = ["resolve", "tracked_in", "without_history"]


def tracked_in(value: object, path: str) -> Iterator[tuple[str, Tracked]]:
    """Yield the tracked values in an argument, each with its path, where `identify_input` finds them too."""
    if is_tracked(value):
        yield path, value
    elif isinstance(value, list | tuple) and any(map(is_tracked, value)):
        for i, item in enumerate(value):
            yield from tracked_in(item, f"{path}[{i}]")
    elif isinstance(value, dict) and any(map(is_tracked, value.values())):
        for key, item in value.items():
            yield from tracked_in(item, f"{path}[{key!r}]")


def resolve(value: Any, *, unwrap: bool) -> Any:
    """Return what the function receives for an argument.

    A result of a thunk becomes its value, a variable its data unless variables are given whole. A generated
    file has no value: the function receives None, as it does when the file was made in an earlier process.
    """
    if isinstance(value, ThunkOutput):
        return value.data if value.has_value else None
    if is_tracked(value):
        return resolve(value.data, unwrap=unwrap) if unwrap else value
    return _rebuilt(value, lambda item: resolve(item, unwrap=unwrap))


def without_history(value: Any) -> Any:
    """Return what a function gave back, with the results of thunks called inside it as plain values."""
    if isinstance(value, ThunkOutput):
        return value.data
    return _rebuilt(value, without_history)


def _rebuilt(value: Any, item_of: Callable[[Any], Any]) -> Any:
    """Return a container with its items replaced; one that holds nothing tracked is passed as it is."""
    if isinstance(value, list | tuple) and any(map(is_tracked, value)):
        items = [item_of(item) for item in value]
        if isinstance(value, list):
            return items
        make = getattr(value, "_make", tuple)  # a namedtuple stays one
        return make(items)
    if isinstance(value, dict) and any(map(is_tracked, value.values())):
        return {key: item_of(item) for key, item in value.items()}
    return value
