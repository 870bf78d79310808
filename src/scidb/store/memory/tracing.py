"""Where records came from and what was made from them, walked over the calls of the reference store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scidb.store.memory.edges import current_edges
from scidb.store.model import (
    Trace,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scidb.store.memory.state import State
    from scidb.store.model import Call, Record, TraceQuery

__all__ = ["walk"]


def walk(state: State, query: TraceQuery) -> Trace:
    """Return the calls up- or downstream of the records, nearest first, with what they used and made."""
    step = _makers if query.direction == "up" else _users
    calls: dict[str, Call] = {}
    named = [state.calls[call_id] for call_id in query.call_ids if call_id in state.calls]
    frontier = [*_first(state, query), *named]
    distance = 0
    while frontier and (query.depth is None or distance < query.depth):
        fresh = [call for call in frontier if call.call_id not in calls]
        calls.update((call.call_id, call) for call in fresh)
        frontier = [following for call in fresh for following in step(state, call)]
        distance += 1
    return Trace(
        calls=tuple(calls.values()),
        records=tuple(_named(state, query, calls)),
        edges=tuple(current_edges(state)) if query.edges else (),
    )


def _first(state: State, query: TraceQuery) -> list[Call]:
    if query.direction == "down":
        wanted = set(query.record_ids)
        return [call for call in state.calls.values() if any(one.record_id in wanted for one in call.inputs)]
    newest = {entry.record_id: entry for entry in state.log}
    starts = [newest[record_id] for record_id in query.record_ids if record_id in newest]
    return [state.calls[entry.call_id] for entry in starts if entry.call_id in state.calls]


def _makers(state: State, call: Call) -> list[Call]:
    named = [one.input_call_id for one in call.inputs]
    return [state.calls[call_id] for call_id in named if call_id in state.calls]


def _users(state: State, call: Call) -> list[Call]:
    """Return the calls that took what this one made, saved (by record) or handed on unsaved (by call)."""
    lines = (*state.log, *(one.record for one in state.pruned))
    made = {entry.record_id for entry in lines if entry.call_id == call.call_id}
    return [
        user
        for user in state.calls.values()
        if any(
            one.input_call_id == call.call_id if one.record_id is None else one.record_id in made for one in user.inputs
        )
    ]


def _named(state: State, query: TraceQuery, calls: Mapping[str, Call]) -> Iterator[Record]:
    names = set(query.record_ids)
    names.update(one.record_id for call in calls.values() for one in call.inputs if one.record_id)
    names.update(entry.record_id for entry in state.log if entry.call_id in calls)
    newest = {entry.record_id: entry for entry in state.log if entry.record_id in names}
    yield from newest.values()
