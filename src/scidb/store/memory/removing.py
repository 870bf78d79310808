"""How the reference store removes lines of its log, and what it still knows of them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from scidb.store.model import REMOVED_CALL, Export, PrunedLine, Removed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from scidb.store.memory.state import State
    from scidb.store.model import Record, Removal

__all__ = ["remove"]


def remove(state: State, removal: Removal, stamp: str) -> Removed:
    """Remove what is asked for, and note that."""
    if done := [one for one in state.removals if one.removal_id == removal.removal_id]:
        return done[0]
    wanted = {(line.record_id, line.timestamp, line.seq) for line in removal.lines}
    gone = [one for one in state.log if _key(one) in wanted]
    state.log = [one for one in state.log if _key(one) not in wanted]
    left = {one.record_id for one in state.log}
    lost = {one.record_id for one in gone} - left
    nbytes = sum(state.payloads.pop(record_id).nbytes for record_id in lost)
    if removal.kind == "prune":
        state.pruned += [PrunedLine(one, stamp, removal.reason, removal.user_id) for one in gone]
        state.pruned.sort(key=lambda one: (one.record.timestamp, one.record.seq))
    if removal.kind == "erase":
        state.pruned = [one for one in state.pruned if _key(one.record) not in wanted]
        _forget(state, removal, {line.record_id for line in removal.lines} - left)
    said = (removal.removal_id, removal.kind, removal.reason, len(gone), len(lost), nbytes, stamp, removal.user_id)
    removed = Removed(*said)
    state.removals.append(removed)
    return removed


def _key(one: Record) -> tuple[str, str, int]:
    return one.record_id, one.timestamp, one.seq


def _forget(state: State, removal: Removal, lost: Collection[str]) -> None:
    """Forget everything that tells of what was erased."""
    erased = set(removal.calls)
    called = {state.calls[one].computation.lineage_id for one in erased & state.calls.keys()}
    for call_id in erased:
        state.calls.pop(call_id, None)
    for call in state.calls.values():
        if call.recalled_from in erased:
            state.calls[call.call_id] = replace(call, recalled_from=REMOVED_CALL + removal.removal_id)
    unmade = called - {call.computation.lineage_id for call in state.calls.values()}
    state.hits = [(hit, stamp) for hit, stamp in state.hits if hit.lineage_id not in unmade]
    state.invalidations = [one for one in state.invalidations if one.lineage_id not in unmade]
    state.flags = [
        (stamp, replace(event, record_ids=left))
        for stamp, event in state.flags
        if (left := _without(event.record_ids, lost)) or not event.record_ids
    ]
    state.exports = [
        one if left == one.record_ids else Export(one.path, one.sha256, one.timestamp, one.user_id, left)
        for one in state.exports
        if (left := _without(one.record_ids, lost)) or not one.record_ids
    ]
    stamps = {line.timestamp for line in removal.lines}
    state.answers = {place: one for place, one in state.answers.items() if one.timestamp not in stamps}
    failed = {(one.run_id, one.timestamp, _text(one.schema), one.version_keys) for one in removal.failures}
    state.failures = [
        one for one in state.failures if (one.run_id, one.timestamp, _text(one.schema), one.version_keys) not in failed
    ]
    for run_id in removal.runs:
        if run_id in state.runs:
            state.runs[run_id] = replace(state.runs[run_id], configuration=None)


def _without(ids: Iterable[str], lost: Collection[str]) -> tuple[str, ...]:
    return tuple(one for one in ids if one not in lost)


def _text(schema: object) -> str:
    return json.dumps(schema, default=repr)
