"""Canonical encoding of users' own classes: by the id of the class and the content of the instance.

The code of a class is not part of a value; the fingerprint of a function takes in the classes that it is
given.

Decisions
---------
- ``__scidb_hash__()`` of a class goes before all else: what it returns is encoded under the class's id. The
  function of a class that is registered stands in for that method, so that adding it later changes nothing.
- The id of a class is the ``__scidb_type__`` that it defines itself, or where it is defined. A class of the
  program that was started belongs to the module that the program would be imported as.
- A dataclass or attrs instance is its whole state, also what is no field. What ``functools.cached_property``
  keeps is not state: it follows from the rest.
- A namedtuple is its names and values in order. An Enum member is its name and value, a Flag its value.
- State that Python cannot show (a base class written in C other than ``object``) is refused, as is any plain
  object: two of them are never called equal for want of looking.
"""

from __future__ import annotations

from dataclasses import is_dataclass
from enum import Enum, Flag
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from scidb.hashing.canonical.cbor import NULL, array, mapping, text, typed
from scidb.hashing.canonical.encode import Refusal, encode_items, encode_pairs
from scidb.hashing.canonical.registered import function_name, registered_function
from scidb.hashing.origin import import_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from scidb.hashing.canonical.encode import Active, Writer

__all__ = ["class_id", "class_writer"]

_HEAP_TYPE: Final = 1 << 9
"""CPython's flag of classes that are written in Python (``Py_TPFLAGS_HEAPTYPE``)."""


_ANNOTATION_ONLY: Final = frozenset({"__orig_class__"})
"""What ``typing`` leaves on an instance of a generic class."""


def class_writer(kind: type) -> Writer:
    """Return the writer for a class that no library's writers know, or raise `Refusal`."""
    if callable(getattr(kind, "__scidb_hash__", None)):
        return _custom
    if registered_function(kind) is not None:
        return _registered
    if issubclass(kind, Enum):
        return _enum
    if issubclass(kind, tuple) and _is_namedtuple(kind):
        return _namedtuple
    if is_dataclass(kind) or hasattr(kind, "__attrs_attrs__"):
        return _fields
    raise Refusal(f"it is an instance of {kind.__module__}.{kind.__qualname__}, which does not say what identifies it")


def class_id(kind: type) -> str:
    """Return the name under which instances of a class are known, whatever program they are made in.

    Examples
    --------
    >>> from fractions import Fraction
    >>> class_id(Fraction)
    'fractions.Fraction'

    """
    own = kind.__dict__.get("__scidb_type__")
    if isinstance(own, str):
        return own
    if own is not None:
        raise Refusal(f"__scidb_type__ of {kind.__module__}.{kind.__qualname__} is {own!r}; it has to be a text")
    return f"{import_name(kind.__module__)}.{kind.__qualname__}"


def _custom(value: Any, active: Active) -> bytes:
    return _identified(value, type(value).__scidb_hash__, "__scidb_hash__()", active)


def _registered(value: Any, active: Active) -> bytes:
    function = registered_function(type(value))
    assert function is not None  # noqa: S101 - the dispatch has seen it
    return _identified(value, function, "registered()", active)


def _identified(value: object, function: Callable[[Any], object], part: str, active: Active) -> bytes:
    """Encode what a user's function says of a value."""
    try:
        said = function(value)
    except RecursionError:
        raise
    except Exception as error:
        raise Refusal(f"{function_name(function)}() raised {type(error).__name__}: {error}") from error
    content = _parts(value, {part: said}, active)
    return typed("custom", 2) + text(class_id(type(value))) + content[0][1]


def _enum(value: Enum, active: Active) -> bytes:
    # The name of a combination of flags follows from its value, in words that differ between Pythons.
    name = NULL if isinstance(value, Flag) else text(value.name)
    content = _parts(value, {"value": value.value}, active)
    return typed("enum", 3) + text(class_id(type(value))) + name + content[0][1]


def _parts(value: object, parts: dict[str, object], active: Active) -> list[tuple[bytes, bytes]]:
    return encode_pairs(value, parts.items(), active, ".{}".format)


def _is_namedtuple(kind: type) -> bool:
    names = getattr(kind, "_fields", None)
    return isinstance(names, tuple) and all(type(name) is str for name in names) and _hidden_base(kind) is tuple


def _namedtuple(value: Any, active: Active) -> bytes:
    if object.__getstate__(value):
        raise Refusal("it is a namedtuple with further attributes")
    parts = encode_items(value, tuple.__iter__(value), active)
    pairs = [array([text(name), part]) for name, part in zip(value._fields, parts, strict=True)]
    return typed("namedtuple", 2) + text(class_id(type(value))) + array(pairs)


def _hidden_base(kind: type) -> type:
    """Return the nearest base that is written in C; ``object`` when there is no other."""
    return next(base for base in kind.__mro__ if not base.__flags__ & _HEAP_TYPE)


def _fields(value: object, active: Active) -> bytes:
    kind = type(value)
    hidden = _hidden_base(kind)
    if hidden is not object:
        raise Refusal(f"it is a dataclass that is also a {hidden.__qualname__}")
    word = "dataclass" if is_dataclass(kind) else "attrs"
    return typed(word, 2) + text(class_id(kind)) + mapping(sorted(_parts(value, _state(value), active)))


def _state(value: object) -> dict[str, object]:
    """Return every attribute that the instance itself holds, in its dictionary or in slots."""
    kept = object.__getstate__(value)
    parts = kept if isinstance(kept, tuple) else (kept,)
    kind = type(value)
    return {
        name: item
        for part in parts
        if part
        for name, item in part.items()
        if name not in _ANNOTATION_ONLY and not isinstance(getattr(kind, name, None), cached_property)
    }
