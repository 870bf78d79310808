"""Calls on their way to the workers of a pool, and outcomes on their way back.

Few calls are under way at a time, so that memory stays bounded; short ones travel together, so that sending them does
not take longer than making them.
"""

from __future__ import annotations

import contextvars
import sys
import warnings
from collections import deque
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, wait
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from scidb.exceptions import PipelineError
from scidb.foreach.values import said_by, traceback_of
from scidb.foreach.work import Failure, Outcome, work

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from scidb.executors import Pool
    from scidb.foreach.plan import Task
    from scidb.foreach.work import Code, Returned

__all__ = ["Call", "Crew", "check_travels"]

_CHUNK_SECONDS: Final = 0.2  # what calls that travel together may take, as far as can be foreseen
_MOST_SECONDS: Final = 0.5  # after which a worker returns what it has
_CHUNK_CALLS: Final = 500
_CHUNK_BYTES: Final = 8 << 20
_FLYING_BYTES: Final = 512 << 20
_PATIENCE: Final = 5.0  # seconds, after which a cluster is asked whether it is still there
_WAYS_OUT: Final = (
    "Functions and classes at the top of a module or script can be sent to all executors; lambdas and those of a "
    "notebook with n_jobs=2 (loky), dask.distributed and scidb.executors.ray(). Threads (prefer='threads') share "
    "everything, so that nothing is sent."
)


class Call(NamedTuple):
    """A combination that is to be computed, with what the function receives."""

    task: Task
    arguments: Mapping[str, Any]
    nbytes: int


class Crew:
    """The workers of a pool, for one run."""

    def __init__(self, pool: Pool, code: Code, total: int) -> None:
        self._pool, self._code, self._remaining = pool, code, total
        self._workers = pool.workers
        self._flying: dict[Future[Returned], Sequence[Call]] = {}
        self._flying_bytes = 0
        self._waiting: deque[Sequence[Call]] = deque()  # chunks to be sent again
        self._arrived: deque[tuple[Call, Outcome]] = deque()
        self._seconds: float | None = None  # of a call, lately
        self._was_restarted = False
        self._is_stopping = False
        self.broken = ""  # why the pool takes no more work

    def outcomes(self, calls: Iterator[Call]) -> Iterator[tuple[Call, Outcome]]:
        """Yield the outcomes of calls as they arrive; calls are taken only when they can be sent soon."""
        while True:
            self._send(calls)
            while self._arrived:
                yield self._arrived.popleft()
            if not self._flying:
                return
            landed = wait(self._flying, _PATIENCE, return_when=FIRST_COMPLETED).done
            if not landed and self._pool.is_lost:
                self._lose_all(BrokenExecutor("the connection to the cluster was lost"))
            for future in landed:
                self._land(future)

    def stop(self) -> Iterable[tuple[Call, Outcome]]:
        """Cancel what has not begun; return the outcomes that are there, and give the pool back."""
        self._is_stopping = True
        is_interrupted = bool(self._flying)
        for future in list(self._flying):
            if future.done() and not future.cancelled():
                self._land(future)
            else:
                future.cancel()
        if is_interrupted or self.broken:
            self._pool.stop()
        else:
            self._pool.release()
        return self._arrived

    # -------------------------------------------------------------- there

    def _send(self, calls: Iterator[Call]) -> None:
        while not self.broken and len(self._flying) < 2 * self._workers:
            # Each worker has its own; more waits only if it is not too much.
            if len(self._flying) >= self._workers and self._flying_bytes >= _FLYING_BYTES:
                return
            chunk = self._waiting.popleft() if self._waiting else self._chunk(calls)
            if not chunk:
                return
            self._submit(chunk)

    def _chunk(self, calls: Iterator[Call]) -> Sequence[Call]:
        """Take as many calls as are worth one journey, and leave enough for everybody."""
        wanted = 1
        if self._seconds is not None:
            share = self._remaining // (2 * self._workers)
            wanted = max(1, min(_CHUNK_CALLS, share, int(_CHUNK_SECONDS / max(self._seconds, 1e-6))))
        chunk: list[Call] = []
        nbytes = 0
        for call in islice(calls, wanted):
            chunk.append(call)
            nbytes += call.nbytes
            if nbytes >= _CHUNK_BYTES:
                break
        self._remaining -= len(chunk)
        return chunk

    def _submit(self, chunk: Sequence[Call]) -> None:
        task: tuple[Any, ...] = (work, self._code, [call.arguments for call in chunk], _MOST_SECONDS)
        if self._pool.shares_memory:  # with the database that is current here
            task = (contextvars.copy_context().run, *task)
        try:
            with warnings.catch_warnings():
                # Dask's advice for large inputs, which is no use where each call has its own.
                warnings.filterwarnings("ignore", "Sending large graph")
                future = self._pool.executor.submit(*task)
        except Exception as error:  # noqa: BLE001 - each executor has errors of its own
            # RuntimeError is what executors raise after a shutdown.
            if isinstance(error, BrokenExecutor | RuntimeError) and not isinstance(error, RecursionError):
                self._break(error)
            else:
                self._lose_or_part(chunk, error)
            return
        self._flying[future] = chunk
        self._flying_bytes += sum(call.nbytes for call in chunk)

    # -------------------------------------------------------------- and back

    def _land(self, future: Future[Returned]) -> None:
        chunk = self._flying.pop(future, None)
        if chunk is None:  # sent again, since its worker was ended
            return
        self._flying_bytes -= sum(call.nbytes for call in chunk)
        try:
            returned = future.result()
        except BrokenExecutor as error:
            self._break(error)
            self._lose(chunk, error)
        except Exception as error:  # noqa: BLE001 - each executor has errors of its own
            self._lose_or_part(chunk, error)
        else:
            self._unpack(chunk, returned)

    def _unpack(self, chunk: Sequence[Call], returned: Returned) -> None:
        if returned.refusal:
            self._refused(chunk, returned.refusal)
            return
        made = returned.outcomes
        self._arrived.extend(zip(chunk, made, strict=False))
        if returned.is_interrupted and not self._is_stopping:
            raise KeyboardInterrupt
        if len(made) < len(chunk):
            self._waiting.append(chunk[len(made) :])
        if made:
            lately = sum(outcome.seconds for outcome in made) / len(made)
            self._seconds = lately if self._seconds is None else (self._seconds + lately) / 2

    def _refused(self, chunk: Sequence[Call], refusal: str) -> None:
        if not self._was_restarted and not self._is_stopping and self._pool.restart():
            self._was_restarted = True
            self._waiting.extend((chunk, *self._flying.values()))
            self._flying.clear()
            self._flying_bytes = 0
            return
        self._arrived.extend((call, _failed(PipelineError(refusal))) for call in chunk)

    def _break(self, error: BaseException) -> None:
        self.broken = self.broken or f"the executor takes no more work ({_why(error)})"

    def _lose_all(self, error: BaseException) -> None:
        self._break(error)
        for chunk in self._flying.values():
            self._lose(chunk, error)
        self._flying.clear()

    def _lose_or_part(self, chunk: Sequence[Call], error: BaseException) -> None:
        if len(chunk) == 1:
            self._lose(chunk, error)
        else:  # each alone, so that one of them does not take the others with it
            self._waiting.extend([call] for call in chunk)

    def _lose(self, chunk: Sequence[Call], error: BaseException) -> None:
        how = "was cancelled" if isinstance(error, CancelledError) else f"failed: {_why(error)}"
        lost = PipelineError(
            f"The worker of this combination, or its way there or back, {how.rstrip('.')}. What others "
            "returned is saved; run again to do the rest. A worker that disappears was often out of memory, or cannot "
            "import the module of the function."
        )
        trace = traceback_of(error)
        self._arrived.extend((call, _failed(lost, trace)) for call in chunk)


