"""The fingerprint of a function: one digest for all the code and constants that decide what it returns.

Comments, formatting, annotations, places and the version of Python do not count; libraries are recorded
beside it. Values that a function reads are looked up and hashed at every call, everything else once.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Final

from scidb.hashing.encode import canonical_hash
from scidb.hashing.graph import Graph, Node, innermost
from scidb.hashing.inputs import preview
from scidb.hashing.origin import is_library_code, is_library_module, is_transparent, module_file, versions_of
from scidb.hashing.source import remember
from scidb.hashing.units import python_tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from scidb.hashing.units import Unit

__all__ = ["VERSION", "Fingerprint", "fingerprint", "snapshot"]

VERSION: Final = "fingerprint/1"
_KEPT: Final = 1024


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

    """

    hash: str
    name: str
    manifest: str
    sources: Mapping[str, str]
    warnings: tuple[str, ...]


_made: dict[tuple[str, str, tuple[Unit | None, ...]], Fingerprint] = {}


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
    digest = canonical_hash([VERSION, version, tokens, [node.item() for node in graph.nodes]])
    name = _name(innermost(function))
    key = (digest, name, tuple(node.unit for node in graph.nodes))  # one digest may have texts that differ in form
    known = _made.get(key)
    if known is None:
        if len(_made) >= _KEPT:
            _made.clear()
        known = _made[key] = _described(digest, name, graph)
    return known


def _name(inner: object) -> str:
    qualname = getattr(inner, "__qualname__", None) or getattr(inner, "__name__", None)
    return str(qualname or type(inner).__qualname__).rpartition(".")[2]


def _described(digest: str, name: str, graph: Graph) -> Fingerprint:
    warnings = tuple(graph.warnings)
    manifest = {
        "version": VERSION,
        "units": [_unit(node) for node in graph.nodes],
        "values": {token: preview(value) for token, value in graph.values.items()},
        "libs": versions_of(graph.libraries),
        "python": python_tag().removeprefix("Python "),
        "warnings": warnings,
    }
    sources = {node.unit.source_sha: node.unit.source for node in graph.nodes if node.unit and node.unit.source}
    text = json.dumps(manifest, ensure_ascii=False, separators=(",", ":"))
    return Fingerprint(digest, name, text, sources, warnings)


def _unit(node: Node) -> dict[str, object]:
    unit = node.unit
    return {
        "module": unit.module if unit else "",
        "name": unit.name if unit else node.name,
        "file": unit.file if unit else "",
        "line": unit.line if unit else 0,
        "how": unit.how if unit else node.kind,
        "digest": node.digest,
        "source_sha": unit.source_sha if unit else "",
        "refs": [list(reference) for reference in node.references],
    }


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


_observed: set[str] = set()


def _remember_modules(vars_seen: Iterable[object]) -> None:
    pending = list(vars_seen)
    while pending:
        obj = pending.pop()
        while is_transparent(obj):
            obj = obj.__wrapped__  # type: ignore[attr-defined]
        if isinstance(obj, ModuleType):
            name = obj.__name__
        elif isinstance(obj, FunctionType | type):
            name = obj.__module__
        else:
            continue
        if name in _observed or is_library_module(name):
            continue
        _observed.add(name)
        file = module_file(name)
        if file is not None and name in sys.modules:
            remember(file)
            pending += vars(sys.modules[name]).values()
