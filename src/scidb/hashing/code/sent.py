"""Whether code that was sent elsewhere is there what it is here.

A process that runs for long keeps the modules that it has imported, also after their files were edited. A function that
is sent by its name is looked up there; one that is sent by value (a lambda, one from a notebook) brings its own code
and what it reads, but not the modules that it imports.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scidb.hashing.code.graph import innermost
from scidb.hashing.code.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Callable

    from scidb.hashing.code.fingerprint import Fingerprint
    from scidb.hashing.code.manifest import UnitEntry

__all__ = ["SentCode", "different_there", "sent_code"]

_MAIN = frozenset({"__main__", "__mp_main__"})


@dataclass(frozen=True, slots=True)
class SentCode:
    """What a function is here, for those who are to run the same.

    Parameters
    ----------
    hash
        Its fingerprint.
    parts
        The pieces of code that whoever runs it imports, and the values that are read.
    is_by_value
        Whether the function itself travels, because nobody could import it.

    """

    hash: str
    parts: frozenset[tuple[str, ...]]
    is_by_value: bool


def sent_code(function: Callable[..., Any], found: Fingerprint) -> SentCode:
    """Describe a function and its fingerprint for those who are to run the same.

    Examples
    --------
    >>> from scidb.hashing.code.fingerprint import fingerprint
    >>> double = lambda x: 2 * x
    >>> sent_code(double, fingerprint(double)).is_by_value
    True

    """
    inner: Any = innermost(function)
    name = getattr(inner, "__qualname__", type(inner).__qualname__)
    is_by_value = not _is_importable(str(getattr(inner, "__module__", "")), name)
    return SentCode(found.hash, _parts(found), is_by_value)


def different_there(sent: SentCode, found: Fingerprint) -> list[str]:
    """Return the names of what is other code here than where it was sent from; `found` is what would run here.

    Where a function came by value, its text may be missing here, so that its fingerprint is another one. Then what it
    imports is compared, and each value that is read.
    """
    if found.hash == sent.hash:
        return []
    missing = sent.parts - _parts(found)
    if not missing:
        return [] if sent.is_by_value else [found.name]
    return sorted({part[2] for part in missing}) or [found.name]


def _parts(found: Fingerprint) -> frozenset[tuple[str, ...]]:
    parts: set[tuple[str, ...]] = set()
    for unit in Manifest.read(found.manifest).units:
        values = [reference for reference in unit.refs if reference[1].startswith("value:")]
        if unit.kind == "function":
            parts.update(("value", token, "a value that it reads") for _, token in values)
        if _is_imported(unit):
            parts.add((unit.kind, unit.module, unit.name, unit.digest, *(part for value in values for part in value)))
    return frozenset(parts)


def _is_imported(unit: UnitEntry) -> bool:
    return bool(unit.module) and _is_importable(unit.module, unit.name)


def _is_importable(module: str, name: str) -> bool:
    found: object = None if module in _MAIN else sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found is not None
