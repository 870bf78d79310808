"""Units of code: the part of a function or class that does not change while it lives.

A unit says what the text does and which names it reads; what those names stand for is looked up at every
call, elsewhere.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import functools
import sys
import weakref
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, Final

from scidb.hashing.canonical.encode import canonical_hash
from scidb.hashing.code.astdump import Decorator, UnitNode, dump
from scidb.hashing.code.members import functions_of, is_made_of_fields
from scidb.hashing.code.reads import Read, dotted, reads_of, reads_of_expression
from scidb.hashing.code.source import Located, bytecode_digest, class_nodes, locate, text_digest
from scidb.hashing.origin import is_own, module_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["Unit", "class_unit", "function_unit", "python_tag"]

_NEUTRAL: Final[tuple[object, ...]] = (
    property,
    staticmethod,
    classmethod,
    functools.wraps,
    functools.cache,
    functools.lru_cache,
    functools.cached_property,
    contextlib.contextmanager,
)


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """The fixed part of one function or class; each is itself alone."""

    name: str
    module: str
    file: str
    line: int
    how: str  # "source", or what stood in for it
    digest: str
    source: str = ""
    source_sha: str = ""
    code_name: str = ""  # of a function: the name that its code was compiled under
    own: tuple[int, ...] = ()  # which of its decorators are SciDB's
    reads: tuple[Read, ...] = ()
    bound: frozenset[str] = frozenset()  # of a class: the names that its body gives a value
    warnings: tuple[str, ...] = ()


def python_tag() -> str:
    """Return ``Python x.y``: within it, bytecode means one thing."""
    return f"Python {sys.version_info.major}.{sys.version_info.minor}"


# Keyed by identity: equal code objects may stand in different files, and hashing one costs its length.
_functions: dict[int, tuple[weakref.ref[CodeType], Unit]] = {}
_classes: dict[int, tuple[weakref.ref[type], Unit]] = {}


def function_unit(function: FunctionType) -> Unit:
    """Return the unit of a Python function, made when its code object is first seen."""
    code = function.__code__
    key = id(code)
    known = _functions.get(key)
    if known is not None and known[0]() is code:
        return known[1]
    unit = _make_function(function)
    _functions[key] = (weakref.ref(code, lambda dead: _forget(_functions, key, dead)), unit)
    return unit


def class_unit(cls: type) -> Unit:
    """Return the unit of a class: its body without methods, made when the class is first seen."""
    key = id(cls)
    known = _classes.get(key)
    if known is not None and known[0]() is cls:
        return known[1]
    unit = _make_class(cls)
    _classes[key] = (weakref.ref(cls, lambda dead: _forget(_classes, key, dead)), unit)
    return unit


def _forget(cache: dict[int, tuple[Any, Unit]], key: int, dead: object) -> None:
    entry = cache.get(key)
    if entry is not None and entry[0] is dead:  # the id may belong to somebody else by now
        del cache[key]


# ---------------------------------------------------------------- functions


def _make_function(function: FunctionType) -> Unit:
    code = function.__code__
    name, module, filename = function.__qualname__, str(function.__module__), code.co_filename
    found = locate(code)
    if found is None or isinstance(found.node, ast.ClassDef):
        warning = (
            f"The source of {function.__qualname__}() that is running cannot be had; "
            f"its bytecode of {python_tag()} counts."
        )
        digest = canonical_hash(["bytecode", python_tag(), bytecode_digest(code)])
        reads = _reads_of_bytecode(function)
        return Unit(
            name=name,
            module=module,
            file=filename,
            line=code.co_firstlineno,
            how="bytecode",
            digest=digest,
            code_name=code.co_qualname,
            reads=reads,
            warnings=(warning,),
        )
    classify = _classifier(function.__globals__, _cells(function))
    reads = reads_of(found.node)
    if not isinstance(found.node, ast.Lambda):
        kept = [d for d in found.node.decorator_list if classify(d) is Decorator.FOREIGN]
        # The body of a decorator counts also when what it returned shows nothing of it.
        reads = (*reads, *(read for read in reads_of_expression(kept) if read not in reads))
    reads = (*reads, *_silent_cells(function, reads))
    return Unit(
        name=name,
        module=module,
        file=filename,
        line=found.line,
        how="source",
        digest=_text_digest(found.node, classify),
        source=found.text,
        source_sha=text_digest(found.text),
        code_name=code.co_qualname,
        own=_own_decorators(found.node, classify),
        reads=tuple(sorted(reads)),
    )


def _own_decorators(node: UnitNode, classify: Callable[[ast.expr], Decorator]) -> tuple[int, ...]:
    decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
    return tuple(number for number, item in enumerate(decorators) if classify(item) is Decorator.OWN)


def _text_digest(node: UnitNode, classify: Callable[[ast.expr], Decorator]) -> str:
    return canonical_hash(["source", dump(node, classify)])


def _cells(function: FunctionType) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # a cell that is still empty
            found[name] = cell.cell_contents
    return found


def _silent_cells(function: FunctionType, reads: tuple[Read, ...]) -> Iterator[Read]:
    """Yield cells that are used without being named, as ``__class__`` by ``super()``."""
    named = {read.path[0] for read in reads if read.kind == "name"}
    for name in function.__code__.co_freevars:
        if name not in named:
            yield Read(name, "name", (name,))


def _reads_of_bytecode(function: FunctionType) -> tuple[Read, ...]:
    names = set(function.__code__.co_freevars)
    pending = [function.__code__]
    while pending:
        code = pending.pop()
        names.update(name for name in code.co_names if name in function.__globals__)
        pending += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return tuple(Read(name, "name", (name,)) for name in sorted(names))


def _classifier(variables: Mapping[str, object], cells: Mapping[str, object]) -> Callable[[ast.expr], Decorator]:
    def classify(decorator: ast.expr) -> Decorator:
        path = dotted(decorator.func if isinstance(decorator, ast.Call) else decorator)
        if path is None:
            return Decorator.FOREIGN
        found: object = None
        for scope in (cells, variables, vars(builtins)):
            if path[0] in scope:
                found = scope[path[0]]
                break
        for attribute in path[1:]:
            found = getattr(found, attribute, None)
        if found is None:
            return Decorator.FOREIGN
        if is_own(found):
            return Decorator.OWN
        return Decorator.NEUTRAL if any(found is known for known in _NEUTRAL) else Decorator.FOREIGN

    return classify


# ---------------------------------------------------------------- classes


def _make_class(cls: type) -> Unit:
    name, module = cls.__qualname__, cls.__module__
    methods = [function for member in vars(cls).values() for function in functions_of(member)]
    filename = module_file(module) or next((m.__code__.co_filename for m in methods), "")
    found = _class_definition(cls, methods, filename)
    if found is None or not isinstance(found.node, ast.ClassDef):
        warning = f"The source of class {name} that is running cannot be had; its members count as they are."
        said = () if is_made_of_fields(cls) else (warning,)
        return Unit(
            name=name,
            module=module,
            file=filename,
            line=0,
            how="members",
            digest=canonical_hash(["members"]),
            warnings=said,
        )
    classify = _classifier(methods[0].__globals__ if methods else _module_variables(module), {})
    return Unit(
        name=name,
        module=module,
        file=filename,
        line=found.line,
        how="source",
        digest=_text_digest(found.node, classify),
        source=found.text,
        source_sha=text_digest(found.text),
        own=_own_decorators(found.node, classify),
        bound=frozenset(_bound_names(found.node)),
    )


def _module_variables(module: str) -> Mapping[str, object]:
    return vars(sys.modules[module]) if module in sys.modules else {}


def _class_definition(cls: type, methods: list[FunctionType], filename: str) -> Located | None:
    """Find the definition that holds a method which is running, or else agrees with the live values."""
    own = [m for m in methods if m.__qualname__.rpartition(".")[0] == cls.__qualname__]
    owners = {id(found.owner) for found in map(locate, [m.__code__ for m in own]) if found and found.owner}
    for filename_ in dict.fromkeys([*(m.__code__.co_filename for m in own), filename]):
        for found in class_nodes(filename_, cls.__qualname__):
            node = found.node
            if isinstance(node, ast.ClassDef) and (id(node) in owners if owners else _agrees(cls, node)):
                return found
    return None


def _agrees(cls: type, node: ast.ClassDef) -> bool:
    for statement in node.body:
        value = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign) else None
        if not isinstance(value, ast.Constant):
            continue
        for name in _targets(statement):
            live = vars(cls).get(name)
            if type(live) is type(value.value) and live != value.value:
                return False
    return not any(
        isinstance(statement, ast.FunctionDef) and statement.name not in vars(cls) for statement in node.body
    )


def _targets(statement: ast.stmt) -> Iterator[str]:
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _bound_names(node: ast.ClassDef) -> Iterator[str]:
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield statement.name
        else:
            yield from _targets(statement)
