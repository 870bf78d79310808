"""Databases of some size, and everything that people ask of one: once a record, once a call, or once a day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from scidb import BaseVariable, for_each, thunk

if TYPE_CHECKING:
    from collections.abc import Callable

    from scidb import DatabaseManager

__all__ = [
    "KEPT",
    "KEYS",
    "OPERATIONS",
    "TRIALS",
    "GrowHalf",
    "GrowNew",
    "GrowOut",
    "GrowRaw",
    "Operation",
    "double",
    "half",
    "place",
    "side",
]

KEYS: Final = {"subject": int, "trial": int}
TRIALS: Final = 100
_SIDES: Final = ("left", "right")
KEPT: Final = 100
"""Results of a thunk, saved first, so that the rest of the database lies behind them."""
_NEW: Final = 10**7
_STEP: Final = 8_167  # a prime, by which even 500 places are so far apart that none is read with another


class GrowRaw(BaseVariable):
    """A number that was measured."""


class GrowOut(BaseVariable):
    """Made from a number by for_each."""


class GrowHalf(BaseVariable):
    """Made from a number by a thunk."""


class GrowNew(BaseVariable):
    """Made from numbers by what is measured."""


def double(x: float) -> float:
    """Return twice a number."""
    return 2 * x


def triple(x: float) -> float:
    """Return three times a number."""
    return 3 * x


@thunk
def half(x: float) -> float:
    """Return half of a number."""
    return x / 2


def place(number: int) -> dict[str, int]:
    """Return where a number is."""
    return {"subject": number // TRIALS, "trial": number % TRIALS}


def side(number: int) -> str:
    """Return the version key of a number."""
    return _SIDES[number % 2]


@dataclass(frozen=True, slots=True)
class Operation:
    """Something that people do; `call` gets the database, how many numbers were measured, and which time it is."""

    name: str
    often: bool
    """Whether it is done for each record, or each call: then it must not grow."""
    call: Callable[[DatabaseManager, int, int], object]
    prepare: Callable[[DatabaseManager, int, int], object] | None = None
    """What is done just before, and not counted."""
    until: int = 10**9
    """In a database of how many records it is still done; some judge everything, and take minutes."""


def _some(numbers: int, time: int) -> dict[str, Any]:
    """Return a place far from that of the last time."""
    return place(time * _STEP % numbers)


def _few(numbers: int, time: int) -> dict[str, Any]:
    """Return ten places of a person, others than any time before."""
    people = numbers // TRIALS
    first = 10 * (time // people) % TRIALS
    return {"subject": [time * _STEP % people], "trial": list(range(first, first + 10))}


def _made(db: DatabaseManager, numbers: int, time: int) -> None:
    for_each(triple, {"x": GrowRaw}, [GrowNew], **_few(numbers, time), db=db, progress=False)


def _many(first: int, count: int = 100) -> list[tuple[float, dict[str, Any]]]:
    return [(n * 0.25, {**place(first + n), "side": _SIDES[n % 2]}) for n in range(count)]


def _first_id(db: DatabaseManager, numbers: int, time: int) -> str:
    return str(db.list_versions(GrowRaw, **_some(numbers, time))[0]["record_id"])


_IDS: Final[dict[int, str]] = {}


def _note_id(db: DatabaseManager, numbers: int, time: int) -> None:
    _IDS[0] = _first_id(db, numbers, time)


OPERATIONS: Final = (
    Operation(
        "save, a new place", True, lambda db, _n, k: GrowRaw.save(0.5, subject=_NEW + k, trial=k, side="left", db=db)
    ),
    Operation(
        "save, the same place",
        True,
        lambda db, n, k: GrowRaw.save(-1.0 - k, **_some(n, k), side=side(k * _STEP % n), db=db),
    ),
    Operation(
        "save_many of 100, new places", True, lambda db, _n, k: GrowRaw.save_many(_many((_NEW + k) * 100), db=db)
    ),
    Operation(
        "save_many of 40, the same places",
        True,
        lambda db, n, k: GrowRaw.save_many(_many(40 * (k * _STEP % (n // 40)), 40), db=db),
    ),
    Operation(
        "save a result of a thunk", True, lambda db, _n, k: GrowHalf.save(half(k + 0.25), subject=_NEW + k, db=db)
    ),
    Operation("load by all keys", True, lambda db, n, k: GrowRaw.load(**_some(n, k), db=db)),
    Operation(
        "load by all keys and a version key",
        True,
        lambda db, n, k: list(GrowRaw.load_all(**_some(n, k), side=["left", "right"][k % 2], db=db)),
    ),
    Operation(
        "load 100 by some of the keys",
        True,
        lambda db, n, k: list(GrowRaw.load_all(subject=k * _STEP % (n // TRIALS), db=db)),
    ),
    Operation("load by record_id", True, lambda db, _n, _k: GrowRaw.load(version=_IDS[0], db=db), _note_id),
    Operation(
        "load by the beginning of one", False, lambda db, _n, _k: GrowRaw.load(version=_IDS[0][:12], db=db), _note_id
    ),
    Operation(
        "load as of the start", True, lambda db, n, k: list(GrowRaw.load_all(**_some(n, k), as_of="2100-01-01", db=db))
    ),
    Operation("load with a filter", True, lambda db, n, k: list(GrowRaw.load_all(**_some(n, k), db=db))),
    Operation("list_versions", True, lambda db, n, k: GrowRaw.list_versions(**_some(n, k), db=db)),
    Operation("memo miss", True, lambda _db, _n, k: half(k + 0.125)),
    Operation("memo hit, first in this process", True, lambda _db, _n, k: half(float(k * 37 % KEPT))),
    Operation("for_each of 10, fresh", True, _made),
    Operation("for_each of 10, finished", True, _made, _made),
    Operation("get_provenance", True, lambda db, n, k: db.get_provenance(GrowOut, **_some(n, k))),
    Operation("get_lineage_graph", True, lambda db, n, k: db.get_lineage_graph(GrowOut, **_some(n, k))),
    Operation(
        "get_derived_from",
        True,
        lambda db, n, k: db.get_derived_from(GrowRaw, **_some(n, k), side=side(k * _STEP % n)),
    ),
    Operation("explain", False, lambda db, n, k: db.explain(GrowOut, **_some(n, k)), until=10_000),
    Operation("impact", False, lambda db, n, k: db.impact(GrowRaw, **_some(n, k))),
    Operation(
        "status of one subject", False, lambda db, n, k: db.status(GrowOut, subject=k * 7 % (n // 100)), until=10_000
    ),
    Operation(
        "sql of one record",
        True,
        lambda db, n, k: db.query("SELECT * FROM GrowRaw WHERE subject = ? AND trial = ?", list(_some(n, k).values())),
    ),
    Operation("tag", True, lambda db, n, k: db.tag(f"tag-{k}-{n}")),
    Operation("log of 20", False, lambda db, _n, _k: db.functions_of(db.log(limit=20))),
    Operation("ls", False, lambda db, _n, _k: db.types()),
    Operation("runs", False, lambda db, _n, _k: db.runs(limit=20)),
    Operation("sql count", False, lambda db, _n, _k: db.query("SELECT count(*) FROM GrowRaw")),
    Operation("flag", True, lambda db, n, k: db.flag(GrowRaw, "bad", **_some(n, k))),
    Operation(
        "load without flagged ones", True, lambda db, n, k: list(GrowRaw.load_all(**_some(n, k), exclude=True, db=db))
    ),
)
