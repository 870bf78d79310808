"""`Pipeline`: collects calls of `for_each`, and plans and runs them in the order of their variables."""

from __future__ import annotations

import dataclasses
import inspect
import logging
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol, Self

from scidb.exceptions import PipelineError, SchemaKeyError, SciDBError, did_you_mean
from scidb.foreach import ForEachReport, for_each
from scidb.foreach.call import Call, collected_by, collector
from scidb.foreach.config import function_name, is_variable
from scidb.pipeline.plan import PipelinePlan, PlannedStep, plan_step
from scidb.pipeline.report import PipelineReport
from scidb.pipeline.steps import Step, leading_to, ordered, reads, writes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

__all__ = ["Database", "Pipeline"]

logger = logging.getLogger("scidb.pipeline")


class _Type(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def records(self) -> int: ...


class Database(Protocol):
    """The database, as far as a pipeline asks it something itself."""

    def types(self) -> Sequence[_Type]:
        """Return every variable that is registered, with the number of its records."""
        ...


class Pipeline:
    """Several calls of `for_each`, ordered by their variables, of which only what is out of date runs.

    Made by ``db.pipeline()``. Inside ``with db.pipeline() as p:`` every `for_each` is collected instead of run, and
    returns a report that is filled when the pipeline has run it.

    Parameters
    ----------
    db
        The database on which all of them run.

    Examples
    --------
    >>> import scidb
    >>> from scidb import BaseVariable, for_each
    >>> class Force(BaseVariable):
    ...     \"\"\"Force during one trial.\"\"\"
    >>> class Peak(BaseVariable):
    ...     \"\"\"Largest force of a trial.\"\"\"
    >>> class Best(BaseVariable):
    ...     \"\"\"Largest force of all.\"\"\"
    >>> with scidb.open("memory:", ["subject"]) as db:
    ...     _ = Force.save([600.0, 900.0], subject=1, db=db)
    ...     with db.pipeline() as p:
    ...         _ = for_each(lambda peaks: max(peaks), {"peaks": Peak}, [Best])
    ...         _ = for_each(lambda force: max(force), {"force": Force}, [Peak], subject=[])
    ...     [step.outputs for step in p.plan().steps]
    ...     p.run().completed
    ...     Best.load_one(db=db).data
    [('Peak',), ('Best',)]
    2
    900.0

    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._steps: list[Step] = []
        self._blocks = ExitStack()

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps in the order of running."""
        return tuple(ordered(self._steps))

    def add(
        self, /, fn: Callable[..., Any], inputs: Mapping[str, Any], outputs: Sequence[Any], **options: Any
    ) -> ForEachReport:
        """Add a step; takes what `for_each` takes, apart from ``dry_run``, and checks it.

        Returns
        -------
        ForEachReport
            Empty, and filled when the pipeline has run the step.

        Raises
        ------
        PipelineError, SchemaKeyError
            When the call cannot be run as written.

        """
        return self.collect(Call.of(_WRAPPED, fn, inputs, outputs, **options))

    def collect(self, call: Call) -> ForEachReport:
        """Add a call of for_each that was made elsewhere, as inside the ``with`` block."""
        call = call.on(self._db)
        if call["dry_run"]:
            raise PipelineError("dry_run= has no place in a pipeline, which runs nothing by itself: p.plan() shows it.")
        if call["db"] is not self._db:
            raise PipelineError(
                f"A pipeline runs on its own database, {self._db!r}, and the call names {call['db']!r}."
            )
        _check(call)
        name = function_name(call["fn"])
        report = ForEachReport(name, is_collected=True)
        same = sum(step.report.function_name == name for step in self._steps)
        self._steps.append(Step(f"{name} ({same + 1})" if same else name, call, report, reads(call), writes(call)))
        return report

    # -------------------------------------------------------------- collecting

    def __enter__(self) -> Self:
        self._blocks.enter_context(collected_by(self.collect))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._blocks.close()

    # -------------------------------------------------------------- planning and running

    def plan(self, until: type | str | None = None) -> PipelinePlan:
        """Say what would run, and why, step by step; nothing runs.

        Of a step behind others that have something to do, it is said what holds for its inputs as they are now, and
        on which steps it depends.

        Parameters
        ----------
        until
            A variable, by class or name: only the steps that make it, and what they need.

        Raises
        ------
        PipelineError
            When steps need one another, or no step makes the variable.

        """
        steps = self._chosen(until)
        made = {name for step in self._steps for name in step.makes}
        stored = {info.name for info in self._db.types() if info.records}
        planned: list[PlannedStep] = []
        pending: list[Step] = []
        for step in steps:
            planned.append(plan_step(step, pending, made, stored))
            if planned[-1].is_pending:
                pending.append(step)
        return PipelinePlan(tuple(planned))

    def run(self, until: type | str | None = None, **options: Any) -> PipelineReport:
        """Run what is out of date, step by step.

        A step in which something fails does not keep the steps behind it from running for what has its inputs; that
        is said loudly. ``[]`` means what is there when the step begins.

        Parameters
        ----------
        until
            A variable, by class or name: only the steps that make it, and what they need.
        **options
            Of `for_each`, such as ``progress=False``, for every step; they win over those of the step.

        Raises
        ------
        PipelineError
            When steps need one another, no step makes the variable, or for_each has no such option.
        Exception
            What a step with ``on_error="raise"`` raises; the steps behind it do not run then.

        """
        steps = self._chosen(until)
        _check_options(options)
        outer = collector()
        if outer is not None and outer != self.collect:
            return PipelineReport({step.name: outer(_changed(step.call, options)) for step in steps})
        return _run(steps, options)

    def _chosen(self, until: type | str | None) -> list[Step]:
        steps = ordered(self._steps)
        if until is None:
            return steps
        if not isinstance(until, str) and not is_variable(until):
            raise PipelineError(f"until={until!r}: name a variable by its class or its name.")
        return leading_to(steps, until if isinstance(until, str) else until.__name__)

    def __len__(self) -> int:
        return len(self._steps)

    def __repr__(self) -> str:
        lines = [
            f"  {step.name}: {', '.join(step.reads) or 'no variable'} -> {', '.join(step.makes) or 'no variable'}"
            for step in self._steps
        ]
        return "\n".join([f"<Pipeline of {len(self._steps)} steps on {self._db!r}>", *lines])


_WRAPPED: Callable[..., ForEachReport] = inspect.unwrap(for_each)


def _check(call: Call) -> None:
    """Refuse what no run could run; what depends on the data is said by the plan and the run."""
    try:
        call.without_combinations().quietly(dry_run=True, progress=False)
    except (PipelineError, SchemaKeyError):
        raise
    except SciDBError as error:
        logger.debug("%s() cannot be checked yet: %s", function_name(call["fn"]), error)


def _check_options(options: Mapping[str, Any]) -> None:
    known = [
        name
        for name, one in inspect.signature(_WRAPPED).parameters.items()
        if one.kind is not one.VAR_KEYWORD and name not in ("fn", "inputs", "outputs", "db", "dry_run")
    ]
    for name in options:
        if name not in known:
            raise PipelineError(f"run({name}=...): for_each has no such option for a step.{did_you_mean(name, known)}")


def _changed(call: Call, options: Mapping[str, Any]) -> Call:
    return dataclasses.replace(call, arguments={**call.arguments, **options})


def _run(steps: Sequence[Step], options: Mapping[str, Any]) -> PipelineReport:
    report = PipelineReport(not_run=tuple(step.name for step in steps))
    started = time.monotonic()
    try:
        for number, step in enumerate(steps):
            if behind := _failed_before(step, steps[:number], report):
                report.behind[step.name] = behind
            _run_step(step, options, report)
    finally:
        report.seconds = time.monotonic() - started
    for name, failed in report.behind.items():
        logger.warning(
            "%s() ran behind failures of %s: where inputs are missing it made nothing, and where results of an earlier "
            "run were there, it used those.",
            name,
            ", ".join(failed),
        )
    return report


def _failed_before(step: Step, before: Sequence[Step], report: PipelineReport) -> tuple[str, ...]:
    """Return the steps in which something failed that this one rests on, through others, too."""
    found: dict[str, None] = {}
    for other in before:
        if step.needs(other):
            found |= dict.fromkeys(report.behind.get(other.name, ()))
            if report.reports[other.name].failed:
                found[other.name] = None
    return tuple(found)


def _run_step(step: Step, options: Mapping[str, Any], report: PipelineReport) -> None:
    try:
        with collected_by(None):
            made = step.call.run(**options)
    except KeyboardInterrupt as error:
        if isinstance(stopped := getattr(error, "report", None), ForEachReport):
            report.reports[step.name] = stopped
        report.not_run, report.interrupted = report.not_run[1:], True
        error.report = report  # type: ignore[attr-defined]  # as for_each does
        raise
    except Exception as error:
        done = ", ".join(report.reports) or "none"
        error.add_note(f"In the step {step.name} of a pipeline. Steps that ran before: {done}.")
        raise
    report.not_run = report.not_run[1:]
    report.reports[step.name] = made
    for part in dataclasses.fields(made):
        setattr(step.report, part.name, getattr(made, part.name))
