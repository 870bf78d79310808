"""Computations: what is asked of the calls behind entries, and which change of code was accepted."""

from __future__ import annotations

from dataclasses import dataclass

from scidb.store.model.asked import Query
from scidb.store.model.kept import Call, Computation

__all__ = [
    "Acceptance",
    "Acceptances",
    "Accepted",
    "Calls",
    "Computations",
    "GeneratedFiles",
    "Timing",
    "Timings",
    "Varying",
]


@dataclass(frozen=True, slots=True)
class Accepted:
    """Somebody vouches that results made by the old code are those that the new code would make."""

    function_name: str
    old_hash: str
    new_hash: str
    reason: str
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A change of code that does not alter results, as stored: who says so, when and why."""

    function_name: str
    old_hash: str
    new_hash: str
    reason: str
    timestamp: str
    user_id: str | None


@dataclass(frozen=True, slots=True)
class Calls(Query[Call]):
    """These calls, and those that handed them results unsaved, each once; in the order of storing."""

    call_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GeneratedFiles(Query[Call]):
    """The newest execution (until `as_of`) of each of these computations, or of all, that wrote files.

    Also the calls that handed them results unsaved; each once, in the order of storing. A recall writes nothing.
    """

    lineage_ids: tuple[str, ...] | None = None
    as_of: str | None = None


@dataclass(frozen=True, slots=True)
class Computations(Query[Computation]):
    """The computations by one of these codes on one of these inputs, by lineage_id."""

    function_hashes: tuple[str, ...]
    inputs_hashes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Varying(Query[Computation]):
    """The computations of which one output was saved with several contents as one variable, by lineage_id."""

    as_of: str | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """How long calls of one code took, each and on average; recalls took no time and are left out."""

    function_hash: str
    calls: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Timings(Query[Timing]):
    """How long the calls of a function took, by its name, for each of the codes that it had, by function_hash."""

    function_name: str


@dataclass(frozen=True, slots=True)
class Acceptances(Query[Acceptance]):
    """Every change of code that was accepted, in that order."""
