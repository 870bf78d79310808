"""What a pipeline did: the reports of its steps, and how people see them."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from scidb.foreach.shown import failure_html, table_html

if TYPE_CHECKING:
    import pandas as pd

    from scidb.foreach import ForEachReport

__all__ = ["PipelineReport"]

_FAILURES: Final = 20
_STATES: Final = ("completed", "recalled", "up_to_date", "skipped", "failed")


@dataclass(slots=True)
class PipelineReport:
    """What a pipeline did.

    Attributes
    ----------
    reports
        What each step did, in the order of running, by the name of the step. ``report.retry()`` of one runs what
        failed in it again.
    not_run
        The names of the steps that were not begun, because the run was stopped.
    interrupted
        Whether it was stopped by Ctrl-C; then `reports` ends with the step that was under way.
    behind
        By step, those before it in which something failed and on which it rests, through others, too.
    seconds
        How long all of it took.

    """

    reports: dict[str, ForEachReport] = field(default_factory=dict)
    not_run: tuple[str, ...] = ()
    behind: dict[str, tuple[str, ...]] = field(default_factory=dict)
    interrupted: bool = False
    seconds: float = 0.0

    def _sum(self, state: str) -> int:
        return sum(getattr(report, state) for report in self.reports.values())

    @property
    def completed(self) -> int:
        """Combinations that were computed, of all steps."""
        return self._sum("completed")

    @property
    def recalled(self) -> int:
        """Combinations whose computation was known already."""
        return self._sum("recalled")

    @property
    def up_to_date(self) -> int:
        """Combinations for which nothing had to be done."""
        return self._sum("up_to_date")

    @property
    def skipped(self) -> int:
        """Combinations without one of their inputs."""
        return self._sum("skipped")

    @property
    def failed(self) -> int:
        """Combinations that failed."""
        return self._sum("failed")

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per step, in the order of running."""
        import pandas as pd

        rows: list[dict[str, Any]] = [
            {"step": name, **{state: getattr(report, state) for state in _STATES}, "seconds": report.seconds}
            for name, report in self.reports.items()
        ]
        return pd.DataFrame(rows, columns=["step", *_STATES, "seconds"])

    def __str__(self) -> str:
        if not self.reports and not self.not_run:
            return "The pipeline had nothing to run."
        lines = []
        for name, report in self.reports.items():
            remark = self._remark(name)
            lines.append(f"{report}, {remark}" if remark else str(report))
        if self.not_run:
            lines.append(f"not run: {', '.join(self.not_run)}")
        return "\n".join([*lines, self._total()])

    def _remark(self, name: str) -> str:
        return f"behind failures of {', '.join(self.behind[name])}" if name in self.behind else ""

    def _total(self) -> str:
        counts = f"{self.completed} computed, {self.recalled} recalled, {self.up_to_date} up to date"
        failed = f", {self.failed} FAILED" if self.failed else ""
        stopped = ", interrupted" if self.interrupted else ""
        return f"In all {counts}{failed}{stopped} ({self.seconds:.2f} s)"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = [
            (
                name,
                *(str(getattr(report, state) or "") for state in _STATES),
                f"{report.seconds:.2f}",
                self._remark(name),
            )
            for name, report in self.reports.items()
        ]
        rows += [(name, *[""] * (len(_STATES) + 1), "not run") for name in self.not_run]
        headings = ("step", "computed", "recalled", "up to date", "skipped", "failed", "seconds", "")
        parts = [f"<p><b>{html.escape(self._total())}</b></p>", table_html(headings, rows)]
        failures = [(name, failure) for name, report in self.reports.items() for failure in report.failures]
        parts += [failure_html(failure, f"{name} at ") for name, failure in failures[:_FAILURES]]
        return "".join(parts)
