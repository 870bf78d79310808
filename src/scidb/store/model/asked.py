"""Questions: which entries are meant, and a class for each kind of row that can be found.

The class of a question says what kind of row answers it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from scidb.exceptions import FilterError
from scidb.filters import Filter
from scidb.store.model.kept import Call, Edge, KeyValue, Record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scidb.hashing.inputs import CallInput

__all__ = [
    "Change",
    "Changes",
    "Entries",
    "Environment",
    "Environments",
    "Export",
    "Exports",
    "Failure",
    "Failures",
    "Flag",
    "Flags",
    "Form",
    "Forms",
    "Group",
    "Groups",
    "Latest",
    "Level",
    "Levels",
    "Location",
    "Locations",
    "Mark",
    "Marks",
    "Match",
    "Query",
    "Records",
    "Run",
    "Runs",
    "Source",
    "Sources",
    "Stored",
    "Tag",
    "Tags",
    "Trace",
    "TraceQuery",
]

T_co = TypeVar("T_co", covariant=True)


# ------------------------------------------------------------------ rows that can be found besides records


@dataclass(frozen=True, slots=True)
class Run:
    """One for_each call, as stored. Counts are None while it runs, or when it was killed."""

    run_id: str
    function_name: str
    function_hash: str
    total: int
    user_id: str | None
    started: str
    ended: str | None = None
    completed: int | None = None
    recalled: int | None = None
    up_to_date: int | None = None
    skipped: int | None = None
    failed: int | None = None
    interrupted: bool = False
    configuration: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed combination, as stored."""

    run_id: str
    schema: Mapping[str, KeyValue]
    version_keys: str
    error: str
    message: str
    traceback: str
    seconds: float
    lineage_id: str | None
    timestamp: str
    inputs: tuple[CallInput, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """The code behind a function_hash, as stored."""

    function_hash: str
    function_name: str
    manifest: str
    sources: Mapping[str, str]
    function_ref: str = ""


@dataclass(frozen=True, slots=True)
class Tag:
    """A name for an instant, as stored."""

    name: str
    timestamp: str
    user_id: str | None


@dataclass(frozen=True, slots=True)
class Group:
    """A group of variables, by name."""

    name: str
    variables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """What was the latest of one variable, location and version keys, and what is; None: nothing.

    Two entries of one record are no change. `is_return` says that `after` had been logged before, too.
    """

    before: Record | None
    after: Record | None
    is_return: bool


@dataclass(frozen=True, slots=True)
class Export:
    """A file into which records were written, as stored."""

    path: str
    sha256: str
    timestamp: str
    user_id: str | None
    record_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Environment:
    """Where calls ran, as stored: JSON with Python, machine, packages and git commit."""

    environment_id: str
    description: str


@dataclass(frozen=True, slots=True)
class Flag:
    """What somebody says of a record, as stored: what is wrong with it, or (a pin) why it must be kept."""

    record_id: str
    reason: str
    is_pin: bool
    timestamp: str
    user_id: str | None


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A record rests on a flagged one: on itself, or on what it was made from."""

    record_id: str
    flagged: str  # the record_id that has the flag
    reason: str


@dataclass(frozen=True, slots=True)
class Location:
    """Values of some schema keys that occur together."""

    schema: Mapping[str, KeyValue]


@dataclass(frozen=True, slots=True, order=True)
class Form:
    """A form that records of a variable have: how their values are stored."""

    variable: str
    encoding: str
    schema_version: int


@dataclass(frozen=True, slots=True, order=True)
class Level:
    """A level at which a variable is stored: the keys of its locations."""

    variable: str
    keys: tuple[str, ...]  # in schema order


# ------------------------------------------------------------------ queries


@dataclass(frozen=True, slots=True)
class Match:
    """Which entries: every condition that is given must hold; None or an absent key matches anything.

    In `schema`, a key maps to the values of which any will do; None among them means "not set". In
    `version`, likewise with canonical JSON texts of the wanted values. `version_keys` gives whole texts
    instead, for the variables that it names; others are not restricted by it. An empty tuple or an empty
    prefix matches nothing. A schema key that does not exist is a SchemaKeyError, a prefix that is no text
    a FilterError. Everything looks only at entries up to and
    including `as_of`.

    Of the entries that match so far, `where` keeps those at locations for which it holds. Its columns are
    physical ones: those that `unique_columns` makes of the labels of a chunk's table; the one of a leaf without
    a column is ``value``. A value is one of the column's own type, numbers of all types being one.

    `exclude` leaves out what rests on a flagged record, as `Marks` says: on one with any flag (True), or with
    one of these reasons. Nothing older takes the place of what is left out.
    """

    variables: tuple[str, ...] | None = None
    schema: Mapping[str, tuple[KeyValue | None, ...]] = field(default_factory=dict)
    version: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)
    version_keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    record_ids: tuple[str, ...] | None = None
    record_prefix: str | None = None
    lineage_ids: tuple[str, ...] | None = None
    call_ids: tuple[str, ...] | None = None
    as_of: str | None = None
    where: Filter | None = None
    exclude: bool | tuple[str, ...] = False

    def __post_init__(self) -> None:
        """Refuse a prefix or a filter of another type, which a caller may have from a user."""
        prefix: object = self.record_prefix
        if prefix is not None and not isinstance(prefix, str):
            raise FilterError(
                f"A record is named by a text, the beginning of its id; {prefix!r} ({type(prefix).__name__}) is none."
            )
        where: object = self.where
        if where is not None and not isinstance(where, Filter):
            raise FilterError(
                f"where= takes a filter, such as V == 3 or schema_key('subject') >= 3; {where!r} "
                f"({type(where).__name__}) is none."
            )


@dataclass(frozen=True, slots=True)
class Query(Generic[T_co]):
    """A question whose class says what kind of row answers it."""


@dataclass(frozen=True, slots=True)
class Latest(Query[Record]):
    """The newest entry per variable, location and version keys, if it matches.

    Newest first, match second: a condition on a record id, a lineage id or a call never brings a
    superseded entry back. In natural key order, then by version keys, then by time; of these the first `limit`.
    """

    match: Match = field(default_factory=Match)
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Records(Query[Record]):
    """Each distinct matching record once, at its newest matching entry; ordered as `Latest`."""

    match: Match = field(default_factory=Match)


@dataclass(frozen=True, slots=True)
class Stored(Query[Record]):
    """Each of these records once, at whichever of its entries is found first: for whoever wants the payload.

    In any order. It is never slower than `Records`, and needs no look at the log where the record is known.
    """

    record_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entries(Query[Record]):
    """Every matching line of the log, newest first."""

    match: Match = field(default_factory=Match)
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Locations(Query[Location]):
    """The distinct values of these keys where something was saved at a location that has them all.

    In natural key order, by the keys as given. A key that does not exist is a SchemaKeyError.
    """

    keys: tuple[str, ...]
    as_of: str | None = None


@dataclass(frozen=True, slots=True)
class Changes(Query[Change]):
    """Where the record that is `Latest` differs from the one that was, as of the instant `since`.

    By variable, then in natural key order, then by version keys.
    """

    since: str
    match: Match = field(default_factory=Match)


@dataclass(frozen=True, slots=True)
class Tags(Query[Tag]):
    """Every name of an instant, oldest instant first, then by name."""


@dataclass(frozen=True, slots=True)
class Groups(Query[Group]):
    """Every group of variables that has one, by name; the variables by name, too."""


@dataclass(frozen=True, slots=True)
class Forms(Query[Form]):
    """The distinct forms of everything that was ever saved of these variables, superseded records included.

    Sorted by all that they say.
    """

    variables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Levels(Query[Level]):
    """The distinct levels of everything that was ever saved of these variables, sorted by all that they say."""

    variables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Runs(Query[Run]):
    """for_each calls, newest first."""

    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Failures(Query[Failure]):
    """Failed combinations in the order of failing: of one run, with one of these version keys, or all."""

    run_id: str | None = None
    version_keys: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Exports(Query[Export]):
    """Files into which records were written, in the order of writing; those with any of some records, or all."""

    record_ids: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Flags(Query[Flag]):
    """The flags that stand, in the order of flagging: not taken back, up to and including `as_of`.

    Of some records, or of all. A flag that is given again stays the one that was given first.
    """

    record_ids: tuple[str, ...] | None = None
    as_of: str | None = None


@dataclass(frozen=True, slots=True)
class Marks(Query[Mark]):
    """On which flags, with any or one of these reasons, records rest, sorted; a pin is no flag here.

    A record rests on its own flag, and on all that the inputs rest on of the call that made its newest entry:
    inputs that were saved as records, and those that were handed on unsaved. Looks only at flags and entries
    up to and including `as_of`. Of some records, or of all.
    """

    record_ids: tuple[str, ...] | None = None
    reasons: tuple[str, ...] | None = None
    as_of: str | None = None


@dataclass(frozen=True, slots=True)
class Environments(Query[Environment]):
    """The environments of these ids, in their order."""

    environment_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sources(Query[Source]):
    """The code behind these function hashes."""

    function_hashes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TraceQuery:
    """Provenance from these records: the calls that made them, or the calls that used them.

    The walk starts also at the calls in `call_ids`, which are then among the nearest ones.

    Upstream from a record goes through the call of its newest entry (or, met as an input, through the call
    that the consumer named); downstream through every call that has it as an input. `depth` counts calls;
    None means all the way.
    """

    record_ids: tuple[str, ...] = ()
    direction: Literal["up", "down"] = "up"
    depth: int | None = None
    edges: bool = False  # also the current type-level pipeline
    call_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trace:
    """The answer: calls, each once, nearest first; the records that they used or made; pipeline edges.

    `records` holds the newest entry of every record named, so that callers can show variable and location.
    `edges` are those with the latest timestamp per target and function name.
    """

    calls: tuple[Call, ...] = ()
    records: tuple[Record, ...] = ()
    edges: tuple[Edge, ...] = ()
