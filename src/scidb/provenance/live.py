"""Today's function for a recorded one: what this process has imported or used already, under the recorded name.

Nothing is imported here, and no code of the user runs. Where the function cannot be told, the answer is None,
which means "not checked" and never "unchanged".
"""

from __future__ import annotations

import inspect
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MethodType
from typing import TYPE_CHECKING, Any, Final

from scidb.hashing.code.fingerprint import fingerprint
from scidb.hashing.code.graph import innermost
from scidb.hashing.code.manifest import Manifest
from scidb.hashing.code.reference import attribute, imported, split_reference, unwrapped
from scidb.hashing.code.seen import seen_as
from scidb.hashing.origin import import_name, library_name, module_file
from scidb.thunk import Thunk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from scidb.hashing.code.fingerprint import Fingerprint
    from scidb.store.model import Source

__all__ = ["Live", "fingerprint_now", "has_moved", "live_code", "live_function", "why_not_here"]


_MAIN: Final = ("__main__", "__mp_main__")


@dataclass(frozen=True, slots=True)
class Live:
    """Today's function for a recorded one, and the fingerprint that it has, with the options of its thunk."""

    function: Callable[..., Any]
    fingerprint: Fingerprint


def live_function(manifest: str, reference: str = "") -> Callable[..., Any] | None:
    """Return today's function for the one that a fingerprint's manifest describes.

    It is looked up by the module and the qualified name that were recorded, in the modules that are imported
    and among the functions that `for_each` or ``@thunk`` have seen; of several that were seen under one name,
    the one that is as recorded. A `Thunk` is returned as such, and preferred to its function.

    Parameters
    ----------
    manifest
        The JSON text of a fingerprint, as stored.
    reference
        Where the function stood, as ``module:qualified.name``; without, the manifest alone says that.

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
    found = live_code(manifest, reference)
    return found.function if found else None


def fingerprint_now(manifest: str, reference: str = "") -> Fingerprint | None:
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
    found = live_code(manifest, reference)
    return found.fingerprint if found else None


def live_code(manifest: str, reference: str = "") -> Live | None:
    """Return today's function for a recorded one with its fingerprint, as `live_function` finds it."""
    read = Manifest.read(manifest)
    if not read.roots:
        return None
    recorded = _Recorded(read, reference)
    at_name = recorded.at_name()
    used = [one for one in recorded.used() if not recorded.is_replaced(one)]
    made = [(function, recorded.fingerprint_of(function)) for function in (at_name, *used) if callable(function)]
    found = [
        Live(function, now)
        for function, now in made
        if now is not None and recorded.may_be(now, has_name=function is at_name)
    ]
    same = [one for one in found if recorded.describes(one.fingerprint)]
    if same:
        return next((one for one in same if isinstance(one.function, Thunk)), same[0])  # it has options beside the code
    is_told_apart = len(found) == 1 or (found and found[0].function is at_name)
    return found[0] if is_told_apart else None


def has_moved(recorded: Source, other: Source) -> bool:
    """Tell whether a function is surely not where it stood any more, and what has the same code may have taken over.

    Its module is imported and has nothing of that name, or neither module nor file are there, while the other's is:
    that a module is just not imported, or that this is another machine, is no reason.
    """
    module, name = split_reference(recorded.function_ref)
    if not module or module in _MAIN or "<" in name or other.function_ref in {"", recorded.function_ref}:
        return False
    if imported(module):
        return attribute(module, name) is None
    files, others = _files_of(recorded), _files_of(other)
    is_elsewhere = any(path.with_name(file.name).exists() for file in files for path in (file, *others))
    return bool(files) and module_file(module) is None and not is_elsewhere and any(map(Path.exists, others))


def _files_of(source: Source) -> set[Path]:
    module, _ = split_reference(source.function_ref)
    return {Path(unit.file) for unit in Manifest.read(source.manifest).units if unit.module == module and unit.file}