def _why(error: BaseException) -> str:
    """Say what an executor reports and, of a worker that could not import something, how that worker's error ends."""
    behind = [line for line in str(error.__cause__ or "").splitlines() if line.strip("\"' ")]
    cause = f" It was: {behind[-1].strip()}" if behind else ""
    return f"{type(error).__name__}: {said_by(error)}{cause}"


def _failed(error: Exception, trace: str | None = None) -> Outcome:
    failure = Failure(error, type(error).__name__, said_by(error), traceback_of(error) if trace is None else trace)
    return Outcome(failure=failure)


# ---------------------------------------------------------------- before anything is sent


def check_travels(pool: Pool, code: Code, constants: Mapping[str, Any]) -> None:
    """Refuse a function, or a constant, that the executor could not send.

    Raises
    ------
    PipelineError
        Naming it, and the executors that can.

    """
    pickled_by = pool.pickler()
    if pickled_by is None:
        return
    main_is_gone = not pool.sends_by_value and not pool.is_forked and not hasattr(sys.modules["__main__"], "__file__")
    items = {f"{code.name}()": code, **{f"the constant {name!r}": item for name, item in constants.items()}}
    for name, item in items.items():
        try:
            is_of_main = b"__main__" in bytes(pickled_by(item))
        except Exception as error:  # noqa: BLE001 - pickling runs the user's own methods
            reason = f"{type(error).__name__}: {error}"
        else:
            if not (is_of_main and main_is_gone):
                continue
            reason = "it was defined in a notebook or at a prompt, which the workers do not see"
        kind = type(pool.executor).__name__
        raise PipelineError(f"{kind} cannot send {name}: {reason.rstrip('.')}. {_WAYS_OUT}")
