"""What the function receives for one combination, put together from what was loaded."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from scidb.exceptions import UnsupportedValueError
from scidb.foreach.seeds import RNG
from scidb.foreach.values import snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scidb.foreach.config import Parameters
    from scidb.foreach.plan import Task
    from scidb.foreach.protocols import Recorder

__all__ = ["Arguments"]


class Arguments:
    """The arguments of each combination of a call."""

    def __init__(self, recorder: Recorder, parameters: Parameters, metadata_keys: Sequence[str]) -> None:
        self._recorder, self._parameters, self._metadata_keys = recorder, parameters, metadata_keys

    def of(self, task: Task, values: Mapping[str, Any], uses: Mapping[str, int]) -> dict[str, Any]:
        """Return the arguments of a combination; `values` and the number of their uses are given by record id."""
        arguments: dict[str, Any] = {}
        for name, value in self._parameters.constants.items():
            arguments[name] = _own_copy(value)
        for spec in self._parameters.variables:
            entries = task.entries[spec.name]
            # A function may change what it is given; the next combination must not see that.
            given = [
                copy.deepcopy(values[e.record_id]) if uses[e.record_id] > 1 else values[e.record_id] for e in entries
            ]
            if spec.as_table:
                arguments[spec.name] = self._recorder.table(spec.variable, entries, given)
            else:
                arguments[spec.name] = given if spec.name in task.together else given[0]
        arguments.update((name, file.path) for name, file in task.files.items())
        arguments.update({key: task.combination[key] for key in self._metadata_keys})
        if self._parameters.seed is not None:
            arguments[RNG] = self._parameters.seed.generator(task.combination)
        return arguments


def _own_copy(constant: Any) -> Any:
    """Return a copy, so that one combination cannot change a constant for the next; a lock or the like is shared."""
    try:
        return snapshot(constant)
    except UnsupportedValueError:
        return constant
