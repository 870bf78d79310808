"""What the function receives for one combination, put together from what was loaded."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from scidb.exceptions import UnsupportedValueError
from scidb.foreach.columns import selected
from scidb.foreach.merged import Matches, Part, merged, merged_by_place
from scidb.foreach.seeds import RNG
from scidb.foreach.values import snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from scidb.foreach.config import Parameters, VariableInput
    from scidb.foreach.plan import Task
    from scidb.foreach.protocols import Entry, Recorder

__all__ = ["Arguments"]


class Arguments:
    """The arguments of each combination of a call."""

    def __init__(self, recorder: Recorder, parameters: Parameters, metadata_keys: Sequence[str]) -> None:
        self._recorder, self._parameters, self._metadata_keys = recorder, parameters, metadata_keys
        self._loaded = parameters.loaded

    def of(self, task: Task, values: Mapping[str, Any], uses: Mapping[str, int]) -> dict[str, Any]:
        """Return the arguments of a combination; `values` and the number of their uses are given by record id."""
        arguments: dict[str, Any] = {}
        for name, value in self._parameters.constants.items():
            arguments[name] = _own_copy(value)
        for parameter, specs in self._loaded.items():
            given = [self._given(spec, task.entries[spec.name], values, uses) for spec in specs]
            if parameter in self._parameters.merges:
                arguments[parameter] = self._merged(specs, task, given)
            elif specs[0].as_table:
                entries = task.entries[parameter]
                arguments[parameter] = self._recorder.table(specs[0].variable, entries, given[0])
            else:
                arguments[parameter] = given[0] if parameter in task.together else given[0][0]
        arguments.update((name, file.path) for name, file in task.files.items())
        arguments.update({key: task.combination[key] for key in self._metadata_keys})
        if self._parameters.seed is not None:
            arguments[RNG] = self._parameters.seed.generator(task.combination)
        return arguments

    def _given(
        self, spec: VariableInput, entries: Sequence[Entry], values: Mapping[str, Any], uses: Mapping[str, int]
    ) -> list[Any]:
        """Return the values of an input, or their columns; those that are used again, as copies."""
        found = []
        for entry in entries:
            value = values[entry.record_id]
            part = value if spec.columns is None else selected(value, spec.columns)
            # A function may change what it is given; the next combination must not see that.
            found.append(copy.deepcopy(part) if uses[entry.record_id] > 1 else part)
        return found

    def _merged(self, specs: Sequence[VariableInput], task: Task, given: Sequence[Sequence[Any]]) -> pd.DataFrame:
        named = [(spec.label, spec.column_name) for spec in specs]
        if not specs[0].as_table:
            return merged([Part(*names, value) for names, (value,) in zip(named, given, strict=True)])
        places = [[spec.place_of(entry) for entry in task.entries[spec.name]] for spec in specs]
        matches = [Matches(*names, at, own) for names, at, own in zip(named, places, given, strict=True)]
        return merged_by_place(matches, self._recorder.schema_keys)


def _own_copy(constant: Any) -> Any:
    """Return a copy, so that one combination cannot change a constant for the next; a lock or the like is shared."""
    try:
        return snapshot(constant)
    except UnsupportedValueError:
        return constant