def why_not_here(manifest: str, reference: str, name: str) -> str:
    """Say why today's function for a recorded one is not known, and what to do about it."""
    module, qualified = split_reference(reference)
    if not module:
        if any(token.startswith("lib:") for _, token in Manifest.read(manifest).roots[:1]):
            return f"{name}() is not imported here, so its code was not checked: import what it is a part of"
        return (
            f"{name}() has no name in a module, so its code was not checked: give it one (my_{name} = ...) and run "
            "it again by that"
        )
    if not imported(module):
        return f"{name}() is not imported here, so its code was not checked: import {module}, or name it with --import"
    if "<" in qualified:
        within = qualified.split(".<locals>")[0]
        what = f"is made inside {within}()" if ".<locals>" in qualified else "has no name"
        return (
            f"{name}() {what} and is not there, so its code was not checked: give it a name in {module} and run it "
            "again, or ask in a process that has used it"
        )
    if attribute(module, qualified) is None:
        return (
            f"{module} has no {qualified} any more, so its code was not checked: run what took its place, or set the "
            "results aside"
        )
    return (
        f"{name}() cannot be told from others of that name in {module}, so its code was not checked: give it a name "
        "of its own there and run it again"
    )


class _Recorded:
    """A manifest, and what this process has of it."""

    def __init__(self, manifest: Manifest, reference: str = "") -> None:
        self._units: Sequence[Mapping[str, Any]] = [asdict(unit) for unit in manifest.units]
        self._roots: Sequence[str] = [token for _, token in manifest.roots]
        self._reference = self._place(reference)
        # The name of the function, and not only of what is in it: a partial has the one that a module gives it.
        own = self._name_of(self._roots[0])
        self._is_own_place = self._reference is not None and (self._reference != own or self._is_code())

    def _place(self, reference: str) -> tuple[str, str] | None:
        if not reference:
            return None
        module, name = split_reference(reference)
        files = [unit["file"] for unit in self._units if unit["module"] == module]
        return _present_name(module, files[0] if files else ""), name

    def at_name(self) -> object:
        """Return what stands in its module under the recorded name."""
        found = None if self._reference is None else attribute(*self._reference)
        return self._named(self._roots[0]) if found is None and not self._is_own_place else found

    def used(self) -> list[Callable[..., Any]]:
        """Return what was used under the recorded name, newest first."""
        name = self._name_of(self._roots[0])
        return seen_as(".".join(name)) if name else []

    def is_replaced(self, function: Callable[..., Any]) -> bool:
        """Tell whether something else has taken the place of a function in its module, as in an edited notebook cell.

        What is defined within another function has no such place, and neither has a lambda.
        """
        name = self._name_of(self._roots[0])
        if self._is_own_place and self._reference is not None and self._reference != name:
            standing = unwrapped(attribute(*self._reference))
            return bool(imported(self._reference[0])) and standing is not unwrapped(function)
        if name is None or "<" in name[1] or not imported(name[0]):
            return False
        return innermost(attribute(*name)) is not innermost(function)

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
        return self._shape() == other._shape() or (has_name and (self._is_own_place or self._shape() == "code"))

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

    def _is_code(self) -> bool:
        """Tell whether it is a function or class, or one under decorators, and not what merely holds one."""
        unit = self._unit(self._roots[0])
        return unit is None or bool(unit["module"]) or unit["how"] in {"version", "wrapper", "wrapped"}

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
            found = attribute(*name)
            return found if callable(found) and library_name(found) == token.removeprefix("lib:") else None
        if unit["how"] in {"holder", "instance"}:
            return self._bound(unit)
        return attribute(*name)

    def _bound(self, unit: Mapping[str, Any]) -> object:
        """Return a method of a class; an instance, or what a partial holds, has no name of its own."""
        refs = dict(unit["refs"])
        owner = self._named(refs["__self__"]) if unit["name"] == "method" else None
        function = self._named(refs["__func__"]) if isinstance(owner, type) else None
        function = function.__func__ if isinstance(function, MethodType) else function
        return MethodType(function, owner) if callable(function) else None


def _present_name(module: str, file: str) -> str:
    """Return the name under which a module is imported; its file may have had another when it was recorded."""
    if not imported(module) and file:
        for name, loaded in list(sys.modules.items()):
            if inspect.getattr_static(loaded, "__file__", None) == file:
                return import_name(name)
    return module


def _split(dotted: str) -> tuple[str, str] | None:
    """Split a dotted name behind the longest module that is imported."""
    parts = dotted.split(".")
    for length in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:length])
        if imported(module):
            return module, ".".join(parts[length:])
    return None
