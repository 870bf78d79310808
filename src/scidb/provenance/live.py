"""Today's function for a recorded one: what this process has imported or used already, under the recorded name.

Nothing is imported here, and no code of the user runs. Where the function cannot be told, the answer is None,
which means "not checked" and never "unchanged".
"""

from __future__ import annotations

import inspect
import sys
from dataclasses import asdict
from types import MethodType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from scidb.hashing.code.fingerprint import fingerprint
from scidb.hashing.code.graph import innermost
from scidb.hashing.code.manifest import Manifest
from scidb.hashing.code.seen import seen_as
from scidb.hashing.origin import import_name, library_name
from scidb.thunk import Thunk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from scidb.hashing.code.fingerprint import Fingerprint

__all__ = ["fingerprint_now", "live_function"]

_MISSING: Final = object()
_MAIN: Final = ("__main__", "__mp_main__")


def live_function(manifest: str) -> Callable[..., Any] | None:
    """Return today's function for the one that a fingerprint's manifest describes.

    It is looked up by the module and the qualified name that were recorded, in the modules that are imported
    and among the functions that `for_each` or ``@thunk`` have seen; of several that were seen under one name,
    the one that is as recorded. A `Thunk` is returned as such, and preferred to its function.

    Parameters
    ----------
    manifest
        The JSON text of a fingerprint, as stored.

    Returns
    -------
    Callable or None
        None where this process has no such function, or several of which none is as recorded.

    Examples
    --------
    >>> from statistics import fmean
    >>> from scidb.hashing.code.fingerprint import fingerprint
    >>> live_function(fingerprint(fmean).manifest) is fmean
    True

    """
    found = _found(manifest)
    return found[0] if found else None


def fingerprint_now(manifest: str) -> Fingerprint | None:
    """Return the fingerprint that today's function has, with the options of its thunk; None where it is not found.

    The classes of arguments that counted when it was recorded are looked up likewise, and count again.

    Examples
    --------
    >>> from statistics import fmean
    >>> from scidb.hashing.code.fingerprint import fingerprint
    >>> recorded = fingerprint(fmean)
    >>> fingerprint_now(recorded.manifest).hash == recorded.hash
    True

    """
    found = _found(manifest)
    return found[1] if found else None


def _found(manifest: str) -> tuple[Callable[..., Any], Fingerprint] | None:
    read = Manifest.read(manifest)
    if not read.roots:
        return None
    recorded = _Recorded(read)
    at_name, used = recorded.at_name(), [one for one in recorded.used() if not recorded.is_replaced(one)]
    made = [(function, recorded.fingerprint_of(function)) for function in (at_name, *used) if callable(function)]
    found = [
        (function, now)
        for function, now in made
        if now is not None and recorded.may_be(now, has_name=function is at_name)
    ]
    same = [(function, now) for function, now in found if recorded.describes(now)]
    if same:
        return next((pair for pair in same if isinstance(pair[0], Thunk)), same[0])  # it has options beside the code
    is_told_apart = len(found) == 1 or (found and found[0][0] is at_name)
    return found[0] if is_told_apart else None


