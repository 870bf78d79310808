"""What has to be done for each combination: nothing, logging an earlier result again, or running the function."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from scidb.exceptions import SciDBError, SciDBWarning
from scidb.foreach.pieces import stands
from scidb.hashing import ids
from scidb.hashing.paths import missing_paths

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from scidb.foreach.config import Parameters
    from scidb.foreach.plan import Task
    from scidb.foreach.protocols import Entry, Known, Recorder, RunInfo

__all__ = ["find_state", "warn_of_lookup"]


def find_state(
    recorder: Recorder, parameters: Parameters, run: RunInfo, tasks: Sequence[Task], failed: Collection[str]
) -> None:
    """Mark what is up to date; give the rest the result of an earlier equal computation, if there was one.

    What stands at a place where a newer run `failed` is logged again, so that it is newer than the failure.
    """
    if parameters.generates_file:
        _find_generated(recorder, parameters, run, tasks)
        return
    there: list[tuple[Task, list[Entry]]] = []
    changed = []
    for task in tasks:
        if stands(run, task.lineage_id, task.standing):
            there.append((task, [entry for entry in task.standing if entry is not None]))
        elif not task.lineage_id.startswith(ids.UNCACHEABLE):
            changed.append(task)
    made = {(task.lineage_id, entry.timestamp) for task, entries in there for entry in entries}
    aside = _set_aside(recorder, run, made) if made else ()
    is_doubtful = bool(aside or failed)
    for task, entries in there:
        if is_doubtful and any((task.lineage_id, one.timestamp) in aside or one.record_id in failed for one in entries):
            changed.append(task)
        else:
            task.report.state = "up_to_date"
    known = _known(recorder, run, {task.lineage_id: task.inputs_hash for task in changed})
    for task in changed:
        earlier = known.get(task.lineage_id)
        if earlier is not None and len({record.output_num for record in earlier.records}) == len(run.outputs):
            task.known = earlier
            # Made by other code, the results of which were accepted as those of this one.
            latest = [(entry.record_id, entry.lineage_id) for entry in task.standing if entry is not None]
            is_latest = latest == [(record.record_id, record.lineage_id) for record in earlier.records]
            is_doubted = any(record_id in failed for record_id, _ in latest)
            task.report.state = "up_to_date" if is_latest and not is_doubted else "recalled"


def _find_generated(recorder: Recorder, parameters: Parameters, run: RunInfo, tasks: Sequence[Task]) -> None:
    """Mark what need not be written again: what was generated, as long as every file that is named is there."""
    if missing_paths(parameters.constants):
        return
    there = [
        task
        for task in tasks
        if not task.lineage_id.startswith(ids.UNCACHEABLE) and all(file.state for file in task.files.values())
    ]
    asked = {one: task.inputs_hash for task in there for one in (task.lineage_id, *task.alternatives)}
    known = _known(recorder, run, asked)
    for task in there:
        if any(one in known for one in (task.lineage_id, *task.alternatives)):
            task.report.state = "up_to_date"


def _known(recorder: Recorder, run: RunInfo, computations: Mapping[str, str]) -> Mapping[str, Known]:
    try:
        return recorder.known(run.function.hash, computations) if computations else {}
    except SciDBError as error:
        warn_of_lookup(run, error)
        return {}


def _set_aside(recorder: Recorder, run: RunInfo, made: Collection[tuple[str, str]]) -> Collection[tuple[str, str]]:
    try:
        return recorder.set_aside(run.function.hash, made)
    except SciDBError as error:
        warn_of_lookup(run, error)
        return made  # what may have been invalidated is not taken as it stands


def warn_of_lookup(run: RunInfo, error: SciDBError) -> None:
    """Say that results are computed, although the database may have them."""
    warnings.warn(
        f"{run.function.name}() is computed, because the database failed while it was asked for earlier results: "
        f"{error}",
        SciDBWarning,
        stacklevel=2,
    )
