"""The fingerprint of a function: one digest for all the code and constants that decide what it returns.

Comments, formatting, annotations, places and the version of Python do not count; libraries are recorded
beside it. Values that a function reads are looked up and hashed at every call, everything else once.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from scidb.exceptions import UnhashableValueError
from scidb.hashing.canonical.encode import canonical_hash
from scidb.hashing.code.budget import too_large
from scidb.hashing.code.graph import Graph, Node, innermost
from scidb.hashing.code.holders import LruCache
from scidb.hashing.code.manifest import SOURCE, Manifest, UnitEntry
from scidb.hashing.code.members import is_variable_class
from scidb.hashing.code.source import remember
from scidb.hashing.code.units import python_tag
from scidb.hashing.inputs import longer_literal, preview
from scidb.hashing.origin import (
    import_name,
    is_library_code,
    is_library_module,
    is_transparent,
    module_file,
    type_name,
    versions_of,
    versions_that_count,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = ["VERSION", "Fingerprint", "changed_reads", "fingerprint", "identify_code", "snapshot"]

VERSION: Final = "fingerprint/1"
_KEPT: Final = 1024
_LRU_CACHE: Final = f"lib:{type_name(LruCache)}"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The identity of a function's code, and what it was made from.

    Parameters
    ----------
    hash
        64 hexadecimal digits; equal for code that does the same.
    name
        The function's own name, without where it is defined.
    manifest
        JSON: every unit of code with what it refers to, previews of values, versions of libraries.
    sources
        The text of each unit by the SHA-256 that the manifest names.
    warnings
        What could not be taken into account.
    remarks
        What was asked for and had no effect: names in ``ignore=`` that the code does not read.
    large
        Values read from outside that are so large that hashing them is felt at every call, for people.

    """

    hash: str
    name: str
    manifest: str
    sources: Mapping[str, str]
    warnings: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    large: str = ""


_made: dict[tuple[object, ...], Fingerprint] = {}


def fingerprint(
    function: Callable[..., object],
    *,
    version: str | None = None,
    includes: Sequence[Callable[..., object]] = (),
    ignore: Sequence[str] = (),
) -> Fingerprint:
    """Return the fingerprint of a function as it would run now.

    Default values of the function itself do not count, because a call binds them as arguments; those of
    everything that it reaches do.

    Parameters
    ----------
    function
        A function, method, partial, callable instance, class, or what a decorator made of one.
    version
        Stands for the function's own code: it then counts as changed when the version does.
    includes
        Further code that the function reaches in a way that cannot be seen.
    ignore
        Dotted names that the code reads and that shall not count, as the code writes them.

    Examples
    --------
    >>> fingerprint(len).name
    'len'
    >>> fingerprint(lambda x: x + 1).hash == fingerprint(lambda x: x + 2).hash
    False

    """
    graph = Graph(function, version=version, ignore=ignore)
    tokens = graph.add([function, *includes])
    policies = versions_that_count(graph.libraries)
    name = _name(innermost(function))
    remarks = tuple(graph.unread())
    # All that is digested, and the units, since one digest may have texts that differ in form.
    nodes = tuple((node.kind, node.digest, tuple(node.references), node.unit) for node in graph.nodes)
    key = (version, tuple(tokens), nodes, tuple(policies.items()), name, remarks)
    known = _made.get(key)
    if known is None:
        if len(_made) >= _KEPT:
            _made.clear()
        digest = _digest([VERSION, version, tokens, [node.item() for node in graph.nodes]], policies)
        roots = tuple(zip(("function", *("include" for _ in includes)), tokens, strict=True))
        manifest = Manifest(
            version=VERSION,
            units=tuple(map(_entry, graph.nodes)),
            roots=roots,
            declared=version,
            values={token: preview(value) for token, value in graph.values.items()},
            literals={token: text for token, value in graph.values.items() if (text := longer_literal(value))},
            libs=versions_of(graph.libraries),
            policies=policies,
            python=python_tag().removeprefix("Python "),
            warnings=tuple(graph.warnings),
        )
        sources = {node.unit.source_sha: node.unit.source for node in graph.nodes if node.unit and node.unit.source}
        known = _made[key] = Fingerprint(
            hash=digest,
            name=name,
            manifest=manifest.text(),
            sources=sources,
            warnings=manifest.warnings,
            remarks=remarks,
            large=too_large(graph.named_values()),
        )
    return known


