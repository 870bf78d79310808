"""The functions that were used in this process, held weakly, by the names that their code gives them.

A function that no module names, as one of a notebook, a lambda or a closure, can be found again only here.
"""

from __future__ import annotations

import functools
import threading
import weakref
from collections import defaultdict
from types import MethodType
from typing import TYPE_CHECKING, Any, Final

from scidb.hashing.code.graph import innermost
from scidb.hashing.origin import import_name, is_library_module, library_name

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["is_of_library", "note_seen", "seen_as", "was_seen"]

_seen: Final[defaultdict[str, dict[int, weakref.ref[Any]]]] = defaultdict(dict)
_lock: Final = threading.RLock()  # a callback of the garbage collector may come while it is held


def note_seen(function: Callable[..., object]) -> None:
    """Remember, while it lives, that a function was used; one that cannot be referred to weakly is left out."""
    inner = innermost(function)
    name = _dotted_name(inner)
    number = _identity(function)
    forget = functools.partial(_forget, name, number)
    try:
        reference = (
            weakref.WeakMethod(function, forget) if isinstance(function, MethodType) else weakref.ref(function, forget)
        )
    except TypeError:
        return
    with _lock:
        known = _seen[name]
        known.pop(number, None)  # the newest stands last
        if "<" not in name:  # a function that was defined anew takes the place of the former
            for other in [key for key, found in known.items() if innermost(found()) is not inner]:
                del known[other]
        known[number] = reference


def seen_as(name: str) -> list[Callable[..., object]]:
    """Return the living functions that were used, newest first, whose module and qualified name make this name.

    A partial goes by the function in it, an instance by its class, a library's function by its public name.
    """
    with _lock:
        found = [reference() for reference in reversed(_seen.get(name, {}).values())]
    return [function for function in found if function is not None]


def was_seen(function: object) -> bool:
    """Tell whether this very function, or this very bound method, was used."""
    return any(one is function or one == function for one in seen_as(_dotted_name(innermost(function))))


def is_of_library(function: object) -> bool:
    """Tell whether what is called in the end is a library's, whatever holds it."""
    module = getattr(innermost(function), "__module__", None)
    return not isinstance(module, str) or is_library_module(module)


def _dotted_name(inner: object) -> str:
    module, name = getattr(inner, "__module__", None), getattr(inner, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or is_library_module(module):
        return library_name(inner)
    return f"{import_name(module)}.{name}"


def _identity(function: object) -> int:
    # A bound method is made anew at each access.
    return hash((id(function.__self__), id(function.__func__))) if isinstance(function, MethodType) else id(function)


def _forget(name: str, number: int, dead: object) -> None:
    with _lock:
        known = _seen.get(name, {})
        if known.get(number) is dead:
            del known[number]
            if not known:
                _seen.pop(name, None)
