"""One run: what has to be computed is computed, here or by workers, and everything done is saved whatever happens."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, Final

from scidb.exceptions import PipelineError, SciDBError
from scidb.foreach.arguments import Arguments
from scidb.foreach.claims import portions_of
from scidb.foreach.crew import Call, Crew
from scidb.foreach.pieces import by_output
from scidb.foreach.results import Results
from scidb.foreach.state import warn_of_lookup
from scidb.foreach.values import size_of
from scidb.foreach.work import call
from scidb.hashing.inputs import Input

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from scidb.executors import Pool
    from scidb.foreach.config import Parameters
    from scidb.foreach.plan import Task
    from scidb.foreach.progress import Progress
    from scidb.foreach.protocols import Known, Recorder, RunInfo
    from scidb.foreach.report import ForEachReport
    from scidb.foreach.work import Code, Failure, Outcome

__all__ = ["Execution"]

logger = logging.getLogger("scidb.foreach")

_WINDOW_TASKS: Final = 1_000
_WINDOW_BYTES: Final = 64 << 20


class Execution:
    """One run: tasks in windows, calls here or in a pool, results in batches."""

    def __init__(
        self,
        recorder: Recorder,
        parameters: Parameters,
        run: RunInfo,
        report: ForEachReport,
        metadata_keys: Sequence[str],
        code: Code,
        pool: Pool | None = None,
        *,
        save: bool,
        reuse: bool,
        on_error: str,
    ) -> None:
        if on_error not in ("continue", "raise"):
            raise PipelineError(f"on_error={on_error!r}: use 'continue' or 'raise'.")
        self._recorder, self._parameters, self._run_info, self._report = recorder, parameters, run, report
        self._code, self._pool = code, pool
        self._save, self._reuse, self._on_error = save, reuse, on_error
        self._given = Arguments(recorder, parameters, metadata_keys)
        self._results = Results(recorder, run, report, save=save)
        self._twins: Counter[str] = Counter()
        self._shared: dict[str, tuple[Any, ...]] = {}
        # Equal combinations: the first one is computed, the others wait, and are computed if it fails.
        self._under_way: set[str] = set()
        self._waiting: defaultdict[str, list[Task]] = defaultdict(list)
        self._again: list[Task] = []
        self._portions = (
            portions_of(
                recorder,
                parameters,
                run,
                1 if pool is None else pool.workers,
                stands_here=self._stands_here,
                flush=self._results.flush,
            )
            if reuse
            else None
        )

    def run(self, tasks: Sequence[Task], progress: Progress) -> None:
        """Run what has to be run. A run that ends, ends in the database too."""
        todo = [task for task in tasks if task.problem or task.report.state in ("completed", "recalled")]
        if self._reuse:
            self._twins = Counter(task.lineage_id for task in todo if task.report.state == "completed")
        for task in todo:
            task.report.state = "not_run"
        if self._save and todo:
            self._recorder.check_run(self._run_info)
        try:
            self._run_all(todo, progress)
        except KeyboardInterrupt as error:
            error.report = self._report  # type: ignore[attr-defined]  # promised by the documentation
            raise
        finally:
            self._sort_failures()
        if self._must_stop() and self._results.first_error is not None:
            raise self._results.first_error
        if not self._save:
            self._report.values = self._results.values_of(tasks)

    def _run_all(self, todo: Sequence[Task], progress: Progress) -> None:
        broken = ""
        try:
            with self._results, progress.of(len(todo)) as bar:
                if todo:
                    self._results.start_clock()
                if self._pool is None:
                    self._run_here(todo, bar)
                else:
                    broken = self._run_in(self._pool, todo, bar)
                self._results.end(interrupted=self._must_stop() or bool(broken))
        finally:
            if self._portions is not None:
                self._portions.release()
            self._results.end(interrupted=True)  # unless it has ended
            if self._portions is not None:
                self._portions.release()

    def _run_here(self, todo: Sequence[Task], bar: Progress) -> None:
        while todo:
            for one in self._calls(todo, bar):
                self._settle(one.task, call(self._code, one.arguments), bar)
                if self._must_stop():
                    return
            todo, self._again = self._again, []

    def _run_in(self, pool: Pool, todo: Sequence[Task], bar: Progress) -> str:
        """Let workers make the calls; return why they took no more, if so."""
        crew = Crew(pool, self._code, len(todo))
        try:
            while todo and not self._must_stop():
                for one, outcome in crew.outcomes(self._calls(todo, bar)):
                    self._settle(one.task, outcome, bar)
                    if self._must_stop():
                        break
                todo, self._again = ([] if crew.broken else self._again), []
        finally:
            for one, outcome in crew.stop():
                self._settle(one.task, outcome, bar)
        if crew.broken:
            self._note_broken(crew.broken)
        return crew.broken

    def _note_broken(self, reason: str) -> None:
        left = [item for item in self._report.combinations if item.state == "not_run"]
        for item in left:
            item.reason = reason
        logger.warning(
            "%s(): %s. What came back is saved; %d combinations were not run, which the next run does.",
            self._report.function_name,
            reason,
            len(left),
        )

    def _must_stop(self) -> bool:
        return self._on_error == "raise" and bool(self._report.failures)

    def _sort_failures(self) -> None:
        """Put failures in the order of combinations: they came in the order of completion."""
        if len(self._report.failures) < 2:
            return
        place = {id(item.combination): number for number, item in enumerate(self._report.combinations)}
        self._report.failures.sort(key=lambda failure: place.get(id(failure.combination), 0))

    # -------------------------------------------------------------- what has to be called

    def _calls(self, todo: Sequence[Task], bar: Progress) -> Iterator[Call]:
        """Yield the calls that have to be made, and settle on the way what needs none.

        The inputs of a window are loaded when its first call is wanted.
        """
        constants = size_of(list(self._parameters.constants.values()))
        windows: Iterable[Sequence[Task]] = _windows(todo)
        for window in windows if self._portions is None else self._portions.of(windows, self._again):
            values = self._load(window)
            uses = Counter(e.record_id for task in window for entries in task.entries.values() for e in entries)
            for task in window:
                if self._needs_call(task, values, bar):
                    try:
                        arguments = self._given.of(task, values, uses)
                    except Exception as error:  # noqa: BLE001 - copying a value may run the user's own methods
                        self._under_way.discard(task.lineage_id)  # equal ones fail by themselves
                        self._results.fail(task, error, 0.0)
                        self._advance(bar)
                    else:
                        yield Call(task, arguments, constants + _size(task))
                if self._must_stop():
                    return

    def _needs_call(self, task: Task, values: Mapping[str, Any], bar: Progress) -> bool:
        """Say whether a combination has to be computed; settle it if not, unless an equal one is under way."""
        lineage_id = task.lineage_id
        if task.problem is not None:
            self._results.fail(task, task.problem, 0.0)
        elif task.report.state == "up_to_date":  # computed elsewhere since this run was planned
            pass
        elif task.known is not None:
            self._recall(task, task.known, values)
        elif lineage_id in self._shared:
            self._results.accept(task, self._shared[lineage_id], None)
            self._forget_twin(lineage_id)
        elif lineage_id in self._under_way:
            self._waiting[lineage_id].append(task)
            return False
        else:
            if self._twins[lineage_id] > 1:
                self._under_way.add(lineage_id)
            return True
        self._advance(bar)
        return False

    def _settle(self, task: Task, outcome: Outcome, bar: Progress) -> None:
        """Note what became of a call, for its combination and for equal ones that wait for it."""
        lineage_id = task.lineage_id
        self._under_way.discard(lineage_id)
        waiting = self._waiting.pop(lineage_id, [])
        if outcome.failure is not None:
            self._fail(task, outcome.failure, outcome.seconds)
            self._again += waiting
        elif (problem := self._changed_file(task)) is not None:
            self._results.fail(task, problem, outcome.seconds)
            self._again += waiting
        else:
            task.origins = (*outcome.written, *task.origins)
            self._note_written(task)
            self._results.accept(task, outcome.values, outcome.seconds)
            for twin in waiting:
                self._results.accept(twin, outcome.values, None)
                self._forget_twin(lineage_id)
                self._advance(bar)
            if self._twins[lineage_id] > 1:
                self._shared[lineage_id] = outcome.values
        self._forget_twin(lineage_id)
        self._advance(bar)

    def _advance(self, bar: Progress) -> None:
        bar.advance()
        self._results.flush_if_due()

    def _forget_twin(self, lineage_id: str) -> None:
        """Let go of a shared result when the last of the equal combinations has it."""
        self._twins[lineage_id] -= 1
        if self._twins[lineage_id] <= 0:
            self._shared.pop(lineage_id, None)

    def _fail(self, task: Task, failure: Failure, seconds: float) -> None:
        error = failure.error
        if error is None:
            error = PipelineError(f"{failure.kind}: {failure.message} (an exception that cannot be sent to here)")
        self._results.fail(task, error, seconds, failure.message, failure.traceback)

    def _changed_file(self, task: Task) -> Exception | None:
        """Return why a result cannot be kept: it may be of another content of a file than the one identified."""
        if self._parameters.generates_file:
            return None
        try:
            for name, file in task.files.items():
                file.check_unchanged(name)
        except (PipelineError, OSError) as error:
            return error
        return None

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

    # -------------------------------------------------------------- loading

    def _load(self, window: Sequence[Task]) -> dict[str, Any]:
        values = self._load_known(window)
        wanted: dict[str, Any] = {}
        for spec in self._parameters.variables:
            for task in window:
                if task.known is None and task.lineage_id not in self._shared:
                    for entry in task.entries[spec.name]:
                        wanted[entry.record_id] = spec.variable
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
        run = self._run_info
        return all(
            entry.variable == run.outputs[entry.output_num or 0].__name__
            and dict(entry.schema) == run.place_of(task.combination, entry.piece)
            and entry.version_keys == run.version_keys
            for entry in known.records
        )

    def _recall(self, task: Task, known: Known, values: Mapping[str, Any]) -> None:
        if self._stands_here(task, known):
            self._results.log_again(task, known)
        else:
            made = by_output(self._run_info, known.records, values)
            self._results.accept(task, made, None, recalled_from=known.call_id)


def _windows(tasks: Sequence[Task]) -> Iterator[list[Task]]:
    """Split tasks so that the inputs of one window fit in memory."""
    window: list[Task] = []
    size = 0
    for task in tasks:
        need = _size(task)
        if window and (len(window) >= _WINDOW_TASKS or size + need > _WINDOW_BYTES):
            yield window
            window, size = [], 0
        window.append(task)
        size += need
    if window:
        yield window


def _size(task: Task) -> int:
    return sum(entry.nbytes for entries in task.entries.values() for entry in entries)
