"""What has to be done for each combination: nothing, logging an earlier result again, or running the function."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING

from scidb.exceptions import SciDBError, SciDBWarning
from scidb.hashing import ids

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from scidb.foreach.config import Parameters
    from scidb.foreach.plan import Standing, Task
    from scidb.foreach.protocols import Entry, Known, Recorder, RunInfo

__all__ = ["find_state", "warn_of_lookup"]


def find_state(
    recorder: Recorder, parameters: Parameters, run: RunInfo, tasks: Sequence[Task], standing: Standing
) -> None:
    """Mark what is up to date; give the rest the result of an earlier equal computation, if there was one."""
    if parameters.generates_file:
        _find_generated(recorder, parameters, run, tasks)
        return
    stand: list[tuple[Task, list[Entry]]] = []
    changed = []
    for task in tasks:
        at = frozenset(task.combination.items())
        found = [standing.get((output.__name__, at)) for output in run.outputs]
        if all(e and e.lineage_id == task.lineage_id and e.output_num == n for n, e in enumerate(found)):
            stand.append((task, [entry for entry in found if entry is not None]))
        elif not task.lineage_id.startswith(ids.UNCACHEABLE):
            changed.append(task)
    made = {(task.lineage_id, entry.timestamp) for task, entries in stand for entry in entries}
    aside = _set_aside(recorder, run, made) if made else ()
    for task, entries in stand:
        if any((task.lineage_id, entry.timestamp) in aside for entry in entries):
            changed.append(task)
        else:
            task.report.state = "up_to_date"
    known = _known(recorder, run, {task.lineage_id: task.inputs_hash for task in changed})
    for task in changed:
        earlier = known.get(task.lineage_id)
        if earlier is not None and len(earlier.records) == len(run.outputs):
            task.known = earlier
            # Made by other code, the results of which were accepted as those of this one.
            is_latest = _stands(run, task, standing) == [(one.record_id, one.lineage_id) for one in earlier.records]
            task.report.state = "up_to_date" if is_latest else "recalled"


def _stands(run: RunInfo, task: Task, standing: Standing) -> list[tuple[str, str | None]]:
    at = frozenset(task.combination.items())
    found = [standing.get((output.__name__, at)) for output in run.outputs]
    return [(entry.record_id, entry.lineage_id) for entry in found if entry is not None]


def _find_generated(recorder: Recorder, parameters: Parameters, run: RunInfo, tasks: Sequence[Task]) -> None:
    """Mark what need not be written again: what was generated, as long as every file that is named is there."""
    paths = [value for value in parameters.constants.values() if isinstance(value, os.PathLike)]
    if any(not os.path.exists(path) for path in paths):  # noqa: PTH110 - any path-like object, not only pathlib's
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
