"""Flags of the reference store, and everything that rests on them."""

from __future__ import annotations

from collections import defaultdict
from heapq import merge
from typing import TYPE_CHECKING

from scidb.store.model import Flag, Flagged, Flags, Mark, Marks

if TYPE_CHECKING:
    from scidb.store.memory.state import State
    from scidb.store.model import Match

__all__ = ["find_flags", "find_marks", "left_out"]


def find_flags(state: State, query: Flags) -> list[Flag]:
    """Return the flags that stand, in the order of flagging."""
    standing: dict[tuple[str, bool, str], Flag] = {}
    for stamp, event in state.flags:
        if query.as_of is not None and stamp > query.as_of:
            continue
        for record_id in event.record_ids:
            if query.record_ids is not None and record_id not in query.record_ids:
                continue
            key = (record_id, event.is_pin, event.reason)
            if isinstance(event, Flagged):
                standing.setdefault(key, Flag(record_id, event.reason, event.is_pin, stamp, event.user_id))
            else:
                standing.pop(key, None)
    return list(standing.values())


def find_marks(state: State, query: Marks) -> list[Mark]:
    """Return on which flags records rest."""
    lines = merge(state.log, (one.record for one in state.pruned), key=lambda one: (one.timestamp, one.seq))
    newest = {one.record_id: one for one in lines if query.as_of is None or one.timestamp <= query.as_of}
    made: dict[str, list[str]] = defaultdict(list)  # by a call, as the newest entry of the record says
    for record_id, entry in newest.items():
        made[entry.call_id or ""].append(record_id)
    takers: dict[str, list[str]] = defaultdict(list)  # of a record, or of what a call handed on unsaved
    for call in state.calls.values():
        for one in call.inputs:
            takers[one.record_id or one.input_call_id or ""].append(call.call_id)
    marks: set[Mark] = set()
    for flag in find_flags(state, Flags(as_of=query.as_of)):
        if flag.is_pin or (query.reasons is not None and flag.reason not in query.reasons):
            continue
        marks.add(Mark(flag.record_id, flag.record_id, flag.reason))
        pending, seen = list(takers[flag.record_id]), set[str]()
        while pending:
            call_id = pending.pop()
            if call_id in seen:
                continue
            seen.add(call_id)
            pending += takers[call_id]
            for record_id in made[call_id]:
                marks.add(Mark(record_id, flag.record_id, flag.reason))
                pending += takers[record_id]
    return sorted(mark for mark in marks if query.record_ids is None or mark.record_id in query.record_ids)


def left_out(state: State, match: Match) -> set[str]:
    """Return the records that a match leaves out because of flags."""
    if match.exclude is False or not state.flags:
        return set()
    reasons = None if match.exclude is True else match.exclude
    return {mark.record_id for mark in find_marks(state, Marks(reasons=reasons, as_of=match.as_of))}
