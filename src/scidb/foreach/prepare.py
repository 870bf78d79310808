"""One configuration of a call, before it runs: checked, identified, and what has to be done for it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from scidb.exceptions import IgnoreWarning, UncacheableWarning
from scidb.filters import checked_filter
from scidb.foreach.alternatives import Planned
from scidb.foreach.config import ForEachConfig, as_thunk, bind_parameters, function_name, pipeline_sources
from scidb.foreach.given import configuration_text
from scidb.foreach.plan import plan_tasks
from scidb.foreach.protocols import RunInfo
from scidb.foreach.report import ForEachReport
from scidb.foreach.work import fingerprint_of
from scidb.hashing import ids
from scidb.hashing.code.reference import reference_of
from scidb.hashing.code.seen import note_seen

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from scidb.filters import Filter
    from scidb.foreach.alternatives import Choice
    from scidb.foreach.config import Parameters
    from scidb.foreach.protocols import Loadable, Recorder
    from scidb.hashing.code.fingerprint import Fingerprint

__all__ = ["Asked", "prepare"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a call asks for, whichever of its alternatives is chosen."""

    function: Callable[..., Any]
    outputs: tuple[Loadable, ...]
    combinations: Sequence[dict[str, Any]]
    all_of: Collection[str]  # the keys of which every value is visited
    as_table: bool | Sequence[str] | None
    pass_metadata: bool | None
    metadata_keys: Sequence[str]  # those that are passed
    where: Filter | None
    exclude: bool | str | Iterable[str]
    excluded: bool | tuple[str, ...]  # the flags that it names
    piece_key: str | None
    seed: int | None
    reuse: bool
    dry_run: bool


def prepare(
    recorder: Recorder,
    choice: Choice,
    asked: Asked,
    choices: Sequence[Choice],
    known: dict[tuple[type, ...], Fingerprint],
) -> Planned:
    """Check one configuration, and find what has to be done for it.

    `known` is the identity of the code, by the classes of the constants; what is found of it is added.

    Raises
    ------
    PipelineError
        When it cannot be run as written.

    """
    parameters = bind_parameters(
        asked.function, choice.inputs, len(asked.outputs), asked.as_table, asked.metadata_keys, asked.seed
    )
    for name in parameters.constants:
        recorder.check_constant(name)
    function, parameters = _identify(asked.function, parameters, known)
    run = RunInfo(
        run_id=ids.new_run_id(),
        function=function,
        outputs=asked.outputs,
        declared_outputs=parameters.declared_outputs,
        version_keys=_version_keys(recorder, choice, asked, parameters),
        sources=_sources(choices),
        total=len(asked.combinations),
        piece_key=asked.piece_key,
        configuration=_configuration(choice, asked),
        function_ref=reference_of(asked.function),
    )
    if parameters.uncacheable:
        warnings.warn(
            f"{function_name(asked.function)}() runs every time, because its calls cannot be recognised: "
            f"{parameters.uncacheable}",
            UncacheableWarning,
            stacklevel=6,
        )
    tasks = plan_tasks(
        recorder, parameters, run, asked.combinations,
        metadata_keys=asked.metadata_keys, all_of=asked.all_of, reuse=asked.reuse, where=asked.where,
        exclude=asked.excluded,
    )  # fmt: skip
    report = ForEachReport(function_name(asked.function), [task.report for task in tasks], dry_run=asked.dry_run)
    report.left_out = len(asked.combinations) - len(tasks)
    return Planned(choice, parameters, replace(run, total=len(tasks)), tasks, report)


def _version_keys(recorder: Recorder, choice: Choice, asked: Asked, parameters: Parameters) -> str:
    where = None if asked.where is None else recorder.first_named(checked_filter(asked.where))
    is_split = asked.piece_key is not None
    config = ForEachConfig(
        asked.function, choice.inputs, where, is_split, asked.as_table, asked.pass_metadata, asked.seed
    )
    return recorder.version_text({**parameters.constants, **config.to_version_keys()})


def _sources(choices: Sequence[Choice]) -> tuple[str, ...]:
    """Return the sources of the pipeline edges: of all alternatives, since one call draws one set of edges."""
    given = [spec for choice in choices for spec in choice.inputs.values()]
    return tuple(dict.fromkeys(source for spec in given for source in pipeline_sources(spec)))


def _configuration(choice: Choice, asked: Asked) -> str:
    return configuration_text(
        choice.inputs,
        asked.outputs,
        as_table=asked.as_table,
        pass_metadata=asked.pass_metadata,
        where=asked.where,
        exclude=asked.exclude,
        distribute=asked.piece_key is not None,
        seed=asked.seed,
    )


def _identify(
    fn: Callable[..., Any], parameters: Parameters, known: dict[tuple[type, ...], Fingerprint]
) -> tuple[Fingerprint, Parameters]:
    """Identify the code, and say what keeps its calls from being recognised."""
    thunk = as_thunk(fn)
    found = known.get(parameters.classes)
    if found is None:
        note_seen(fn)
        found = known[parameters.classes] = fingerprint_of(fn, parameters.classes)
        if found.remarks:
            warnings.warn(f"{function_name(fn)}(): {' '.join(found.remarks)}", IgnoreWarning, stacklevel=7)
    if thunk is None:
        return found, parameters
    return found, replace(parameters, uncacheable=parameters.uncacheable or thunk.uncacheable_reason(found) or "")
