"""What the owning process remembers of its file, so that a save or a load costs few statements.

Fed by what is read and by the process's own writes, which are the only ones; read anew when a write fails.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from scidb.exceptions import CorruptDatabaseError
from scidb.store.duck.answers import Answers
from scidb.store.duck.sql import check_keys, quote
from scidb.store.duck.types import Shape, integer_type, key_value
from scidb.store.duck.window import Window
from scidb.store.model import SchemaKey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scidb.store.duck.connection import Connection
    from scidb.store.duck.places import Place
    from scidb.store.model import KeyType, KeyValue, Mark, Record, Result
    from scidb.store.pipeline import EdgeSets

__all__ = ["TAIL", "Clockwork", "Layout", "Marked", "Memory", "Row", "State", "Variable", "layout_table", "load"]

_PLACES: Final = 200_000
_GROUPS: Final = 50_000
_RESULTS: Final = 50_000

_STAMPS: Final = (
    "SELECT max(timestamp) FROM (SELECT max(timestamp) AS timestamp FROM _calls "
    "UNION ALL SELECT max(timestamp) FROM _lineage "
    "UNION ALL SELECT max(started) FROM _runs UNION ALL SELECT max(ended) FROM _runs "
    "UNION ALL SELECT max(timestamp) FROM _failures UNION ALL SELECT max(timestamp) FROM _tags "
    "UNION ALL SELECT max(timestamp) FROM _flags UNION ALL SELECT max(timestamp) FROM _accepted "
    "UNION ALL SELECT max(timestamp) FROM _invalidations UNION ALL SELECT max(timestamp) FROM _hits "
    "UNION ALL SELECT max(timestamp) FROM _requests UNION ALL SELECT max(timestamp) FROM _removals "
    "UNION ALL SELECT max(timestamp) FROM _backups)"
)
# Lines are only ever appended, and time increases; so that the newest is at the end of the log (decision 162).
TAIL: Final = "_record_metadata WHERE rowid >= (SELECT max(rowid) - 2047 FROM _record_metadata)"
# When the newest line of the log was written, and its link, removed ones included; `ORDER BY` with a limit makes
# DuckDB 2.0.0 fail where rows are chosen by their number.
_LAST_LINK: Final = (
    "SELECT max(timestamp), arg_max(chain, struct_pack(t := timestamp, q := seq)) "
    f"FROM (SELECT timestamp, seq, chain FROM {TAIL} "
    "UNION ALL SELECT timestamp, seq, chain FROM _erased WHERE chain IS NOT NULL)"
)
# How far numbers have come, and what there is any of. As scalar subqueries of one SELECT they would take DuckDB ten
# times as long to plan.
_SIZES: Final = " UNION ALL ".join(
    f"SELECT '{name}', {size}"
    for name, size in {
        "records": "max(record_no) FROM _records",
        "logged": "max(record_no) FROM _record_metadata",
        "removed": "max(last_record_no) FROM _removals",
        "places": "max(schema_id) FROM _schema",
        "computations": "max(computation_no) FROM _computations",
        "pieces": "count(piece) FROM _record_metadata",
        "flags": "count(*) FROM _flags",
        "invalidations": "count(*) FROM _invalidations",
        "accepted": "count(*) FROM _accepted",
        "failures": "count(*) FROM _failures",
        "pruned": "count(*) FROM _pruned",
        "lost": "count(*) FROM _removals WHERE kind <> 'prune'",
    }.items()
)


class Row(NamedTuple):
    """A record as found, with its numbers and layout inside this file."""

    record: Record
    schema_id: int
    record_no: int
    layout: str


@dataclass(frozen=True, slots=True)
class Layout:
    """A data table of a variable and the shape of what is in it."""

    table: str
    shape: Shape


@dataclass(frozen=True, slots=True)
class Variable:
    """A registered variable: its first name, its deepest level so far, and its layouts as they were made."""

    identity: str
    level: str | None = None
    layouts: Mapping[Shape, Layout] = field(default_factory=dict)

    def with_layout(self, layout: Layout) -> Variable:
        """Return the variable with one layout more."""
        return replace(self, layouts={**self.layouts, layout.shape: layout})

    def renamed(self, name: str) -> Variable:
        """Return the variable with its data tables named after another name."""
        tables = enumerate(self.layouts.items(), start=1)
        layouts = {shape: Layout(layout_table(name, number), shape) for number, (shape, _) in tables}
        return replace(self, layouts=layouts)


@dataclass(frozen=True, slots=True)
class Clockwork:
    """What the next entry continues: time, chain and numbers."""

    timestamp: str
    chain: str
    record_no: int
    schema_id: int
    computation_no: int


@dataclass(slots=True)
class Memory:
    """What was found or written lately; bounded, and dropped when the schema keys change."""

    # Location as texts in key order -> what is known of it, and from its number what records show of it.
    places: dict[tuple[str | None, ...], Place] = field(default_factory=dict)
    shown: dict[int, Mapping[str, KeyValue]] = field(default_factory=dict)
    # (variable, schema_id) -> newest entry for each set of version keys; complete where it is present.
    latest: dict[tuple[str, int], Mapping[str, Row]] = field(default_factory=dict)
    # lineage_id -> what the computation gave, as far as it counts; forgotten when that changes.
    results: dict[str, Result] = field(default_factory=dict)
    # Computations that were looked for, and are not stored.
    absent: set[str] = field(default_factory=set)
    answers: Answers = field(default_factory=Answers)
    window: Window = field(default_factory=Window)

    def bound(self) -> None:
        """Begin anew where too much is remembered; what is asked for again is found again."""
        bounds = ((self.places, _PLACES), (self.shown, _PLACES), (self.latest, _GROUPS), (self.results, _RESULTS))
        for remembered, most in bounds:
            if len(remembered) > most:
                remembered.clear()
        if len(self.absent) > _RESULTS:
            self.absent.clear()

    def without_results(self) -> Memory:
        """Return a memory that knows no results; who reads the old one still sees what counted then."""
        return replace(self, results={})


@dataclass(frozen=True, slots=True)
class Marked:
    """Everything that rests on flags: the marks of each record, and the calls through which flags pass."""

    by_record: Mapping[str, Sequence[Mark]]
    calls: frozenset[str]


@dataclass(slots=True)
class State:
    """The remembered part of a file. A write changes a draft, which takes its place after the commit."""

    keys: tuple[SchemaKey, ...]
    variables: dict[str, Variable]
    clockwork: Clockwork
    in_pieces: frozenset[str]  # identity names of the variables of which a result was ever split
    has_flags: bool  # whether any record was ever flagged
    has_set_aside: bool = False  # whether any result was ever invalidated
    has_accepted: bool = False  # whether any change of code was ever accepted
    has_failures: bool = False  # whether any combination ever failed
    has_pruned: bool = False  # whether any line of the log was ever pruned
    has_lost: bool = False  # whether anything was ever erased, or lost before a recovery
    renamed: Mapping[str, str] = field(default_factory=dict)  # former names -> what the variable is called now
    wide: Mapping[str, str] = field(default_factory=dict)  # keys with integers beyond BIGINT: how views show them
    levels: frozenset[frozenset[str]] = frozenset()  # which keys locations have together
    marked: Marked | None = None  # what rests on flags; None: not known
    pipeline: EdgeSets | None = None  # its current edges; None: not known
    keyed_writes: int = 0  # since the file was opened
    memory: Memory = field(default_factory=Memory)

    def draft(self) -> State:
        """Return a state to work on; it shares what is remembered, to which only commits add."""
        return replace(self, variables=dict(self.variables))

    def key(self, name: str) -> SchemaKey:
        """Return the schema key of that name."""
        check_keys(self.keys, (name,))
        return next(key for key in self.keys if key.name == name)

    def has_pieces(self, variables: Sequence[str] | None) -> bool:
        """Say whether any result of these variables (None: of any) was ever split."""
        if variables is None or not self.in_pieces:
            return bool(self.in_pieces)
        known = (self.variables[name].identity for name in variables if name in self.variables)
        return any(identity in self.in_pieces for identity in known)

    def layout(self, variable: str, table: str) -> Layout:
        """Return the layout kept in a table."""
        return next(one for one in self.variables[variable].layouts.values() if one.table == table)

    def show(self, schema_id: int, texts: tuple[str | None, ...]) -> Mapping[str, KeyValue]:
        """Return a location as records show it."""
        place = self.memory.shown.get(schema_id)
        if place is None:
            pairs = zip(self.keys, texts, strict=True)
            place = {key.name: key_value(key.value_type, text) for key, text in pairs if text is not None}
            self.memory.shown[schema_id] = place
        return place


def load_keys(connection: Connection) -> tuple[SchemaKey, ...]:
    """Read the schema keys in their order."""

    def kind(text: str | None) -> KeyType | None:
        match text:
            case "int" | "float" | "str" | "date" | "datetime":
                return text
        return None

    rows = connection.rows("SELECT key, value_type FROM _schema_keys ORDER BY position")
    return tuple(SchemaKey(name, kind(value_type)) for name, value_type in rows)


def _load_layouts(connection: Connection) -> list[tuple[str, str]]:
    """Read which tables hold values, in the order in which they were made, and what each describes."""
    tables = connection.rows(
        "SELECT table_name, comment FROM duckdb_tables() WHERE NOT internal AND NOT starts_with(table_name, '_') "
        "AND comment IS NOT NULL"
    )
    return sorted(tables, key=lambda row: (len(row[0]), row[0]))


def load(connection: Connection) -> State:
    """Read what every write and most questions need."""
    try:
        variables, renamed = _load_variables(connection)
        for table, comment in _load_layouts(connection) if variables else ():
            name = variable_of(table)
            variables[name] = variables[name].with_layout(Layout(table, Shape.from_json(comment)))
    except (LookupError, ValueError, TypeError) as error:
        raise CorruptDatabaseError(
            f"{connection.path} does not say what its variables are ({error}): something other than SciDB changed it. "
            f"`scidb fsck --db {connection.path}` says what is wrong; open a backup.",
            path=str(connection.path),
        ) from error
    keys = load_keys(connection)
    [(stamp,)] = connection.rows(_STAMPS)
    [(logged, chain)] = connection.rows(_LAST_LINK)
    stamp = max(stamp or "", logged or "")
    if not stamp and not variables:  # a new file
        place = frozenset[str]()  # the whole dataset, of which every file knows
        return State(keys, {}, Clockwork("", "", -1, 0, -1), frozenset(), has_flags=False, levels=frozenset([place]))
    sizes = {name: -1 if size is None else size for name, size in connection.rows(_SIZES)}
    split = (
        connection.rows("SELECT DISTINCT variable_name FROM _record_metadata WHERE piece IS NOT NULL")
        if sizes["pieces"]
        else ()
    )
    last = max(sizes["records"], sizes["logged"], sizes["removed"])
    clockwork = Clockwork(stamp, chain or "", last, sizes["places"], sizes["computations"])
    wide, levels = _wide(connection, keys), _levels(connection, keys)
    return State(
        keys=keys,
        variables=variables,
        clockwork=clockwork,
        in_pieces=frozenset(variables[name].identity for (name,) in split),
        has_flags=bool(sizes["flags"]),
        has_set_aside=bool(sizes["invalidations"]),
        has_accepted=bool(sizes["accepted"]),
        has_failures=bool(sizes["failures"]),
        has_pruned=bool(sizes["pruned"]),
        has_lost=bool(sizes["lost"]),
        renamed=renamed,
        wide=wide,
        levels=levels,
    )


def _load_variables(connection: Connection) -> tuple[dict[str, Variable], dict[str, str]]:
    """Read the variables and their former names, which are registered and no variables any more."""
    levels = dict(connection.rows("SELECT variable_name, schema_level FROM _variables"))
    identities = dict(connection.rows("SELECT type_name, identity_name FROM _registered_types"))
    now = {identities[name]: name for name in levels}
    renamed = {name: now[identity] for name, identity in identities.items() if name not in levels}
    return {name: Variable(identities[name], level) for name, level in levels.items()}, renamed


def _wide(connection: Connection, keys: Sequence[SchemaKey]) -> dict[str, str]:
    wide = {}
    for key in keys:
        if key.value_type == "int":
            name = quote(key.name)
            texts = connection.rows(
                f"SELECT {name} FROM _schema WHERE {name} IS NOT NULL AND TRY_CAST({name} AS BIGINT) IS NULL"
            )
            if texts:
                wide[key.name] = integer_type(text for (text,) in texts)
    return wide


def _levels(connection: Connection, keys: Sequence[SchemaKey]) -> frozenset[frozenset[str]]:
    given = ", ".join(["TRUE", *(f"{quote(key.name)} IS NOT NULL" for key in keys)])
    names = [key.name for key in keys]
    rows = connection.rows(f"SELECT DISTINCT {given} FROM _schema")
    return frozenset(frozenset(itertools.compress(names, has)) for _, *has in rows)


def variable_of(table: str) -> str:
    """Return the variable that a data table belongs to.

    Examples
    --------
    >>> variable_of("Force_data"), variable_of("Force_data_2")
    ('Force', 'Force')

    """
    return table[: table.rindex("_data")]


def layout_table(variable: str, number: int) -> str:
    """Return the name of a variable's data table, numbered from the second on."""
    return f"{variable}_data" if number == 1 else f"{variable}_data_{number}"
