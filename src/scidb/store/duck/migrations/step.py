"""One step from a format to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from scidb.store.duck.connection import Connection

__all__ = ["Step"]


@dataclass(frozen=True, slots=True)
class Step:
    """What leads to a format from the one before."""

    version: int
    changes: str  # what becomes of the file, for people
    apply: Callable[[Connection], None]  # in a transaction that somebody else holds
