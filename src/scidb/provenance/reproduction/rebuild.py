"""Recorded code, put together again from its stored source text. This is the one file that runs text as code.

It runs in the fresh process alone: for code of the asking process, or for stored code when its reader has
agreed to that. Each module that the manifest names becomes a module with those functions, classes and values
of it that the code reaches. Whether all of it is as recorded is decided by its fingerprint, before it is used.
"""

from __future__ import annotations
import __future__ as future

import ast
import builtins
import functools
import linecache
import logging
import operator
import sys
from types import FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from scidb.hashing.canonical.encode import canonical_hash
from scidb.hashing.code.fingerprint import fingerprint
from scidb.hashing.code.manifest import SOURCE, Manifest, is_unit
from scidb.hashing.code.members import functions_of
from scidb.hashing.code.source import text_digest
from scidb.hashing.literal import literal_value
from scidb.provenance.reproduction.calls import CannotRunError
from scidb.provenance.reproduction.libraries import USUAL, library
from scidb.provenance.reproduction.texts import ModuleText, bare_class, bare_function, names_in
from scidb.thunk import Thunk, thunk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from scidb.hashing.code.manifest import UnitEntry
    from scidb.provenance.reproduction.exchange import Code

__all__ = ["rebuilt"]

_FLAGS: Final = future.annotations.compiler_flag  # what annotations name is not stored, and decides nothing
_MISSING: Final = object()
_LOGGER, _NOWHERE = "type:logging.Logger", "missing"  # tokens


def rebuilt(code: Code) -> tuple[Callable[..., Any], tuple[str, ...]]:
    """Return the recorded function, made of its stored text, and what had to be assumed.

    Raises
    ------
    CannotRunError
        Naming what is not stored, or what is not as it was recorded.

    """
    manifest = Manifest.read(code.manifest)
    for digest, text in code.sources.items():
        if text_digest(text) != digest:
            raise CannotRunError("a stored source text is not the one that was recorded: the database is damaged")
    builder = _Builder(manifest, code)
    try:
        function, *includes = [builder.made(token) for _, token in manifest.roots]
        made = fingerprint(function, includes=includes)
    except RecursionError as error:
        raise CannotRunError("its stored code is nested too deeply to be put together") from error
    if made.hash != code.function_hash:
        raise CannotRunError(
            f"its stored code cannot be put together as it was: {_difference(manifest, made.manifest)}"
        )
    return function, tuple(builder.remarks)


def _difference(recorded: Manifest, made: str) -> str:
    """Say where code that was put together is not as recorded."""
    now = Manifest.read(made)
    for old, new in zip(recorded.units, now.units, strict=False):
        if (old.kind, old.digest) != (new.kind, new.digest):
            return f"{old.name} has another text"
        for label, _ in set(old.refs) ^ set(new.refs):
            return f"{label}, which {old.name} reads, is another one"
    return "it was recorded with options (version=, ignore=, libraries that count) that are not stored"


