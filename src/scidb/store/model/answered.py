"""Writes that came from elsewhere under a key of the caller's own, so that each is stored once."""

from __future__ import annotations

from dataclasses import dataclass

from scidb.store.model.asked import Query

__all__ = ["Answer", "Answered", "Answers"]


@dataclass(frozen=True, slots=True)
class Answered:
    """What a caller asked for under a key of his own: this batch, stored with it, so that neither is there alone.

    The same caller's key given again within a day is a ConflictError, and nothing is stored. Comes first in its batch.
    """

    key: str
    digest: str  # of what was asked for
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A batch that was stored under a key, and when; from which what was answered can be made again."""

    key: str
    digest: str
    user_id: str | None
    timestamp: str


@dataclass(frozen=True, slots=True)
class Answers(Query[Answer]):
    """What was stored under this key of this caller; kept for a day, and forgotten in the course of later ones."""

    key: str
    user_id: str | None = None
