"""Where a function stands, as ``module:qualified.name``, and what stands there now.

Equal code has one fingerprint wherever it stands; its reference tells which function it was, so that today's
can be looked up. Nothing is imported, and no code of the user runs.
"""

from __future__ import annotations

import inspect
import re
import sys
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from scidb.hashing.code.graph import innermost
from scidb.hashing.origin import import_name, is_compiled_function, is_library_module, is_transparent

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["attribute", "imported", "reference_of", "split_reference", "unwrapped"]

_MISSING: Final = object()
_MAIN: Final = ("__main__", "__mp_main__")
_OF_A_PROMPT: Final = re.compile(r"_+\d*")  # what a prompt or a notebook keeps its last answers under


def reference_of(function: object) -> str:
    """Return where a function stands: the name in a module that leads to it, or else the one that its code has.

    A function that is defined within another one has ``<locals>`` in its name; an instance, a partial or a
    method without a name of its own goes by the class or function in it. A library's function has no reference.

    Examples
    --------
    >>> from fractions import Fraction
    >>> reference_of(Fraction.limit_denominator)
    ''
    >>> reference_of(split_reference)
    ''

    """
    function = unwrapped(function)
    inner: Any = innermost(function)
    own = _own_name(inner)
    if own is not None and _is_at(function, *own):
        return ":".join(own)
    if own is None and function is inner and _has_name(inner):
        return ""
    place = _place_of(function, getattr(inner, "__module__", None))
    return place or (":".join(own) if own is not None else "")


def unwrapped(function: object) -> object:
    """Return what SciDB's own wrappers, such as a thunk, are around."""
    while is_transparent(function):
        function = function.__wrapped__  # type: ignore[attr-defined]
    return function


def split_reference(reference: str) -> tuple[str, str]:
    """Return module and qualified name.

    Examples
    --------
    >>> split_reference("lab.filters:Filter.apply")
    ('lab.filters', 'Filter.apply')

    """
    module, _, name = reference.partition(":")
    return module, name


def imported(module: str) -> list[ModuleType]:
    """Return the imported modules of a name; the running program has that of its file.

    A program without a file, as a notebook, is no other one.
    """
    names: list[str] = [main for main in _MAIN if main in sys.modules and import_name(main) == module]
    names += [module] if module not in _MAIN else []
    return [found for key in dict.fromkeys(names) if (found := sys.modules.get(key)) is not None]


def attribute(module: str, name: str) -> object:
    """Return what a module has under a qualified name, without running anything; None for nothing.

    A method that is reached through an instance or, as a classmethod, through its class is bound to that.
    """
    for candidate in imported(module):
        found: object = candidate
        for part in name.split("."):
            found = _member(found, part)
        if found is not _MISSING:
            return found
    return None


def _member(owner: object, name: str) -> object:
    found = inspect.getattr_static(owner, name, _MISSING)
    if isinstance(found, staticmethod):
        return found.__func__
    if isinstance(found, classmethod):
        return MethodType(found.__func__, owner) if isinstance(owner, type) else _MISSING
    if isinstance(found, FunctionType) and not isinstance(owner, ModuleType | type):
        return MethodType(found, owner) if inspect.getattr_static(type(owner), name, None) is found else found
    return found


def _own_name(inner: object) -> tuple[str, str] | None:
    module, name = getattr(inner, "__module__", None), getattr(inner, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or is_library_module(module):
        return None
    return import_name(module), name


def _has_name(inner: object) -> bool:
    """Tell whether something of a library is a function or class that its own name leads to."""
    if not isinstance(getattr(inner, "__self__", None), ModuleType | type | None):  # a method of a builtin's object
        return False
    return isinstance(inner, FunctionType | BuiltinFunctionType | type) or is_compiled_function(inner)


def _is_at(function: object, module: str, name: str) -> bool:
    return "<" not in name and _is_same(attribute(module, name), function)


def _is_same(found: object, function: object) -> bool:
    found = unwrapped(found)
    # A bound method is made anew at each access.
    return found is function or (isinstance(function, MethodType) and type(found) is MethodType and found == function)


def _place_of(function: object, module: object) -> str:
    """Return the name under which a module of the user has this very object, or the object of a bound method."""
    owner = function.__self__ if isinstance(function, MethodType) else _MISSING
    found = ""
    for name, place in _modules_of_the_user(module):
        for key, value in list(vars(place).items()):
            if value is None or _OF_A_PROMPT.fullmatch(key):
                continue
            if _is_same(value, function):
                return f"{name}:{key}"
            if not found and value is owner:
                found = f"{name}:{key}.{function.__name__}"  # type: ignore[attr-defined]
    return found


def _modules_of_the_user(first: object) -> Iterator[tuple[str, ModuleType]]:
    """Yield modules: the one that is named, then the others, and last the program, which imports much from them."""
    names = [name for name in list(sys.modules) if name not in _MAIN and name != first]
    for name in (*([first] if isinstance(first, str) else []), *names, *_MAIN):
        module = sys.modules.get(name)
        if isinstance(module, ModuleType) and not is_library_module(name):
            yield import_name(name), module
