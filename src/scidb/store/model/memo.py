"""The memo as it crosses the waist: what a computation gave, what was set aside, and how often it was of use."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scidb.store.model.asked import Query

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scidb.store.model.kept import Computation, Record

__all__ = [
    "Hit",
    "Invalidated",
    "Invalidation",
    "Invalidations",
    "MemoEntries",
    "MemoEntry",
    "Result",
    "Results",
    "SetAside",
]


# ------------------------------------------------------------------ events


@dataclass(frozen=True, slots=True)
class Invalidated:
    """What these computations gave until now is not given back any more; what is saved later is.

    Every condition that is given must hold. A name stands for all code that was recorded under it so far, so that
    what was made of the same code under another name is set aside as well.
    """

    function_name: str | None = None
    function_hash: str | None = None
    lineage_ids: tuple[str, ...] | None = None
    reason: str = ""
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """Results of a computation were given back, so many times since the last time that this was told."""

    lineage_id: str
    hits: int
    user_id: str | None = None


# ------------------------------------------------------------------ answers


@dataclass(frozen=True, slots=True)
class Result:
    """What a computation gave, as far as it was not set aside since.

    `records` are entries of what it made, newest first: the newest one for each output, piece (of so many), content,
    variable, encoding and schema_version. A function that generates a file made no records; its newest execution
    stands for them.
    """

    computation: Computation
    records: tuple[Record, ...]
    call_id: str | None = None  # of a generated file: the newest execution
    timestamp: str = ""  # of a generated file: when that was


@dataclass(frozen=True, slots=True)
class Invalidation:
    """Computations that were set aside, as stored: all of one code, or one of them."""

    function_name: str | None
    function_hash: str | None
    lineage_id: str | None
    reason: str
    timestamp: str
    user_id: str | None


@dataclass(frozen=True, slots=True)
class MemoEntry:
    """One computation whose results can be given back, with what they take and how they were used."""

    computation: Computation
    saved: str  # the newest entry that counts
    nbytes: int  # of the distinct records that count
    hits: int
    last_used: str  # the newest of: saved, given back, found up to date by a run of the same code


# ------------------------------------------------------------------ questions


@dataclass(frozen=True, slots=True)
class Results(Query[Result]):
    """What these computations gave, in their order: one answer for each that gave something that counts.

    A file that one computation generated is lost when another one of the same function ran later on the same inputs,
    or has written a file of the same path: an input of kind ``file`` without content.
    """

    lineage_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Invalidations(Query[Invalidation]):
    """What was set aside, oldest first: of this code, and of these computations; None asks for everything."""

    function_hash: str | None = None
    lineage_ids: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class MemoEntries(Query[MemoEntry]):
    """Computations whose results can be given back, sorted by lineage_id; the conditions are those of `Invalidated`."""

    function_name: str | None = None
    function_hash: str | None = None
    lineage_ids: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class SetAside:
    """Until when results do not count: of code by its function_hash, and of single computations."""

    functions: Mapping[str, str] = field(default_factory=dict)
    computations: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: list[Invalidation]) -> SetAside:
        """Return what rows, oldest first, come to."""
        return cls(
            {row.function_hash: row.timestamp for row in rows if row.function_hash is not None},
            {row.lineage_id: row.timestamp for row in rows if row.lineage_id is not None},
        )

    def counts(self, timestamp: str, function_hash: str, lineage_id: str) -> bool:
        """Say whether what a computation gave at that instant still counts."""
        return timestamp > max(self.functions.get(function_hash, ""), self.computations.get(lineage_id, ""))
