"""Everything that a function reaches, as a flat graph in the order of discovery.

A node is a piece of code (function, class, module) or something that holds code (partial, bound method,
instance, container). A reference is a token: ``unit:3``, ``value:<hash>``, ``lib:numpy.mean``,
``type:<class>`` or ``missing``. Nothing in a node depends on paths, line numbers or module names.
"""

from __future__ import annotations

import functools
import operator
import os
import re
import types
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from logging import Logger
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Final

from scidb.exceptions import UnhashableValueError, did_you_mean
from scidb.hashing.canonical.encode import canonical_hash
from scidb.hashing.code.holders import CONTAINERS, LEAVES, holds_code, is_plain, pairs, rank, wrapped_functions
from scidb.hashing.code.members import class_members, instance_state, is_user_class, is_variable_class
from scidb.hashing.code.reach import MISSING, cell_content, reach
from scidb.hashing.code.units import Unit, class_unit, function_unit
from scidb.hashing.inside import own_classes
from scidb.hashing.origin import (
    import_name,
    is_compiled_function,
    is_library_code,
    is_library_module,
    is_own,
    is_transparent,
    library_name,
    type_name,
)
from scidb.hashing.repeated import repeated_hash

if TYPE_CHECKING:
    from scidb.hashing.code.manifest import Reference

__all__ = ["Graph", "Node", "innermost"]

_HOLDERS: Final[Mapping[type, tuple[str, ...]]] = {
    staticmethod: ("__func__",),
    classmethod: ("__func__",),
    property: ("fget", "fset", "fdel"),
    functools.cached_property: ("func",),
    functools.partialmethod: ("func", "args", "keywords"),
    functools.partial: ("func", "args", "keywords"),
    MethodType: ("__func__", "__self__"),
    re.Pattern: ("pattern", "flags"),
}
_BUILTINS: Final = (
    BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.MethodWrapperType,
    types.ClassMethodDescriptorType,
)
# What annotations and log calls are made of says nothing about a result.
_SILENT: Final = (Logger, types.GenericAlias, types.UnionType)
_SILENT_MODULES: Final = frozenset({"typing", "typing_extensions"})
_LOADERS: Final = (
    "sys.modules", "runpy.run_", "importlib.reload", "importlib.machinery.SourceFileLoader",
    "importlib.util.spec_from_",
)  # fmt: skip
_ENVIRONMENT: Final = ("os.environ", "os.getenv", "os.path.expandvars", "posixpath.expandvars", "ntpath.expandvars")
_GETTERS: Final = (operator.itemgetter, operator.attrgetter, operator.methodcaller)


@dataclass(slots=True)
class Node:
    """One node of the graph. Kind, digest and references are hashed; the unit is for people."""

    kind: str
    digest: str = ""
    references: list[Reference] = field(default_factory=list)
    unit: Unit | None = None
    name: str = ""

    def item(self) -> list[object]:
        """Return what enters the fingerprint."""
        return [self.kind, self.digest, [part for reference in self.references for part in reference]]


def innermost(function: object) -> object:
    """Look through SciDB's own wrappers, partial and bound methods; an instance stands for its class."""
    while True:
        if is_transparent(function):
            function = function.__wrapped__  # type: ignore[attr-defined]
        elif isinstance(function, functools.partial):
            function = function.func
        elif isinstance(function, MethodType):
            function = function.__func__
        elif is_user_class(type(function)):
            return type(function)
        else:
            return function


def _is_known_by_name(function: object) -> bool:
    """Tell whether a function is a library's; a library's wrapper around user code shows that in its closure."""
    if not isinstance(function, FunctionType) or not is_library_code(function.__code__):
        return False
    return is_own(function) or not (function.__closure__ or hasattr(function, "__wrapped__"))


