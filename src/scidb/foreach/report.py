"""What a call of for_each says: a report to look at, to compute with, and to go on from."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from scidb.exceptions import PipelineError
from scidb.foreach import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from scidb.foreach.call import Call
    from scidb.foreach.estimate import Estimate

__all__ = ["CombinationReport", "FailedCombination", "ForEachReport", "State", "log_combination", "log_outcome"]

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
    estimate
        With ``dry_run``, how long computing will take, told from past calls; its `seconds` are None without any.
    is_collected
        Whether the call waits in a pipeline; the numbers are there when that has run.

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
    estimate: Estimate | None = None
    is_collected: bool = False
    call: Call | None = field(default=None, repr=False, compare=False)

    def count(self, state: State) -> int:
        """Return the number of combinations in a state."""
        return [item.state for item in self.combinations].count(state)

    @property
    def completed(self) -> int:
        """Combinations that were computed."""
        return self.count("completed")

    @property
    def recalled(self) -> int:
        """Combinations whose computation was known already."""
        return self.count("recalled")

    @property
    def up_to_date(self) -> int:
        """Combinations for which nothing had to be done."""
        return self.count("up_to_date")

    @property
    def skipped(self) -> int:
        """Combinations without one of their inputs."""
        return self.count("skipped")

    @property
    def excluded(self) -> int:
        """Those of the skipped combinations that lack an input because of flags."""
        return sum(item.is_excluded for item in self.combinations)

    @property
    def failed(self) -> int:
        """Combinations that failed."""
        return self.count("failed")

    def retry(self) -> ForEachReport:
        """Run the failed combinations again, and only those, with the same call; return what became of them.

        A function that was defined anew since, as in an edited notebook cell, runs as it is now. What this process
        knows no more, after a restart say, ``scidb retry`` and ``db.retry()`` run from what is stored.

        Raises
        ------
        PipelineError
            When this report is of no run: of ``dry_run``, of a pipeline that has not run, or read from elsewhere.

        """
        if self.dry_run or self.is_collected or self.call is None:
            what = "a plan: nothing has run yet" if self.dry_run or self.is_collected else "of no call of this process"
            raise PipelineError(f"This report of {self.function_name}() is {what}, so that there is nothing to retry.")
        if not self.failures:
            return ForEachReport(self.function_name, run_id=self.run_id, call=self.call)
        return self.call.run_only([failure.combination for failure in self.failures])

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per combination, in order: its keys, alternatives of `EachOf`, state, reason and seconds."""
        import pandas as pd

        keys = list(dict.fromkeys(key for item in self.combinations for key in item.combination))
        own = {"state", "reason", "seconds"}
        columns: dict[str, list[Any]] = {
            f"{key}_value" if key in own else key: [item.combination.get(key) for item in self.combinations]
            for key in keys
        }
        for name in dict.fromkeys(name for item in self.combinations for name in item.alternative):
            unused = f"{name}_input" if name in own or name in columns else name
            columns[unused] = [item.alternative.get(name) for item in self.combinations]
        columns["state"] = [item.state for item in self.combinations]
        columns["reason"] = [item.reason for item in self.combinations]
        columns["seconds"] = [item.seconds for item in self.combinations]
        return pd.DataFrame(columns)

    def __str__(self) -> str:
        return shown.line(self)

    def __repr__(self) -> str:
        return shown.screen(self)

    def _repr_html_(self) -> str:
        return shown.page(self)


# ------------------------------------------------------------------ what is logged


def log_combination(report: ForEachReport, item: CombinationReport) -> None:
    """Note what became of one combination, for those who keep such records."""
    level = logging.INFO if item.state == "failed" else logging.DEBUG
    if logger.isEnabledFor(level):
        logger.log(
            level,
            "%s() at %s: %s%s",
            report.function_name,
            shown.keys_text(item.combination),
            item.state,
            f": {item.reason}" if item.reason else "",
            extra={**_fields(report), "combination": dict(item.combination), "state": item.state},
        )


def _fields(report: ForEachReport) -> dict[str, Any]:
    return {"run_id": report.run_id, "function": report.function_name}


def log_outcome(report: ForEachReport) -> None:
    """Say loudly what a tired reader must not miss: failures, and runs in which nothing matched."""
    fields = {**_fields(report), "combination": None, "state": "planned" if report.dry_run else "ended"}
    if logger.isEnabledFor(logging.DEBUG):
        for item in report.combinations:
            if item.state in ("up_to_date", "skipped", "not_run"):  # of the others it was said when they were done
                log_combination(report, item)
    logger.info("%s", report, extra=fields)
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
            shown.keys_text(older[0].combination),
            extra=fields,
        )
    if report.failures:
        first = report.failures[0]
        count = "ALL" if report.failed == total else f"{report.failed} of"
        logger.warning(
            "%s(): %s %d combinations failed. First, at %s: %s: %s. report.failures and `scidb runs` have all of them; "
            "report.retry() runs them again.",
            report.function_name,
            count,
            total,
            shown.failed_text(first),
            type(first.error).__name__,
            _reason_of_first_failure(report),
            extra=fields,
        )
    elif not total and report.left_out:
        logger.warning(
            "%s(): the filter left out ALL %d combinations, so nothing was done. Is it the filter that you meant?",
            report.function_name,
            report.left_out,
            extra=fields,
        )
    elif not total:
        logger.warning(
            "%s(): no combination matched, so nothing was done. Are the keys those of the saved data?",
            report.function_name,
            extra=fields,
        )
    elif report.skipped == total:
        logger.warning(
            "%s(): ALL %d combinations were skipped, because an input is missing or left out. First: %s",
            report.function_name,
            total,
            report.combinations[0].reason,
            extra=fields,
        )


def _reason_of_first_failure(report: ForEachReport) -> str:
    reason = next(item.reason for item in report.combinations if item.state == "failed")
    return reason.partition(": ")[2].rstrip(".?! ")
