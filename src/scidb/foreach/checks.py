"""What the database tells of columns before anything runs: those that are missing, and those of one name."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from scidb.exceptions import PipelineError
from scidb.foreach.columns import missing_columns
from scidb.foreach.merged import clash

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scidb.foreach.config import Parameters, VariableInput
    from scidb.foreach.plan import Task
    from scidb.foreach.protocols import Recorder

__all__ = ["check_columns", "check_one_place"]

_Labels: TypeAlias = "tuple[object, ...] | None"
"""The labels of the columns of a value, (None,) for a column without a label; None where nobody knows."""


def check_one_place(parameters: Parameters, tasks: Sequence[Task]) -> None:
    """Refuse a merge of inputs that have several values per combination, unless a table of places is asked for.

    Raises
    ------
    PipelineError
        Naming the input, and the keys that it has beside those of the combinations.

    """
    for parameter, specs in parameters.merges.items():
        for spec in specs:
            entries = next((t.entries[spec.name] for t in tasks if not spec.as_table and spec.name in t.together), None)
            if entries:
                task = next(task for task in tasks if task.entries[spec.name] is entries)
                further = ", ".join(key for key in entries[0].schema if key not in task.combination)
                raise PipelineError(
                    f"Merge for {parameter!r} takes one value of each input, and {spec.label} has {len(entries)} at "
                    f"{_place(task.combination)}. Add the keys to for_each ({further}), or give as_table="
                    f"[{parameter!r}] for one table of all places."
                )


def check_columns(recorder: Recorder, parameters: Parameters, tasks: Sequence[Task]) -> None:
    """Fail combinations for which columns are missing or clash, as far as the database tells without their values.

    Raises
    ------
    PipelineError
        When that holds for every combination; then the call cannot be meant so.

    """
    present = [task for task in tasks if task.report.state != "skipped"]
    for specs in parameters.loaded.values():
        is_merge = specs[0].parameter in parameters.merges
        if not present or not (is_merge or specs[0].columns):
            continue
        labels = _labels(recorder, specs, present)
        known: dict[tuple[_Labels, ...], PipelineError | None] = {}
        for task in present:
            found = [list(dict.fromkeys(labels[e.record_id, s.name] for e in task.entries[s.name])) for s in specs]
            for alike in zip(*found, strict=False) if is_merge else ((one,) for one in found[0]):
                if alike not in known:
                    known[alike] = _problem(specs, alike)
                task.problem = task.problem or known[alike]
        _fail(present)


def _labels(
    recorder: Recorder, specs: Sequence[VariableInput], tasks: Sequence[Task]
) -> Mapping[tuple[str, str], _Labels]:
    return {
        (record_id, spec.name): labels
        for spec in specs
        for record_id, labels in recorder.column_labels(
            spec.variable, [entry for task in tasks for entry in task.entries[spec.name]]
        ).items()
    }


def _problem(specs: Sequence[VariableInput], labels: Sequence[_Labels]) -> PipelineError | None:
    named = []
    for spec, there in zip(specs, labels, strict=True):
        if spec.columns is not None and there is not None and (problem := missing_columns(spec.columns, there)):
            return problem
        own = there if spec.columns is None else spec.columns.columns
        named.append((spec.label, [spec.column_name if label is None else label for label in own or ()]))
    return clash(named) if len(specs) > 1 else None


def _fail(tasks: Sequence[Task]) -> None:
    failed = [task for task in tasks if task.problem is not None]
    if failed and len(failed) == len(tasks):
        raise failed[0].problem  # type: ignore[misc]  # it has one
    for task in failed:
        task.report.state = "failed"
        task.report.reason = f"{type(task.problem).__name__}: {task.problem}"


def _place(place: Mapping[str, object]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in place.items()) or "the whole dataset"
