"""What became of the combinations of a run: noted in the report, and saved in batches while the run goes on."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from scidb.exceptions import SciDBError
from scidb.foreach.protocols import Done, Problem, Totals
from scidb.foreach.report import FailedCombination, log_combination
from scidb.foreach.values import said_by, size_of, traceback_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from scidb.foreach.plan import Task
    from scidb.foreach.protocols import Known, Recorder, RunInfo
    from scidb.foreach.report import ForEachReport

__all__ = ["Results"]

_BATCH_RESULTS: Final = 500
_BATCH_BYTES: Final = 128 << 20
# What is done is in the database after two seconds, also while a long call goes on.
_BATCH_SECONDS: Final = 1.0
_LATE_SECONDS: Final = 1.5


class Results:
    """What became of the combinations of a run, saved in batches by number, size and time."""

    def __init__(self, recorder: Recorder, run: RunInfo, report: ForEachReport, *, save: bool) -> None:
        self._recorder, self._run, self._report, self._save = recorder, run, report, save
        self._done: list[tuple[Task, Done]] = []
        self._problems: list[Problem] = []
        self._failed: list[tuple[Task, FailedCombination]] = []
        self._last_flush = time.monotonic()
        self._bytes = 0
        self._lock = threading.RLock()
        self._is_over = threading.Event()
        self._clock: threading.Thread | None = None
        self._is_noted = self._has_ended = not save or not report.combinations

    @property
    def first_error(self) -> BaseException | None:
        """The error of the combination that failed first."""
        return self._failed[0][1].error if self._failed else None

    def accept(
        self, task: Task, values: tuple[Any, ...], seconds: float | None, recalled_from: str | None = None
    ) -> None:
        """Take the values of a combination: those that were computed, or without seconds those of an earlier one."""
        done = Done(
            task.combination,
            task.lineage_id,
            task.inputs_hash,
            task.origins,
            values=values,
            seconds=seconds,
            recalled_from=recalled_from,
        )
        self._finish(task, done, "completed" if seconds is not None else "recalled")

    def log_again(self, task: Task, known: Known) -> None:
        """Take records of an earlier computation that stand at this place."""
        done = Done(
            task.combination,
            task.lineage_id,
            task.inputs_hash,
            task.origins,
            entries=known.records,
            recalled_from=known.call_id,
        )
        self._finish(task, done, "recalled")

    def fail(
        self, task: Task, error: Exception, seconds: float, message: str | None = None, trace: str | None = None
    ) -> None:
        """Note a failure; message and traceback are given where the error came from a worker."""
        message = said_by(error) if message is None else message
        trace = traceback_of(error) if trace is None else trace
        with self._lock:
            task.report.state, task.report.seconds = "failed", seconds
            task.report.reason = f"{type(error).__name__}: {message}"
            self._failed.append((task, FailedCombination(task.combination, error, trace)))
            self._report.failures.append(self._failed[-1][1])
            lineage_id = task.lineage_id or None
            self._problems.append(
                Problem(
                    schema=task.combination,
                    error=error,
                    message=message,
                    traceback=trace,
                    seconds=seconds,
                    lineage_id=lineage_id,
                    inputs=task.origins,
                )
            )
            log_combination(self._report, task.report)

    def _finish(self, task: Task, done: Done, state: Literal["completed", "recalled"]) -> None:
        with self._lock:
            task.report.state, task.report.seconds = state, done.seconds
            self._done.append((task, done))
            self._bytes += sum(map(size_of, done.values))
            log_combination(self._report, task.report)

    # -------------------------------------------------------------- saving

    def flush_if_due(self) -> None:
        """Save what is done when there is enough of it, or the last time was long ago."""
        if (
            len(self._done) >= _BATCH_RESULTS
            or self._bytes >= _BATCH_BYTES
            or time.monotonic() - self._last_flush >= _BATCH_SECONDS
        ):
            self.flush()

    def flush(self) -> None:
        """Save what is done so far, in one transaction; what cannot be stored becomes a failure of its own."""
        with self._lock:
            while self._save and (self._done or self._problems or not self._is_noted):
                self._write(None)
            self._last_flush = time.monotonic()

    def end(self, *, interrupted: bool) -> None:
        """Save the rest together with the end of the run, unless it has ended."""
        with self._lock:
            while not self._has_ended:
                counts = self._report
                self._has_ended = self._write(
                    Totals(
                        counts.completed, counts.recalled, counts.up_to_date, counts.skipped, counts.failed, interrupted
                    )
                )

    def _write(self, totals: Totals | None) -> bool:
        """Save what is done, and the end of the run if there are totals; say whether all of it could be stored."""
        rejected = self._recorder.record(self._run, [item for _, item in self._done], self._problems, totals)
        self._is_noted = True
        done, self._done, self._problems, self._bytes = self._done, [], [], 0
        for item in rejected:
            task, result = done[item.position]
            self.fail(task, item.error, result.seconds or 0.0)
        return not rejected

    def start_clock(self) -> None:
        """Save from now on also while a call goes on."""
        if self._save:
            self._clock = threading.Thread(target=self._flush_late, name="for_each saves", daemon=True)
            self._clock.start()

    def _flush_late(self) -> None:
        """Save what is done, and that the run began, while nobody else does because a call takes long."""
        while not self._is_over.wait(_LATE_SECONDS / 4):
            if time.monotonic() - self._last_flush < _LATE_SECONDS:
                continue
            try:
                self.flush()
            except SciDBError:
                return  # the run tries itself, and raises

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Save the rest; what could not be saved counts as not run."""
        self._is_over.set()
        if self._clock is not None:
            self._clock.join()  # it holds the function, which may be defined anew next
        try:
            try:
                self.flush()
            except KeyboardInterrupt:  # in the middle of writing: what is done is written all the same
                self.flush()
                raise
        finally:
            if self._save:
                for task, _ in self._done:
                    task.report.state, task.report.reason = "not_run", "its result could not be saved"
                self._done, self._problems = [], []

    def values_of(self, tasks: Sequence[Task]) -> list[tuple[Any, ...] | None]:
        """Return the values that were not saved, by task."""
        made = {id(task): done.values for task, done in self._done}
        return [made.get(id(task)) for task in tasks]
