"""What stops the work of a store when the time for it is over, in whichever thread it runs by then."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from scidb.exceptions import LimitExceededError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Stop", "running", "stoppable", "stopped_in"]

# What is interrupted between two statements, or two batches, goes on with the next one.
_AGAIN: Final = 0.05


class Stop:
    """Ends what runs under it, and lets nothing more begin, once it is told to.

    Parameters
    ----------
    seconds
        For how long work goes on; only said in the error.
    outer
        What ends this, too.

    """

    def __init__(self, seconds: float, outer: Stop | None = None) -> None:
        self.seconds = seconds
        self._outer = outer
        self._lock = threading.Lock()
        self._running: list[Callable[[], None]] = []
        self._is_late = False

    def stop(self) -> None:
        """Interrupt what runs. Said again until nothing runs, since an interrupt can come between two statements."""
        with self._lock:
            self._is_late = True
            for interrupt in self._running:
                interrupt()

    @property
    def late(self) -> Stop | None:
        """Which of these has been told to stop: this one, or one around it."""
        if self._is_late or self._outer is None:
            return self if self._is_late else None
        return self._outer.late

    def add(self, interrupt: Callable[[], None]) -> None:
        """Note what runs."""
        with self._lock:
            self._running.append(interrupt)
        if self._outer is not None:
            self._outer.add(interrupt)

    def remove(self, interrupt: Callable[[], None]) -> None:
        """Note that it is done, after which it is not interrupted any more."""
        with self._lock:
            self._running.remove(interrupt)
        if self._outer is not None:
            self._outer.remove(interrupt)

    def error(self) -> LimitExceededError:
        """Return what whoever waits is told."""
        return LimitExceededError(
            f"This took longer than {self.seconds:g} s and was stopped. Ask for less at once, for example for fewer "
            "locations.",
            code="time_limit",
            seconds=self.seconds,
        )


_current: ContextVar[Stop | None] = ContextVar("scidb_stop", default=None)


@contextmanager
def stoppable(stop: Stop) -> Iterator[None]:
    """Have all work within this block end when `stop` is told to, also in threads that inherit its context."""
    before = _current.set(stop)
    try:
        yield
    finally:
        _current.reset(before)


@contextmanager
def stopped_in(seconds: float) -> Iterator[None]:
    """Stop the work within this block when it takes longer.

    Raises
    ------
    LimitExceededError
        Saying so, with the code ``time_limit``.

    """
    stop, is_over = Stop(seconds, _current.get()), threading.Event()

    def watch() -> None:
        left = seconds
        while not is_over.wait(left):
            stop.stop()
            left = _AGAIN

    watching = threading.Thread(target=watch, name="scidb-time-limit", daemon=True)
    watching.start()
    try:
        with stoppable(stop):
            yield
    finally:
        is_over.set()
        watching.join()


@contextmanager
def running(interrupt: Callable[[], None], *errors: type[Exception]) -> Iterator[None]:
    """Let what runs within this block be interrupted.

    Parameters
    ----------
    interrupt
        What ends it, called from another thread.
    errors
        What it raises then.

    Raises
    ------
    LimitExceededError
        When it was, or when it is too late to begin.

    """
    stop = _current.get()
    if stop is None:
        yield
        return
    if (late := stop.late) is not None:
        raise late.error()
    stop.add(interrupt)
    try:
        yield
    except errors as error:
        if (late := stop.late) is None:
            raise
        raise late.error() from error
    finally:
        stop.remove(interrupt)
