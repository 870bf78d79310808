"""`for_each`: run a function over combinations of key values, and keep what it returns."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sized
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, cast

from scidb.current import current
from scidb.exceptions import ChangingCodeWarning, DatabaseNotConfiguredError, PipelineError
from scidb.executors import pool_for
from scidb.filters import ColumnSelection, Filter, Operand
from scidb.foreach.alternatives import add_report, choices_of, common_report, leave, refuse_equal, use_results
from scidb.foreach.call import remembered
from scidb.foreach.combos import combinations_of
from scidb.foreach.config import as_thunk, function_name, is_variable
from scidb.foreach.crew import check_travels
from scidb.foreach.estimate import Estimate, estimated
from scidb.foreach.inputs import EachOf, Fixed, Merge
from scidb.foreach.paths import PathInput
from scidb.foreach.pieces import piece_key_of
from scidb.foreach.prepare import Asked, prepare
from scidb.foreach.progress import Progress, show_plan
from scidb.foreach.run import Execution
from scidb.foreach.work import code_of, fingerprint_of
from scidb.hashing.code.fingerprint import changed_reads
from scidb.hashing.inputs import preview

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Executor

    from scidb.executors import Pool
    from scidb.foreach.alternatives import Planned
    from scidb.foreach.protocols import Loadable, Recorder, RunInfo
    from scidb.foreach.report import ForEachReport
    from scidb.foreach.work import Code
    from scidb.hashing.code.fingerprint import Fingerprint

__all__ = ["for_each"]


@remembered
def for_each(
    fn: Callable[..., Any],
    inputs: Mapping[str, Any],
    outputs: Sequence[Any],
    dry_run: bool = False,
    save: bool = True,
    pass_metadata: bool | None = None,
    as_table: bool | Sequence[str] | None = None,
    db: object | None = None,
    distribute: bool = False,
    where: Filter | None = None,
    *,
    skip_computed: bool = True,
    force: bool = False,
    on_error: Literal["continue", "raise"] = "continue",
    progress: bool | None = None,
    seed: int | None = None,
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
        Per parameter of the function a variable class, a column or several of one (``V["col"]``), ``Fixed(...)``,
        ``Merge(...)``, ``PathInput(...)``, a constant, or ``EachOf(...)`` alternatives of these.
        An input with finer keys than the combination gives the list of all its values there; one with
        coarser keys is used for every combination below it. Constants become version keys.
    outputs
        The variable classes of what the function returns, in order. What a thunk with ``generates_file=True``
        returns is not kept; a class then only names the file in the pipeline, and may be left out.
    dry_run
        Run nothing; show and return what would be done, with an estimate of the time.
    save
        With False, results are only returned, in ``report.values``.
    pass_metadata
        Also pass the key values of the combination to the function, by name. None means True for a thunk with
        ``generates_file=True``, which needs them to name its file, and False for everything else.
    as_table
        Give variable inputs (True: all; or those named) as a DataFrame of keys and values; a ``Merge`` as one of
        keys and columns.
    db
        The database; the current one if left out.
    distribute
        Save each element of what the function returns (a list, a tuple, the first axis of an array) or each row of a
        table by itself, one schema level below the deepest key of the call, numbered from 1 on. A later run that
        returns fewer pieces takes those beyond from the latest; one that returns none fails.
    skip_computed, force
        With ``skip_computed=False`` or ``force=True`` everything is computed and logged again.
    on_error
        ``"continue"`` notes a failure and goes on; ``"raise"`` saves what is done and stops.
    where
        A filter, such as ``Side == "L"``. Each variable input is taken only where it holds; combinations for which
        it leaves nothing of an input are not visited, and aggregation gets only what is left. `Fixed` inputs stay
        as they are, and so do inputs that are coarser than everything the filter looks at. Results under another
        filter are another variant.
    seed
        A whole number. A function with a parameter ``rng`` gets a `numpy.random.Generator` of its own for each
        combination, made from the seed, the key values and the name of the function: the same in every run, in
        whatever order and in however many processes. Results under another seed are another variant.
    exclude
        Flags to leave out, by their reasons, or True for any. Inputs that are flagged so, or were made from what
        is, count as missing: aggregation goes without them, and combinations that need them are skipped, saying why.
        It makes no variant: where it changes what the function receives, the result is computed anew.
    progress
        Show a progress bar, or the plan of a dry run; None shows them on a terminal and in a notebook. A bar comes
        when the work takes longer than a second, with rate, time remaining and failures so far.
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
    new_pool = partial(pool_for, executor, n_jobs, prefer)
    pool = new_pool()
    thunk = as_thunk(fn)
    generates_file = thunk is not None and thunk.generates_file
    inputs = _inputs(inputs, recorder)
    is_passed = generates_file if pass_metadata is None else pass_metadata
    asked = Asked(
        function=fn,
        outputs=_outputs(outputs, may_be_none=generates_file),
        combinations=combinations_of(recorder, metadata_iterables, _paths(inputs)),
        all_of={key for key, values in metadata_iterables.items() if isinstance(values, Sized) and not len(values)},
        as_table=as_table,
        pass_metadata=pass_metadata,
        metadata_keys=tuple(metadata_iterables) if is_passed else (),
        where=where,
        exclude=exclude,
        excluded=recorder.excluded(exclude),
        piece_key=_piece_key(distribute, recorder, metadata_iterables, generates_file=generates_file),
        seed=seed,
        reuse=save and skip_computed and not force,
        dry_run=dry_run,
    )
    choices = choices_of(inputs)
    planned = []
    known: dict[tuple[type, ...], Fingerprint] = {}
    # No comprehension: Python 3.11 gives it a frame of its own, and warnings would not point at the user's line.
    for choice in choices:
        one = prepare(recorder, choice, asked, choices, known)
        planned.append(one)
    refuse_equal(planned)
    report = common_report(planned)

    estimate = partial(_estimate, recorder, planned[0].run, report.completed, pool)
    if dry_run:
        report.estimate = estimate()
        report.seconds = time.monotonic() - started
        show_plan(report, progress)
        return report
    codes = [_code(fn, one, pool) for one in planned]
    running = _Running(recorder, asked, chain([pool], iter(new_pool, ...)), save, on_error, progress, estimate)
    running.run(planned, codes, report)
    if report.completed:
        for classes, before in known.items():
            _warn_of_changed_reads(fn, before, fingerprint_of(fn, classes))
    report.seconds = time.monotonic() - started
    return report


@dataclass(frozen=True, slots=True)
class _Running:
    """How the configurations of a call run, one after the other."""

    recorder: Recorder
    asked: Asked
    pools: Iterator[Pool | None]  # one for each, since one that was made for `n_jobs` ends with its run
    save: bool
    on_error: str
    progress: bool | None
    estimate: Callable[[], Estimate]

    def run(self, planned: Sequence[Planned], codes: Sequence[Code], report: ForEachReport) -> None:
        """Run all of them; what stops one of them stops those behind it."""
        for number, (one, code) in enumerate(zip(planned, codes, strict=True)):
            if self.asked.reuse:
                use_results(self.recorder, one, planned[:number])
            one.report.run_id = one.run.run_id
            to_begin = planned[number + 1 :]
            try:
                self._run_one(one, code)
                to_begin = []
            except KeyboardInterrupt as error:
                error.report = report  # type: ignore[attr-defined]  # promised by the documentation
                raise
            finally:
                add_report(report, one)
                leave(to_begin)

    def _run_one(self, one: Planned, code: Code) -> None:
        execution = Execution(
            self.recorder, one.parameters, one.run, one.report, self.asked.metadata_keys, code, next(self.pools),
            save=self.save, reuse=self.asked.reuse, on_error=self.on_error,
        )  # fmt: skip
        execution.run(one.tasks, Progress(one.report, shown=self.progress, estimate=self.estimate))


def _code(fn: Callable[..., Any], one: Planned, pool: Pool | None) -> Code:
    """Return the function of a configuration, ready for the workers, if there are any."""
    by_value = pool is not None and pool.sends_by_value
    code = code_of(fn, one.parameters, one.run, is_sent=pool is not None, by_value=by_value)
    if pool is not None:
        check_travels(pool, code, one.parameters.constants)
    return code


def _paths(inputs: Mapping[str, Any]) -> list[PathInput]:
    given = [one for spec in inputs.values() for one in (spec.alternatives if isinstance(spec, EachOf) else (spec,))]
    return [spec for spec in given if isinstance(spec, PathInput)]


def _estimate(recorder: Recorder, run: RunInfo, computing: int, pool: Pool | None) -> Estimate:
    past = recorder.past(run.function) if computing else None
    return estimated(past, computing, 1 if pool is None else pool.workers)


def _recorder(db: object | None) -> Recorder:
    found = current() if db is None else db
    if found is None:
        raise DatabaseNotConfiguredError(
            "for_each needs a database. Call scidb.configure_database('study.duckdb', ['subject', 'session']) first, "
            "or pass db=."
        )
    return cast("Recorder", found)


def _piece_key(distribute: object, recorder: Recorder, keys: Mapping[str, Any], *, generates_file: bool) -> str | None:
    if not isinstance(distribute, bool):
        raise PipelineError(
            f"distribute={distribute!r}: it is True or False. The pieces are numbered by the schema key below the "
            "deepest one of the call."
        )
    if distribute and generates_file:
        raise PipelineError("distribute=True splits what a function returns, and this one writes a file instead.")
    return piece_key_of(recorder, keys) if distribute else None


def _inputs(inputs: Any, recorder: Recorder) -> dict[str, Any]:
    if not isinstance(inputs, Mapping) or not all(isinstance(name, str) for name in inputs):
        raise PipelineError(
            "inputs= takes a dict of parameter names and what they get, such as {'signal': RawEMG}; "
            f"got {preview(inputs)}."
        )
    for name, given in inputs.items():
        for spec in given.alternatives if isinstance(given, EachOf) else (given,):
            if isinstance(spec, Filter | Operand) and not isinstance(spec, type | Fixed | ColumnSelection):
                is_filter = isinstance(spec, Filter)
                what = "a filter, which goes into where=" if is_filter else "no input yet; give the variable"
                raise PipelineError(f"inputs={{{name!r}: {spec!r}}}: this is {what}.")
    return {name: _converted(spec, recorder) for name, spec in inputs.items()}


def _converted(spec: Any, recorder: Recorder) -> Any:
    """Return an input with fixed values of schema keys in the type of their key."""
    if isinstance(spec, EachOf):
        return EachOf(*(_converted(one, recorder) for one in spec.alternatives))
    return spec.converted(recorder) if isinstance(spec, Fixed | Merge) else spec


def _warn_of_changed_reads(fn: Callable[..., Any], before: Fingerprint, after: Fingerprint) -> None:
    if changed := changed_reads(before, after):
        warnings.warn(
            f"{function_name(fn)}() changes what it reads: {', '.join(changed)}. The next run therefore counts as "
            "other code and computes everything again; pass it as an input, or name it in @thunk(ignore=...) when it "
            "does not affect the result",
            ChangingCodeWarning,
            stacklevel=6,
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
