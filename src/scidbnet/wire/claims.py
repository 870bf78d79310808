"""What is asked and answered about claims."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ClaimAsked", "Claimed"]


@dataclass(frozen=True, slots=True)
class ClaimAsked:
    """Computations that an owner claims, keeps or gives up."""

    lineage_ids: tuple[str, ...]
    owner: str
    seconds: float = 60.0
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Claimed:
    """Those that the owner has now."""

    lineage_ids: tuple[str, ...]
