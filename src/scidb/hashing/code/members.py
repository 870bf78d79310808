"""What counts of a class and of an instance: the live members, whatever Python put there itself left out."""

from __future__ import annotations

import dataclasses
import functools
import types
from enum import Enum
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from scidb.hashing.origin import is_library_code, is_library_module

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scidb.hashing.code.units import Unit

__all__ = ["class_members", "functions_of", "instance_state", "is_user_class", "is_variable_class"]


class _Single(NamedTuple):
    item: object


_SLOTS: Final = (
    types.MemberDescriptorType,
    types.GetSetDescriptorType,
    type(vars(_Single)["item"]),
)
_PLAIN_BASES: Final[tuple[type, ...]] = (dict, list, tuple, set, frozenset, str, bytes, int, float, complex)


def is_user_class(cls: type) -> bool:
    """Tell whether a class was written by the user, and not by Python or a library."""
    module = vars(cls).get("__module__")  # a class written in C may have none, or a descriptor
    return isinstance(module, str) and not is_library_module(module)


def is_variable_class(cls: type) -> bool:
    """Tell whether a class is a variable: of it, only its own methods are code."""
    return any(base.__module__.partition(".")[0] == "scidb" for base in cls.__mro__[1:])


def functions_of(member: object) -> Iterator[FunctionType]:
    """Yield the Python functions in a member of a class, looking through what Python wraps them in."""
    if isinstance(member, FunctionType):
        yield member
        member = getattr(member, "__wrapped__", None)
    elif isinstance(member, staticmethod | classmethod):
        member = member.__func__
    elif isinstance(member, property):
        for part in (member.fget, member.fset, member.fdel):
            yield from functions_of(part)
        return
    elif isinstance(member, functools.cached_property | functools.partialmethod):
        member = member.func
    else:
        member = None if isinstance(member, type) else getattr(member, "__wrapped__", None)
    if member is not None:
        yield from functions_of(member)


def is_made_of_fields(cls: type) -> bool:
    """Tell whether a class made by a call, such as ``namedtuple("P", "x y")``, is known by its fields."""
    by_call = issubclass(cls, Enum) or (issubclass(cls, tuple) and hasattr(cls, "_fields"))
    return by_call and not any(
        function.__code__.co_filename != "<string>" and not is_library_code(function.__code__)
        for member in vars(cls).values()
        for function in functions_of(member)
    )


def class_members(cls: type, unit: Unit) -> Iterator[tuple[str, object]]:
    """Yield labelled bases, members and fields of a user's class, in an order that Pythons agree on."""
    values_count = not (is_variable_class(cls) or issubclass(cls, Enum))
    for base in cls.__bases__:
        if base is not object:
            yield "base", base
    if is_user_class(type(cls)):
        yield "metaclass", type(cls)
    for name, member in sorted(vars(cls).items()):
        functions = list(functions_of(member))
        if functions:
            counts = name in unit.bound or any(_is_users(function, name, cls, unit) for function in functions)
        else:
            counts = values_count and _is_value(name, member, unit)
        if counts:
            yield name, member
    if issubclass(cls, Enum):
        for name, member in cls.__members__.items():
            yield f"member {name}", member._value_
    yield from _fields(cls)


def _is_value(name: str, member: object, unit: Unit) -> bool:
    if isinstance(member, _SLOTS) or (name.startswith("__") and name.endswith("__")):
        return False
    return name in unit.bound or not name.startswith("_")


def _is_users(function: FunctionType, name: str, cls: type, unit: Unit) -> bool:
    if is_library_code(function.__code__):
        return False
    # dataclass and namedtuple write methods themselves, differently in each Python; fields stand for them.
    generated = unit.how == "source" or "__dataclass_fields__" in vars(cls) or hasattr(cls, "_fields")
    return not (generated and function.__code__.co_filename == "<string>" and name.startswith("__"))


def _fields(cls: type) -> Iterator[tuple[str, object]]:
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        yield "fields", cls._fields
        yield "defaults", getattr(cls, "_field_defaults", {})
    fields: dict[str, dataclasses.Field[Any]] = vars(cls).get("__dataclass_fields__", {})
    for name, field in fields.items():
        for part in (field.default, field.default_factory):
            if part is not dataclasses.MISSING:
                yield f"field {name}", part
    for attribute in vars(cls).get("__attrs_attrs__", ()):
        default = attribute.default
        factory = getattr(default, "factory", None)
        if factory is not None:
            yield f"field {attribute.name}", factory
        elif type(default).__module__.partition(".")[0] != "attr":  # attrs has an object for "no default"
            yield f"field {attribute.name}", default


def instance_state(obj: object) -> tuple[list[tuple[str, object]], bool]:
    """Return the labelled state of a user's instance, and whether that is all of it."""
    cls = type(obj)
    if callable(getattr(cls, "__scidb_hash__", None)):
        return [("__scidb_hash__()", obj.__scidb_hash__())], True  # type: ignore[attr-defined]
    kept = object.__getstate__(obj)  # the instance dictionary, or a pair of it and the slots
    parts = kept if isinstance(kept, tuple) else (kept,)
    state: list[tuple[str, object]] = [
        (name, value)
        for part in parts
        for name, value in sorted((part or {}).items())
        if not isinstance(getattr(cls, name, None), functools.cached_property)  # follows from the rest
    ]
    hidden = next(base for base in cls.__mro__ if base is object or _is_builtin(base))
    if hidden in _PLAIN_BASES:
        state.append(("content", _content(obj, hidden)))
    return state, hidden is object or hidden in _PLAIN_BASES


def _is_builtin(cls: type) -> bool:
    return not cls.__flags__ & (1 << 9)  # CPython: not a class statement's


def _content(obj: Any, base: type) -> object:
    if base is dict:
        return dict(dict.items(obj))
    if base in {list, tuple, set, frozenset}:
        return base(base.__iter__(obj))
    plain = {str: str.__str__, int: int.__int__, float: float.__float__, complex: complex.__complex__}
    return plain[base](obj) if base in plain else bytes.__getitem__(obj, slice(None))
