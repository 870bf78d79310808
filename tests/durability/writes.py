"""Every kind of write, as what the facade asks of a store when somebody saves, runs, renames, tags and so on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scidb import BaseVariable, for_each, thunk
from scidb.database import DatabaseManager
from scidb.store.wrap import Wrapper

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scidb.store.model import Batch, Record, TypeInfo
    from scidb.store.protocol import Store


class Number(BaseVariable):
    """A number."""


class Trace(BaseVariable):
    """A long array."""


class Table(BaseVariable):
    """A frame."""


class Made(BaseVariable):
    """What for_each made."""


class Doubled(BaseVariable):
    """What a thunk made."""


class Named(BaseVariable):
    """What is renamed."""


def make(number: float) -> float:
    """Compute, or fail for one subject."""
    if number > 3:
        message = "too large"
        raise ValueError(message)
    return number + 0.5


@thunk
def double(number: float) -> float:
    """Compute."""
    return number * 2


@thunk
def halve(number: float) -> float:
    """Compute."""
    return number / 2


def frame() -> pd.DataFrame:
    """Return a table with columns of several kinds."""
    numbers = np.arange(50)
    return pd.DataFrame({"n": numbers, "x": numbers / 7, "text": [f"é{n}" for n in numbers], "flag": numbers % 2 == 0})


def _run(db: DatabaseManager, **how: Any) -> None:
    report = for_each(make, {"number": Number}, [Made], subject=[1, 2, 9], db=db, **how)
    assert (report.completed, report.failed) == (2, 1)


def _save_thunk(db: DatabaseManager) -> None:
    with db.as_current():
        Doubled.save(double(Number.load(subject=1)), subject=1)


def _save_ephemeral(db: DatabaseManager) -> None:
    with db.as_current():
        db.save_ephemeral_lineage(Doubled, halve(Number.load(subject=1)))


def _long_array() -> np.ndarray[Any, Any]:
    return np.random.default_rng(1).random(130_000)  # more than one piece of a stream


WRITES: dict[str, Callable[[DatabaseManager, Path], object]] = {
    "numbers": lambda db, _: Number.save_many([(float(n), {"subject": n}) for n in (1, 2, 9)], db=db),
    "number": lambda db, _: Number.save(0.25, subject=4, db=db),
    "again": lambda db, _: Number.save(0.25, subject=4, db=db),
    "array": lambda db, _: Trace.save(_long_array(), subject=1, db=db),
    "negative zeros": lambda db, _: Trace.save(np.array([0.0, -0.0]), subject=2, db=db),
    "frame": lambda db, _: Table.save(frame(), subject=1, db=db),
    "table": lambda db, _: Number.save_from_dataframe(
        pd.DataFrame({"subject": [21, 22], "x": [0.5, 1.5]}), "x", ["subject"], db=db
    ),
    "document": lambda db, _: Named.save({"a": [1, "b", None]}, subject=1, db=db),
    "for_each": lambda db, _: _run(db),
    "for_each in threads": lambda db, _: _run(db, n_jobs=2, prefer="threads", skip_computed=False),
    "thunk": lambda db, _: _save_thunk(db),
    "ephemeral": lambda db, _: _save_ephemeral(db),
    "rename": lambda db, _: db.admin.rename_variable(Named, "Renamed"),
    "rename back": lambda db, _: db.admin.rename_variable("Renamed", "Named"),
    "schema key": lambda db, _: db.admin.add_schema_key("session", after="subject"),
    "tag": lambda db, _: db.tag("submitted"),
    "flag": lambda db, _: db.flag(Number, "electrode", subject=4),
    "pin": lambda db, _: db.flag(Number, "paper", pin=True, subject=4),
    "unflag": lambda db, _: db.unflag(Number, "electrode", subject=4),
    "group": lambda db, _: db.add_to_var_group("all", [Number, Trace]),
    "ungroup": lambda db, _: db.remove_from_var_group("all", [Trace]),
    "invalidate": lambda db, _: db.invalidate_cache(function_name="double"),
    "export": lambda db, folder: db.export_to_csv(Number, folder / "numbers.csv", subject=4),
    "register": lambda db, _: db.register(type("Described", (BaseVariable,), {"__doc__": "Described.", "units": "N"})),
}


class _Noting(Wrapper):
    """A store that notes what it is asked to write."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.asked: list[TypeInfo | Batch] = []

    def register(self, info: TypeInfo) -> TypeInfo:
        self.asked.append(info)
        return super().register(info)

    def write(self, batch: Batch) -> list[Record]:
        self.asked.append(batch)
        return super().write(batch)


def every_write(store: Store, folder: Path) -> list[tuple[str, TypeInfo | Batch]]:
    """Make every kind of write, and return what the store was asked: transaction by transaction, with its kind."""
    noting = _Noting(store)
    asked: list[tuple[str, TypeInfo | Batch]] = []
    with DatabaseManager(noting) as db:
        for kind, write in WRITES.items():
            noting.asked.clear()
            write(db, folder)
            assert noting.asked, kind
            asked += [(kind, one) for one in noting.asked]
    return asked
