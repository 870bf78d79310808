"""What a filter leaves of the inputs of a call: each at its own locations, by one look-up per variable."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, TypeAlias

from scidb.exceptions import FilterError
from scidb.filters import coarser_than

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scidb.filters import Filter
    from scidb.foreach.config import VariableInput
    from scidb.foreach.plan import Task
    from scidb.foreach.protocols import Entry, Recorder

__all__ = ["leave_out"]

_Key: TypeAlias = "tuple[frozenset[tuple[str, Any]], str]"


def leave_out(recorder: Recorder, specs: Sequence[VariableInput], tasks: Sequence[Task], where: Filter) -> None:
    """Take from each task the entries for which the filter does not hold, and mark the tasks that have none left.

    An input that is coarser than everything the filter looks at is left as it is.

    Raises
    ------
    FilterError
        When that holds for every input, or the filter does not fit one.

    """
    by_variable: dict[str, list[VariableInput]] = defaultdict(list)
    for spec in specs:
        by_variable[spec.variable.__name__].append(spec)
    is_coarser = coarser_than(where, recorder.filter_levels(where))
    is_used = False
    for own in by_variable.values():
        used = [entry for task in tasks for spec in own for entry in task.entries[spec.name]]
        levels = {frozenset(entry.schema) for entry in used}
        if levels and all(map(is_coarser, levels)):
            continue
        is_used = True
        if used:
            passing = recorder.passing(own[0].variable, _places(recorder.schema_keys, used), where)
            _keep(tasks, [spec.name for spec in own], {_key(entry) for entry in passing})
    if not is_used:
        raise FilterError(
            f"where={where.to_key()} filters no input of this call: each is fixed, a constant, a file, or stored at a "
            "coarser level than what the filter looks at. Filter by a variable at the level of an input, or above it.",
            filter=where.to_key(),
        )


def _places(keys: Iterable[str], entries: Sequence[Entry]) -> dict[str, tuple[Any, ...]]:
    """Return the values that the entries have of each key, so that a look-up goes not far beyond them."""
    return {key: tuple(dict.fromkeys(entry.schema.get(key) for entry in entries)) for key in keys}


def _keep(tasks: Sequence[Task], names: Sequence[str], passing: set[_Key]) -> None:
    for task in tasks:
        for name in names:
            if entries := task.entries[name]:
                task.entries[name] = [entry for entry in entries if _key(entry) in passing]
                task.is_left_out |= not task.entries[name]


def _key(entry: Entry) -> _Key:
    return frozenset(entry.schema.items()), entry.version_keys