class Graph:
    """Everything that one function reaches.

    Parameters
    ----------
    root
        The function that is called; the default values of the innermost one count only if something calls
        it again. None when nothing is called, so that all default values count.
    version
        Stands for the innermost function's code when it is given.
    ignore
        Dotted names that are not followed.

    """

    def __init__(self, root: object, *, version: str | None = None, ignore: Sequence[str] = ()) -> None:
        self.nodes: list[Node] = []
        self.values: dict[str, object] = {}
        self.libraries: set[str] = set()
        self.warnings: dict[str, None] = {}
        self._inner: Any = innermost(root)
        self._version = version
        self._ignore = frozenset(ignore)
        self._ignored_below = tuple(f"{name}." for name in ignore)
        self._labels: set[str] = set()
        self._index: dict[int, int] = {}
        self._pending: deque[tuple[int, object]] = deque()
        self._alive: list[object] = []  # an id stays taken while its object lives
        self._called_again = False

    def add(self, objects: Iterable[object]) -> list[str]:
        """Follow objects and everything that they reach; return their tokens."""
        tokens = [self.token(obj, "function", "") for obj in objects]
        self._drain()
        inner = self._inner
        if self._called_again and isinstance(inner, FunctionType) and self._version is None:
            self._called_again = False
            self.nodes[self._index[id(inner)]].references += self._defaults(inner)
            self._drain()
        return tokens

    def named_values(self) -> list[tuple[str, object]]:
        """Return each value once, under the first name that the code has for it."""
        labels: dict[str, str] = {}
        for node in self.nodes:
            for label, token in node.references:
                labels.setdefault(token, label)
        return [(labels.get(token, "a value"), value) for token, value in self.values.items()]

    def unread(self) -> list[str]:
        """Say which ignored names stand nowhere in the code; each sentence names the nearest one that does."""
        if not self._ignore or self._version is not None:  # under a version, what the code reads is not looked at
            return []
        parts = [label.split(".") for label in self._labels]
        known = {".".join(path[:length]) for path in parts for length in range(1, len(path) + 1)}
        return [
            f"ignore= names {name!r}, but the code reads nothing of that name.{did_you_mean(name, known)}"
            for name in sorted(self._ignore - known)
        ]

    def _drain(self) -> None:
        while self._pending:
            index, obj = self._pending.popleft()
            self._fill(self.nodes[index], obj)

    # -------------------------------------------------------------- tokens

    def token(self, obj: object, label: str, reader: str) -> str:  # noqa: PLR0911  (one line a kind)
        """Return the token of a live object that `reader` reads under the name `label`."""
        kind = type(obj)
        if kind in LEAVES:
            return self._value(obj)
        while is_transparent(obj):
            obj = obj.__wrapped__  # type: ignore[attr-defined]
            kind = type(obj)
        if kind is FunctionType:
            return self._function(obj)  # type: ignore[arg-type]
        if isinstance(obj, type):
            return self._unit("class", obj) if is_user_class(obj) else self._library(library_name(obj))
        if isinstance(obj, ModuleType):
            library = is_library_module(obj.__name__)
            return self._library(obj.__name__) if library else self._unit("module", obj)
        if kind in _HOLDERS:
            return self._unit("holder", obj)
        if kind in CONTAINERS:
            return self._container(obj)
        if is_user_class(kind):
            return self._unit("instance", obj)
        return self._foreign(obj, label, reader)

    def _reached(self, obj: object, label: str, reader: str) -> str:
        return "missing" if obj is MISSING else self.token(obj, label, reader)

    def _value(self, value: object) -> str:
        token = f"value:{repeated_hash(value, canonical_hash)}"
        self.values[token] = value
        return token

    def _library(self, name: str) -> str:
        self.libraries.add(name)
        if name.startswith(_LOADERS):
            self._warn(f"What is reached by way of {name} is unknown; name it with includes=.")
        elif name.startswith(_ENVIRONMENT):
            read = next(one for one in _ENVIRONMENT if name.startswith(one))
            self._warn(
                f"What it reads of the environment by way of {read} is not part of its identity; pass the value as an "
                "argument."
            )
        return f"lib:{name}"

    def _unit(self, kind: str, obj: object) -> str:
        index = self._index.get(id(obj))
        if index is None:
            index = self._index[id(obj)] = len(self.nodes)
            self.nodes.append(Node(kind))
            self._alive.append(obj)
            self._pending.append((index, obj))
        elif obj is self._inner:
            self._called_again = True
        return f"unit:{index}"

    def _function(self, function: FunctionType) -> str:
        if _is_known_by_name(function):
            return self._library(library_name(function))
        return self._unit("wrapper" if is_library_code(function.__code__) else "function", function)

    def _container(self, obj: Any) -> str:
        if is_plain(obj):
            try:
                return self._value(obj)
            except UnhashableValueError:
                pass  # the parts that have an identity still count
        return self._unit("container", obj)

    def _foreign(self, obj: Any, label: str, reader: str) -> str:  # noqa: PLR0911  (one line a kind)
        """Return the token of an instance of a library's class."""
        if isinstance(obj, _BUILTINS):
            owner = getattr(obj, "__self__", None)
            if owner is None or isinstance(owner, ModuleType | type):
                return self._library(library_name(obj))
            return self._unit("builtin method", obj)
        if not all(_is_known_by_name(inner) for _, inner in wrapped_functions(obj)):
            return self._unit("wrapped", obj)
        if isinstance(obj, _GETTERS):
            return self._unit("getter", obj)
        if obj is os.environ:
            return self._library("os.environ")
        if own_classes([obj], unwrap=False):
            return self._unit("values", obj)
        try:
            return self._value(obj)
        except UnhashableValueError:
            pass  # by type alone, which is said aloud below
        if is_compiled_function(obj):
            return self._library(library_name(obj))
        kind = type_name(type(obj))
        if not isinstance(obj, _SILENT) and type(obj).__module__ not in _SILENT_MODULES:
            self._warn(f"{label} read by {reader} has no identity by content; only its type {kind} counts.")
        return f"type:{kind}"

    def _warn(self, warning: str) -> None:
        self.warnings[warning] = None

    # -------------------------------------------------------------- nodes

    def _fill(self, node: Node, obj: Any) -> None:
        if self._version is not None and obj is self._inner:
            name = f"{import_name(str(obj.__module__))}.{obj.__qualname__}"
            node.kind, node.digest, node.name = "version", canonical_hash(name), name
            return
        self._FILLS[node.kind](self, node, obj)

    def _refer(self, node: Node, label: str, obj: object) -> None:
        node.references.append((label, self.token(obj, label, node.name)))

    def _from_unit(self, node: Node, unit: Unit) -> None:
        node.unit, node.digest, node.name = unit, unit.digest, unit.name
        for warning in unit.warnings:
            self._warn(warning)

    def _fill_function(self, node: Node, function: FunctionType) -> None:
        self._from_unit(node, function_unit(function))
        node.name = f"{node.name}()"
        for read in node.unit.reads if node.unit else ():
            label = read.label
            if self._ignore:
                self._labels.add(label)
                if label in self._ignore or label.startswith(self._ignored_below):
                    continue
            found = reach(read, function)
            if found.warning:
                self._warn(f"{node.name} {found.warning}")
            elif found.library:
                node.references.append((label, self._library(found.library)))
            else:
                node.references += [(label, self._reached(obj, label, node.name)) for obj in found.objects]
        if function is not self._inner:
            node.references += self._defaults(function)

    def _defaults(self, function: FunctionType) -> list[Reference]:
        code = function.__code__
        reader = f"{function.__qualname__}()"
        positional = function.__defaults__ or ()
        names = code.co_varnames[code.co_argcount - len(positional) : code.co_argcount]
        defaults = {**dict(zip(names, positional, strict=True)), **(function.__kwdefaults__ or {})}
        return [
            (f"default {name}", self.token(value, f"default {name}", reader))
            for name, value in sorted(defaults.items())
        ]

    def _fill_class(self, node: Node, cls: type) -> None:
        unit = class_unit(cls)
        self._from_unit(node, unit)
        if is_variable_class(cls):
            node.digest = "variable"  # its description and units are no code
        for label, member in class_members(cls, unit):
            self._refer(node, label, member)

    def _fill_module(self, node: Node, module: ModuleType) -> None:
        node.name = f"module {module.__name__}"
        for name, value in sorted(vars(module).items()):
            if not name.startswith("__"):
                self._refer(node, name, value)

    def _fill_holder(self, node: Node, obj: object) -> None:
        node.name = type(obj).__name__
        node.digest = node.name
        for name in _HOLDERS[type(obj)]:
            self._refer(node, name, getattr(obj, name))

    def _fill_wrapper(self, node: Node, function: FunctionType) -> None:
        """Describe a closure of a library by the user's code in it; the rest is the library's business."""
        # functools.wraps gave the function the user's name; its code object kept the library's.
        name = f"{function.__globals__.get('__name__')}.{function.__code__.co_qualname}"
        node.name = node.digest = self._library(name)
        registry = getattr(function, "registry", None)
        if isinstance(registry, Mapping):  # functools.singledispatch; its other cells are caches
            self._refer(node, "registry", dict(registry))
            return
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            value = cell_content(cell)
            if type(value) in LEAVES or holds_code(value):
                self._refer(node, name, value)
        self._refer(node, "__wrapped__", getattr(function, "__wrapped__", None))

    def _fill_wrapped(self, node: Node, obj: object) -> None:
        node.name = node.digest = self._library(type_name(type(obj)))
        for name, inner in wrapped_functions(obj):
            self._refer(node, name, inner)

    def _fill_values(self, node: Node, obj: Any) -> None:
        """Describe an array or a table by its content, and by the classes of the objects in it."""
        node.name = node.digest = type_name(type(obj))
        for cls in own_classes([obj], unwrap=False):
            self._refer(node, "class", cls)
        try:
            node.references.append(("content", self._value(obj)))
        except UnhashableValueError:
            self._warn(f"{node.name} has content without an identity; only its type and its classes count.")

    def _fill_getter(self, node: Node, obj: Any) -> None:
        node.name = node.digest = type_name(type(obj))
        self._refer(node, "arguments", obj.__reduce__()[1])

    def _fill_builtin_method(self, node: Node, method: Any) -> None:
        node.name = node.digest = method.__name__
        self._refer(node, "__self__", method.__self__)

    def _fill_instance(self, node: Node, obj: object) -> None:
        node.name = type(obj).__qualname__
        self._refer(node, "class", type(obj))
        if isinstance(obj, Enum):
            self._refer(node, "name", obj.name)
            self._refer(node, "value", obj._value_)
            return
        state, complete = instance_state(obj)
        for name, value in state:
            self._refer(node, name, value)
        if not complete:
            self._warn(f"An instance of {node.name} has content without an identity; only its attributes count.")

    def _fill_container(self, node: Node, obj: Any) -> None:
        node.name = node.digest = type(obj).__name__
        if isinstance(obj, types.SimpleNamespace):
            obj = vars(obj)
        if isinstance(obj, defaultdict):
            self._refer(node, "default_factory", obj.default_factory)
        if isinstance(obj, Mapping):
            for key, value in pairs(obj):
                self._refer(node, "key", key)
                self._refer(node, "item", value)
            return
        for item in sorted(obj, key=rank) if isinstance(obj, set | frozenset) else obj:
            self._refer(node, "item", item)

    _FILLS: ClassVar[Mapping[str, Callable[[Graph, Node, Any], None]]] = {
        "function": _fill_function,
        "class": _fill_class,
        "module": _fill_module,
        "instance": _fill_instance,
        "container": _fill_container,
        "holder": _fill_holder,
        "wrapper": _fill_wrapper,
        "wrapped": _fill_wrapped,
        "values": _fill_values,
        "getter": _fill_getter,
        "builtin method": _fill_builtin_method,
    }
