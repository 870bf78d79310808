"""The code behind a fingerprint, as people read it: each piece with its file, its line and what it reads."""

from __future__ import annotations

import html
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from scidb.hashing.code.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from scidb.hashing.code.manifest import UnitEntry

__all__ = ["CodeUnit", "SourceCode", "read_code"]


@dataclass(frozen=True, slots=True)
class CodeUnit:
    """A function or class of the user.

    Attributes
    ----------
    name, file, line
        Its name, and where its text begins.
    text
        The text that ran; None where only bytecode was there.
    reads
        What it reads from outside of itself, and a preview of the value that this had.

    """

    name: str
    file: str
    line: int
    text: str | None
    reads: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        at = f", {self.file}, line {self.line}" if self.file else ""
        head = [f"# {self.name}{at}", *(f"# with {name} = {value}" for name, value in self.reads.items())]
        return "\n".join([*head, "# (no text of it was found)" if self.text is None else self.text])


@dataclass(frozen=True, slots=True, repr=False)
class SourceCode:
    r"""The code that made a number, as it was when it ran: the function first, then what it uses, file by file.

    Prints as text.

    Examples
    --------
    >>> unit = CodeUnit("half", "steps.py", 3, "def half(x):\n    return x / N", {"N": "2"})
    >>> print(SourceCode("half", "f00d", (unit,)))
    # half, steps.py, line 3
    # with N = 2
    def half(x):
        return x / N

    """

    function_name: str
    function_hash: str
    units: tuple[CodeUnit, ...]
    warnings: tuple[str, ...] = ()
    libraries: Mapping[str, str] = field(default_factory=dict)
    declared: str | None = None  # the version= that stands for the code of the function

    def __str__(self) -> str:
        return "\n\n\n".join(self._parts())

    __repr__ = __str__

    def _parts(self) -> Iterator[str]:
        yield from map(str, self.units)
        if self.declared is not None:
            yield f"# {self.function_name}: version={self.declared!r} stands for its code, which was not recorded"
        elif not self.units:
            yield f"# {self.function_name}: code of a library"
        if self.libraries:
            yield "# libraries: " + ", ".join(f"{name} {version}" for name, version in self.libraries.items())
        if self.warnings:
            yield "\n".join(f"# warning: {warning}" for warning in self.warnings)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def read_code(function_name: str, function_hash: str, manifest: str, sources: Mapping[str, str]) -> SourceCode:
    """Return the code that a manifest describes, in the order in which one reads it."""
    read = Manifest.read(manifest)
    # What has no module is a library's wrapper, or a value that holds others: no code of the user.
    units = [_unit(unit, sources, read.values) for unit in read.units if unit.module]
    return SourceCode(
        function_name, function_hash, tuple(_in_reading_order(units)), read.warnings, read.libs, read.declared
    )


def _unit(unit: UnitEntry, sources: Mapping[str, str], values: Mapping[str, str]) -> CodeUnit:
    # Defaults stand in the text.
    reads = {name: values[token] for name, token in unit.refs if token in values and not name.startswith("default ")}
    return CodeUnit(unit.name, unit.file, unit.line, sources.get(unit.source_sha), reads)


def _in_reading_order(units: Sequence[CodeUnit]) -> list[CodeUnit]:
    """Return the first unit, then the others by file and line; what stands in the text of a class, with that."""
    files = list(dict.fromkeys(unit.file for unit in units))
    ordered = [*units[:1], *sorted(units[1:], key=lambda unit: (files.index(unit.file), unit.line))]
    inner: dict[int, list[CodeUnit]] = {}
    shown = []
    for unit in ordered:
        holder = next((other for other in ordered if _holds(other, unit)), None)
        if holder is None:
            shown.append(unit)
        else:
            inner.setdefault(id(holder), []).append(unit)
    return [_with_reads_of(unit, inner.get(id(unit), ())) for unit in shown]


def _with_reads_of(unit: CodeUnit, inner: Sequence[CodeUnit]) -> CodeUnit:
    reads = {name: value for one in (unit, *inner) for name, value in one.reads.items()}
    return replace(unit, reads=reads)


def _holds(outer: CodeUnit, inner: CodeUnit) -> bool:
    if outer is inner or outer.text is None or inner.text is None or outer.file != inner.file:
        return False
    lines = outer.text.count("\n") + 1
    is_longer = lines > inner.text.count("\n") + 1
    return is_longer and outer.line <= inner.line < outer.line + lines