class _Recorded:
    """A manifest, and what this process has of it."""

    def __init__(self, manifest: Manifest) -> None:
        self._units: Sequence[Mapping[str, Any]] = [asdict(unit) for unit in manifest.units]
        self._roots: Sequence[str] = [token for _, token in manifest.roots]

    def at_name(self) -> object:
        """Return what stands in its module under the recorded name."""
        return self._named(self._roots[0])

    def used(self) -> list[Callable[..., Any]]:
        """Return what was used under the recorded name, newest first."""
        name = self._name_of(self._roots[0])
        return seen_as(".".join(name)) if name else []

    def is_replaced(self, function: Callable[..., Any]) -> bool:
        """Tell whether something else has taken the place of a function in its module, as in an edited notebook cell.

        What is defined within another function has no such place, and neither has a lambda.
        """
        name = self._name_of(self._roots[0])
        if name is None or "<" in name[1] or not _modules(name[0]):
            return False
        return innermost(_attribute(*name)) is not innermost(function)

    def fingerprint_of(self, function: Callable[..., Any]) -> Fingerprint | None:
        """Return the fingerprint of a candidate; None where a class that counted cannot be found."""
        own = len(function.includes) if isinstance(function, Thunk) else 0
        classes = [cls for token in self._roots[1 + own :] if isinstance(cls := self._named(token), type)]
        if len(classes) < len(self._roots[1 + own :]):
            return None
        if isinstance(function, Thunk):
            return function.fingerprint(classes)
        return fingerprint(function, includes=classes)

    def may_be(self, now: Fingerprint, *, has_name: bool) -> bool:
        """Tell whether code with this fingerprint may be what the recorded code has become.

        A partial, a bound method and what a library wraps are none of the function in them.
        """
        other = _Recorded(Manifest.read(now.manifest))
        return self._shape() == other._shape() or (has_name and self._shape() == "code")

    def describes(self, now: Fingerprint) -> bool:
        """Tell whether code with this fingerprint is as recorded."""
        other = _Recorded(Manifest.read(now.manifest))
        return (self._roots, self._content()) == (other._roots, other._content())

    def _content(self) -> list[Any]:
        return [(unit["how"], unit["digest"], unit["refs"]) for unit in self._units]

    def _shape(self) -> str:
        unit = self._unit(self._roots[0])
        if unit is None or unit["module"] or unit["how"] == "version":
            return "code"
        return f"{unit['how']} {unit['name']}"

    # -------------------------------------------------------------- names

    def _unit(self, token: str) -> Mapping[str, Any] | None:
        kind, _, number = token.partition(":")
        return self._units[int(number)] if kind == "unit" else None

    def _name_of(self, token: str) -> tuple[str, str] | None:
        """Return module and name of the function or class that a token stands for, or that it is wrapped around."""
        seen: set[str] = set()
        while token not in seen:
            seen.add(token)
            if token.startswith("lib:"):
                return _split(token.removeprefix("lib:"))
            unit = self._unit(token)
            if unit is None:
                return None
            if unit["module"]:
                return _present_name(unit["module"], unit["file"]), unit["name"]
            if unit["how"] == "version":
                return _split(unit["name"])
            token = next((target for _, target in unit["refs"] if target.startswith(("unit:", "lib:"))), "")
        return None

    def _named(self, token: str) -> object:
        """Return what stands in its module under the name of a token; None for what has no such name."""
        name = self._name_of(token)
        if name is None:
            return None
        unit = self._unit(token)
        if unit is None:
            found = _attribute(*name)
            return found if callable(found) and library_name(found) == token.removeprefix("lib:") else None
        if unit["how"] in {"holder", "instance"}:
            return self._bound(unit)
        return _attribute(*name)

    def _bound(self, unit: Mapping[str, Any]) -> object:
        """Return a method of a class; an instance, or what a partial holds, has no name of its own."""
        refs = dict(unit["refs"])
        owner = self._named(refs["__self__"]) if unit["name"] == "method" else None
        function = self._named(refs["__func__"]) if isinstance(owner, type) else None
        return MethodType(function, owner) if callable(function) else None


def _present_name(module: str, file: str) -> str:
    """Return the name under which a module is imported; its file may have had another when it was recorded."""
    if not _modules(module) and file:
        for name, loaded in list(sys.modules.items()):
            if inspect.getattr_static(loaded, "__file__", None) == file:
                return import_name(name)
    return module


def _split(dotted: str) -> tuple[str, str] | None:
    """Split a dotted name behind the longest module that is imported."""
    parts = dotted.split(".")
    for length in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:length])
        if _modules(module):
            return module, ".".join(parts[length:])
    return None


def _modules(name: str) -> list[ModuleType]:
    """Return the imported modules of a name; the running program has that of its file."""
    names = [*(main for main in _MAIN if main in sys.modules and import_name(main) == name), name]
    return [module for key in dict.fromkeys(names) if (module := sys.modules.get(key)) is not None]


def _attribute(module: str, name: str) -> object:
    """Return what a module has under a qualified name, without running anything; None for nothing."""
    for candidate in _modules(module):
        found: object = candidate
        for part in name.split("."):
            found = inspect.getattr_static(found, part, _MISSING)
        if isinstance(found, staticmethod | classmethod):
            found = found.__func__
        if found is not _MISSING:
            return found
    return None
