"""What each combination needs, what identifies it, and what therefore has to be done.

Everything is looked up per call, not per combination: the entries of each input once, the standing outputs
once, the known computations once.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from scidb.exceptions import AmbiguousVersionError
from scidb.foreach.checks import check_columns, check_one_place
from scidb.foreach.excluded import leave_out_flagged
from scidb.foreach.failed import failed_since, warn_of_failed
from scidb.foreach.files import WrittenFiles, as_written, find_files, read_files
from scidb.foreach.forms import InputForms
from scidb.foreach.left import leave_out
from scidb.foreach.matching import MatchIndex
from scidb.foreach.report import CombinationReport
from scidb.foreach.seeds import RNG
from scidb.foreach.state import find_state
from scidb.hashing import ids
from scidb.hashing.inputs import Input, identify_input

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from scidb.filters import Filter
    from scidb.foreach.config import Parameters, VariableInput
    from scidb.foreach.files import FileSeen
    from scidb.foreach.protocols import Entry, Known, Recorder, RunInfo
    from scidb.hashing.inputs import CallInput

__all__ = ["Task", "plan_tasks"]

Standing: TypeAlias = "Mapping[tuple[str, tuple[Any, ...]], list[Entry]]"
"""The results of earlier runs of a configuration, by variable and the values of a combination: one, or the pieces in
their order."""

logger = logging.getLogger("scidb.foreach")


@dataclass(slots=True)
class Task:
    """One combination: its inputs, its identity, and its place in the report."""

    report: CombinationReport
    entries: dict[str, list[Entry]] = field(default_factory=dict)
    together: frozenset[str] = frozenset()  # inputs that are given as a list of all their entries
    files: dict[str, FileSeen] = field(default_factory=dict)
    is_left_out: bool = False  # the filter leaves nothing of an input
    problem: Exception | None = None  # why it cannot run, although its inputs are there
    origins: tuple[CallInput, ...] = ()
    lineage_id: str = ""
    inputs: bytes = b""  # encoded
    hashed: tuple[bytes, str] = (b"", "")  # inputs, and their identity apart from the code
    standing: Sequence[Entry | None] = ()  # what an earlier run left at its place, by output and piece
    known: Known | None = None
    # Of a function that writes files: how it is identified when it has, and ids had it written those that are there.
    written: WrittenFiles | None = None
    alternatives: tuple[str, ...] = ()

    @property
    def inputs_hash(self) -> str:
        """The identity of the inputs apart from the code."""
        if self.hashed[0] != self.inputs:  # of what is up to date nobody asks
            self.hashed = (self.inputs, ids.Computations.inputs_hash(self.inputs))
        return self.hashed[1]

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
    all_of: Collection[str],
    reuse: bool,
    where: Filter | None = None,
    exclude: bool | tuple[str, ...] = False,
) -> list[Task]:
    """Find the inputs and the state of every combination.

    `all_of` are the keys of which every value is visited, so that no look-up needs to name the values. A
    combination for which the filter leaves nothing of an input is no task; one for which `exclude` leaves nothing of
    an input is skipped.

    Raises
    ------
    AmbiguousVersionError
        When an input matches several variants at one location.
    FilterError
        When the filter does not fit the inputs.

    """
    tasks = [Task(CombinationReport(combination)) for combination in combinations]
    standing = _find_entries(recorder, parameters.variables, run, tasks, all_of, where)
    tasks = [task for task in tasks if not task.is_left_out]
    if exclude is not False:
        leave_out_flagged(recorder, parameters.variables, tasks, exclude)
    for spec in parameters.variables:
        _check_matches(spec, tasks)
    check_one_place(parameters, tasks)
    check_columns(recorder, parameters, tasks)
    find_files(parameters, tasks)
    present = [task for task in tasks if task.report.state != "skipped" and task.problem is None]
    _identify(parameters, run, present, metadata_keys)
    runnable = [task for task in present if task.problem is None]
    names = [output.__name__ for output in run.outputs]
    keys = _keys_of(tasks)
    for task in tasks:
        combination = task.report.combination
        at = tuple([combination[key] for key in keys])
        there = [standing.get((name, at), (None,)) for name in names]
        task.standing = there[0] if len(there) == 1 else [entry for own in there for entry in own]
        task.report.has_result = any(task.standing)
    failed = failed_since(recorder, runnable)
    warn_of_failed(run.function.name, runnable, failed)
    if reuse:
        find_state(recorder, parameters, run, runnable, failed)
        _warn_of_one_computation(run, runnable)
    for task in runnable:
        if task.report.state == "not_run":
            task.report.state = "completed"
    _note_origins(parameters, [task for task in runnable if task.report.state != "up_to_date"], metadata_keys)
    return tasks


# ------------------------------------------------------------------ inputs


@dataclass(frozen=True, slots=True)
class _Search:
    """Where an input is looked for, and by which of its keys a combination finds its own entries."""

    schema: Mapping[str, Sequence[Any]]
    version: Mapping[str, Any]
    keys: tuple[str, ...]
    at: Mapping[str, Any]  # the fixed schema keys


def _find_entries(
    recorder: Recorder,
    specs: Sequence[VariableInput],
    run: RunInfo,
    tasks: list[Task],
    all_of: Collection[str],
    where: Filter | None,
) -> Standing:
    """Give every task the entries of its inputs, and return what stands where the tasks would put their results.

    What has nothing fixed is looked up at once.
    """
    if not tasks:
        return {}
    free = [spec for spec in specs if not spec.fixed]
    read = {spec.variable.__name__ for spec in free}
    written = {output.__name__: run.version_keys for output in run.outputs if output.__name__ not in read}
    search = _search(recorder, {}, tasks, all_of)
    variables = [*(spec.variable for spec in free), *run.outputs]
    found: dict[str, list[Entry]] = defaultdict(list)
    for entry in recorder.latest(variables, search.schema, {}, written):
        found[entry.variable].append(entry)
    standing = _standing(run, _keys_of(tasks), found)
    for spec in specs:
        own, entries = search, found[spec.variable.__name__]
        if spec.fixed:
            own = _search(recorder, spec.fixed, tasks, all_of)
            entries = list(recorder.latest([spec.variable], own.schema, own.version, {}))
        elif where is not None:
            entries = list(recorder.of_filter(entries, where))
        _hand_out(spec, own, entries, tasks)
    if where is not None:
        leave_out(recorder, free, tasks, where)
    return standing


def _standing(run: RunInfo, keys: tuple[str, ...], found: Mapping[str, Iterable[Entry]]) -> Standing:
    """Arrange what earlier runs of this configuration left, by where a combination with these keys finds its own."""
    standing: dict[tuple[str, tuple[Any, ...]], list[Entry]] = defaultdict(list)
    is_split = run.piece_key is not None
    count = len(keys) + is_split  # what has more keys or fewer stands at another level
    for output in run.outputs:
        for entry in found[output.__name__]:  # in natural order, and so in that of pieces
            schema = entry.schema
            is_own = entry.version_keys == run.version_keys and (entry.piece is not None) == is_split
            if is_own and len(schema) == count:
                standing[entry.variable, tuple([schema.get(key) for key in keys])].append(entry)
    return standing


def _search(
    recorder: Recorder,
    given: Mapping[str, Any],
    tasks: Sequence[Task],
    all_of: Collection[str],
) -> _Search:
    fixed = {key: value for key, value in given.items() if key in recorder.schema_keys}
    version = {key: value for key, value in given.items() if key not in fixed}
    schema: dict[str, Sequence[Any]] = {key: (value,) for key, value in fixed.items()}
    at = {key: value for key, value in fixed.items() if value is not None}
    keys = [key for key in tasks[0].combination if key in at or key not in fixed]
    for key in keys:
        if key not in at and key not in all_of:
            schema[key] = (*dict.fromkeys(task.combination[key] for task in tasks), None)
    return _Search(schema, version, tuple(dict.fromkeys((*keys, *at))), at)


def _hand_out(spec: VariableInput, search: _Search, entries: Sequence[Entry], tasks: Sequence[Task]) -> None:
    index = MatchIndex(spec.variable.__name__, entries, search.keys)
    as_it_is = search.keys == _keys_of(tasks) and not search.at
    for task in tasks:
        place = task.combination
        if not as_it_is:
            place = {key: value for key, value in {**place, **search.at}.items() if key in search.keys}
        found, together = index.find(place)
        if together or spec.as_table:
            task.together |= {spec.name}
        if not found:
            task.report.state = "skipped"
            wanted = _place({**place, **search.version})
            task.report.reason = task.report.reason or f"no {spec.variable.__name__} at {wanted}"
        task.entries[spec.name] = found


def _check_matches(spec: VariableInput, tasks: Sequence[Task]) -> None:
    """Refuse what would be a list where nobody meant one."""
    shapes = set()
    for task in tasks:
        if found := task.entries[spec.name]:
            shapes.add(spec.name in task.together)
            if len(found) > 1:
                _check_one_variant(spec, found)
    if len(shapes) > 1:
        raise AmbiguousVersionError(
            f"The input {spec.parameter!r} would be a list of {spec.variable.__name__} for some combinations and a "
            "single value for others, because it is stored at finer levels in one place and not in another. Use "
            "as_table, or Fixed.",
            variable=spec.variable.__name__,
        )


def _place(place: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in place.items()) or "any location"


def _check_one_variant(spec: VariableInput, found: Iterable[Entry]) -> None:
    """Refuse matches that differ only in version keys: a list of variants is never what was meant."""
    variants: dict[tuple[tuple[str, Any], ...], list[Entry]] = defaultdict(list)
    for entry in found:
        variants[tuple(entry.schema.items())].append(entry)
    for entries in variants.values():
        if len(entries) > 1:
            name = spec.variable.__name__
            # The newest comes first, as the one that is most likely meant.
            key, values = _difference(sorted(entries, key=lambda entry: entry.timestamp, reverse=True))
            choices = [f"Fixed({name}, {key}={value!r})" for value in values]
            place = _place(entries[0].schema)
            raise AmbiguousVersionError(
                f"The input {spec.parameter!r} matches {len(entries)} variants of {name} at {place}, which differ "
                f"in {key}: {', '.join(repr(value) for value in values)}. Choose one, for example {choices[0]}, or "
                f"run for each of them: EachOf({', '.join(choices[:3])}{', ...' if len(choices) > 3 else ''}).",
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


# ------------------------------------------------------------------ identity


def _identify(parameters: Parameters, run: RunInfo, tasks: Sequence[Task], metadata_keys: Sequence[str]) -> None:
    shared = {name: found.form for name, found in parameters.fixed_inputs.items()}
    loaded = InputForms(parameters)
    seed = parameters.seed
    drawn = () if seed is None else (RNG,)
    varying = [*parameters.loaded, *parameters.paths, *metadata_keys, *drawn]
    computations = ids.Computations(run.function.hash, shared, varying, run.identified_outputs)
    is_known = not parameters.uncacheable and bool(run.function.hash)
    read_files(tasks)
    for task in tasks:
        forms = loaded.of(task)
        for file in task.files.values():
            if isinstance(file.found, Input):
                forms.append(ids.encoded_form(file.found.form))
            else:
                task.problem, task.report.state = file.found, "failed"
                task.report.reason = f"{type(file.found).__name__}: {file.found}"
        if task.problem is not None:
            continue
        forms += [ids.encoded_form(identify_input(key, task.combination[key]).form) for key in metadata_keys]
        if seed is not None:
            forms.append(ids.encoded_form(seed.form(task.combination)))
        task.inputs = computations.inputs(forms)
        task.lineage_id = computations.lineage_id(task.inputs) if is_known else ids.uncacheable_id()
        if parameters.generates_file and is_known and task.files:
            first = len(parameters.loaded)
            task.written = WrittenFiles(computations, tuple(forms), first)
            task.alternatives = tuple(
                computations.lineage_id(task.written.inputs(names, task.files)) for names in as_written(task.files)
            )


def _note_origins(parameters: Parameters, tasks: Sequence[Task], metadata_keys: Sequence[str]) -> None:
    """Note where the inputs came from, for the tasks that will have a call."""
    # Defaults, too: that one was another then is a reason to compute again.
    constants = [origin for found in parameters.fixed_inputs.values() for origin in found.origins]
    for task in tasks:
        loaded = [
            spec.variable.origin_from(spec.parameter, entry, unwrap=parameters.unwrap)
            for spec in parameters.variables
            for entry in task.entries[spec.name]
        ]
        others = [file.found for file in task.files.values() if isinstance(file.found, Input)]
        others += [identify_input(key, task.combination[key]) for key in metadata_keys]
        drawn = () if parameters.seed is None else (parameters.seed.origin(task.combination),)
        task.origins = (*loaded, *(origin for one in others for origin in one.origins), *constants, *drawn)


def _warn_of_one_computation(run: RunInfo, tasks: Sequence[Task]) -> None:
    """Say it when nothing that the function receives differs: it runs once, also if it draws random numbers."""
    if len(tasks) > 1 and len({task.lineage_id for task in tasks}) == 1 and tasks[0].report.state == "not_run":
        logger.warning(
            "%s() receives the same for all %d combinations, so it runs once and all of them get that result. If it "
            "should run for each (a simulation, say), give it a parameter rng and the call a seed=, or use "
            "pass_metadata=True or force=True.",
            run.function.name,
            len(tasks),
        )


def _keys_of(tasks: Sequence[Task]) -> tuple[str, ...]:
    return tuple(tasks[0].combination) if tasks else ()
