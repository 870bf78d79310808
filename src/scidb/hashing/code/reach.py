"""Resolve what code reads on live objects: closure cells, globals, attributes of modules, imports."""

from __future__ import annotations

import builtins
import importlib
import sys
from types import CellType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Final, NamedTuple

from scidb.hashing.origin import is_library_module

if TYPE_CHECKING:
    from scidb.hashing.code.reads import Read

__all__ = ["MISSING", "Reached", "cell_content", "reach"]

MISSING: Final = object()
"""Stands for what a name does not find."""

_FACTS: Final = frozenset({"__name__", "__file__", "__doc__", "__spec__", "__package__", "__loader__", "__path__"})
_DYNAMIC: Final = frozenset({"eval", "exec", "globals"})


class Reached(NamedTuple):
    """Where one read leads: to live objects, to a name in a library, or nowhere that can be known."""

    objects: tuple[object, ...] = ()
    library: str = ""
    warning: str = ""  # continues a sentence that begins with the reader


def reach(read: Read, function: FunctionType) -> Reached:
    """Follow one read of a function as far as modules lead; a builtin leads to nothing."""
    if read.kind == "dynamic":
        return Reached(warning=f"imports by a computed name ({read.label}); name what it uses with includes=.")
    if read.kind == "import":
        return _imported(read, function)
    name = read.path[0]
    code = function.__code__
    if name in code.co_freevars and function.__closure__ is not None:
        return _walk(cell_content(function.__closure__[code.co_freevars.index(name)]), read.path[1:])
    if name in _FACTS:
        return Reached(warning=f"reads {name}, which is not part of its identity.")
    found = function.__globals__.get(name, MISSING)
    if found is MISSING and hasattr(builtins, name):
        dynamic = name in _DYNAMIC
        return Reached(warning=f"calls {name}(); what it reaches that way is unknown.") if dynamic else Reached()
    return _walk(found, read.path[1:])


def cell_content(cell: CellType) -> object:
    """Return what a closure cell holds."""
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return MISSING


def _walk(obj: object, attributes: tuple[str, ...]) -> Reached:
    for position, attribute in enumerate(attributes):
        if isinstance(obj, ModuleType):
            if is_library_module(obj.__name__) and not _is_tracked_module(f"{obj.__name__}.{attribute}"):
                return Reached(library=".".join([obj.__name__, *attributes[position:]]))
            obj = _attribute(obj, attribute)
        elif isinstance(obj, FunctionType) and attribute in vars(obj):
            return Reached((obj, vars(obj)[attribute]))
        else:
            break
    return Reached((obj,))


def _is_tracked_module(name: str) -> bool:
    """Tell whether a name in a library is a module that the user tracks."""
    return name in sys.modules and not is_library_module(name)


def _imported(read: Read, function: FunctionType) -> Reached:
    name = read.module
    if read.level:
        package = str(function.__globals__.get("__package__") or "")
        base = package.rsplit(".", read.level - 1)[0]
        name = f"{base}.{name}" if name else base
    inner = f"{name}.{read.path[0]}" if read.path else name
    if is_library_module(name) and not _is_tracked_module(
        inner
    ):  # an optional library need not be imported to be named
        return Reached(library=".".join([name, *read.path]))
    return _walk(_module(name), read.path)


def _module(name: str) -> object:
    found = sys.modules.get(name)
    if found is not None:
        return found
    try:  # the function would import it anyway; before and after its first run it must look the same
        return importlib.import_module(name)
    except ImportError:
        return MISSING


def _attribute(module: ModuleType, name: str) -> object:
    found = getattr(module, name, MISSING)
    if found is MISSING and hasattr(module, "__path__"):
        return _module(f"{module.__name__}.{name}")
    return found
