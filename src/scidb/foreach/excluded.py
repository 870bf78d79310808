"""What flags leave of the inputs of a call: asked once for all of them, and said per combination."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scidb.foreach.config import VariableInput
    from scidb.foreach.plan import Task
    from scidb.foreach.protocols import Entry, Recorder

__all__ = ["leave_out_flagged"]


def leave_out_flagged(
    recorder: Recorder, specs: Sequence[VariableInput], tasks: Sequence[Task], exclude: bool | tuple[str, ...]
) -> None:
    """Take from each task the entries that rest on these flags; a task that has none left of an input is skipped.

    Nothing takes the place of what is left out, no coarser value either.
    """
    entries = [entry for task in tasks for spec in specs for entry in task.entries[spec.name]]
    why = recorder.flagged_among(entries, exclude)
    if not why:
        return
    tables = [spec for spec in specs if spec.as_table and spec.parameter != spec.name]
    for task in tasks:
        _leave_out_places(tables, task, why)
        for spec in specs:
            found = task.entries[spec.name]
            task.entries[spec.name] = [entry for entry in found if entry.record_id not in why]
            if found and not task.entries[spec.name]:
                task.report.state, task.report.is_excluded = "skipped", True
                task.report.reason = task.report.reason or _reason(found, why)


def _leave_out_places(specs: Sequence[VariableInput], task: Task, why: Mapping[str, str]) -> None:
    """Leave out of the other parts of a merge what stands at the places that one part is left out of."""
    gone = [
        (spec, spec.place_of(entry).items())
        for spec in specs
        for entry in task.entries[spec.name]
        if entry.record_id in why
    ]
    for spec in specs:
        own = [place for other, place in gone if other.parameter == spec.parameter and other is not spec]
        task.entries[spec.name] = [
            entry
            for entry in task.entries[spec.name]
            if entry.record_id in why or not any(place <= spec.place_of(entry).items() for place in own)
        ]


def _reason(found: Sequence[Entry], why: Mapping[str, str]) -> str:
    first = found[0]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{first.variable} at {_place(first.schema)} is left out: {why[first.record_id]}{more}"


def _place(place: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in place.items()) or "the whole dataset"
