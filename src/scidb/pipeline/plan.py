"""What a pipeline would do, step by step, and why: plain data, and how people see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scidb.exceptions import SciDBError
from scidb.foreach.estimate import about, duration_text
from scidb.foreach.shown import table_html

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    import pandas as pd

    from scidb.foreach import ForEachReport
    from scidb.pipeline.steps import Step

__all__ = ["PipelinePlan", "PlannedStep", "plan_step"]

_HEADINGS = ("", "step", "makes", "compute", "recall", "up to date", "no input", "estimate", "why")
_NUMBERS = frozenset({0, 3, 4, 5, 6, 7})
_COLUMNS = [
    "step", "inputs", "outputs", "completed", "recalled", "up_to_date", "skipped", "seconds", "depends_on", "why",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """What one step would do, as far as can be told before the steps in front of it have run.

    Attributes
    ----------
    name, inputs, outputs
        The function, the variables that it reads, and those that it makes.
    report
        What a dry run says now: counts, reasons and an estimate; None where it cannot be planned.
    depends_on
        The steps that make its inputs and have something to do. Then the counts are those of today's inputs, and
        there may be more to do.
    missing
        Variables among its inputs that no step makes, and the database does not have.
    problem
        Why it cannot be planned, in words.

    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    report: ForEachReport | None
    depends_on: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    problem: str = ""

    @property
    def completed(self) -> int:
        """Combinations that would be computed, as far as is known."""
        return self.report.completed if self.report else 0

    @property
    def recalled(self) -> int:
        """Combinations of which the result is known."""
        return self.report.recalled if self.report else 0

    @property
    def up_to_date(self) -> int:
        """Combinations for which nothing has to be done, as far as is known."""
        return self.report.up_to_date if self.report else 0

    @property
    def skipped(self) -> int:
        """Combinations without one of their inputs, as far as is known."""
        return self.report.skipped if self.report else 0

    @property
    def is_pending(self) -> bool:
        """Whether there is something to do, or may be once the steps before have run."""
        return bool(self.completed or self.recalled or self.depends_on or self.problem or self._would_fail)

    @property
    def _would_fail(self) -> int:
        return self.report.failed if self.report else 0

    @property
    def why(self) -> str:
        """Why there is something to do, or why there is nothing, in words."""
        return "; ".join(self._reasons())

    def _reasons(self) -> Iterator[str]:
        if self.missing:
            yield f"no step makes {', '.join(self.missing)}, and the database has none"
        if self.depends_on:
            yield f"depends on {', '.join(self.depends_on)}"
        if self.problem:
            yield f"cannot be planned: {self.problem}"
        if self.report is None:
            return
        again = sum(item.has_result for item in self.report.combinations if item.state == "completed")
        if new := self.completed - again:
            yield f"{new} without a result"
        if again:
            yield f"{again} whose code or inputs changed"
        if self._would_fail:
            yield f"{self._would_fail} would fail"
        if self.skipped and not self.missing and not self.depends_on:
            yield next(item.reason for item in self.report.combinations if item.state == "skipped")
        if not self.report.combinations and not self.missing and not self.depends_on:
            yield "no combination matches"


@dataclass(frozen=True, slots=True)
class PipelinePlan:
    """What a pipeline would do: one `PlannedStep` for each step, in the order of running."""

    steps: tuple[PlannedStep, ...]

    @property
    def is_up_to_date(self) -> bool:
        """Whether no step has anything to do."""
        return not any(step.is_pending for step in self.steps)

    @property
    def problems(self) -> tuple[PlannedStep, ...]:
        """Steps that cannot run as they are: without an input that anybody makes, or refused now and later."""
        return tuple(step for step in self.steps if step.missing or (step.problem and not step.depends_on))

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per step."""
        import pandas as pd

        rows = [
            {
                "step": step.name,
                "inputs": ", ".join(step.inputs),
                "outputs": ", ".join(step.outputs),
                "completed": step.completed,
                "recalled": step.recalled,
                "up_to_date": step.up_to_date,
                "skipped": step.skipped,
                "seconds": step.report.estimate.seconds if step.report and step.report.estimate else None,
                "depends_on": ", ".join(step.depends_on),
                "why": step.why,
            }
            for step in self.steps
        ]
        return pd.DataFrame(rows, columns=_COLUMNS)

    def __len__(self) -> int:
        return len(self.steps)

    def __str__(self) -> str:
        if not self.steps:
            return "The pipeline has no steps."
        rows = [_HEADINGS, *self._rows()]
        widths = [max(len(row[number]) for row in rows) for number in range(len(_HEADINGS))]
        lines = [
            "  ".join(
                cell.rjust(width) if number in _NUMBERS else cell.ljust(width)
                for number, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        return "\n".join([*lines, self._sum()])

    __repr__ = __str__

    def _rows(self) -> Iterator[tuple[str, ...]]:
        for number, step in enumerate(self.steps, start=1):
            counts = (step.completed, step.recalled, step.up_to_date, step.skipped)
            estimate = step.report.estimate if step.report else None
            time = "" if not step.completed or estimate is None else "?"
            if time and estimate is not None and estimate.seconds is not None:
                time = duration_text(estimate.seconds)
            yield str(number), step.name, ", ".join(step.outputs), *(str(one or "") for one in counts), time, step.why

    def _sum(self) -> str:
        """Return what is to be done in all, in one line."""
        if self.is_up_to_date:
            return "Everything that has its inputs is up to date."
        computed = sum(step.completed for step in self.steps)
        later = ", and what depends on that" if any(step.depends_on for step in self.steps) else ""
        return f"{computed} to compute{self._time() if computed else ''}{later}."

    def _time(self) -> str:
        estimates = [step.report.estimate for step in self.steps if step.completed and step.report]
        told = [one.seconds for one in estimates if one is not None]
        known = [seconds for seconds in told if seconds is not None]
        if not known:
            return " (no estimate: no past call was timed)"
        rest = " for the steps that were timed before" if len(known) < len(told) else " by past calls"
        return f" ({about(sum(known))}{rest})"

    def _repr_html_(self) -> str:
        import html

        table = table_html(_HEADINGS, list(self._rows()))
        return f"{table}<p>{html.escape(self._sum())}</p>" if self.steps else f"<p>{html.escape(str(self))}</p>"


def plan_step(step: Step, pending: Sequence[Step], made: Collection[str], stored: Collection[str]) -> PlannedStep:
    """Plan one step; `pending` are those before it that have something to do, `made` is what all steps make."""
    depends_on = tuple(other.name for other in pending if step.needs(other))
    missing = tuple(name for name in step.reads if name not in made and name not in stored)
    report: ForEachReport | None = None
    problem = ""
    try:
        report = step.call.quietly(dry_run=True, progress=False)
    except SciDBError as error:
        problem = f"{type(error).__name__}: {error}"
    return PlannedStep(
        name=step.name,
        inputs=step.reads,
        outputs=step.makes,
        report=report,
        depends_on=depends_on,
        missing=missing,
        problem=problem,
    )
