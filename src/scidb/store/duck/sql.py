"""Questions as SQL: quoting, conditions from a `Match`, and which entries are the latest."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from scidb.exceptions import SchemaKeyError, did_you_mean
from scidb.store.duck.types import fitting_text
from scidb.store.texts import is_unicode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scidb.store.model import KeyValue, Match, SchemaKey

__all__ = [
    "NEWEST_FIRST",
    "Condition",
    "Question",
    "asks_entry",
    "check_keys",
    "entry_conditions",
    "identified",
    "kept_pieces",
    "latest",
    "literal",
    "located",
    "logged",
    "near",
    "not_superseded",
    "of_records",
    "place_conditions",
    "quote",
    "same_result",
]


NEWEST_FIRST: Final = "m.timestamp DESC, m.seq DESC"
_ID_DIGITS: Final = 64  # of a whole record_id
# To read so many rows takes no longer than to plan another part of a statement; and of so many parts it has at most.
_NEAR: Final = 4_096
_PARTS: Final = 8


def quote(identifier: str) -> str:
    """Return a name as SQL takes it literally; every name that is not ours passes through here.

    Examples
    --------
    >>> quote("My Key")
    '"My Key"'

    """
    return '"' + identifier.replace('"', '""') + '"'


@dataclass(slots=True)
class Condition:
    """Conditions that must all hold, and the parameters for their question marks."""

    parts: list[str] = field(default_factory=list)
    parameters: list[object] = field(default_factory=list)

    def add(self, part: str, *parameters: object) -> None:
        """Add one condition."""
        self.parts.append(part)
        self.parameters.extend(parameters)

    def one_of(self, expression: str, values: Sequence[object]) -> None:
        """Add that an expression has one of these values; of none, nothing matches."""
        # What the file cannot hold is nowhere in it.
        values = [value for value in values if not isinstance(value, str) or is_unicode(value)]
        match len(values):
            case 0:
                self.add("FALSE")
            case 1:
                self.add(f"{expression} = ?", values[0])
            case _:
                self.add(f"{expression} IN (SELECT unnest(?))", values)

    def one_of_numbers(self, expression: str, numbers: Sequence[int]) -> None:
        """Add that a number of this file is one of these; what lies outside of their range is not read."""
        wanted = sorted(set(numbers))
        if len(wanted) > 1:
            self.add(f"{expression} BETWEEN ? AND ?", wanted[0], wanted[-1])
        if len(wanted) <= 1 or wanted[-1] - wanted[0] >= len(wanted):
            self.one_of(expression, wanted)

    def text(self) -> str:
        """Return the conditions as one expression."""
        return " AND ".join(self.parts) or "TRUE"


@dataclass(frozen=True, slots=True)
class Question:
    """Which entries ``m`` are asked for: where they come from, on what condition, in which order."""

    source: str
    condition: str
    parameters: Sequence[object]
    order: str


def check_keys(keys: Sequence[SchemaKey], names: Iterable[str]) -> None:
    """Refuse a schema key that does not exist.

    Raises
    ------
    SchemaKeyError
        When there is no such key.

    """
    known = [key.name for key in keys]
    for name in names:
        if name not in known:
            raise SchemaKeyError(
                f"There is no schema key {name!r}; the keys are {', '.join(known) or 'none'}."
                f"{did_you_mean(name, known)}",
                name=name,
                keys=known,
            )


def place_conditions(keys: Sequence[SchemaKey], match: Match, versions: Sequence[str] | None) -> Condition:
    """Return what a match asks of variable, location and version keys: of things that a latest entry is latest *of*.

    `versions` are the texts of version keys that will do; None stands for any.
    """
    check_keys(keys, match.schema)
    condition = Condition()
    if match.variables is not None:
        condition.one_of("m.variable_name", match.variables)
    for key in keys:
        if key.name in match.schema:
            _add_key(condition, key, match.schema[key.name])
    for variable, texts in match.version_keys.items():
        given = Condition()
        given.one_of("m.version_keys", texts)
        if is_unicode(variable):
            condition.add(f"(m.variable_name <> ? OR {given.text()})", variable, *given.parameters)
    if versions is not None:
        condition.one_of("m.version_keys", versions)
    return condition


def _add_key(condition: Condition, key: SchemaKey, wanted: Sequence[KeyValue | None]) -> None:
    column = f"s.{quote(key.name)}"
    # A value that does not fit the key is nowhere.
    texts = [text for value in wanted if value is not None and (text := fitting_text(key, value)) is not None]
    given = Condition()
    given.one_of(column, texts)
    part = f"({given.text()} OR {column} IS NULL)" if None in wanted else given.text()
    condition.add(part, *given.parameters)


def entry_conditions(match: Match) -> Condition:
    """Return what a match asks of an entry itself."""
    condition = Condition()
    if match.record_ids is not None:
        condition.add(*of_records(match.record_ids))
    if match.record_prefix is not None:
        if len(match.record_prefix) == _ID_DIGITS:
            condition.add(*of_records([match.record_prefix]))
        elif match.record_prefix and is_unicode(match.record_prefix):
            # A record has many lines in the log, and one here.
            ids = "SELECT record_no FROM _records WHERE starts_with(record_id, ?)"
            condition.add(f"m.record_no IN ({ids})", match.record_prefix)
        else:
            condition.add("FALSE")
    if match.lineage_ids is not None:
        condition.one_of("m.lineage_id", match.lineage_ids)
    if match.call_ids is not None:
        condition.one_of("m.call_id", match.call_ids)
    return condition


def asks_entry(match: Match) -> bool:
    """Say whether a match asks something of entries beside variable, location, version keys and time."""
    asked = match.record_ids, match.record_prefix, match.lineage_ids, match.call_ids
    return match.exclude is not False or any(part is not None for part in asked)


def identified(match: Match) -> tuple[Sequence[str] | None, Match]:
    """Return the ids that a match names, whole, and what else it asks for; None: it names none."""
    if match.record_ids is not None:
        return match.record_ids, replace(match, record_ids=None)
    if match.record_prefix is not None and len(match.record_prefix) == _ID_DIGITS:
        return (match.record_prefix,), replace(match, record_prefix=None)
    return None, match


def near(numbers: Sequence[int]) -> list[Sequence[int]]:
    """Return numbers that ascend in few parts, cut where the widest gaps between them are.

    Examples
    --------
    >>> near([1, 2, 900_000, 900_500])
    [[1, 2], [900000, 900500]]

    """
    gaps = [(after - before, at) for at, (before, after) in enumerate(itertools.pairwise(numbers), start=1)]
    widest = sorted((gap for gap in gaps if gap[0] > _NEAR), reverse=True)[: _PARTS - 1]
    cuts = [0, *sorted(at for _, at in widest), len(numbers)]
    return [numbers[start:stop] for start, stop in itertools.pairwise(cuts)]


def of_records(record_ids: Sequence[str]) -> tuple[str, *tuple[object, ...]]:
    """Return the condition that an entry ``m`` is of one of these records, and its parameters."""
    numbers = Condition()
    numbers.one_of("record_id", record_ids)
    # The key of _records finds the number; the log is in order of numbers, mostly.
    return (f"m.record_no IN (SELECT record_no FROM _records WHERE {numbers.text()})", *numbers.parameters)


def located(keys: Sequence[SchemaKey]) -> str:
    """Return the columns of an entry ``m`` and of its location ``s``; key number n is named kn."""
    # Under names of our own, since a key may be named like a column of the log.
    places = "".join(f", s.{quote(key.name)} AS k{number}" for number, key in enumerate(keys))
    return f"m.*, s.schema_level AS level{places}"


def latest(keys: Sequence[SchemaKey], condition: Condition, until: Condition, *, pieces: bool) -> tuple[str, str]:
    """Return a source ``m`` of the newest entries among some, and a condition that it needs.

    `condition` says which they are, and gets the parameters of the source; `until` is its part on the time.
    """
    newest = (
        f"(SELECT {located(keys)} FROM _record_metadata m JOIN _schema s USING (schema_id) WHERE {condition.text()} "
        "QUALIFY row_number() OVER (PARTITION BY m.variable_name, m.schema_id, m.version_keys "
        f"ORDER BY {NEWEST_FIRST}) = 1) m"
    )
    if not pieces:
        return newest, "TRUE"
    condition.parameters.extend(until.parameters)
    newest += f" LEFT JOIN ({kept_pieces(keys, until.text())}) c ON {same_result(keys)}"
    return newest, "(m.piece IS NULL OR c.pieces IS NULL OR m.piece <= c.pieces)"


def sibling_conditions(keys: Sequence[SchemaKey], match: Match, until: Condition) -> Condition:
    """Return what is asked of the time, and of all that the pieces of one result share: not of the key of pieces."""
    condition = Condition(list(until.parts), list(until.parameters))
    if match.variables is not None:
        condition.one_of("m.variable_name", match.variables)
    for key in keys:
        if key.name in match.schema:
            own = Condition()
            # None: pieces may be numbered by another key than those that are asked for.
            _add_key(own, key, (*match.schema[key.name], None))
            condition.add(f"(s.schema_level = {literal(key.name)} OR {own.text()})", *own.parameters)
    return condition


def not_superseded(condition: Condition, as_of: str | None, log: str = "_pruned") -> None:
    """Add that an entry ``m`` has no newer line in this log, at its place and until that instant.

    What was pruned was superseded, so that it stands in the way of looks at the past alone.
    """
    until = "" if as_of is None else " AND n.timestamp <= ?"
    condition.add(
        f"NOT EXISTS (SELECT 1 FROM {log} n WHERE n.variable_name = m.variable_name AND n.schema_id = m.schema_id "
        "AND n.version_keys = m.version_keys AND (n.timestamp > m.timestamp OR (n.timestamp = m.timestamp AND "
        f"n.seq > m.seq)){until})",
        *([] if as_of is None else [as_of]),
    )


def logged(*, pruned: bool) -> str:
    """Return the log as a source: which call made which record; what was pruned was made, too."""
    if not pruned:
        return "_record_metadata"
    columns = "record_id, call_id, timestamp, seq"
    return f"(SELECT {columns} FROM _record_metadata UNION ALL SELECT {columns} FROM _pruned)"


def kept_pieces(keys: Sequence[SchemaKey], until: str) -> str:
    """Return a query for how many pieces each distributed result has now.

    Pieces of one result share variable, version keys and location but for its deepest key. `until` is a
    condition on the entry.
    """
    entries = (
        f"SELECT {located(keys)} FROM _record_metadata m JOIN _schema s USING (schema_id) "
        f"WHERE m.piece IS NOT NULL AND {until}"
    )
    parents = "".join(f", {_parent(number, key)} AS p{number}" for number, key in enumerate(keys))
    return (
        f"SELECT m.variable_name, m.version_keys{parents}, "
        f"arg_max(m.pieces, struct_pack(t := m.timestamp, q := m.seq)) AS pieces FROM ({entries}) m GROUP BY ALL"
    )


def same_result(keys: Sequence[SchemaKey]) -> str:
    """Return the condition that joins a located entry ``m`` with the count ``c`` of its result."""
    parents = "".join(
        f" AND c.p{number} IS NOT DISTINCT FROM {_parent(number, key)}" for number, key in enumerate(keys)
    )
    return "m.piece IS NOT NULL AND c.variable_name = m.variable_name AND c.version_keys = m.version_keys" + parents


def _parent(number: int, key: SchemaKey) -> str:
    return f"CASE WHEN m.level = {literal(key.name)} THEN NULL ELSE m.k{number} END"


def literal(text: str) -> str:
    """Return a text as SQL literal, for views, which take no parameters."""
    return "'" + text.replace("'", "''") + "'"
