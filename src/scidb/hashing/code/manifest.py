"""The manifest of a fingerprint: what it was made from, as it is stored and read again.

JSON, so that any language can read it. This module is the only one that knows its keys.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from scidb.exceptions import SciDBError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["SOURCE", "Manifest", "Reference", "UnitEntry", "is_unit"]

Reference: TypeAlias = tuple[str, str]
"""What a node of the graph calls something, and the token of what that is."""

SOURCE: Final = "source"
"""How a unit is known whose text is there."""

_ALWAYS: Final = frozenset({"module", "name", "file", "line", "how", "digest", "source_sha", "refs"})


@dataclass(frozen=True, slots=True)
class UnitEntry:
    """One node of the graph: a piece of code, or something that holds code.

    `kind` is ``function``, ``class``, ``module``, ``instance``, ``container`` and so on; `how` says of code
    whether its ``source`` or its ``bytecode`` counts, and repeats the kind of everything else.
    """

    kind: str
    name: str
    digest: str
    refs: tuple[Reference, ...] = ()
    module: str = ""
    file: str = ""
    line: int = 0
    how: str = ""
    source_sha: str = ""
    code_name: str = ""  # what the text calls it, where functools.wraps gave it another name
    own: tuple[int, ...] = ()  # which of its decorators, from the top, are SciDB's and no part of the code


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything behind a fingerprint but the texts, which are stored by their SHA-256.

    Examples
    --------
    >>> from scidb.hashing.code.fingerprint import fingerprint
    >>> K = 1
    >>> made = Manifest.read(fingerprint(lambda x: x + K, version="2").manifest)
    >>> made.declared, [unit.kind for unit in made.units]
    ('2', ['version'])

    """

    version: str
    units: tuple[UnitEntry, ...]
    roots: tuple[Reference, ...] = ()  # the function that is called, and what was included by hand
    declared: str | None = None  # the version= that stands for the function's own code
    values: Mapping[str, str] = field(default_factory=dict)
    literals: Mapping[str, str] = field(default_factory=dict)  # of values whose preview is cut
    libs: Mapping[str, str] = field(default_factory=dict)
    policies: Mapping[str, str] = field(default_factory=dict)  # versions of libraries that are in the digest
    python: str = ""
    warnings: tuple[str, ...] = ()

    def text(self) -> str:
        """Return the JSON text that is stored; keys of units that say nothing are left out."""
        written = {**asdict(self), "units": [_written(unit) for unit in self.units]}
        return json.dumps(written, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def read(cls, text: str) -> Manifest:
        """Return what a stored text says; keys of a later version of SciDB are passed over.

        Raises
        ------
        SciDBError
            When the text is no manifest.

        """
        try:
            found: dict[str, Any] = json.loads(text)
            made = cls(
                version=found["version"],
                units=tuple(map(_unit, found["units"])),
                roots=_pairs(found.get("roots", ())),
                declared=found.get("declared"),
                values=found.get("values", {}),
                literals=found.get("literals", {}),
                libs=found.get("libs", {}),
                policies=found.get("policies", {}),
                python=found.get("python", ""),
                warnings=tuple(found.get("warnings", ())),
            )
            made._check()
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise SciDBError(
                f"The description of recorded code cannot be read ({type(error).__name__}: {error}): expected the JSON "
                f"that SciDB stores, got {text[:60]!r}."
            ) from error
        return made

    def _check(self) -> None:
        """Refuse what others would stumble over: a database may be somebody else's."""
        numbers = {f"unit:{number}" for number in range(len(self.units))}
        references: list[tuple[Any, Any]] = [*self.roots, *(found for unit in self.units for found in unit.refs)]
        for label, token in references:
            if not isinstance(label, str) or (is_unit(token) and token not in numbers):
                raise ValueError(f"{label!r} refers to {token!r}; there is no {token}")
        words = [
            (unit.kind, unit.name, unit.digest, unit.module, unit.file, unit.how, unit.source_sha)
            for unit in self.units
        ]
        texts = [self.version, self.python, *self.warnings, *(word for unit in words for word in unit)]
        for names in (self.values, self.literals, self.libs, self.policies):
            texts += [word for item in names.items() for word in item]
        if not all(isinstance(word, str) for word in texts) or not isinstance(self.declared, str | None):
            raise TypeError("something else stands where a text is expected")
        if not all(type(number) is int for unit in self.units for number in (unit.line, *unit.own)):
            raise TypeError("something else stands where a number is expected")


def is_unit(token: str) -> bool:
    """Tell whether a token stands for a unit, as ``unit:3`` for the fourth, and not for a value or a library."""
    return token.startswith("unit:")


def _written(unit: UnitEntry) -> dict[str, Any]:
    return {name: value for name, value in asdict(unit).items() if value or name in _ALWAYS}


def _unit(entry: Mapping[str, Any]) -> UnitEntry:
    known: dict[str, Any] = {name: value for name, value in entry.items() if name in _FIELDS}
    known.setdefault("kind", known["how"])
    return UnitEntry(**{**known, "refs": _pairs(entry["refs"]), "own": tuple(entry.get("own", ()))})


_FIELDS: Final = frozenset(UnitEntry.__slots__)


def _pairs(items: Sequence[Sequence[str]]) -> tuple[Reference, ...]:
    return tuple((label, token) for label, token in items)
