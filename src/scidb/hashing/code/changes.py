"""What differs between two recorded functions, as data: the reasons why a result is out of date.

Two manifests, and the texts that they name, are enough; nothing is imported or run.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias, get_args

from scidb.hashing.code.astdiff import EditKind
from scidb.hashing.code.manifest import SOURCE, Manifest
from scidb.hashing.code.pairing import Difference, Pairing

if TYPE_CHECKING:
    from collections.abc import Mapping


__all__ = ["ChangeKind", "CodeChange", "Recorded", "SourceDiff", "differences", "source_diffs"]

ChangeKind: TypeAlias = (
    EditKind
    | Literal[
        "value", "default", "bound", "state", "item", "reach", "code", "shape",
        "version", "policy", "rules", "library", "python",
    ]
)  # fmt: skip

_BESIDE: Final = frozenset({"library", "python"})


class Recorded(Protocol):
    """The code behind a function_hash: a `Fingerprint`, or a `Source` as a store gives it."""

    @property
    def manifest(self) -> str:
        """JSON of the units, values and libraries."""
        ...

    @property
    def sources(self) -> Mapping[str, str]:
        """The texts by the SHA-256 that the manifest names."""
        ...


@dataclass(frozen=True, slots=True)
class CodeChange:
    """One reason why code is not what it was. Its `str` is the sentence.

    Parameters
    ----------
    kind
        What sort of thing changed.
    name
        What is called so: a global, a parameter, a library. Empty where nothing has a name.
    function
        Where it was found, such as ``smooth()`` or ``class Filter``.
    file, line
        Where that is now, or where it was for what is gone; line 0 when it is not known.
    before, after
        Short texts for people; None on the side where there was nothing.

    Examples
    --------
    >>> str(CodeChange("constant", "", "smooth()", "m.py", 14, "0.2", "0.3"))
    'constant 0.2 -> 0.3 in smooth(), line 14'

    """

    kind: ChangeKind
    name: str
    function: str
    file: str
    line: int
    before: str | None
    after: str | None

    @property
    def counts(self) -> bool:
        """Whether it is part of the fingerprint; versions recorded beside it are not."""
        return self.kind not in _BESIDE

    def __str__(self) -> str:
        return _sentence(self)


@dataclass(frozen=True, slots=True)
class SourceDiff:
    """The two texts of one function or class, and what differs between them in the unified format."""

    function: str
    file: str
    line: int
    before: str
    after: str

    def __str__(self) -> str:
        before, after = self.before.splitlines(), self.after.splitlines()
        names = f"{self.file} as recorded", f"{self.file} now"
        return "\n".join(difflib.unified_diff(before, after, *names, lineterm=""))


def differences(old: Recorded, new: Recorded) -> tuple[CodeChange, ...]:
    """Return why two fingerprints differ: at least one change that `counts`, exactly when they do.

    Versions of libraries and of Python that are only recorded come last.

    Raises
    ------
    SciDBError
        When a manifest cannot be read.

    Examples
    --------
    >>> from scidb.hashing.code.fingerprint import fingerprint
    >>> def made(k):
    ...     return fingerprint(lambda x: x + k)
    >>> [str(change) for change in differences(made(1), made(2))]
    ['value k read by <lambda>(): 1 -> 2']

    """
    before, after = Manifest.read(old.manifest), Manifest.read(new.manifest)
    found = [_change(item) for item in Pairing((before, old.sources), (after, new.sources)).differences()]
    policies = _by_name("policy", before.policies, after.policies)
    if before.declared != after.declared:
        found.insert(0, _anywhere("version", "version=", before.declared, after.declared))
    if before.version != after.version:
        found.insert(0, _anywhere("rules", "", before.version, after.version))
    found += [change for change in policies if change not in found]
    if not found and _shape(before) != _shape(after):
        where = before.units[0].name if before.units else ""
        found.append(CodeChange(kind="shape", name="", function=where, file="", line=0, before=None, after=None))
    known = {change.name for change in policies}
    libraries = [
        change for change in _by_name("library", before.libs, after.libs) if change.name not in known
        if change.before is not None and change.after is not None
    ]  # fmt: skip
    if before.python != after.python:
        libraries.append(_anywhere("python", "Python", before.python, after.python))
    return (*found, *libraries)


def source_diffs(old: Recorded, new: Recorded) -> tuple[SourceDiff, ...]:
    """Return both texts of every function and class whose code differs, in the order of discovery.

    Examples
    --------
    >>> from scidb.hashing.code.fingerprint import fingerprint
    >>> before, after = fingerprint(lambda x: x + 1), fingerprint(lambda x: x + 2)
    >>> [(diff.before, diff.after) for diff in source_diffs(before, after)]
    [('lambda x: x + 1', 'lambda x: x + 2')]

    """
    sides = [(Manifest.read(side.manifest), side.sources) for side in (old, new)]
    return tuple(
        SourceDiff(function, file, line, before, after)
        for function, file, line, before, after in Pairing(*sides).texts()
    )


def _change(found: Difference) -> CodeChange:
    return CodeChange(
        kind=found.kind,
        name=found.name,
        function=found.where,
        file=found.file,
        line=found.line,
        before=found.before,
        after=found.after,
    )


def _anywhere(kind: ChangeKind, name: str, before: str | None, after: str | None) -> CodeChange:
    """Return a change that is about no place in the code."""
    return CodeChange(kind=kind, name=name, function="", file="", line=0, before=before, after=after)


def _by_name(
    kind: Literal["policy", "library"], before: Mapping[str, str], after: Mapping[str, str]
) -> list[CodeChange]:
    return [
        _anywhere(kind, name, before.get(name), after.get(name))
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]


def _shape(manifest: Manifest) -> object:
    """Return what enters the fingerprint, as far as a manifest says it."""
    return [token for _, token in manifest.roots], [(unit.digest, unit.refs) for unit in manifest.units]


# ---------------------------------------------------------------- sentences


def _sentence(change: CodeChange) -> str:
    sides = (change.before, change.after)
    where = f" in {change.function}" if change.function else ""
    line = f", line {change.line}" if change.line else ""
    if change.kind == "name" and change.name:
        return f"name {change.name}{where}: {_arrow(*sides)}"
    if change.kind in _EDITS:
        return f"{_edited(change.kind, *sides)}{where}{line}"
    return _SENTENCES[change.kind].format(
        name=change.name,
        function=change.function,
        line=line,
        arrow=_arrow(*sides),
        known=_known(*sides),
        only=change.before if change.after is None else change.after,
        reaches="no longer reaches" if change.after is None else "now also reaches",
    )


def _arrow(before: str | None, after: str | None) -> str:
    if before == after:
        return f"another one, which also shows as {after}"
    return f"{'nothing' if before is None else before} -> {'nothing' if after is None else after}"


def _known(before: str | None, after: str | None) -> str:
    """Say of code by what it is known, where that is not its text on both sides."""
    if before == after:
        return "" if after == SOURCE else f" ({after})"
    return f" ({before} -> {after})"


def _edited(kind: str, before: str | None, after: str | None) -> str:
    what = "decorator argument" if kind == "argument" else kind
    if kind == "order":
        return f"moved: {after}"
    if before is None:
        return f"{what} added: {after}"
    return f"{what} removed: {before}" if after is None else f"{what} {before} -> {after}"


_EDITS: Final = frozenset(get_args(EditKind))
_SENTENCES: Final[Mapping[str, str]] = {
    "value": "value {name} read by {function}: {arrow}",
    "default": "{name} of {function}: {arrow}",
    "bound": "bound argument {arrow}",
    "state": "{name} of {function}: {arrow}",
    "item": "{name} of {function}: {arrow}",
    "reach": "{reaches} {only}{line}",
    "code": "code of {function} changed{line}{known}",
    "shape": "what {function}() reads is shared in another way: one object is now several, or several are one",
    "version": "{name} {arrow}",
    "policy": "version of {name} {arrow}, which counts by the policy for it",
    "rules": "the rules of fingerprints {arrow}",
    "library": "library {name} {arrow} (recorded, not part of the fingerprint)",
    "python": "{name} {arrow} (recorded, not part of the fingerprint)",
}
