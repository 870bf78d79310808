"""Events of a batch: schema keys, runs, failures, code and environments."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from scidb.exceptions import NotFoundError, SchemaKeyError
from scidb.store.duck.annotations import group_variables, tag_instant
from scidb.store.duck.backups import add_backups
from scidb.store.duck.edges import see_edges
from scidb.store.duck.flags import add_flags
from scidb.store.duck.insert import insert_missing, insert_rows
from scidb.store.duck.memo import add_hits, invalidate
from scidb.store.duck.requests import answer_once
from scidb.store.duck.sql import Condition, quote
from scidb.store.duck.state import Memory, layout_table
from scidb.store.duck.tables import TABLES, add_key_column, check_new_key
from scidb.store.duck.views import create_views
from scidb.store.model import (
    Accepted,
    Answered,
    CallInput,
    EdgesSeen,
    Environment,
    EnvironmentSeen,
    Export,
    Exported,
    Failed,
    Failure,
    Grouped,
    Invalidated,
    KeyAdded,
    KeyTyped,
    Renamed,
    Run,
    RunEnded,
    RunStarted,
    SchemaKey,
    Source,
    SourceSeen,
    Tagged,
    Ungrouped,
)
from scidb.store.names import check_no_version_key, check_renaming, renamed_now

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from scidb.store.duck.connection import Connection
    from scidb.store.duck.state import State
    from scidb.store.model import Environments, Event, Exports, Failures, KeyValue, Runs, Sources

__all__ = [
    "apply_events",
    "find_environments",
    "find_exports",
    "find_failures",
    "find_runs",
    "find_sources",
    "place_json",
]


def apply_events(connection: Connection, draft: State, events: Sequence[Event], stamp: str) -> None:
    """Store the events of a batch in their order; those that change nothing else together, a statement a kind."""
    for event in events:
        if (apply := _APPLIERS.get(type(event))) is not None:
            apply(connection, draft, event, stamp)
    _add_runs(connection, events, stamp)
    _add_failures(connection, draft, events, stamp)
    _add_sources(connection, events)
    _add_exports(connection, events, stamp)
    add_flags(connection, draft, events, stamp)
    add_hits(connection, events, stamp)
    add_backups(connection, events, stamp)


# ------------------------------------------------------------------ schema keys


def _add_key(connection: Connection, draft: State, event: KeyAdded) -> None:
    for key in draft.keys:
        if key.name.casefold() == event.key.name.casefold():
            raise SchemaKeyError(
                f"Schema key {event.key.name!r} cannot be added: there is {key.name!r} already.",
                name=event.key.name,
            )
    check_new_key(event.key.name)
    versions = connection.rows("SELECT DISTINCT variable_name, version_keys FROM _record_metadata")
    check_no_version_key(event.key.name, versions)
    place = 0 if event.after is None else draft.keys.index(draft.key(event.after)) + 1
    connection.execute("UPDATE _schema_keys SET position = position + 1 WHERE position >= ?", [place])
    insert_rows(connection, TABLES["_schema_keys"], [(event.key.name, place, event.key.value_type)])
    connection.execute(add_key_column(event.key.name))
    _change_keys(connection, draft, (*draft.keys[:place], event.key, *draft.keys[place:]))


def _type_key(connection: Connection, draft: State, event: KeyTyped) -> None:
    key = draft.key(event.name)
    if key.value_type not in {None, event.value_type}:
        raise SchemaKeyError(
            f"Schema key {key.name!r} holds {key.value_type} values and cannot become {event.value_type}.",
            name=key.name,
            value_type=key.value_type,
        )
    typed = SchemaKey(key.name, event.value_type)
    if typed == key:
        return
    connection.execute("UPDATE _schema_keys SET value_type = ? WHERE key = ?", [event.value_type, key.name])
    _change_keys(connection, draft, tuple(typed if one == key else one for one in draft.keys))


def _change_keys(connection: Connection, draft: State, keys: tuple[SchemaKey, ...]) -> None:
    draft.keys = keys
    draft.memory = Memory()
    create_views(connection, draft, list(draft.variables))


# ------------------------------------------------------------------ names


def _rename(connection: Connection, draft: State, event: Renamed, stamp: str) -> None:
    """Give a variable another name wherever it is named; its row in _registered_types stays, as its former name."""
    old, new = event.old, event.new
    check_renaming(old, new, draft.variables, draft.renamed)
    before = draft.variables.pop(old)
    after = draft.variables[new] = before.renamed(new)
    draft.renamed = renamed_now(draft.renamed, old, new)
    draft.memory = Memory()
    _register_again(connection, event, stamp)
    for table in ("_variables", "_variable_groups", "_records", "_record_metadata", "_pruned"):
        connection.execute(f"UPDATE {table} SET variable_name = ? WHERE variable_name = ?", [new, old])
    connection.execute("UPDATE _call_inputs SET type_name = ? WHERE type_name = ? AND kind = 'record'", [new, old])
    for end in ("source", "target"):
        connection.execute(f"UPDATE _lineage SET {end} = ? WHERE {end} = ?", [new, old])
    draft.pipeline = None
    for view in (old, f"{old}__rows"):
        connection.execute(f"DROP VIEW IF EXISTS {quote(view)}")
    for shape, layout in before.layouts.items():
        table = after.layouts[shape].table
        connection.execute(f"ALTER TABLE {quote(layout.table)} RENAME TO {quote(table)}")
        connection.execute("UPDATE _records SET layout = ? WHERE layout = ?", [table, layout.table])
    create_views(connection, draft, [new])


def _register_again(connection: Connection, event: Renamed, stamp: str) -> None:
    """Register the new name with what the old one has; a name that comes back is registered already."""
    table = layout_table(event.new, 1)
    connection.execute(
        "INSERT INTO _registered_types SELECT ?, ?, schema_version, ?, identity_name FROM _registered_types "
        "WHERE type_name = ? AND NOT EXISTS (SELECT 1 FROM _registered_types WHERE type_name = ?)",
        [event.new, table, stamp, event.old, event.new],
    )
    connection.execute(
        "UPDATE _registered_types SET schema_version = (SELECT schema_version FROM _registered_types "
        "WHERE type_name = ?) WHERE type_name = ?",
        [event.old, event.new],
    )


# ------------------------------------------------------------------ runs


_COUNTS = ("completed", "recalled", "up_to_date", "skipped", "failed", "interrupted")


def _add_runs(connection: Connection, events: Sequence[Event], stamp: str) -> None:
    """Note starts and ends; a run that starts and ends in one batch, as one with nothing to do, is one row."""
    started = {event.run_id: (event, n) for n, event in enumerate(events) if isinstance(event, RunStarted)}
    ended = {event.run_id: event for event in events if isinstance(event, RunEnded)}
    if not started and not ended:
        return
    condition = Condition()
    condition.one_of("run_id", list(dict.fromkeys([*started, *ended])))
    rows = connection.rows(f"SELECT run_id FROM _runs WHERE {condition.text()}", condition.parameters)
    known = {run_id for (run_id,) in rows}
    fresh = []
    for run_id, (start, number) in started.items():
        if run_id not in known:
            begin = (run_id, start.function_name, start.function_hash, start.total, start.user_id, stamp)
            fresh.append((*begin, *_end(ended.pop(run_id, None), stamp), number, start.configuration))
    insert_rows(connection, TABLES["_runs"], fresh)
    values = ", ".join(f"{name} = ?" for name in ("ended", *_COUNTS))
    for run_id, event in ended.items():
        if run_id not in known:
            raise NotFoundError(f"Run {run_id[:12]} cannot end: the store saw no start of it.", run_id=run_id)
        connection.execute(f"UPDATE _runs SET {values} WHERE run_id = ?", [*_end(event, stamp), run_id])


def _end(event: RunEnded | None, stamp: str) -> tuple[Any, ...]:
    if event is None:
        return (*[None] * len(_COUNTS), False)
    return (stamp, *(getattr(event, name) for name in _COUNTS))


def find_runs(connection: Connection, query: Runs) -> list[Run]:
    """Return for_each calls, newest first."""
    limit = "" if query.limit is None else f" LIMIT {int(query.limit)}"
    rows = connection.rows(
        "SELECT run_id, function_name, function_hash, total, user_id, started, ended, "
        f"{', '.join(_COUNTS)}, configuration FROM _runs ORDER BY started DESC, seq DESC{limit}"
    )
    return [Run(*row) for row in rows]


# ------------------------------------------------------------------ failures


def _add_failures(connection: Connection, draft: State, events: Sequence[Event], stamp: str) -> None:
    rows = [_failure_row(event, stamp, number) for number, event in enumerate(events) if isinstance(event, Failed)]
    insert_rows(connection, TABLES["_failures"], rows)
    draft.has_failures = draft.has_failures or bool(rows)


def _failure_row(one: Failed, stamp: str, number: int) -> tuple[Any, ...]:
    place = place_json(one.schema)
    details = (one.error, one.message, one.traceback, one.seconds, one.lineage_id)
    return (one.run_id, place, one.version_keys, *details, stamp, number, _inputs_json(one.inputs))


def find_failures(connection: Connection, state: State, query: Failures) -> list[Failure]:
    """Return failed combinations in the order of failing."""
    if not state.has_failures:  # asked for by each run that uses results
        return []
    condition = Condition()
    if query.run_id is not None:
        condition.one_of("run_id", [query.run_id])
    if query.version_keys is not None:
        condition.one_of("version_keys", query.version_keys)
    rows = connection.rows(
        "SELECT run_id, schema, version_keys, error, message, traceback, seconds, lineage_id, timestamp, "
        f"inputs FROM _failures WHERE {condition.text()} ORDER BY timestamp, seq",
        condition.parameters,
    )
    return [Failure(*(run_id, _place(place), *details, _inputs(inputs))) for run_id, place, *details, inputs in rows]


def _inputs_json(inputs: Sequence[CallInput]) -> str:
    given = [{name: value for name, value in asdict(one).items() if value is not None} for one in inputs]
    return json.dumps(given)


def _inputs(text: str) -> tuple[CallInput, ...]:
    return tuple(CallInput(**one) for one in json.loads(text))


def place_json(schema: Mapping[str, KeyValue]) -> str:
    """Return a location as the file has it of a failure."""
    return json.dumps(
        {
            # A datetime is a date too, and their texts differ.
            name: {type(value).__name__: value.isoformat()} if isinstance(value, dt.date) else value
            for name, value in schema.items()
        },
        ensure_ascii=False,
    )


def _place(text: str) -> dict[str, KeyValue]:
    return {name: _from_json(value) for name, value in json.loads(text).items()}


def _from_json(value: Any) -> Any:
    match value:
        case {"date": text}:
            return dt.date.fromisoformat(text)
        case {"datetime": text}:
            return dt.datetime.fromisoformat(text)
    return value


# ------------------------------------------------------------------ files


def _add_exports(connection: Connection, events: Sequence[Event], stamp: str) -> None:
    seen = [event for event in events if isinstance(event, Exported)]
    rows = [(one.path, one.sha256, stamp, one.user_id, list(one.record_ids)) for one in seen]
    insert_rows(connection, TABLES["_exports"], rows)


def find_exports(connection: Connection, query: Exports) -> list[Export]:
    """Return the files into which (these) records were written, in that order."""
    with_any, ids = ("TRUE", []) if query.record_ids is None else ("list_has_any(record_ids, ?)", [query.record_ids])
    rows = connection.rows(
        f"SELECT path, sha256, timestamp, user_id, record_ids FROM _exports WHERE {with_any} ORDER BY timestamp, rowid",
        ids,
    )
    return [Export(path, digest, stamp, user, tuple(ids)) for path, digest, stamp, user, ids in rows]


# ------------------------------------------------------------------ code and environments


def find_environments(connection: Connection, query: Environments) -> list[Environment]:
    """Return these environments, in the order of their ids as given."""
    ids = list(dict.fromkeys(query.environment_ids))
    condition = Condition()
    condition.one_of("environment_id", ids)
    found = dict(
        connection.rows(
            f"SELECT environment_id, description FROM _environments WHERE {condition.text()}", condition.parameters
        )
    )
    return [Environment(name, found[name]) for name in ids if name in found]


def _add_sources(connection: Connection, events: Sequence[Event]) -> None:
    seen = [event for event in events if isinstance(event, SourceSeen)]
    if not seen:
        return
    fresh = insert_missing(
        connection,
        TABLES["_functions"],
        [
            (one.function_hash, one.function_ref, one.function_name, one.manifest, _source_index(one.sources))
            for one in seen
        ],
        key_columns=2,
    )
    # A function that is there has its sources.
    texts = [text for one in seen for text in one.sources.values()] if fresh else []
    if texts:
        insert_missing(connection, TABLES["_sources"], [(_digest(text), text) for text in texts])


def _source_index(sources: Mapping[str, str]) -> str:
    return json.dumps({name: _digest(text) for name, text in sources.items()})


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def find_sources(connection: Connection, query: Sources) -> list[Source]:
    """Return the code behind these function hashes, in their order, and of one hash by where it stands."""
    condition = Condition()
    condition.one_of("function_hash", list(dict.fromkeys(query.function_hashes)))
    rows = connection.rows(
        "SELECT function_hash, function_name, manifest, sources, function_ref FROM _functions "
        f"WHERE {condition.text()} ORDER BY function_ref",
        condition.parameters,
    )
    indexes = [json.loads(row[3]) for row in rows]
    wanted = Condition()
    wanted.one_of("source_hash", list(dict.fromkeys(digest for index in indexes for digest in index.values())))
    texts = dict(connection.rows(f"SELECT * FROM _sources WHERE {wanted.text()}", wanted.parameters))
    found: dict[str, list[Source]] = {}
    for (function_hash, name, manifest, _, reference), index in zip(rows, indexes, strict=True):
        code = {unit: texts[digest] for unit, digest in index.items()}
        found.setdefault(function_hash, []).append(Source(function_hash, name, manifest, code, reference))
    return [one for function_hash in dict.fromkeys(query.function_hashes) for one in found.get(function_hash, ())]


# ------------------------------------------------------------------ what is stored one by one


def _note_environment(connection: Connection, event: EnvironmentSeen) -> None:
    insert_missing(connection, TABLES["_environments"], [(event.environment_id, event.description)])


def _accept(connection: Connection, draft: State, event: Accepted, stamp: str) -> None:
    row = event.function_name, event.old_hash, event.new_hash, event.reason, stamp, event.user_id
    insert_rows(connection, TABLES["_accepted"], [row])
    draft.has_accepted = True


_APPLIERS: Final[dict[type, Callable[[Connection, State, Any, str], None]]] = {
    KeyAdded: lambda connection, draft, event, _: _add_key(connection, draft, event),
    KeyTyped: lambda connection, draft, event, _: _type_key(connection, draft, event),
    Renamed: _rename,
    EdgesSeen: see_edges,
    EnvironmentSeen: lambda connection, _, event, __: _note_environment(connection, event),
    Tagged: lambda connection, _, event, stamp: tag_instant(connection, event, stamp),
    Grouped: lambda connection, draft, event, _: group_variables(connection, draft, event),
    Ungrouped: lambda connection, draft, event, _: group_variables(connection, draft, event),
    Accepted: _accept,
    Answered: answer_once,
    Invalidated: invalidate,
}