def identify_code(obj: Callable[..., object]) -> tuple[str, str]:
    """Return identity and name of a function or class that is passed as a value.

    Unlike those of a function that is called, its default values count, and so does its own name, because
    the receiver can see it. A library's function is its dotted name.

    Raises
    ------
    UnhashableValueError
        When it is not fully known: a method of an object without identity, code with a warning, a library's
        wrapper, whose options cannot be seen, or a variable class, whose values are in a database.

    Examples
    --------
    >>> identify_code(len)
    ('lib:builtins.len', 'builtins.len')
    >>> identify_code(lambda x, k=1: x + k) == identify_code(lambda x, k=2: x + k)
    False

    """
    if isinstance(obj, type) and is_variable_class(obj):
        raise _unknown(obj.__qualname__, "it is a variable class, which stands for what a database holds")
    graph = Graph(None)
    (token,) = graph.add([obj])
    policies = versions_that_count(graph.libraries)
    if not graph.nodes and not graph.warnings:
        label = token.removeprefix("lib:")
        return _digest([VERSION, "value", label], policies) if policies else token, label
    inner = innermost(obj)
    name = _name(inner)
    for warning in graph.warnings:
        raise _unknown(name, warning)
    for node in graph.nodes:
        if node.kind == "wrapped" and node.name != _LRU_CACHE:
            raise _unknown(name, f"the options of {node.name.removeprefix('lib:')} cannot be seen")
    module = getattr(inner, "__module__", None) or type(inner).__module__
    label = f"{import_name(module)}.{getattr(inner, '__qualname__', name)}"
    return _digest([VERSION, "value", name, token, [node.item() for node in graph.nodes]], policies), label


def _digest(items: list[object], policies: Mapping[str, str]) -> str:
    """Return the hash of these items; without a policy no version is in it, not even an empty one."""
    return canonical_hash([*items, dict(policies)] if policies else items)


def _unknown(name: str, reason: str) -> UnhashableValueError:
    return UnhashableValueError(
        f"The code of {name} is not fully known: {reason.rstrip('.')}. Expected a function or class whose code and "
        "state can be seen; pass plain data that says which one is meant, or read it in the function instead.",
        path="",
    )


def _name(inner: object) -> str:
    qualname = getattr(inner, "__qualname__", None) or getattr(inner, "__name__", None)
    return str(qualname or type(inner).__qualname__).rpartition(".")[2]


def _entry(node: Node) -> UnitEntry:
    unit = node.unit
    if unit is None:
        return UnitEntry(node.kind, node.name, node.digest, tuple(node.references), how=node.kind)
    return UnitEntry(
        kind=node.kind,
        name=unit.name,
        digest=node.digest,
        refs=tuple(node.references),
        module=import_name(unit.module),
        file=unit.file,
        line=unit.line,
        how=unit.how,
        source_sha=unit.source_sha,
        code_name="" if unit.code_name == unit.name else unit.code_name,
        own=unit.own,
    )


# ---------------------------------------------------------------- the text as it was


def snapshot(function: object) -> None:
    """Keep the source text of a function, and of the user's modules that it can see, as they are now.

    Called when a function is decorated: its files were read by the import a moment ago. What is edited
    later then neither loses the text that runs nor takes its place.
    """
    inner = innermost(function)
    if isinstance(inner, FunctionType) and not is_library_code(inner.__code__):
        remember(inner.__code__.co_filename)
        _remember_modules(vars_seen=list(inner.__globals__.values()))


_observed: set[tuple[str, str]] = set()  # modules of the user, with their files


def _remember_modules(vars_seen: Iterable[object]) -> None:
    for _, known in list(_observed):
        remember(known)  # which may have been edited and loaded again
    pending = list(vars_seen)
    while pending:
        obj = pending.pop()
        while is_transparent(obj):
            obj = obj.__wrapped__  # type: ignore[attr-defined]
        if not isinstance(obj, ModuleType | FunctionType | type):
            continue
        name: Any = obj.__name__ if isinstance(obj, ModuleType) else obj.__module__
        if not isinstance(name, str):
            continue  # code that was made by exec has no module
        file = module_file(name)
        if file is None or (name, file) in _observed or name not in sys.modules or is_library_module(name):
            continue
        _observed.add((name, file))
        remember(file)
        pending += vars(sys.modules[name]).values()


def changed_reads(before: Fingerprint, after: Fingerprint) -> list[str]:
    """Return the names of what code reads that a run of it has changed, from its fingerprints around the run.

    Examples
    --------
    >>> seen = []
    >>> f = lambda x: seen.append(x)
    >>> before = fingerprint(f)
    >>> f(1)
    >>> [name.partition(".")[0] for name in changed_reads(before, fingerprint(f))]
    ['seen']

    """
    if after.hash == before.hash:
        return []
    changed = _references(before) ^ _references(after)
    return sorted({name if is_code else f"{name} of {unit}" for unit, is_code, name, _ in changed})


def _references(found: Fingerprint) -> set[tuple[str, bool, str, str]]:
    units = Manifest.read(found.manifest).units
    return {(unit.name, unit.how == SOURCE, name, token) for unit in units for name, token in unit.refs}
