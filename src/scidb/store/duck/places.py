"""Locations: the schema_id of each combination of key values, found or given."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from scidb.store.duck.insert import insert_named
from scidb.store.duck.sql import Condition, check_keys, quote
from scidb.store.duck.tables import TABLES, Table
from scidb.store.duck.types import integer_type, key_text
from scidb.store.duck.views import create_views

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from scidb.store.duck.connection import Connection
    from scidb.store.duck.state import State
    from scidb.store.model import KeyValue, SchemaKey

__all__ = ["Place", "Places", "find_places", "place_at", "place_texts"]

Texts = tuple[str | None, ...]

_FEW = 4


class Place(NamedTuple):
    """One location: its number, as texts of its given keys, and as records show it."""

    schema_id: int
    level: str | None
    texts: Mapping[str, str]
    shown: Mapping[str, KeyValue]


@dataclass(frozen=True, slots=True)
class Places:
    """The locations of some entries: for each entry its texts, for each texts the place, and which are new."""

    texts: Sequence[Texts]
    known: Mapping[Texts, Place]
    new: Collection[Texts]


def find_places(connection: Connection, draft: State, schemas: Sequence[Mapping[str, KeyValue]]) -> Places:
    """Return the place of each location, making those that are not there."""
    texts = [place_texts(draft.keys, schema) for schema in schemas]
    remembered = draft.memory.places
    known, missing = {}, {}
    for one, schema in zip(texts, schemas, strict=True):
        if (place := remembered.get(one)) is not None:
            known[one] = place
        else:
            missing[one] = schema
    found = _search(connection, draft.keys, list(missing)) if missing else {}
    new = [one for one in missing if one not in found]
    first = draft.clockwork.schema_id + 1
    numbers = {**found, **dict(zip(new, itertools.count(first), strict=False))}
    draft.clockwork = replace(draft.clockwork, schema_id=first - 1 + len(new))
    for one, schema in missing.items():
        known[one] = place_at(draft.keys, numbers[one], one, schema)
    rows = [(numbers[one], known[one].level, *one) for one in new]
    insert_named(connection, _table(draft.keys), rows)
    _widen(connection, draft, new)
    levels = {tuple(text is not None for text in one) for one in new}
    names = [key.name for key in draft.keys]
    draft.levels = draft.levels.union(frozenset(itertools.compress(names, has)) for has in levels)
    return Places(texts, known, frozenset(new))


def place_at(keys: Sequence[SchemaKey], schema_id: int, texts: Texts, schema: Mapping[str, KeyValue]) -> Place:
    """Return the location of this number, given as texts and as values."""
    given = {key.name: text for key, text in zip(keys, texts, strict=True) if text is not None}
    return Place(schema_id, next(reversed(given), None), given, {name: schema[name] for name in given})


def place_texts(keys: Sequence[SchemaKey], schema: Mapping[str, KeyValue]) -> Texts:
    """Return a location as the file has it: one text, or None, for each key in order."""
    texts = tuple([key_text(key, schema[key.name]) if key.name in schema else None for key in keys])
    if len(schema) != len(keys) - texts.count(None):
        check_keys(keys, schema)
    return texts


def _widen(connection: Connection, draft: State, new: Sequence[Texts]) -> None:
    """Have the views show integers of whatever size."""
    wide = dict(draft.wide)
    for number, key in enumerate(draft.keys):
        if key.value_type == "int":
            kind = integer_type((text for texts in new if (text := texts[number])), wide.get(key.name, "BIGINT"))
            if kind != "BIGINT":
                wide[key.name] = kind
    if wide != draft.wide:
        draft.wide = wide
        create_views(connection, draft, list(draft.variables))


def _table(keys: Sequence[SchemaKey]) -> Table:
    own = TABLES["_schema"]
    return replace(own, columns=(*own.columns, *((key.name, "VARCHAR") for key in keys)))


def _search(connection: Connection, keys: Sequence[SchemaKey], wanted: Sequence[Texts]) -> dict[Texts, int]:
    columns = [quote(key.name) for key in keys]
    shown = "".join(f", s.{column}" for column in columns)
    if len(wanted) <= _FEW:
        places = [_is_at(columns, texts) for texts in wanted]
        rows = connection.rows(
            f"SELECT s.schema_id{shown} FROM _schema s WHERE {' OR '.join(place.text() for place in places)}",
            [text for place in places for text in place.parameters],
        )
    else:
        cells = list(zip(*wanted, strict=True))
        table = pa.table([pa.array(column, pa.string()) for column in cells], names=[key.name for key in keys])
        same = " AND ".join(
            f"s.{column} {'IS NOT DISTINCT FROM' if None in texts else '='} w.{column}"
            for column, texts in zip(columns, cells, strict=True)
        )
        found = connection.table(f"SELECT s.schema_id{shown} FROM _schema s JOIN wanted w ON {same}", wanted=table)
        rows = list(zip(*(column.to_pylist() for column in found.columns), strict=True))
    return {tuple(row[1:]): row[0] for row in rows}


def _is_at(columns: Sequence[str], texts: Texts) -> Condition:
    """Return the condition that a location ``s`` has these texts."""
    # IS NOT DISTINCT FROM would say it shorter, and read every location.
    place = Condition()
    for column, text in zip(columns, texts, strict=True):
        if text is None:
            place.add(f"s.{column} IS NULL")
        else:
            place.one_of(f"s.{column}", [text])
    return place
