"""What is asked about a database as a whole."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CheckAsked"]


@dataclass(frozen=True, slots=True)
class CheckAsked:
    """Whether what can be is put right, and which link of the log's chain must still be there."""

    repair: bool = False
    head: str | None = None
