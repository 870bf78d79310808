"""What one write stores: events beside the records and calls, all in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from scidb.store.model.answered import Answered
from scidb.store.model.computed import Accepted
from scidb.store.model.memo import Hit, Invalidated
from scidb.store.model.snapshots import BackedUp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scidb.hashing.inputs import CallInput
    from scidb.store.model.kept import Call, Chunk, Edge, KeyType, KeyValue, SchemaKey

__all__ = [
    "Batch",
    "EdgesSeen",
    "EnvironmentSeen",
    "Event",
    "Exported",
    "Failed",
    "Flagged",
    "Grouped",
    "KeyAdded",
    "KeyTyped",
    "Renamed",
    "RunEnded",
    "RunStarted",
    "SourceSeen",
    "Tagged",
    "Unflagged",
    "Ungrouped",
]


@dataclass(frozen=True, slots=True)
class KeyAdded:
    """A schema key joins the database, behind `after` (None: in front).

    Records of before do not have it. A name that some of them have as a version key is a SchemaKeyError, since
    it would say from then on where a value belongs, and those would not be found by it.
    """

    key: SchemaKey
    after: str | None = None


@dataclass(frozen=True, slots=True)
class KeyTyped:
    """A schema key without a type gets the one of its first value; another type than it has is an error."""

    name: str
    value_type: KeyType


@dataclass(frozen=True, slots=True)
class Renamed:
    """A variable gets another name, in everything that is stored; it keeps its identity_name and its history.

    The former name stays taken: nothing else can be called so, and its variable can get it back. The new name
    must be allowed as one of a variable, and differ from every name, former ones included, by more than case.
    """

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A for_each call began."""

    run_id: str
    function_name: str
    function_hash: str
    total: int
    user_id: str | None = None
    configuration: str | None = None  # JSON: what the call was given; None where that has no text


@dataclass(frozen=True, slots=True)
class RunEnded:
    """A for_each call ended, by itself or interrupted."""

    run_id: str
    completed: int
    recalled: int
    up_to_date: int
    skipped: int
    failed: int
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """One combination of a run failed."""

    run_id: str
    schema: Mapping[str, KeyValue]
    version_keys: str
    error: str
    message: str
    traceback: str
    seconds: float
    lineage_id: str | None = None
    inputs: tuple[CallInput, ...] = ()  # what the function received


@dataclass(frozen=True, slots=True)
class SourceSeen:
    """The code behind a function_hash: its manifest, and each source text by its SHA-256.

    Equal code may stand in several places, each with a manifest of its own.
    """

    function_hash: str
    function_name: str
    manifest: str  # JSON
    sources: Mapping[str, str]
    function_ref: str = ""  # where it stands, as ``module:qualified.name``; empty when it has no name


@dataclass(frozen=True, slots=True)
class EdgesSeen:
    """Arrows of the pipeline; those are stored whose set, by target and function, is not as the current one."""

    edges: tuple[Edge, ...]


@dataclass(frozen=True, slots=True)
class EnvironmentSeen:
    """A distinct environment: JSON with Python, platform, packages, git commit."""

    environment_id: str
    description: str


@dataclass(frozen=True, slots=True)
class Tagged:
    """A name for an instant: this one, or an earlier one as the store writes it. A name is given once, for good."""

    name: str
    timestamp: str | None = None  # None: the instant of the write
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class Grouped:
    """Variables join a group, which begins with its first one; who is in it already stays."""

    group: str
    variables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ungrouped:
    """Variables leave a group, which ends with its last one; each must be in it."""

    group: str
    variables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exported:
    """Records were written into a file outside of the database."""

    path: str
    sha256: str  # of the file
    record_ids: tuple[str, ...]
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class Flagged:
    """Somebody says what is wrong with records, or (`is_pin`) why they must be kept. Said again, nothing changes."""

    record_ids: tuple[str, ...]
    reason: str
    is_pin: bool = False
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class Unflagged:
    """Such flags are taken back; the lines of before stay. A record without that flag is no error."""

    record_ids: tuple[str, ...]
    reason: str
    is_pin: bool = False
    user_id: str | None = None


Event: TypeAlias = (
    KeyAdded
    | KeyTyped
    | Renamed
    | RunStarted
    | RunEnded
    | Failed
    | SourceSeen
    | EdgesSeen
    | EnvironmentSeen
    | Tagged
    | Grouped
    | Ungrouped
    | Exported
    | Flagged
    | Unflagged
    | Accepted
    | Answered
    | BackedUp
    | Invalidated
    | Hit
)


@dataclass(frozen=True, slots=True)
class Batch:
    """Everything that one write stores, in one transaction. The events are applied first.

    `check` is of this process and never sent: a store calls it before it commits, and stores nothing when it raises.
    """

    chunks: tuple[Chunk, ...] = ()
    calls: tuple[Call, ...] = ()
    edges: tuple[Edge, ...] = ()
    events: tuple[Event, ...] = ()
    check: Callable[[], None] | None = None
