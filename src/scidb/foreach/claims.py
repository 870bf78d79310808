"""Several machines run one call against one database: each computes what nobody else does.

What is to be computed is claimed in portions of about a second of work. What somebody else has claimed comes last:
then its result is there, or he has given it up, or his claim has run out because he is gone.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
import warnings
from collections import deque
from typing import TYPE_CHECKING, Final

from scidb.exceptions import SciDBError, SciDBWarning
from scidb.foreach.state import find_state
from scidb.hashing import ids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from scidb.foreach.config import Parameters
    from scidb.foreach.plan import Task
    from scidb.foreach.protocols import Claims, Known, Recorder, RunInfo

__all__ = ["Portions", "portions_of"]

logger = logging.getLogger("scidb.foreach")

_CLAIM_SECONDS: Final = 60.0
_PORTION_SECONDS: Final = 1.0
_MOST: Final = 500
_FIRST_WAIT: Final = 0.05
_LONGEST_WAIT: Final = 1.0


def portions_of(
    recorder: Recorder,
    parameters: Parameters,
    run: RunInfo,
    workers: int,
    *,
    stands_here: Callable[[Task, Known], bool],
    flush: Callable[[], None],
) -> Portions | None:
    """Return the way to share the work of a run; None where nobody else can write to the database.

    A function that writes files is not shared: they are wanted on this machine. `stands_here` says whether a result is
    one of this place, and `flush` saves what is done.
    """
    claims = None if parameters.generates_file else recorder.claims
    if claims is None:
        return None

    def look_up(tasks: Sequence[Task]) -> None:
        find_state(recorder, parameters, run, tasks, failed=())
        for task in tasks:
            if task.known is not None:
                # Made at this very place meanwhile, by somebody who runs the same call: nothing is left to do.
                is_done = stands_here(task, task.known) and _is_newer(task, task.known)
                task.report.state = "up_to_date" if is_done else "not_run"

    return Portions(claims, look_up, flush, run.function.name, workers)


def _is_newer(task: Task, known: Known) -> bool:
    """Say whether a result was saved after everything that the plan saw at its place."""
    seen = max((entry.timestamp for entry in task.standing if entry is not None), default="")
    return all(record.timestamp > seen for record in known.records)


class Portions:
    """What one process computes of a run: portions of tasks that it has claimed, and what others did.

    Parameters
    ----------
    claims
        Who computes what.
    look_up
        Gives tasks the results that are there by now.
    flush
        Saves what is done, for which others may wait.
    name
        The name of the function, for messages.
    workers
        How many calls run at a time.

    """

    def __init__(
        self,
        claims: Claims,
        look_up: Callable[[Sequence[Task]], None],
        flush: Callable[[], None],
        name: str,
        workers: int,
    ) -> None:
        self._claims, self._look_up, self._flush, self._name, self._workers = claims, look_up, flush, name, workers
        self._owner = uuid.uuid4().hex
        self._own: dict[str, list[Task]] = {}  # what was claimed, by lineage_id
        self._unsaved: set[str] = set()  # of these, those whose claim did not end with a result
        self._lately: deque[Task] = deque(maxlen=_MOST)
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._renewing: threading.Thread | None = None
        self._is_alone = False
        self._wait = _FIRST_WAIT

    def of(self, windows: Iterable[Sequence[Task]], later: list[Task]) -> Iterator[Sequence[Task]]:
        """Yield what can be done now; `later` gets what somebody else computes, to be asked for again.

        When there is nothing but that, waits a while.
        """
        has_work = False
        for window in windows:
            free = [task for task in window if not self._is_shared(task)]
            if free:
                has_work = True
                yield free
            waiting: dict[str, list[Task]] = {}
            for task in window:
                if self._is_shared(task):
                    waiting.setdefault(task.lineage_id, []).append(task)
            while waiting:
                portion = self._next(waiting)
                if not portion:
                    break
                has_work = True
                yield portion
            later += (task for tasks in waiting.values() for task in tasks)
        if has_work:
            self._wait = _FIRST_WAIT
        elif later:
            self._wait_for_others(len(later))

    def _is_shared(self, task: Task) -> bool:
        """Say whether somebody else may compute it: not what is known, nor what this process has claimed before."""
        return (
            task.problem is None
            and task.known is None
            and task.lineage_id not in self._own
            and not task.lineage_id.startswith(ids.UNCACHEABLE)
        )

    def _next(self, waiting: dict[str, list[Task]]) -> list[Task]:
        """Take out what is to be computed next and what has a result by now; nothing if all is somebody else's."""
        most = self._portion()
        obtained = self._claim(list(waiting), most)
        # After the claim: whoever had it before has written its result before he gave it up.
        self._look_up([task for tasks in waiting.values() for task in tasks])
        found = [one for one, tasks in waiting.items() if any(task.known is not None for task in tasks)]
        done = set(found)
        own = {one: waiting[one] for one in obtained if one not in done}
        self._own |= own
        self._lately.extend(tasks[0] for tasks in own.values())
        with self._lock:
            self._unsaved |= own.keys()
        self._give_up([one for one in obtained if one in done])
        return [task for one in dict.fromkeys((*found, *obtained)) for task in waiting.pop(one)]

    def _portion(self) -> int:
        """Return how many computations take about a second, as far as is known."""
        seconds = [task.report.seconds for task in self._lately if task.report.seconds is not None]
        if not seconds:
            return self._workers
        mean = sum(seconds) / len(seconds)
        return max(self._workers, min(_MOST, int(_PORTION_SECONDS * self._workers / max(mean, 1e-6))))

    def _claim(self, lineage_ids: list[str], most: int) -> list[str]:
        if self._is_alone:
            return lineage_ids[:most]
        try:
            obtained = self._claims.claim(lineage_ids, self._owner, _CLAIM_SECONDS, most=most)
        except SciDBError as error:
            self._is_alone = True
            warnings.warn(
                f"{self._name}() goes on without claims, so that other machines may compute the same: {error}",
                SciDBWarning,
                stacklevel=2,
            )
            return lineage_ids[:most]
        if self._renewing is None and obtained:
            self._renewing = threading.Thread(target=self._renew, name="for_each claims", daemon=True)
            self._renewing.start()
        return obtained

    def _wait_for_others(self, count: int) -> None:
        if self._wait == _FIRST_WAIT:
            self._flush()
            logger.info("%s(): waiting for %d combinations that other processes compute.", self._name, count)
        time.sleep(self._wait)
        self._wait = min(_LONGEST_WAIT, self._wait * 1.5)

    # -------------------------------------------------------------- while it computes

    def _renew(self) -> None:
        while not self._is_over.wait(_CLAIM_SECONDS / 3):
            with self._lock:
                unsaved = list(self._unsaved)
            try:
                kept = set(self._claims.renew(unsaved, self._owner, _CLAIM_SECONDS)) if unsaved else set()
                ended = [one for one in unsaved if one not in kept]
                # Lost when this machine slept, or the server began anew; if somebody else has got it, both compute it.
                if lost := self._undone(ended):
                    self._claims.claim(lost, self._owner, _CLAIM_SECONDS)
            except SciDBError as error:
                logger.debug("%s(): claims were not renewed: %s", self._name, error)
            else:
                with self._lock:
                    self._unsaved -= set(ended) - set(lost)

    def _undone(self, lineage_ids: Iterable[str]) -> list[str]:
        return [one for one in lineage_ids if any(task.report.state == "not_run" for task in self._own[one])]

    def release(self) -> None:
        """Give up what was not done."""
        self._is_over.set()
        if self._renewing is not None:
            self._renewing.join(_LONGEST_WAIT)  # it may be waiting for a server that is gone
        self._give_up(self._undone(self._own))

    def _give_up(self, lineage_ids: list[str]) -> None:
        if not lineage_ids:
            return
        try:
            self._claims.release(lineage_ids, self._owner)
        except SciDBError as error:
            logger.debug("%s(): claims were not given up and will run out: %s", self._name, error)
