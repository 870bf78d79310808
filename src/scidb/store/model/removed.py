"""Removing: which lines of the log go, what goes with them, and what stays of that."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from scidb.store.model.asked import Match, Query
from scidb.store.model.kept import Call, Record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scidb.store.model.kept import KeyValue

__all__ = [
    "REMOVED_CALL",
    "CallsGiven",
    "Compaction",
    "FailedAt",
    "Line",
    "Pruned",
    "PrunedLine",
    "Removal",
    "RemovalKind",
    "Removals",
    "Removed",
]

RemovalKind: TypeAlias = Literal["prune", "erase"]

REMOVED_CALL: Final = "removed:"
"""How that begins which stands for the call that a result was recalled from, once that call was erased."""


# ------------------------------------------------------------------ what is asked for


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the log, by its key."""

    record_id: str
    timestamp: str
    seq: int


@dataclass(frozen=True, slots=True)
class FailedAt:
    """A failed combination, by its run, its instant and its place."""

    run_id: str
    timestamp: str
    schema: Mapping[str, KeyValue]
    version_keys: str


@dataclass(frozen=True, slots=True)
class Removal:
    """What a store is to remove, in one transaction; what is not there any more is left out in silence.

    Of a record whose last line goes, the data go, too. A pruned line stays known as one that was there (`Pruned`), and
    the calls behind it stay. Of an erased one nothing stays but its digest, and what the other fields name is
    forgotten with it: these are for an erasure alone.
    """

    removal_id: str  # the caller's own; one that is known is not done again
    kind: RemovalKind
    lines: tuple[Line, ...] = ()
    reason: str = ""
    user_id: str | None = None
    calls: tuple[str, ...] = ()  # with their inputs; computations go with their last call
    failures: tuple[FailedAt, ...] = ()
    runs: tuple[str, ...] = ()  # whose configuration is forgotten
    schema: Mapping[str, KeyValue] = field(default_factory=dict)  # locations with these values; empty: none


# ------------------------------------------------------------------ what stays of it


@dataclass(frozen=True, slots=True)
class Removed:
    """The proof of one removal: how much went, when, by whom and why, and nothing of what it was."""

    removal_id: str
    kind: RemovalKind | Literal["recover"]  # lost: what a recovery could not read
    reason: str
    entries: int
    records: int
    nbytes: int
    timestamp: str
    user_id: str | None
    is_rewritten: bool = True  # False: an erasure of which the bytes are still in the file, until it is compacted


@dataclass(frozen=True, slots=True)
class PrunedLine:
    """A line of the log that was pruned, and when, why and by whom; of its record it says all but the value."""

    record: Record
    removed: str
    reason: str
    user_id: str | None


@dataclass(frozen=True, slots=True)
class Compaction:
    """What it took to write a file anew: its size before and after, in bytes."""

    before: int
    after: int


# ------------------------------------------------------------------ questions


@dataclass(frozen=True, slots=True)
class Removals(Query[Removed]):
    """Everything that was ever removed, oldest first."""


@dataclass(frozen=True, slots=True)
class CallsGiven(Query[Call]):
    """The calls that got constants of these names, as `CallInput.value_repr` shows them; in the order of storing.

    All of them; no names ask for nothing.
    """

    constants: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pruned(Query[PrunedLine]):
    """The lines that were pruned and match, newest first; `where` and `exclude` of the match ask for nothing here.

    `standing`: only those that were the newest of their variable, location and version keys as of the match's
    `as_of`, so that nothing answers for that place then.
    """

    match: Match = field(default_factory=Match)
    standing: bool = False
