"""How what a parameter is given of the database enters the identity of a call: by content, as the function gets it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scidb.hashing.ids import columns_form, encoded_form, merge_form

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scidb.foreach.config import Parameters, VariableInput
    from scidb.foreach.plan import Task
    from scidb.foreach.protocols import Entry
    from scidb.hashing.ids import Form

__all__ = ["InputForms"]


class InputForms:
    """The forms of the variables of one call of for_each; one that many combinations share is made once."""

    def __init__(self, parameters: Parameters) -> None:
        self._unwrap = parameters.unwrap
        self._loaded = parameters.loaded
        self._merges = parameters.merges
        self._single: dict[str, dict[str, bytes]] = {spec.name: {} for spec in parameters.variables}

    def of(self, task: Task) -> list[bytes]:
        """Return the forms of a combination, encoded, by parameter."""
        return [
            self._merged(specs, task) if parameter in self._merges else self._alone(specs[0], task)
            for parameter, specs in self._loaded.items()
        ]

    def _alone(self, spec: VariableInput, task: Task) -> bytes:
        if spec.name not in task.together:
            entry = task.entries[spec.name][0]
            known = self._single[spec.name]
            form = known.get(entry.record_id)
            if form is None:
                form = known[entry.record_id] = encoded_form(self._form(spec, entry))
            return form
        rows = self._at_places(spec, task.entries[spec.name])
        if not spec.as_table:
            return encoded_form(["list", rows])
        versions = [entry.version_keys for entry in task.entries[spec.name]]
        with_versions = [[*row, version] for row, version in zip(rows, versions, strict=True)]
        return encoded_form(["table", spec.variable.__name__, with_versions])

    def _merged(self, specs: Sequence[VariableInput], task: Task) -> bytes:
        parts = []
        for spec in specs:
            entries = task.entries[spec.name]
            form = ["list", self._at_places(spec, entries)] if spec.as_table else self._form(spec, entries[0])
            # Of columns, their labels are in the form already.
            parts.append(("" if spec.columns else spec.variable.__name__, form))
        return encoded_form(merge_form(parts))

    def _at_places(self, spec: VariableInput, entries: Sequence[Entry]) -> list[list[object]]:
        return [[self._form(spec, entry), spec.place_of(entry)] for entry in entries]

    def _form(self, spec: VariableInput, entry: Entry) -> Form:
        form = spec.variable.form_from(entry, unwrap=self._unwrap)
        return form if spec.columns is None else columns_form(spec.columns.columns, form, single=spec.columns.is_single)
