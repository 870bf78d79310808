"""What a call of for_each says: a report to look at and compute with, and progress while it runs."""

from __future__ import annotations

import html
import logging
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    import pandas as pd

__all__ = ["CombinationReport", "FailedCombination", "ForEachReport", "Progress", "State", "log_outcome"]

logger = logging.getLogger("scidb.foreach")

State: TypeAlias = Literal["completed", "recalled", "up_to_date", "skipped", "failed", "not_run"]


@dataclass(frozen=True, slots=True)
class FailedCombination:
    """One combination that failed, and how."""

    combination: Mapping[str, Any]
    error: BaseException
    traceback: str
    alternative: Mapping[str, Any] = field(default_factory=dict)  # of `EachOf`, by parameter


@dataclass(slots=True)
class CombinationReport:
    """What became of one combination."""

    combination: Mapping[str, Any]
    state: State = "not_run"
    reason: str = ""
    seconds: float | None = None
    has_result: bool = False  # an earlier run left one here, which later steps use
    is_excluded: bool = False  # skipped because an input is flagged
    alternative: Mapping[str, Any] = field(default_factory=dict)  # of `EachOf`, by parameter


@dataclass(slots=True)
class ForEachReport:
    """What a call of for_each did, or with ``dry_run`` what it would do.

    Attributes
    ----------
    completed, recalled, up_to_date, skipped, failed
        Numbers of combinations: computed; known from an earlier computation and logged again; unchanged;
        without an input; failed.
    left_out
        Number of combinations that ``where=`` left out; they are not among the others.
    excluded
        How many of the skipped ones lack an input because ``exclude=`` left it out.
    failures
        The failed combinations with error and traceback.
    seconds
        How long the call took.

    Examples
    --------
    >>> import scidb
    >>> from scidb import BaseVariable, for_each
    >>> class Force(BaseVariable):
    ...     \"\"\"Force during one trial.\"\"\"
    >>> class Peak(BaseVariable):
    ...     \"\"\"Largest force of a trial.\"\"\"
    >>> def peak(force):
    ...     return max(force)
    >>> with scidb.open("memory:", ["subject"]) as db:
    ...     _ = Force.save([600.0, 900.0], subject=1, db=db)
    ...     report = for_each(peak, {"force": Force}, [Peak], subject=[], db=db)
    >>> report.completed, report.failed, report.failures
    (1, 0, [])
    >>> report.to_pandas()["state"].tolist()
    ['completed']

    """

    function_name: str
    combinations: list[CombinationReport] = field(default_factory=list)
    failures: list[FailedCombination] = field(default_factory=list)
    seconds: float = 0.0
    dry_run: bool = False
    run_id: str | None = None
    values: list[tuple[Any, ...] | None] = field(default_factory=list)  # with save=False only
    left_out: int = 0

    def _count(self, state: State) -> int:
        return sum(item.state == state for item in self.combinations)

    @property
    def completed(self) -> int:
        """Combinations that were computed."""
        return self._count("completed")

    @property
    def recalled(self) -> int:
        """Combinations whose computation was known already."""
        return self._count("recalled")

    @property
    def up_to_date(self) -> int:
        """Combinations for which nothing had to be done."""
        return self._count("up_to_date")

    @property
    def skipped(self) -> int:
        """Combinations without one of their inputs."""
        return self._count("skipped")

    @property
    def excluded(self) -> int:
        """Those of the skipped combinations that lack an input because of flags."""
        return sum(item.is_excluded for item in self.combinations)

    @property
    def failed(self) -> int:
        """Combinations that failed."""
        return self._count("failed")

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per combination, in order: its keys, alternatives of `EachOf`, state, reason and seconds."""
        import pandas as pd

        keys = list(dict.fromkeys(key for item in self.combinations for key in item.combination))
        columns: dict[str, list[Any]] = {key: [item.combination.get(key) for item in self.combinations] for key in keys}
        for name in dict.fromkeys(name for item in self.combinations for name in item.alternative):
            unused = name if name not in (*columns, "state", "reason", "seconds") else f"{name}_input"
            columns[unused] = [item.alternative.get(name) for item in self.combinations]
        columns["state"] = [item.state for item in self.combinations]
        columns["reason"] = [item.reason for item in self.combinations]
        columns["seconds"] = [item.seconds for item in self.combinations]
        return pd.DataFrame(columns)

    def __str__(self) -> str:
        words = ("would compute", "would recall") if self.dry_run else ("computed", "recalled")
        parts = [
            (self.completed, words[0]),
            (self.recalled, words[1]),
            (self.up_to_date, "up to date"),
            (self.skipped - self.excluded, "skipped: an input is missing"),
            (self.excluded, "skipped: an input is flagged"),
            (self.failed, "failed"),
            (self._count("not_run"), "not run"),
            (self.left_out, "left out by the filter"),
        ]
        shown = ", ".join(f"{count} {word}" for count, word in parts if count) or "no combination matched"
        return f"{self.function_name}: {shown} ({self.seconds:.2f} s)"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(', '.join(f'{k}={v}' for k, v in failure.combination.items()))}</td>"
            f"<td>{html.escape(f'{type(failure.error).__name__}: {failure.error}')}</td></tr>"
            for failure in self.failures
        )
        table = f"<table><tr><th>failed</th><th>error</th></tr>{rows}</table>" if rows else ""
        return f"<p><b>{html.escape(str(self))}</b></p>{table}"


def log_outcome(report: ForEachReport) -> None:
    """Say loudly what a tired reader must not miss: failures, and runs in which nothing matched."""
    total = len(report.combinations)
    undone = [item for item in report.combinations if item.state in ("failed", "skipped")]
    # What was excluded was so on purpose, and its results show their flag.
    older = [item for item in undone if item.has_result and not item.is_excluded]
    if older and not report.dry_run:
        logger.warning(
            "%s(): %d combinations failed or were skipped, and still have the results of an earlier run, which later "
            "steps will use. First: %s.",
            report.function_name,
            len(older),
            _keys_text(older[0].combination),
        )
    if report.failures:
        first = report.failures[0]
        count = "ALL" if report.failed == total else f"{report.failed} of"
        logger.warning(
            "%s(): %s %d combinations failed. First, at %s: %s: %s. report.failures and `scidb runs` have all of them.",
            report.function_name,
            count,
            total,
            _keys_text(first.combination),
            type(first.error).__name__,
            _reason_of_first_failure(report),
        )
    elif not total and report.left_out:
        logger.warning(
            "%s(): the filter left out ALL %d combinations, so nothing was done. Is it the filter that you meant?",
            report.function_name,
            report.left_out,
        )
    elif not total:
        logger.warning(
            "%s(): no combination matched, so nothing was done. Are the keys those of the saved data?",
            report.function_name,
        )
    elif report.skipped == total:
        logger.warning(
            "%s(): ALL %d combinations were skipped, because an input is missing or left out. First: %s",
            report.function_name,
            total,
            report.combinations[0].reason,
        )


def _reason_of_first_failure(report: ForEachReport) -> str:
    reason = next(item.reason for item in report.combinations if item.state == "failed")
    return reason.partition(": ")[2].rstrip(".?! ")


def _keys_text(combination: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in combination.items()) or "the whole dataset"


class Progress:
    """A progress bar on stderr, for work that takes longer than a second, where somebody can see it."""

    def __init__(self, label: str, total: int, *, shown: bool | None) -> None:
        self._label, self._total = label, total
        self._shown = sys.stderr.isatty() if shown is None else shown
        self._started = time.monotonic()
        self._done = 0
        self._bar: Any = None
        self._task: Any = None

    def advance(self) -> None:
        """Note that one more combination is done."""
        self._done += 1
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done)
        elif self._shown and time.monotonic() - self._started > 1.0:
            self._open()

    def _open(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
        self._bar.start()
        self._task = self._bar.add_task(self._label, total=self._total, completed=self._done)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
