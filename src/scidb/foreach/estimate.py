"""How long a call will take, told from how long earlier calls of the function took."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scidb.foreach.protocols import Past

__all__ = ["Estimate", "about", "duration_text", "estimated"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What computing will take.

    Attributes
    ----------
    seconds
        For all combinations that would be computed; None where the function was never timed.
    each
        For one of them, on average.
    calls
        How many past calls that is told from.
    is_same_code
        Whether those ran the code as it is now; else they ran former code of the function.
    at_a_time
        How many are computed at a time: the workers of ``n_jobs=`` or ``executor=``.

    """

    seconds: float | None
    each: float | None = None
    calls: int = 0
    is_same_code: bool = True
    at_a_time: int = 1

    def __str__(self) -> str:
        if self.seconds is None:
            return "no estimate: no past call was timed"
        if not self.calls:
            return "nothing to compute"
        code = "" if self.is_same_code else " of former code"
        calls = f"{self.calls} past call{'s' if self.calls > 1 else ''}{code}"
        together = f", {self.at_a_time} at a time" if self.at_a_time > 1 else ""
        return f"{about(self.seconds)} ({duration_text(self.each or 0.0)} each{together}, from {calls})"


def estimated(past: Past | None, computing: int, workers: int = 1) -> Estimate:
    """Return what computing so many combinations will take, with so many workers."""
    if not computing:
        return Estimate(0.0)
    if past is None:
        return Estimate(None)
    rounds = math.ceil(computing / workers)
    return Estimate(past.seconds * rounds, past.seconds, past.calls, past.is_same_code, min(workers, computing))


def about(seconds: float) -> str:
    """Return a duration that is only estimated."""
    text = duration_text(seconds)
    return text if text.startswith("under") else f"about {text}"


def duration_text(seconds: float) -> str:
    """Return a duration as people say it, of two units at most.

    Examples
    --------
    >>> [duration_text(one) for one in (0.0002, 0.25, 12.34, 200, 9000)]
    ['under 1 ms', '250 ms', '12 s', '3 min 20 s', '2 h 30 min']

    """
    if seconds < 0.001:
        return "under 1 ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, smaller, part in ((86400, "days", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit}" + (f" {rest} {part}" if rest else "")
    return f"{whole} s"
