"""`for_each`: run a function over combinations of key values, and keep what it returns."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sized
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, cast

from scidb.current import current
from scidb.exceptions import (
    ChangingCodeWarning,
    DatabaseNotConfiguredError,
    IgnoreWarning,
    PipelineError,
    UncacheableWarning,
)
from scidb.executors import pool_for
from scidb.filters import Filter, Operand, checked_filter
from scidb.foreach.combos import combinations_of
from scidb.foreach.config import (
    ForEachConfig,
    as_thunk,
    bind_parameters,
    function_name,
    is_variable,
    pipeline_source,
)
from scidb.foreach.crew import check_travels
from scidb.foreach.inputs import Fixed
from scidb.foreach.plan import plan_tasks
from scidb.foreach.protocols import RunInfo
from scidb.foreach.report import ForEachReport, log_outcome
from scidb.foreach.run import Execution
from scidb.foreach.work import code_of, fingerprint_of
from scidb.hashing import ids
from scidb.hashing.code.changes import changed_reads
from scidb.hashing.code.seen import note_seen
from scidb.hashing.inputs import preview

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Executor

    from scidb.foreach.config import Parameters
    from scidb.foreach.protocols import Loadable, Recorder
    from scidb.hashing.code.fingerprint import Fingerprint

__all__ = ["for_each"]


def for_each(
    fn: Callable[..., Any],
    inputs: Mapping[str, Any],
    outputs: Sequence[Any],
    dry_run: bool = False,
    save: bool = True,
    pass_metadata: bool | None = None,
    as_table: bool | Sequence[str] | None = None,
    db: object | None = None,
    *,
    skip_computed: bool = True,
    force: bool = False,
    on_error: Literal["continue", "raise"] = "continue",
    progress: bool | None = None,
    where: Filter | None = None,
    exclude: bool | str | Iterable[str] = (),
    executor: Executor | None = None,
    n_jobs: int | None = None,
    prefer: Literal["processes", "threads"] = "processes",
    **metadata_iterables: Any,
) -> ForEachReport:
    """Call a function for every combination of key values and save what it returns.

    Results are saved as they come. A combination whose code, inputs and parameters have not changed is not
    run again.

    Parameters
    ----------
    fn
        A function or a thunk. It receives its inputs by name.
    inputs
        Per parameter of the function a variable class, ``Fixed(...)``, ``PathInput(...)`` or a constant.
        An input with finer keys than the combination gives the list of all its values there; one with
        coarser keys is used for every combination below it. Constants become version keys.
    outputs
        The variable classes of what the function returns, in order. What a thunk with ``generates_file=True``
        returns is not kept; a class then only names the file in the pipeline, and may be left out.
    dry_run
        Run nothing; return what would be done.
    save
        With False, results are only returned, in ``report.values``.
    pass_metadata
        Also pass the key values of the combination to the function, by name. None means True for a thunk with
        ``generates_file=True``, which needs them to name its file, and False for everything else.
    as_table
        Give variable inputs (True: all; or those named) as a DataFrame of keys and values.
    db
        The database; the current one if left out.
    skip_computed, force
        With ``skip_computed=False`` or ``force=True`` everything is computed and logged again.
    on_error
        ``"continue"`` notes a failure and goes on; ``"raise"`` saves what is done and stops.
    where
        A filter, such as ``Side == "L"``. Each variable input is taken only where it holds; combinations for which
        it leaves nothing of an input are not visited, and aggregation gets only what is left. `Fixed` inputs stay
        as they are, and so do inputs that are coarser than everything the filter looks at. Results under another
        filter are another variant.
    exclude
        Flags to leave out, by their reasons, or True for any. Inputs that are flagged so, or were made from what
        is, count as missing: aggregation goes without them, and combinations that need them are skipped, saying why.
        It makes no variant: where it changes what the function receives, the result is computed anew.
    progress
        Show a progress bar; None shows it on a terminal when the work takes longer than a second.
    executor
        Where the calls run: any ``concurrent.futures.Executor``, such as a pool of processes or of threads,
        ``client.get_executor(pure=False)`` of dask.distributed, or `scidb.executors.ray`. This process alone reads and
        writes the database; workers are given plain values and return plain values.
    n_jobs, prefer
        How many calls run at a time on this machine, in processes or with ``prefer="threads"`` in threads: 1, the
        default, is one after the other in this process, -1 as many as there are cores, -2 all but one.
    **metadata_iterables
        Per schema key the values to visit: a list, one value, or ``[]`` for all that exist.

    Returns
    -------
    ForEachReport
        Counts, failures with tracebacks, and one row per combination.

    Raises
    ------
    PipelineError
        When the call cannot be run as written; nothing has run then.
    UnsupportedOperationError
        When ``n_jobs`` needs a library that is not installed.
    AmbiguousVersionError
        When an input matches several variants of a value.
    FilterError
        When the filter does not fit the inputs.

    Examples
    --------
    >>> import scidb
    >>> from scidb import BaseVariable, for_each
    >>> class Force(BaseVariable):
    ...     \"\"\"Force during one trial.\"\"\"
    >>> class Peak(BaseVariable):
    ...     \"\"\"Largest force of a trial, in body weights.\"\"\"
    >>> def peak(force, weight):
    ...     return max(force) / weight
    >>> with scidb.open("memory:", ["subject"]) as db:
    ...     _ = Force.save([600.0, 900.0], subject=1, db=db)
    ...     report = for_each(peak, {"force": Force, "weight": 600.0}, [Peak], subject=[], db=db)
    ...     Peak.load_one(subject=1, db=db).data
    1.5
    >>> report.completed, report.failed
    (1, 0)

    """
    started = time.monotonic()
    if not callable(fn):
        raise PipelineError(f"for_each takes a function first, got {fn!r}.")
    recorder = _recorder(db)
    pool = pool_for(executor, n_jobs, prefer)
    thunk = as_thunk(fn)
    generates_file = thunk is not None and thunk.generates_file
    variables = _outputs(outputs, may_be_none=generates_file)
    inputs = _inputs(inputs, recorder)
    combinations = combinations_of(
        recorder, metadata_iterables, [spec for spec in inputs.values() if hasattr(spec, "discover")]
    )
    is_passed = generates_file if pass_metadata is None else pass_metadata
    metadata_keys = tuple(metadata_iterables) if is_passed else ()
    parameters = bind_parameters(fn, inputs, len(variables), as_table, metadata_keys)
    for name in parameters.constants:
        recorder.check_constant(name)
    function, parameters = _identify(fn, parameters)
    named = None if where is None else recorder.first_named(checked_filter(where))
    config = ForEachConfig(fn, inputs, as_table, pass_metadata, named)
    run = RunInfo(
        run_id=ids.new_run_id(),
        function=function,
        outputs=variables,
        declared_outputs=parameters.declared_outputs,
        version_keys=recorder.version_text({**parameters.constants, **config.to_version_keys()}),
        sources=tuple(dict.fromkeys(pipeline_source(spec) for spec in inputs.values())),
        total=len(combinations),
    )
    if parameters.uncacheable:
        warnings.warn(
            f"{function_name(fn)}() runs every time, because its calls cannot be recognised: {parameters.uncacheable}",
            UncacheableWarning,
            stacklevel=2,
        )
    all_of = {key for key, values in metadata_iterables.items() if isinstance(values, Sized) and not len(values)}
    reuse = save and skip_computed and not force
    tasks = plan_tasks(
        recorder, parameters, run, combinations,
        metadata_keys=metadata_keys, all_of=all_of, reuse=reuse, where=where, exclude=recorder.excluded(exclude),
    )  # fmt: skip
    run = replace(run, total=len(tasks))
    report = ForEachReport(function_name(fn), [task.report for task in tasks], dry_run=dry_run)
    report.left_out = len(combinations) - len(tasks)
    if not dry_run:
        report.run_id = run.run_id
        by_value = pool is not None and pool.sends_by_value
        code = code_of(fn, parameters, run, is_sent=pool is not None, by_value=by_value)
        if pool is not None:
            check_travels(pool, code, parameters.constants)
        Execution(
            recorder, parameters, run, report, metadata_keys, code, pool, save=save, reuse=reuse, on_error=on_error
        ).run(tasks, progress)
        if report.completed:
            _warn_of_changed_reads(fn, function, fingerprint_of(fn, parameters.classes))
    report.seconds = time.monotonic() - started
    log_outcome(report)
    return report


def _recorder(db: object | None) -> Recorder:
    found = current() if db is None else db
    if found is None:
        raise DatabaseNotConfiguredError(
            "for_each needs a database. Call scidb.configure_database('study.duckdb', ['subject', 'session']) first, "
            "or pass db=."
        )
    return cast("Recorder", found)


def _inputs(inputs: Any, recorder: Recorder) -> dict[str, Any]:
    if not isinstance(inputs, Mapping) or not all(isinstance(name, str) for name in inputs):
        raise PipelineError(
            "inputs= takes a dict of parameter names and what they get, such as {'signal': RawEMG}; "
            f"got {preview(inputs)}."
        )
    for name, spec in inputs.items():
        is_whole = isinstance(spec, type) or (isinstance(spec, Fixed) and spec.columns is None)
        if isinstance(spec, Filter | Operand) and not is_whole:
            what = "a filter, which goes into where=" if isinstance(spec, Filter) else "no input yet; give the variable"
            raise PipelineError(f"inputs={{{name!r}: {spec!r}}}: this is {what}.")
    return {name: spec.converted(recorder) if isinstance(spec, Fixed) else spec for name, spec in inputs.items()}


def _identify(fn: Callable[..., Any], parameters: Parameters) -> tuple[Fingerprint, Parameters]:
    """Identify the code, and say what keeps its calls from being recognised."""
    note_seen(fn)
    found, thunk = fingerprint_of(fn, parameters.classes), as_thunk(fn)
    if found.remarks:
        warnings.warn(f"{function_name(fn)}(): {' '.join(found.remarks)}", IgnoreWarning, stacklevel=3)
    if thunk is None:
        return found, parameters
    return found, replace(parameters, uncacheable=parameters.uncacheable or thunk.uncacheable_reason(found) or "")


def _warn_of_changed_reads(fn: Callable[..., Any], before: Fingerprint, after: Fingerprint) -> None:
    if changed := changed_reads(before, after):
        warnings.warn(
            f"{function_name(fn)}() changes what it reads: {', '.join(changed)}. The next run therefore counts as "
            "other code and computes everything again; pass it as an input, or name it in @thunk(ignore=...) when it "
            "does not affect the result",
            ChangingCodeWarning,
            stacklevel=3,
        )


def _outputs(outputs: Sequence[Any], *, may_be_none: bool) -> tuple[Loadable, ...]:
    wanted: list[Any] = list(outputs) if isinstance(outputs, list | tuple) else [outputs]
    for output in wanted:
        if not is_variable(output):
            raise PipelineError(f"outputs= takes variable classes, got {output!r}. Write outputs=[MyVariable].")
    if not wanted and not may_be_none:
        raise PipelineError("outputs= is empty: name at least one variable class for what the function returns.")
    if len(set(wanted)) != len(wanted):
        raise PipelineError("outputs= names a variable twice; its values would overwrite each other.")
    return tuple(wanted)