class _Builder:
    """The units of one manifest, made on demand, each once."""

    def __init__(self, manifest: Manifest, code: Code) -> None:
        self.remarks: dict[str, None] = {}
        self._manifest = manifest
        self._made: dict[int, Any] = {}
        self._modules: dict[str, ModuleType] = {}
        self._texts: dict[str, ModuleText] = {}
        self._label = f"{code.origin} {code.function_hash[:12]}"
        methods = {index for unit in manifest.units if unit.kind == "class" for index in self._methods_of(unit)}
        for index, unit in enumerate(manifest.units):
            if unit.how == SOURCE and index not in methods:
                self._text_of(unit).add(index, unit, code.sources.get(unit.source_sha, ""))
        for name, text in self._texts.items():
            linecache.cache[text.filename] = (len(text.text), None, text.text.splitlines(keepends=True), text.filename)
            self._module(name).__file__ = text.filename

    def _text_of(self, unit: UnitEntry) -> ModuleText:
        return self._texts.setdefault(unit.module, ModuleText(f"<{self._label} {unit.module}>"))

    def _methods_of(self, unit: UnitEntry) -> Iterator[int]:
        """Yield the units of the functions that stand in the text of a class."""
        for _, token in unit.refs:
            for index in self._functions_behind(token):
                other = self._manifest.units[index]
                if other.module == unit.module and other.name.startswith(f"{unit.name}."):
                    yield index

    def _functions_behind(self, token: str) -> Iterator[int]:
        """Yield the function that a token stands for, or those in a property or another holder."""
        if not is_unit(token):
            return
        index = int(token.removeprefix("unit:"))
        unit = self._manifest.units[index]
        if unit.kind == "function":
            yield index
            for _, inner in unit.refs if unit.code_name else ():  # a decorator gave it the name of what it wraps
                yield from (place for place in self._functions_behind(inner) if self._is_named(place, unit))
        elif unit.kind in {"holder", "wrapped", "wrapper"}:
            for _, inner in unit.refs:
                yield from self._functions_behind(inner)

    def _is_named(self, index: int, as_this: UnitEntry) -> bool:
        unit = self._manifest.units[index]
        return (unit.module, unit.name) == (as_this.module, as_this.name)

    # -------------------------------------------------------------- tokens

    def made(self, token: str, label: str = "it") -> Any:
        """Return what a token stands for."""
        kind, _, rest = token.partition(":")
        if kind == "unit":
            return self._unit(int(rest))
        if kind == "value":
            return self._value(token, rest, label)
        if kind == "lib":
            return library(rest)
        if token == _LOGGER:
            return logging.getLogger("scidb.reproduced")
        if token == _NOWHERE:
            return _MISSING
        raise CannotRunError(f"{label} ({token}) is not stored; it was recorded by its type alone")

    def _value(self, token: str, digest: str, label: str) -> Any:
        for texts in (self._manifest.literals, self._manifest.values):
            try:
                value = literal_value(texts.get(token, ""))
                if canonical_hash(value) == digest:
                    return value
            except ValueError:
                continue
        shown = self._manifest.values.get(token, "?")
        raise CannotRunError(f"the value of {label} ({shown}), which its code reads, is not stored; only its hash is")

    def _unit(self, index: int) -> Any:
        if index not in self._made:
            unit = self._manifest.units[index]
            make = _MAKERS.get(unit.kind)
            if make is None or (unit.kind in {"function", "class"} and unit.how != SOURCE):
                raise CannotRunError(
                    f"{unit.name} ({unit.how}) is not stored in a form from which it can be made again"
                )
            made = make(self, index, unit)
            self._made.setdefault(index, made)
        return self._made[index]

    # -------------------------------------------------------------- functions

    def _function(self, index: int, unit: UnitEntry) -> Any:
        node = self._texts[unit.module].node(index)
        scope = self._scope(unit)
        bare, defaults = bare_function(node, unit.own)
        self._know_own(node, unit.own, scope)
        made = self._run(bare, scope, unit)
        function = made.function if isinstance(made, Thunk) else made
        if not isinstance(function, FunctionType):
            raise CannotRunError(f"{unit.name} is no function in its stored text")
        function.__qualname__ = unit.name
        self._made[index] = made
        if unit.name.isidentifier():
            scope[unit.name] = made
        self._bind(unit, scope)
        self._set_defaults(function, unit, defaults, scope)
        return made

    def _scope(self, unit: UnitEntry) -> dict[str, Any]:
        """Return where a function looks up names; what surrounded an inner one is part of its own."""
        scope = vars(self._module(unit.module))
        return dict(scope) if "<locals>" in unit.name else scope

    def _run(self, statement: ast.stmt, scope: dict[str, Any], unit: UnitEntry) -> Any:
        """Run one definition, and return what it defines."""
        defined: dict[str, Any] = {}
        tree = ast.fix_missing_locations(ast.Module([statement], []))
        filename = self._texts[unit.module].filename
        try:
            exec(compile(tree, filename, "exec", _FLAGS, dont_inherit=True), scope, defined)  # noqa: S102
        except Exception as error:
            raise CannotRunError(
                f"the stored definition of {unit.name} cannot be run by itself: {type(error).__name__}: {error}"
            ) from error
        return next(reversed(defined.values()))

    def _set_defaults(
        self, function: FunctionType, unit: UnitEntry, texts: dict[str, str], scope: dict[str, Any]
    ) -> None:
        """Give a function its default values: as recorded, as written, or else something that no call expects."""
        recorded = {label.removeprefix("default "): token for label, token in unit.refs if label.startswith("default ")}
        values = {
            name: self.made(recorded[name], f"default {name}") if name in recorded else _default(text, scope)
            for name, text in texts.items()
        }
        code = function.__code__
        names = code.co_varnames[: code.co_argcount]
        function.__defaults__ = tuple(values[name] for name in names if name in values) or None
        function.__kwdefaults__ = {name: value for name, value in values.items() if name not in names} or None

    def _decorated(self, index: int, unit: UnitEntry) -> Any:
        """Make what a library's decorator made of a function: the function with its decorators."""
        for inside in (place for _, token in unit.refs for place in self._functions_behind(token)):
            inner = self._manifest.units[inside]
            node = self._texts[inner.module].node(inside) if inner.how == SOURCE else None
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.decorator_list:
                scope = self._scope(inner)
                bare, defaults = bare_function(node, inner.own, decorated=True)
                self._know_own(node, inner.own, scope)
                self._prepare(bare, inner, scope)
                made = self._made[index] = self._run(bare, scope, inner)
                scope[inner.name] = made  # it may call itself
                for function in functions_of(made):
                    self._made.setdefault(inside, function)
                    self._set_defaults(function, inner, defaults, scope)
                self._bind(inner, scope)
                return made
        raise CannotRunError(f"what {unit.name} wraps cannot be made again from its stored text")

    def _prepare(self, node: ast.stmt, unit: UnitEntry, scope: dict[str, Any]) -> None:
        """Bind what a definition reads when it runs itself; what is in it may need it first."""
        now = names_in(node)
        for label, token in unit.refs:
            if label.partition(".")[0] in now:
                self._bind_one(label, token, scope)
        for name in sorted(now & USUAL.keys() - scope.keys()):
            scope[name] = library(USUAL[name])
            self.remarks[f"{name} is taken to be {USUAL[name]}"] = None

    # -------------------------------------------------------------- classes

    def _class(self, index: int, unit: UnitEntry) -> type:
        node = self._texts[unit.module].node(index)
        if not isinstance(node, ast.ClassDef):
            raise CannotRunError(f"{unit.name} is no class in its stored text")
        scope = self._scope(unit)
        methods = {number: self._manifest.units[number] for number in self._methods_of(unit)}
        own = {method.name.rpartition(".")[2]: method.own for method in methods.values()}
        bare, defaults = bare_class(node, own)
        for statement in node.body:
            self._know_own(statement, own.get(getattr(statement, "name", ""), ()), scope)
        for base, token in zip(_written_bases(node), (t for label, t in unit.refs if label == "base"), strict=False):
            self._bind_one(ast.unparse(base), token, scope)
        self._bind_members(bare, unit, scope)
        for one in (unit, *methods.values()):
            self._prepare(bare, one, scope)
        cls = self._run(bare, scope, unit)
        if not isinstance(cls, type):
            raise CannotRunError(f"{unit.name} is no class in its stored text")
        self._made[index] = cls
        if "." not in unit.name:
            scope[unit.name] = cls
        found = [
            (place, function)
            for label, token in unit.refs
            for place, function in zip(self._functions_behind(token), functions_of(vars(cls).get(label)), strict=False)
            if place in methods
        ]
        self._made |= {place: function for place, function in found if place not in self._made}
        for place, function in found:
            if not methods[place].code_name:  # else a decorator has made it, just now
                self._bind(methods[place], scope)
                self._set_defaults(function, methods[place], defaults.get(function.__name__, {}), scope)
        return cls

    def _know_own(self, node: ast.stmt, own: Sequence[int], scope: dict[str, Any]) -> None:
        """Bind the names of SciDB's decorators, by which a fingerprint knows that they are no part of the code."""
        decorators = getattr(node, "decorator_list", ())
        for place in own:
            call = decorators[place]
            first, *rest = ast.unparse(call.func if isinstance(call, ast.Call) else call).split(".")
            if first not in scope:
                holder: object = thunk
                for name in reversed(rest):
                    holder = _with_attribute(holder, name)
                scope[first] = holder

    def _bind_members(self, node: ast.ClassDef, unit: UnitEntry, scope: dict[str, Any]) -> None:
        """Give the class its values as recorded, where the text takes them from names that are not stored."""
        recorded = dict(unit.refs)
        for statement in node.body:
            if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
                continue
            value = statement.value
            target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
            name = target.id if isinstance(target, ast.Name) else ""
            if name in recorded and names_in(value) - scope.keys() - vars(builtins).keys():
                scope[f"stored_{unit.name}_{name}"] = self.made(recorded[name], name)
                statement.value = ast.copy_location(ast.Name(f"stored_{unit.name}_{name}", ast.Load()), value)

    # -------------------------------------------------------------- names

    def _bind(self, unit: UnitEntry, scope: dict[str, Any]) -> None:
        for label, token in unit.refs:
            if not label.startswith("default "):
                self._bind_one(label, token, scope)

    def _bind_one(self, label: str, token: str, scope: dict[str, Any]) -> None:
        """Make ``a.b.c`` in code lead to what a token stands for."""
        first, *rest = label.split(".")
        if token.startswith("lib:"):
            parts = token.removeprefix("lib:").split(".")
            named = rest and parts[-len(rest) :] == rest and len(parts) > len(rest)
            scope[first] = library(".".join(parts[: -len(rest)] if named else parts))
            return
        found = self.made(token, label)
        if found is _MISSING:
            return
        length = self._through_modules(rest, token, found)
        if not length:
            scope[first] = found
            return
        path = rest[:length]
        holder = scope.get(first)
        if not isinstance(holder, ModuleType):
            is_known = any(unit.module == first for unit in self._manifest.units)
            holder = scope[first] = self._module(first) if is_known else ModuleType(first)
        for name in path[:-1]:
            inner = getattr(holder, name, None)
            if not isinstance(inner, ModuleType):
                inner = ModuleType(name)
                setattr(holder, name, inner)
            holder = inner
        setattr(holder, path[-1], found)

    def _through_modules(self, rest: Sequence[str], token: str, found: Any) -> int:
        """Return how many of the names behind the first lead through modules to what was found."""
        if not rest:
            return 0
        if is_unit(token):
            unit = self._manifest.units[int(token.removeprefix("unit:"))]
            own = (unit.code_name or unit.name).rpartition(".")[2]
            if own in rest:
                return rest.index(own) + 1
        return 0 if hasattr(found, rest[0]) else len(rest)

    def _module(self, name: str) -> ModuleType:
        """Return the module of that name, and let code find it unless a real one is imported."""
        if name not in self._modules:
            module = self._modules[name] = ModuleType(name)
            for length in range(name.count(".") + 1, 0, -1):
                part = name.rsplit(".", name.count(".") + 1 - length)[0]
                sys.modules.setdefault(part, module if part == name else ModuleType(part))
        return self._modules[name]

    # -------------------------------------------------------------- what holds code

    def _holder(self, _: int, unit: UnitEntry) -> Any:
        refs = {label: self.made(token, label) for label, token in unit.refs}
        if unit.name == "partial":
            return functools.partial(refs["func"], *refs["args"], **refs["keywords"])
        if unit.name == "method":
            return MethodType(refs["__func__"], refs["__self__"])
        raise CannotRunError(f"a {unit.name} by itself cannot be made again from stored text")

    def _container(self, _: int, unit: UnitEntry) -> Any:
        kinds: dict[str, Callable[[Any], Any]] = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}
        items = [self.made(token, label) for label, token in unit.refs]
        if unit.name == "dict":
            return dict(zip(items[::2], items[1::2], strict=True))
        if unit.name not in kinds:
            raise CannotRunError(f"a {unit.name} that holds code cannot be made again from stored text")
        return kinds[unit.name](items)

    def _as_module(self, _: int, unit: UnitEntry) -> ModuleType:
        module = self._module(unit.name.removeprefix("module "))
        for label, token in unit.refs:
            setattr(module, label, self.made(token, label))
        return module

    def _getter(self, _: int, unit: UnitEntry) -> Any:
        (arguments,) = [self.made(token, label) for label, token in unit.refs]
        return getattr(operator, unit.name.rpartition(".")[2])(*arguments)


_MAKERS: Final[dict[str, Callable[[_Builder, int, Any], Any]]] = {
    "function": _Builder._function,  # noqa: SLF001
    "class": _Builder._class,  # noqa: SLF001
    "wrapped": _Builder._decorated,  # noqa: SLF001
    "wrapper": _Builder._decorated,  # noqa: SLF001
    "holder": _Builder._holder,  # noqa: SLF001
    "container": _Builder._container,  # noqa: SLF001
    "module": _Builder._as_module,  # noqa: SLF001
    "getter": _Builder._getter,  # noqa: SLF001
}


def _with_attribute(value: object, name: str) -> ModuleType:
    holder = ModuleType("scidb")
    setattr(holder, name, value)
    return holder


def _written_bases(node: ast.ClassDef) -> list[ast.expr]:
    return [base for base in node.bases if not (isinstance(base, ast.Name) and base.id == "object")]


def _default(text: str, scope: dict[str, Any]) -> Any:
    try:
        return literal_value(text)
    except ValueError:
        return scope.get(text, _MISSING)
