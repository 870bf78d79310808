"""The current database: a process-wide default, and an override for a block.

This module holds an object and knows nothing about it. A context variable or a thread-local alone would
be empty in worker threads, hence the default beside it.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["as_current", "current", "default", "forget", "set_default"]

_override: ContextVar[object | None] = ContextVar("scidb_current_database", default=None)


class _Default:
    """The process-wide default; an instance, so that replacing it needs no ``global``."""

    value: object | None = None


_default: Final = _Default()


def current() -> object | None:
    """Return the current database, or None when there is none."""
    override = _override.get()
    return _default.value if override is None else override


def default() -> object | None:
    """Return the process-wide default, whatever a block has put over it."""
    return _default.value


def set_default(database: object | None) -> None:
    """Make `database` the process-wide default, or forget the default with None."""
    _default.value = database


def forget() -> None:
    """Forget default and override: a process that was forked must not use the database of its parent."""
    _default.value = None
    _override.set(None)


@contextmanager
def as_current(database: object) -> Iterator[None]:
    """Make `database` the current one inside a ``with`` block."""
    token = _override.set(database)
    try:
        yield
    finally:
        _override.reset(token)
