"""A gate that lets many in at once, or one alone."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Gate"]


class Gate:
    """Statements go through it; whoever needs the file to himself waits until they are done, and keeps others out.

    Examples
    --------
    >>> gate = Gate()
    >>> with gate.among_others(), gate.among_others():
    ...     with gate.alone(timeout=0.0) as is_alone:
    ...         is_alone
    False

    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside: dict[int, int] = {}  # by thread: how often it went in
        self._alone: int | None = None

    @contextmanager
    def among_others(self) -> Iterator[None]:
        """Go in as soon as nobody is alone inside; who is in already goes in again at once."""
        own = threading.get_ident()
        with self._changed:
            while self._alone not in (None, own) and own not in self._inside:
                self._changed.wait()
            before = self._inside.get(own, 0)
            self._inside[own] = before + 1
        try:
            yield
        finally:
            with self._changed:
                # By what it was before, so that an interrupt in between leaves nothing behind for good.
                if before:
                    self._inside[own] = before
                else:
                    del self._inside[own]
                    self._changed.notify_all()

    @contextmanager
    def alone(self, timeout: float) -> Iterator[bool]:
        """Wait until nobody is inside, and be alone there; False when that took too long."""
        own = threading.get_ident()
        deadline = time.monotonic() + timeout
        with self._changed:
            while (self._inside or self._alone is not None) and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            is_alone = not self._inside and self._alone is None
            if is_alone:
                self._alone = own
        try:
            yield is_alone
        finally:
            if is_alone:
                with self._changed:
                    self._alone = None
                    self._changed.notify_all()
