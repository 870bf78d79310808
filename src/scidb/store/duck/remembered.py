"""What is remembered of the latest at one place: what it answers, and what is put there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scidb.store.duck.places import place_at, place_texts
from scidb.store.duck.sql import asks_entry
from scidb.store.duck.types import fitting_text
from scidb.store.model import Latest, Match
from scidb.store.versions import version_fits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scidb.store.duck.state import Row, State
    from scidb.store.duck.write import Written

__all__ = ["is_one_place", "know_places", "note_written", "one_place", "remembered"]


def remembered(state: State, match: Match) -> list[Row] | None:
    """Answer from memory what asks for one variable at one complete location; None: ask the file."""
    if match.as_of is not None or asks_entry(match):
        return None
    if match.variables is None or len(match.variables) != 1 or len(match.schema) != len(state.keys):
        return None
    schema_id = one_place(state, match)
    if schema_id is None:
        return None
    [variable] = match.variables
    group = state.memory.latest.get((variable, schema_id))
    if group is None:
        return None
    rows = [group[text] for text in sorted(group)]
    if any(row.record.piece is not None for row in rows):
        return None
    return [
        row
        for row in rows
        if (variable not in match.version_keys or row.record.version_keys in match.version_keys[variable])
        and version_fits(row.record.version_keys, match.version)
    ]


def one_place(state: State, match: Match) -> int | None:
    """Return the number of the one complete location that is asked for; None: there is none, or it is not known."""
    texts: list[str | None] = []
    for key in state.keys:
        wanted = match.schema.get(key.name, ())
        if len(wanted) != 1:
            return None
        [value] = wanted
        text = None if value is None else fitting_text(key, value)
        if value is not None and text is None:
            return None
        texts.append(text)
    place = state.memory.places.get(tuple(texts))
    return None if place is None else place.schema_id


def is_one_place(state: State, query: object) -> bool:
    """Say whether a question is for everything that is the latest of one variable at one complete location."""
    if not isinstance(query, Latest) or query.limit is not None or state.has_pieces(query.match.variables):
        return False
    match = query.match
    plain = Match(variables=match.variables, schema=match.schema)
    return (
        match == plain
        and match.variables is not None
        and len(match.variables) == 1
        and len(match.schema) == len(state.keys)
        and all(len(wanted) == 1 for wanted in match.schema.values())
    )


def know_places(state: State, rows: Sequence[Row]) -> None:
    """Remember what is the latest at some places, given all of it at each of them."""
    latest: dict[tuple[str, int], dict[str, Row]] = {}
    for row in rows:
        latest.setdefault((row.record.variable, row.schema_id), {})[row.record.version_keys] = row
    for (_, schema_id), group in latest.items():
        schema = next(iter(group.values())).record.schema
        texts = place_texts(state.keys, schema)
        state.memory.places[texts] = place_at(state.keys, schema_id, texts, schema)
    state.memory.bound()
    state.memory.latest.update(latest)


def note_written(state: State, written: Written) -> None:
    """Remember what was written, as it is now in the file."""
    memory = state.memory
    memory.bound()
    for lineage_id in written.lineage_ids:
        memory.results.pop(lineage_id, None)
    memory.absent -= written.lineage_ids
    memory.results.update(written.results)
    if written.rows:
        memory.answers.clear()
    memory.places.update(written.places)
    memory.shown.update((place.schema_id, place.shown) for place in written.places.values())
    new = {written.places[texts].schema_id for texts in written.new_places}
    for row in written.rows:
        group = (row.record.variable, row.schema_id)
        known = memory.latest.get(group)
        if known is not None or row.schema_id in new:
            # Never changed in place: somebody may be reading it.
            memory.latest[group] = {**(known or {}), row.record.version_keys: row}
