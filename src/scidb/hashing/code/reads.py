"""Which names from outside a function's code reads, as dotted paths.

A purely syntactic question: nothing here looks at a live object.
"""

from __future__ import annotations

import ast
import importlib.util
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from scidb.hashing.code.steps import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from scidb.hashing.code.astdump import FunctionNode
    from scidb.hashing.code.steps import Steps

__all__ = ["Read", "dotted", "reads_of", "reads_of_expression"]

_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@dataclass(frozen=True, slots=True, order=True)
class Read:
    """One dotted path that code reads.

    A ``name`` starts at a closure cell, a global or a builtin. An ``import`` starts at a module that the
    code imports itself: `level` and `module` as in the statement, `path` what it takes from there. A
    ``dynamic`` one is a call that finds a module by a computed name.
    """

    label: str
    kind: Literal["name", "import", "dynamic"] = "name"
    path: tuple[str, ...] = ()
    module: str = ""
    level: int = 0


@dataclass(slots=True)
class _Scope:
    bound: set[str]
    imports: dict[str, list[Read]] = field(default_factory=dict)
    globals: set[str] = field(default_factory=set)
    nonlocals: set[str] = field(default_factory=set)


def dotted(node: ast.expr) -> tuple[str, ...] | None:
    """Return ``("a", "b")`` for the expression ``a.b``, None for anything but names and dots."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return (node.id, *reversed(attributes))


def reads_of(unit: FunctionNode) -> tuple[Read, ...]:
    """Return what a function's body reads from outside, sorted; without its defaults and decorators."""
    visitor = _Visitor()
    run(visitor.function_body(unit))
    return tuple(sorted(visitor.found))


def reads_of_expression(expressions: Iterable[ast.expr]) -> tuple[Read, ...]:
    """Return what expressions outside any function read, sorted."""
    visitor = _Visitor()
    for expression in expressions:
        run(visitor.visit(expression))
    return tuple(sorted(visitor.found))


class _Visitor:
    """Collects reads; each method is a step, which yields the nodes below it as further ones."""

    def __init__(self) -> None:
        self.found: set[Read] = set()
        self._scopes: list[_Scope] = []

    def visit(self, node: ast.AST) -> Steps:
        """Return the step that reads a node."""
        step = self._STEPS.get(type(node))
        return self._children(node) if step is None else step(self, node)

    def _children(self, node: ast.AST) -> Steps:
        for child in ast.iter_child_nodes(node):
            yield self.visit(child)

    # -------------------------------------------------------------- scopes

    def function_body(self, node: FunctionNode) -> Steps:
        body: list[ast.AST] = list(node.body) if isinstance(node.body, list) else [node.body]
        scope = _Scope({arg.arg for arg in _all_arguments(node.args)})
        _bind(scope, body)
        yield self._inside(scope, body)

    def _inside(self, scope: _Scope, nodes: Iterable[ast.AST]) -> Steps:
        self._scopes.append(scope)
        for node in nodes:
            yield self.visit(node)
        self._scopes.pop()

    def _nested_function(self, node: FunctionNode) -> Steps:
        outside: list[ast.expr] = [*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)]
        if not isinstance(node, ast.Lambda):
            outside += node.decorator_list
        for expression in outside:
            yield self.visit(expression)
        yield self.function_body(node)

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> Steps:
        first, *others = node.generators
        yield self.visit(first.iter)  # evaluated outside: `[x for x in x]` reads the outer x
        scope = _Scope(set())
        for generator in node.generators:
            _bind(scope, [generator.target])
        results = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        yield self._inside(scope, [first.target, *first.ifs, *others, *results])

    # -------------------------------------------------------------- reads

    def _annotated(self, node: ast.AnnAssign) -> Steps:
        yield self.visit(node.target)
        if node.value is not None:
            yield self.visit(node.value)

    def _name(self, node: ast.Name) -> Steps:
        if isinstance(node.ctx, ast.Load):
            self._read((node.id,))
        yield from ()

    def _augmented(self, node: ast.AugAssign) -> Steps:
        path = dotted(node.target)
        if path is not None:
            self._read(path)
        yield self._children(node)

    def _attribute(self, node: ast.Attribute) -> Steps:
        path = dotted(node)
        if path is None:
            yield self._children(node)
        else:
            self._read(path)

    def _call(self, node: ast.Call) -> Steps:
        path = dotted(node.func)
        if path is None or path[-1] not in {"import_module", "__import__"} or not (node.args or node.keywords):
            yield self._children(node)
            return
        found = _imported_by_name(node) if path[-1] == "import_module" else _named_module(_argument(node, 0, "name"))
        self.found.add(found or Read(".".join(path), "dynamic"))
        if found is None:
            yield self._children(node)
        else:  # what its arguments read is the package, which is known
            yield self.visit(node.func)

    def _read(self, path: tuple[str, ...]) -> None:
        name = path[0]
        for scope in reversed(self._scopes):
            if name in scope.globals:
                break
            if name in scope.nonlocals:
                continue
            if name in scope.bound:
                for read in scope.imports.get(name, ()):
                    tail = (*read.path, *path[1:])
                    self.found.add(Read(".".join(path), "import", tail, read.module, read.level))
                return
        self.found.add(Read(".".join(path), "name", path))

    _STEPS: ClassVar[Mapping[type[ast.AST], Callable[[_Visitor, Any], Steps]]] = {
        **dict.fromkeys(_FUNCTIONS, _nested_function),
        **dict.fromkeys(_COMPREHENSIONS, _comprehension),
        ast.AnnAssign: _annotated,
        ast.Name: _name,
        ast.AugAssign: _augmented,
        ast.Attribute: _attribute,
        ast.Call: _call,
    }


