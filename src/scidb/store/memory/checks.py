"""The checks of the reference store, which has neither tables nor a chain: only what refers to what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scidb.hashing.ids import is_lineage_alone
from scidb.store.model import Checked, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scidb.store.memory.state import State

__all__ = ["check_state"]


def check_state(state: State) -> Checked:
    """Say what refers to nothing."""
    counts = {"records": len(state.payloads), "entries": len(state.log)}
    return Checked((*_of_log(state), *_of_calls(state), *_of_labels(state)), counts)


def _of_log(state: State) -> Iterator[Problem]:
    logged = set()
    for entry in state.log:
        logged.add(entry.record_id)
        at = (entry.record_id, entry.variable, entry.schema, entry.version_keys, entry.timestamp)
        for is_there, what in (
            (entry.record_id in state.payloads, "a record"),
            (entry.variable in state.types, "a variable"),
            (entry.call_id is None or entry.call_id in state.calls, "a call"),
        ):
            if not is_there:
                yield Problem("reference", f"A line of the log names {what} that is not there.", *at)
    for record_id in state.payloads.keys() - logged:
        yield Problem("reference", "A record has no line in the log.", record_id=record_id)


def _known(state: State) -> set[str]:
    """Return the records that are there, or were until they were pruned."""
    return state.payloads.keys() | {line.record.record_id for line in state.pruned}


def _of_calls(state: State) -> Iterator[Problem]:
    records = _known(state)
    for call in state.calls.values():
        if call.run_id is not None and call.run_id not in state.runs:
            yield Problem("reference", f"A call is of a run that is not there: {call.run_id}.")
        for one in call.inputs:
            known = one.record_id is None or is_lineage_alone(one.record_id) or one.record_id in records
            if not known:
                yield Problem("reference", f"A call used a record that is not there: {one.record_id}.")


def _of_labels(state: State) -> Iterator[Problem]:
    records = _known(state)
    for _, event in state.flags:
        for record_id in event.record_ids:
            if not is_lineage_alone(record_id) and record_id not in records:
                yield Problem("reference", "A flag is on a record that is not there.", record_id=record_id)
