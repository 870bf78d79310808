"""What refers to what: each name or number that stands in one table must stand in another."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from scidb.store.duck.sql import literal, quote
from scidb.store.model import REMOVED_CALL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scidb.store.duck.checking.findings import Findings

__all__ = ["check_references"]

# An id that stands for what was never stored: a file, an unsaved value.
_STORED: Final = "NOT starts_with(t.record_id, 'generated:') AND NOT starts_with(t.record_id, 'ephemeral:')"
# The record that a call made, by which a call is named for people.
_MADE: Final = "(SELECT min(m.record_id) FROM _record_metadata m WHERE m.call_id = t.call_id)"


_OWN: Final = "t.record_id"
_GONE: Final = ("_removals", "_pruned")
# Whether a record was pruned, which is noted; what was erased is named nowhere, but by a hit that was noted after it.
_PRUNED: Final = "EXISTS (SELECT 1 FROM _pruned p WHERE p.record_id = t.record_id)"
_ERASED: Final = "EXISTS (SELECT 1 FROM _removals WHERE kind = 'erase')"
_RECALLED: Final = f"starts_with(t.recalled_from, {literal(REMOVED_CALL)})"

_SUBJECTS: Final = {
    "_record_metadata": "A line of the log", "_records": "A record", "_variables": "A variable",
    "_registered_types": "A registered name", "_variable_groups": "A group", "_calls": "A call",
    "_call_inputs": "An input of a call", "_flags": "A flag", "_failures": "A failure", "_hits": "A hit of the memo",
    "_erased": "A removed line of the log",
}  # fmt: skip
_OBJECTS: Final = {
    "_records": "a record", "_record_metadata": "a line of the log", "_schema": "a place", "_variables": "a variable",
    "_registered_types": "a registered name", "_calls": "a call", "_computations": "a computation", "_runs": "a run",
    "_environments": "an environment", "_removals": "a removal",
}  # fmt: skip


class _Reference(NamedTuple):
    """A column that names rows of another table."""

    table: str
    column: str
    target: str
    key: str
    record: str = "NULL"  # the record concerned
    when: str = "TRUE"
    removed: str | None = None  # whether what it names was removed on purpose; None: then it would be gone, too


_REFERENCES: Final = (
    _Reference("_record_metadata", "record_id", "_records", "record_id", _OWN),
    _Reference("_record_metadata", "schema_id", "_schema", "schema_id", _OWN),
    _Reference("_record_metadata", "variable_name", "_variables", "variable_name", _OWN),
    _Reference("_record_metadata", "call_id", "_calls", "call_id", _OWN),
    _Reference("_record_metadata", "lineage_id", "_computations", "lineage_id", _OWN),
    _Reference("_records", "variable_name", "_variables", "variable_name", _OWN),
    _Reference("_records", "record_id", "_record_metadata", "record_id", _OWN),
    _Reference("_variables", "variable_name", "_registered_types", "type_name"),
    _Reference("_registered_types", "identity_name", "_registered_types", "type_name"),
    _Reference("_variable_groups", "variable_name", "_variables", "variable_name"),
    _Reference("_calls", "lineage_id", "_computations", "lineage_id", _MADE),
    _Reference("_calls", "run_id", "_runs", "run_id", _MADE),
    _Reference("_calls", "environment_id", "_environments", "environment_id", _MADE),
    _Reference("_calls", "recalled_from", "_calls", "call_id", _MADE, removed=_RECALLED),
    _Reference("_call_inputs", "call_id", "_calls", "call_id", _MADE),
    _Reference("_call_inputs", "record_id", "_records", "record_id", _MADE, _STORED, _PRUNED),
    _Reference("_call_inputs", "input_call_id", "_calls", "call_id", _MADE, removed="FALSE"),
    _Reference("_flags", "record_id", "_records", "record_id", _OWN, _STORED, _PRUNED),
    _Reference("_failures", "run_id", "_runs", "run_id"),
    _Reference("_hits", "lineage_id", "_computations", "lineage_id", removed=_ERASED),
    _Reference("_erased", "removal_id", "_removals", "removal_id"),
)


_EXPORTS: Final = (
    f"SELECT record_id, 'The file ' || path || ' was written from a record that is not there.', {_PRUNED} FROM "
    "(SELECT path, unnest(record_ids) AS record_id FROM _exports) t "
    "WHERE NOT EXISTS (SELECT 1 FROM _records r WHERE r.record_id = t.record_id)"
)


def check_references(found: Findings) -> None:
    """Check every reference; those to what was removed on purpose are only counted."""
    if found.has(*_GONE) and found.damaged.isdisjoint(_GONE):
        _check_each(found)
    _check_sources(found)
    if found.has("_record_metadata", "_records"):
        _check_agreement(found)


def _check_each(found: Findings) -> None:
    # What was lost to a damage is noted nowhere.
    lost = found.ask("_removals", "SELECT count(*) > 0 FROM _removals WHERE kind = 'recover'") == [(True,)]
    gone = 0
    for one in _REFERENCES:
        if not found.has(one.table, one.target, "_record_metadata"):  # by which calls are named
            continue
        rows = found.ask(one.table, _query(one))
        gone += _add(found, rows, one.table, lost=lost and one.removed is not None)
    if found.has("_exports", "_records"):
        gone += _add(found, found.ask("_exports", _EXPORTS), "_exports", lost=lost)
    if gone:
        found.notes.append(f"{gone:,} references are to what was removed.")


def _add(found: Findings, rows: Sequence[tuple[Any, ...]], table: str, *, lost: bool) -> int:
    """Note references to nothing; return how many there are to what was removed on purpose, or may have been lost."""
    bad = [] if lost else [row[:2] for row in rows if not row[2]]
    found.add_each("reference", bad, table)
    return len(rows) - len(bad)


def _query(one: _Reference) -> str:
    column = quote(one.column)
    what = literal(f"{_SUBJECTS[one.table]} names {_OBJECTS[one.target]} that is not there: ")
    return (
        f"SELECT {one.record}, {what} || CAST(t.{column} AS VARCHAR) || '.', {one.removed or 'FALSE'} "
        f"FROM {one.table} t "
        f"WHERE t.{column} IS NOT NULL AND {one.when} AND NOT EXISTS "
        f"(SELECT 1 FROM {one.target} o WHERE o.{quote(one.key)} = t.{column})"
    )


def _check_sources(found: Findings) -> None:
    """Check that the texts are there of which a function is made."""
    if not found.has("_functions", "_sources"):
        return
    known = {digest for (digest,) in found.ask("_sources", "SELECT source_hash FROM _sources")}
    for name, sources in found.ask("_functions", "SELECT function_name, sources FROM _functions"):
        try:
            lacking = sorted(set(json.loads(sources).values()) - known)
        except (ValueError, TypeError, AttributeError):
            found.add(
                "reference", f"The list of the texts that {name}() is made of cannot be read.", table="_functions"
            )
            continue
        if lacking and "_sources" not in found.damaged:
            found.add("reference", f"The code of {name}() lacks {len(lacking)} of its texts.", table="_functions")


# What a line of the log says of its record, which the record says itself.
_SHARED: Final = ("record_no", "variable_name", "content_hash", "schema_version")


def _check_agreement(found: Findings) -> None:
    """Check that the lines of the log say the same of a record as the record itself, and as one another."""
    for column in _SHARED:
        what = literal(f"The log says another {column} of the record than the record itself, at ")
        rows = found.ask(
            "_record_metadata",
            f"SELECT m.record_id, {what} || m.timestamp || '.' FROM _record_metadata m JOIN _records r USING "
            f"(record_id) WHERE m.{column} IS DISTINCT FROM r.{column}",
        )
        found.add_each("log", rows, "_record_metadata")
    rows = found.ask(
        "_record_metadata",
        "SELECT record_id, 'Lines of the log say of one record that it is at several places.' FROM _record_metadata "
        "GROUP BY record_id HAVING count(DISTINCT schema_id) > 1 OR count(DISTINCT version_keys) > 1",
    )
    found.add_each("log", rows, "_record_metadata")
    if found.has("_calls"):
        rows = found.ask(
            "_record_metadata",
            "SELECT m.record_id, 'The log names another computation than the call does, at ' || m.timestamp || '.' "
            "FROM _record_metadata m JOIN _calls c USING (call_id) WHERE m.lineage_id IS DISTINCT FROM c.lineage_id",
        )
        found.add_each("log", rows, "_record_metadata")
