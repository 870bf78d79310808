"""One run: tasks in windows, results in batches, everything done saved whatever happens."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Literal

from scidb.exceptions import PipelineError, SciDBError
from scidb.foreach.arguments import Arguments
from scidb.foreach.protocols import Done, Problem, Totals
from scidb.foreach.report import FailedCombination, log_combination
from scidb.foreach.state import warn_of_lookup
from scidb.foreach.values import as_outputs, said_by, size_of, snapshot, traceback_of
from scidb.hashing.inputs import Input
from scidb.hashing.paths import file_states, written_since

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from scidb.foreach.config import Parameters
    from scidb.foreach.plan import Task
    from scidb.foreach.progress import Progress
    from scidb.foreach.protocols import Known, Recorder, RunInfo
    from scidb.foreach.report import ForEachReport

__all__ = ["Execution"]

_WINDOW_TASKS: Final = 256
_WINDOW_BYTES: Final = 256 << 20
_BATCH_RESULTS: Final = 500
_BATCH_SECONDS: Final = 2.0


class Execution:
    """One run: tasks in windows, results in batches, everything done saved whatever happens."""

    def __init__(
        self,
        recorder: Recorder,
        parameters: Parameters,
        run: RunInfo,
        report: ForEachReport,
        metadata_keys: Sequence[str],
        *,
        save: bool,
        reuse: bool,
        on_error: str,
    ) -> None:
        if on_error not in ("continue", "raise"):
            raise PipelineError(f"on_error={on_error!r}: use 'continue' or 'raise'.")
        self._recorder, self._parameters, self._run_info, self._report = recorder, parameters, run, report
        self._save, self._reuse, self._on_error = save, reuse, on_error
        self._given = Arguments(recorder, parameters, metadata_keys)
        self._done: list[tuple[Task, Done]] = []
        self._problems: list[Problem] = []
        self._last_flush = time.monotonic()
        self._waiting_bytes = 0
        self._twins: Counter[str] = Counter()
        self._shared: dict[str, tuple[Any, ...]] = {}

    def run(self, tasks: Sequence[Task], progress: Progress) -> None:
        """Run what has to be run. A run that ends, ends in the database too."""
        todo = [task for task in tasks if task.problem or task.report.state in ("completed", "recalled")]
        if self._reuse:
            self._twins = Counter(task.lineage_id for task in todo if task.report.state == "completed")
        for task in todo:
            task.report.state = "not_run"
        if self._save and todo:
            self._recorder.begin_run(self._run_info)
        try:
            self._run_all(todo, progress)
        except KeyboardInterrupt as error:
            error.report = self._report  # type: ignore[attr-defined]  # promised by the documentation
            raise
        if self._must_stop:
            raise self._report.failures[0].error
        if not self._save:
            made = {id(task): done.values for task, done in self._done}
            self._report.values = [made.get(id(task)) for task in tasks]

    def _run_all(self, todo: Sequence[Task], progress: Progress) -> None:
        interrupted = True
        try:
            try:
                with progress.of(len(todo)) as bar:
                    for window in _windows(todo):
                        self._run_window(window, bar)
                        if self._must_stop:
                            break
            finally:
                try:
                    self._flush()
                except KeyboardInterrupt:  # in the middle of writing: what is done is written all the same
                    self._flush()
                    raise
            interrupted = self._must_stop
        finally:
            for task, _ in self._done if self._save else ():
                task.report.state, task.report.reason = "not_run", "its result could not be saved"
            self._end(interrupted=interrupted)

    @property
    def _must_stop(self) -> bool:
        return self._on_error == "raise" and bool(self._report.failures)

    def _end(self, *, interrupted: bool) -> None:
        report = self._report
        if not self._save or not report.combinations:
            return
        totals = Totals(
            report.completed, report.recalled, report.up_to_date, report.skipped, report.failed, interrupted
        )
        self._recorder.end_run(self._run_info, totals)

    # -------------------------------------------------------------- one window

    def _run_window(self, window: Sequence[Task], bar: Progress) -> None:
        values = self._load(window)
        uses = Counter(e.record_id for task in window for entries in task.entries.values() for e in entries)
        for task in window:
            if task.problem is not None:
                self._fail(task, task.problem, 0.0)
            elif task.known is not None:
                self._recall(task, task.known, values)
            elif task.lineage_id in self._shared:
                made = self._shared[task.lineage_id]
                self._accept(task, made, None)
            else:
                self._compute(task, values, uses)
            self._forget_twin(task)
            bar.advance()
            if self._flush_is_due():
                self._flush()
            if self._must_stop:
                return

    def _forget_twin(self, task: Task) -> None:
        """Let go of a shared result when the last of the equal combinations has it."""
        self._twins[task.lineage_id] -= 1
        if self._twins[task.lineage_id] <= 0:
            self._shared.pop(task.lineage_id, None)

    def _flush_is_due(self) -> bool:
        return (
            len(self._done) >= _BATCH_RESULTS
            or self._waiting_bytes >= _WINDOW_BYTES
            or time.monotonic() - self._last_flush >= _BATCH_SECONDS
        )

    def _load(self, window: Sequence[Task]) -> dict[str, Any]:
        values = self._load_known(window)
        wanted: dict[str, Any] = {}
        for spec in self._parameters.variables:
            for task in window:
                if task.known is None and task.lineage_id not in self._shared:
                    wanted.update((entry.record_id, spec.variable) for entry in task.entries[spec.name])
        if wanted:
            values |= self._recorder.values(wanted, unwrap=self._parameters.unwrap)
        return values

    def _load_known(self, window: Sequence[Task]) -> dict[str, Any]:
        """Load earlier results that belong elsewhere; where that fails, they are computed."""
        elsewhere = [task for task in window if task.known is not None and not self._stands_here(task, task.known)]
        entries = [entry for task in elsewhere if task.known is not None for entry in task.known.records]
        try:
            return self._recorder.known_values(entries) if entries else {}
        except SciDBError as error:
            warn_of_lookup(self._run_info, error)
            for task in elsewhere:
                task.known = None
            return {}

    def _stands_here(self, task: Task, known: Known) -> bool:
        """Say whether the known records have the very addresses that the task's outputs would have."""
        return all(
            entry.variable == output.__name__
            and dict(entry.schema) == dict(task.combination)
            and entry.version_keys == self._run_info.version_keys
            for entry, output in zip(known.records, self._run_info.outputs, strict=True)
        )

    def _recall(self, task: Task, known: Known, values: Mapping[str, Any]) -> None:
        call = known.call_id
        if not self._stands_here(task, known):
            self._accept(task, tuple(values[entry.record_id] for entry in known.records), None, recalled_from=call)
            return
        done = Done(
            task.combination,
            task.lineage_id,
            task.inputs_hash,
            task.origins,
            entries=known.records,
            recalled_from=call,
        )
        self._finish(task, done, "recalled")

    def _compute(self, task: Task, values: Mapping[str, Any], uses: Mapping[str, int]) -> None:
        started = time.perf_counter()
        try:
            before = file_states(self._parameters.constants) if self._parameters.generates_file else {}
            result = self._parameters.function(**self._given.of(task, values, uses))
            # A function may return one buffer again and again; what is saved later must be what it returned now.
            made = self._outputs(result)
            if not self._parameters.generates_file:
                for name, file in task.files.items():
                    file.check_unchanged(name)
        except Exception as error:  # noqa: BLE001 - whatever the user's function raises fails one combination
            self._fail(task, error, time.perf_counter() - started)
            return
        task.origins = (*written_since(before), *task.origins)
        self._note_written(task)
        self._accept(task, made, time.perf_counter() - started)
        if self._twins[task.lineage_id] > 1:
            self._shared[task.lineage_id] = made

    def _outputs(self, result: Any) -> tuple[Any, ...]:
        if self._parameters.generates_file:
            return ()
        return tuple(map(snapshot, as_outputs(result, self._run_info, self._report.function_name)))

    def _note_written(self, task: Task) -> None:
        """Identify a call by what it has written, which nobody could know before: by path, not by content."""
        if task.written is None:
            return
        written = {name: file for name, file in task.files.items() if file.is_written()}
        for name, file in written.items():
            file.expect(name)
        task.inputs = task.written.inputs(written, task.files)
        task.lineage_id = task.written.computations.lineage_id(task.inputs)
        origins = {name: file.found.origins for name, file in written.items() if isinstance(file.found, Input)}
        kept = tuple(origin for origin in task.origins if origin.name not in origins)
        task.origins = (*kept, *(origin for own in origins.values() for origin in own))

    # -------------------------------------------------------------- what became of a task

    def _accept(
        self, task: Task, values: tuple[Any, ...], seconds: float | None, recalled_from: str | None = None
    ) -> None:
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

    def _finish(self, task: Task, done: Done, state: Literal["completed", "recalled"]) -> None:
        task.report.state, task.report.seconds = state, done.seconds
        self._done.append((task, done))
        self._waiting_bytes += sum(map(size_of, done.values))
        log_combination(self._report, task.report)

    def _fail(self, task: Task, error: Exception, seconds: float) -> None:
        message, trace = said_by(error), traceback_of(error)
        task.report.state, task.report.seconds = "failed", seconds
        task.report.reason = f"{type(error).__name__}: {message}"
        self._report.failures.append(FailedCombination(task.combination, error, trace))
        log_combination(self._report, task.report)
        lineage_id = task.lineage_id or None
        self._problems.append(Problem(task.combination, error, message, trace, seconds, lineage_id, task.origins))

    def _flush(self) -> None:
        """Save what is done so far, in one transaction; what cannot be stored becomes a failure of its own."""
        self._last_flush = time.monotonic()
        while self._save and (self._done or self._problems):
            rejected = self._recorder.record(self._run_info, [item for _, item in self._done], self._problems)
            done, self._done, self._problems, self._waiting_bytes = self._done, [], [], 0
            for item in rejected:
                task, result = done[item.position]
                self._fail(task, item.error, result.seconds or 0.0)


def _windows(tasks: Sequence[Task]) -> Iterator[list[Task]]:
    """Split tasks so that the inputs of one window fit in memory."""
    window: list[Task] = []
    size = 0
    for task in tasks:
        need = sum(entry.nbytes for entries in task.entries.values() for entry in entries)
        if window and (len(window) >= _WINDOW_TASKS or size + need > _WINDOW_BYTES):
            yield window
            window, size = [], 0
        window.append(task)
        size += need
    if window:
        yield window
