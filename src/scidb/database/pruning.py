"""Retention of the memo: which results are set aside by age, size or disuse. Values and provenance stay."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from scidb.exceptions import SciDBError
from scidb.records import instant
from scidb.store.model import Batch, Invalidated, Latest, MemoEntries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scidb.store.model import MemoEntry
    from scidb.store.protocol import Store

__all__ = ["PrunedFunction", "Pruning", "duration", "moment", "prune_memo"]

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|d|w|y)")
_SECONDS: Final = {"s": 1, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800, "y": 31_557_600}
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(B|kB|MB|GB|TB)?", re.IGNORECASE)
_BYTES: Final = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}


@dataclass(frozen=True, slots=True)
class PrunedFunction:
    """What of one function's code is set aside."""

    name: str
    function_hash: str
    computations: int
    nbytes: int
    hits: int
    last_used: str
    latest: int  # computations with a result that is the latest at its place: the next run computes it again


@dataclass(frozen=True, slots=True)
class Pruning:
    """What a pruning of the memo sets aside, or with ``dry_run`` would.

    Attributes
    ----------
    functions
        The code concerned, most bytes first.
    done
        Whether it was done, or only planned.

    """

    functions: tuple[PrunedFunction, ...]
    done: bool

    @property
    def computations(self) -> int:
        """How many results are not recalled any more."""
        return sum(one.computations for one in self.functions)

    @property
    def nbytes(self) -> int:
        """How many bytes their records have; they stay in the file."""
        return sum(one.nbytes for one in self.functions)

    @property
    def latest(self) -> int:
        """How many of them are the latest at their place, so that the next run computes them again."""
        return sum(one.latest for one in self.functions)


def prune_memo(
    store: Store,
    *,
    older_than: str | dt.timedelta | dt.datetime | None,
    larger_than: str | int | None,
    unused_since: str | dt.timedelta | dt.datetime | None,
    dry_run: bool,
    user_id: str,
) -> Pruning:
    """Set aside the results for which every condition that is given holds.

    Raises
    ------
    SciDBError
        When no condition is given, or one cannot be understood.

    """
    if older_than is None and larger_than is None and unused_since is None:
        raise SciDBError("Say which results: older_than='90d', larger_than='100MB' or unused_since='2026-01-31'.")
    until, unused = moment("older_than", older_than), moment("unused_since", unused_since)
    size = None if larger_than is None else _size(larger_than)
    chosen = [
        entry
        for entry in store.find(MemoEntries())
        if (until is None or entry.saved < until)
        and (size is None or entry.nbytes > size)
        and (unused is None or entry.last_used < unused)
    ]
    said = {"older than": older_than, "larger than": larger_than, "unused since": unused_since}
    reason = ", ".join(f"{what} {value}" for what, value in said.items() if value is not None)
    functions = _by_function(store, chosen)
    if chosen and not dry_run:
        ids = tuple(entry.computation.lineage_id for entry in chosen)
        event = Invalidated(lineage_ids=ids, reason=f"pruned: {reason}", user_id=user_id)
        store.write(Batch(events=(event,)))
    return Pruning(functions, done=not dry_run)


def _by_function(store: Store, chosen: Sequence[MemoEntry]) -> tuple[PrunedFunction, ...]:
    latest = {record.lineage_id for record in store.find(Latest())} if chosen else set()
    groups: dict[str, list[MemoEntry]] = {}
    for entry in chosen:
        groups.setdefault(entry.computation.function_hash, []).append(entry)
    found = [
        PrunedFunction(
            name=entries[0].computation.function_name,
            function_hash=code,
            computations=len(entries),
            nbytes=sum(entry.nbytes for entry in entries),
            hits=sum(entry.hits for entry in entries),
            last_used=max(entry.last_used for entry in entries),
            latest=sum(entry.computation.lineage_id in latest for entry in entries),
        )
        for code, entries in groups.items()
    ]
    return tuple(sorted(found, key=lambda one: (-one.nbytes, one.name, one.function_hash)))


def duration(text: str) -> dt.timedelta | None:
    """Return what a text such as ``90d`` or ``12h`` means; None for one that is no duration.

    Examples
    --------
    >>> duration("36h")
    datetime.timedelta(days=1, seconds=43200)

    Raises
    ------
    OverflowError
        When it is longer than time is counted.

    """
    found = _DURATION.fullmatch(text.strip())
    return dt.timedelta(seconds=float(found[1]) * _SECONDS[found[2]]) if found else None


def moment(name: str, value: str | dt.timedelta | dt.datetime | None) -> str | None:
    """Return the instant that a duration before now, or a moment, stands for."""
    try:
        value = (duration(value) or value) if isinstance(value, str) else value
        return instant(dt.datetime.now(dt.UTC) - value if isinstance(value, dt.timedelta) else value)
    except (SciDBError, OverflowError) as error:
        raise SciDBError(
            f"{name}={value!r} is neither a duration, such as '90d' or '12h', nor a moment, such as '2026-01-31'."
        ) from error


def _size(value: str | int) -> int:
    if isinstance(value, int):
        return value
    found = _SIZE.fullmatch(value.strip())
    if found is None:
        raise SciDBError(f"larger_than={value!r} is no size; write a number of bytes, or for example '100MB'.")
    return int(float(found[1]) * _BYTES[(found[2] or "B").lower()])
