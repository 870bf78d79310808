"""What users say identifies the instances of classes that they cannot edit.

Knows no kind of value; `scidb.hashing.canonical.classes` asks it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from scidb.exceptions import UnhashableValueError
from scidb.hashing.canonical.encode import has_writer

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["function_name", "register", "registered_function"]

_REGISTERED: Final[WeakKeyDictionary[type, Callable[[Any], object]]] = WeakKeyDictionary()


def register(cls: type, function: Callable[[Any], object]) -> None:
    """Say what identifies the instances of a class that one cannot edit.

    Where one can edit it, the method ``__scidb_hash__()`` does the same. Subclasses are not meant: they may
    differ in what they hold.

    Parameters
    ----------
    cls
        A class whose instances have no identity by content yet, or a dataclass to be known by less than all
        of its state.
    function
        Takes an instance and returns plain data (numbers, text, containers, arrays) that is equal for equal
        instances, and only for them.

    Raises
    ------
    UnhashableValueError
        When the class is known already: built in, or registered with another function.

    Examples
    --------
    >>> from scidb.hashing import canonical_hash, register
    >>> class Filter:
    ...     def __init__(self, order):
    ...         self.order = order
    >>> register(Filter, lambda made: ["order", made.order])
    >>> canonical_hash(Filter(2)) == canonical_hash(Filter(2))
    True

    """
    given: tuple[object, object] = (cls, function)
    if not isinstance(given[0], type) or not callable(given[1]):
        raise UnhashableValueError(
            f"register() takes a class and a function of its instances; {cls!r} and {function!r} are not that."
        )
    name = f"{cls.__module__}.{cls.__qualname__}"
    if has_writer(cls):
        raise UnhashableValueError(
            f"{name} cannot be registered: its instances have an identity by content already, on which stored ids "
            "depend. Register a class of your own that holds such a value."
        )
    if callable(getattr(cls, "__scidb_hash__", None)):
        raise UnhashableValueError(
            f"{name} cannot be registered: it has a method __scidb_hash__(). Change that instead."
        )
    known = _REGISTERED.get(cls)
    # A notebook cell or a module that runs again brings a new function of the same name.
    if known is not None and function_name(known) != function_name(function):
        raise UnhashableValueError(
            f"{name} is registered already, with {function_name(known)}; {function_name(function)} would give the "
            "same instances other ids. Keep one of them."
        )
    _REGISTERED[cls] = function


def registered_function(cls: type) -> Callable[[Any], object] | None:
    """Return what says what identifies the instances of a class, if anything was registered."""
    return _REGISTERED.get(cls)


def function_name(function: object) -> str:
    """Return the dotted name of a function, or of the class of another callable."""
    named: Any = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"
