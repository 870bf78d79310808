"""What each combination needs, what identifies it, and what therefore has to be done.

Everything is looked up per call, not per combination: the entries of each input once, the standing outputs
once, the known computations once.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scidb.exceptions import AmbiguousVersionError
from scidb.foreach.inputs import MatchIndex, file_input
from scidb.foreach.report import CombinationReport
from scidb.hashing import ids
from scidb.hashing.inputs import Input, identify_input

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from scidb.foreach.config import Parameters, VariableInput
    from scidb.foreach.protocols import Entry, Recorder, RunInfo
    from scidb.hashing.inputs import CallInput

__all__ = ["Task", "plan_tasks"]


@dataclass(slots=True)
class Task:
    """One combination: its inputs, its identity, and its place in the report."""

    report: CombinationReport
    entries: dict[str, list[Entry]] = field(default_factory=dict)
    together: set[str] = field(default_factory=set)  # inputs that are given as a list of all their entries
    files: dict[str, Path] = field(default_factory=dict)
    origins: tuple[CallInput, ...] = ()
    lineage_id: str = ""
    inputs_hash: str = ""
    known: tuple[Entry, ...] = ()

    @property
    def combination(self) -> Mapping[str, Any]:
        """The key values of this task."""
        return self.report.combination


def plan_tasks(
    recorder: Recorder,
    parameters: Parameters,
    run: RunInfo,
    combinations: Sequence[dict[str, Any]],
    *,
    metadata_keys: Sequence[str],
    reuse: bool,
) -> list[Task]:
    """Find the inputs and the state of every combination.

    Raises
    ------
    AmbiguousVersionError
        When an input matches several variants at one location.

    """
    tasks = [Task(CombinationReport(combination)) for combination in combinations]
    keys = tuple(combinations[0]) if combinations else ()
    for spec in parameters.variables:
        _find_entries(recorder, spec, tasks, keys)
    _find_files(parameters, tasks)
    runnable = [task for task in tasks if task.report.state != "skipped"]
    _identify(parameters, run, runnable, metadata_keys)
    if reuse:
        _find_state(recorder, run, runnable)
    for task in runnable:
        if task.report.state == "not_run":
            task.report.state = "completed"
    return tasks


# ------------------------------------------------------------------ inputs


def _find_entries(recorder: Recorder, spec: VariableInput, tasks: list[Task], keys: tuple[str, ...]) -> None:
    at = {key: recorder.key_value(key, value) for key, value in spec.fixed.items() if key in recorder.schema_keys}
    version = {key: value for key, value in spec.fixed.items() if key not in at}
    schema: dict[str, Sequence[Any]] = {key: (value,) for key, value in at.items()}
    for key in keys:
        if key not in at:
            schema[key] = (*dict.fromkeys(task.combination[key] for task in tasks), None)
    index = MatchIndex(recorder.candidates(spec.variable, schema, version), (*keys, *at))
    for task in tasks:
        place = {**task.combination, **at}
        found = index.several(place) if not index.at_level(place) else []
        if found or spec.as_table:
            task.together.add(spec.name)
        found = found or index.one(place)
        if not found:
            task.report.state = "skipped"
            task.report.reason = task.report.reason or f"no {spec.variable.__name__} at {_place(place)}"
        _check_one_variant(spec, found, place)
        task.entries[spec.name] = found


def _place(place: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in place.items()) or "any location"


def _check_one_variant(spec: VariableInput, found: Iterable[Entry], place: Mapping[str, Any]) -> None:
    """Refuse matches that differ only in version keys: a list of variants is never what was meant."""
    variants: dict[tuple[tuple[str, Any], ...], list[Entry]] = defaultdict(list)
    for entry in found:
        variants[tuple(entry.schema.items())].append(entry)
    for entries in variants.values():
        if len(entries) > 1:
            name = spec.variable.__name__
            key, values = _difference(entries)
            choice = f"Fixed({name}, {key}={values[0]!r})"
            raise AmbiguousVersionError(
                f"The input {spec.name!r} matches {len(entries)} variants of {name} at {_place(place)}, which differ "
                f"in {key}: {', '.join(repr(value) for value in values)}. Choose one, for example {choice}, or run "
                "for_each once for each of them.",
                variable=name,
                key=key,
            )


def _difference(entries: Sequence[Entry]) -> tuple[str, list[Any]]:
    """Return the version key that tells the entries apart best; a user's own before for_each's."""
    versions = [json.loads(entry.version_keys) for entry in entries]
    names = sorted({name for version in versions for name in version}, key=lambda name: (name.startswith("__"), name))
    for name in names:
        values = [version.get(name) for version in versions]
        distinct = [value for i, value in enumerate(values) if value not in values[:i]]
        if len(distinct) > 1:
            return name, distinct
    return names[0] if names else "version keys", versions


def _find_files(parameters: Parameters, tasks: list[Task]) -> None:
    for name, spec in parameters.paths.items():
        for task in tasks:
            path = spec.resolve(task.combination)
            if not path.is_file():
                task.report.state = "skipped"
                task.report.reason = task.report.reason or f"no file {path}"
            task.files[name] = path


# ------------------------------------------------------------------ identity


def _identify(parameters: Parameters, run: RunInfo, tasks: Sequence[Task], metadata_keys: Sequence[str]) -> None:
    fixed = {name: found.form for name, found in parameters.fixed_inputs.items()}
    constants = [o for name in parameters.constants for o in _origins(parameters.fixed_inputs, name)]
    cache: dict[tuple[str, str], Input] = {}
    for task in tasks:
        inputs = {spec.name: _variable_form(spec, task, parameters, cache) for spec in parameters.variables}
        for name, spec in parameters.paths.items():
            inputs[name] = file_input(name, spec.relative(task.combination), task.files[name])
        for key in metadata_keys:
            inputs[key] = identify_input(key, task.combination[key])
        forms = {**fixed, **{name: found.form for name, found in inputs.items()}}
        task.origins = (*(o for found in inputs.values() for o in found.origins), *constants)
        task.inputs_hash = ids.inputs_hash(forms)
        if parameters.uncacheable or not run.function.hash:
            task.lineage_id = ids.uncacheable_id()
        else:
            task.lineage_id = ids.lineage_id(run.function.hash, forms, run.declared_outputs)


def _origins(inputs: Mapping[str, Input], name: str) -> tuple[CallInput, ...]:
    return inputs[name].origins if name in inputs else ()


def _variable_form(
    spec: VariableInput, task: Task, parameters: Parameters, cache: dict[tuple[str, str], Input]
) -> Input:
    found = []
    for entry in task.entries[spec.name]:
        known = (spec.name, entry.record_id)
        if known not in cache:
            cache[known] = spec.variable.input_from(spec.name, entry, unwrap=parameters.unwrap)
        found.append(cache[known])
    if spec.name not in task.together:
        return found[0]
    origins = tuple(origin for one in found for origin in one.origins)
    places = [dict(entry.schema) for entry in task.entries[spec.name]]
    if not spec.as_table:
        return Input(["list", [[one.form, at] for one, at in zip(found, places, strict=True)]], origins)
    versions = [entry.version_keys for entry in task.entries[spec.name]]
    rows = [[one.form, *rest] for one, *rest in zip(found, places, versions, strict=True)]
    return Input(["table", spec.variable.__name__, rows], origins)


# ------------------------------------------------------------------ state


def _find_state(recorder: Recorder, run: RunInfo, tasks: Sequence[Task]) -> None:
    """Mark what is up to date; give the rest the records of an earlier equal computation, if there was one."""
    if not tasks:
        return
    keys = tuple(tasks[0].combination)
    schema = {key: tuple(dict.fromkeys(task.combination[key] for task in tasks)) for key in keys}
    standing = {(e.variable, _at(e.schema)): e for e in recorder.standing(run, schema)}
    changed = []
    for task in tasks:
        at = _at(task.combination)
        entries = [standing.get((output.__name__, at)) for output in run.outputs]
        if all(e and e.lineage_id == task.lineage_id and e.output_num == n for n, e in enumerate(entries)):
            task.report.state = "up_to_date"
        elif not task.lineage_id.startswith(ids.UNCACHEABLE):
            changed.append(task)
    if not changed:
        return
    made: dict[tuple[str, int | None], Entry] = {}
    for entry in recorder.known(list(dict.fromkeys(task.lineage_id for task in changed))):
        key = (entry.lineage_id or "", entry.output_num)
        if key not in made or entry.timestamp > made[key].timestamp:
            made[key] = entry
    for task in changed:
        found = [made.get((task.lineage_id, number)) for number in range(len(run.outputs))]
        if all(found):
            task.known = tuple(e for e in found if e)
            task.report.state = "recalled"


def _at(schema: Mapping[str, Any]) -> frozenset[tuple[str, Any]]:
    return frozenset(schema.items())