def _imported_by_name(node: ast.Call) -> Read | None:
    """Return the module that ``import_module`` gives, where the text alone says which one; else None."""
    name, package = _argument(node, 0, "name"), _argument(node, 1, "package")
    text = _text(name)
    if text is None or not text.startswith("."):
        return _named_module(name)
    if _text(package):
        try:
            absolute = importlib.util.resolve_name(text, _text(package))
        except ImportError:  # more dots than the package has levels; the call fails, too
            return None
        return Read(f"import {absolute}", "import", (), absolute)
    if isinstance(package, ast.Name) and package.id == "__package__":
        module = text.lstrip(".")
        return Read(f"import {text}", "import", (), module, len(text) - len(module))
    return None


def _named_module(name: ast.expr | None) -> Read | None:
    text = _text(name)
    return Read(f"import {text}", "import", (), text) if text and not text.startswith(".") else None


def _argument(node: ast.Call, position: int, name: str) -> ast.expr | None:
    if len(node.args) > position:
        return node.args[position]
    return next((keyword.value for keyword in node.keywords if keyword.arg == name), None)


def _text(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _all_arguments(args: ast.arguments) -> Iterator[ast.arg]:
    yield from (*args.posonlyargs, *args.args, *args.kwonlyargs)
    if args.vararg is not None:
        yield args.vararg
    if args.kwarg is not None:
        yield args.kwarg


def _bind(scope: _Scope, nodes: Iterable[ast.AST]) -> None:
    """Collect the names that these nodes bind in their own scope.

    A class body is no scope here: functions inside it do not see its names, and reading one global too
    many is only cautious.
    """
    pending = list(nodes)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            scope.bound.add(node.name)
        elif isinstance(node, _COMPREHENSIONS):
            scope.bound.update(_walrus_targets(node))
        elif not isinstance(node, ast.Lambda):
            _bind_statement(scope, node)
            pending.extend(ast.iter_child_nodes(node))


def _bind_statement(scope: _Scope, node: ast.AST) -> None:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
        scope.bound.add(node.id)
    elif isinstance(node, ast.Global):
        scope.globals.update(node.names)
    elif isinstance(node, ast.Nonlocal):
        scope.nonlocals.update(node.names)
    elif isinstance(node, ast.Import | ast.ImportFrom):
        _bind_import(scope, node)
    elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name is not None:
        scope.bound.add(node.name)
    elif isinstance(node, ast.MatchMapping) and node.rest is not None:
        scope.bound.add(node.rest)


def _walrus_targets(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.NamedExpr):
            yield inner.target.id


def _bind_import(scope: _Scope, node: ast.Import | ast.ImportFrom) -> None:
    for alias in node.names:
        name = alias.asname or alias.name.partition(".")[0]
        scope.bound.add(name)
        if isinstance(node, ast.ImportFrom):
            read = Read(name, "import", (alias.name,), node.module or "", node.level)
        else:
            read = Read(name, "import", (), alias.name if alias.asname else name)
        scope.imports.setdefault(name, []).append(read)
