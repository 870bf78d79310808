"""A process that writes in every way and says so after each return, until it is killed."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import scidb
from scidb import BaseVariable, for_each

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from scidb.database import DatabaseManager

KEYS = ["subject", "trial"]
MANY, RUN = 40, 12


class KillNumber(BaseVariable):
    """A number."""


class KillMany(BaseVariable):
    """Numbers that are saved together."""


class KillArray(BaseVariable):
    """A long array."""


class KillFrame(BaseVariable):
    """A frame."""


class KillMade(BaseVariable):
    """What for_each made."""


def array(number: int) -> np.ndarray[Any, Any]:
    """Return more than one piece of a stream."""
    return np.random.default_rng(number).random(150_000)


def frame(number: int) -> pd.DataFrame:
    """Return a table with columns of several kinds."""
    rng = np.random.default_rng(number)
    texts = [f"é{n}" for n in rng.integers(0, 1_000, 500)]
    return pd.DataFrame({"x": rng.random(500), "n": rng.integers(0, 9, 500), "text": texts})


def made(subject: int, trial: int) -> float:
    """Return what a combination has."""
    return subject * 1_000 + trial / 2


def many(number: int) -> list[tuple[float, dict[str, int]]]:
    """Return what is saved together."""
    return [(number + trial / 64, {"subject": number, "trial": trial}) for trial in range(MANY)]


def _run(db: DatabaseManager, number: int, **how: Any) -> None:
    for_each(made, {}, [KillMade], subject=[number], trial=range(RUN), pass_metadata=True, db=db, **how)


def name_of(turn: int) -> str:
    """Return what the variable that is renamed again and again is called after so many times."""
    return ("KillThis", "KillThat")[turn % 2]


def _rename(db: DatabaseManager, number: int) -> None:
    del number
    now = "KillThis" if "KillThis" in {info.name for info in db.types()} else "KillThat"
    db.admin.rename_variable(now, "KillThat" if now == "KillThis" else "KillThis")


WRITES: dict[str, Callable[[DatabaseManager, int], object]] = {
    "number": lambda db, n: KillNumber.save(n * 1.5, subject=n, db=db),
    "array": lambda db, n: KillArray.save(array(n), subject=n, db=db),
    "frame": lambda db, n: KillFrame.save(frame(n), subject=n, db=db),
    "many": lambda db, n: KillMany.save_many(many(n), db=db),
    "run": _run,
    "threads": lambda db, n: _run(db, n, n_jobs=2, prefer="threads"),
    "rename": _rename,
    "key": lambda db, n: db.admin.add_schema_key(f"key{n}"),
    "tag": lambda db, n: db.tag(f"tag{n}"),
    "flag": lambda db, n: db.flag(KillNumber, f"flag{n}", subject=-1),
    "register": lambda db, n: db.register(type(f"KillType{n}", (BaseVariable,), {"__doc__": f"type{n}"})),
    "invalidate": lambda db, n: db.invalidate_cache(function_name="made", reason=f"reason{n}"),
    "export": lambda db, n: db.export_to_csv(KillNumber, Path(db.target).with_name(f"export{n}.csv"), subject=-1),
    "group": lambda db, n: db.add_to_var_group(f"group{n}", [KillNumber, KillMany]),
}
# What changes the whole database for good comes seldom.
_SELDOM = {"key": 0.2, "register": 0.3, "rename": 0.5}


def prepare(path: Path) -> None:
    """Make the database, with what the writes refer to."""
    with scidb.open(path, KEYS) as db:
        db.save(type(name_of(0), (BaseVariable,), {}), 0.5, subject=-1)
        KillNumber.save(0.5, subject=-1, db=db)
        KillMany.save(0.5, subject=-1, db=db)
        _run(db, -1)


def work(path: str, first: int, seed: int, says: Connection) -> None:
    """Write until killed; before and after each write say which one."""
    chance = random.Random(seed)
    kinds, weights = list(WRITES), [_SELDOM.get(kind, 1.0) for kind in WRITES]
    with scidb.open(path, lock_timeout=30) as db:
        says.send_bytes(json.dumps(["opened", "", 0]).encode())
        for number in itertools.count(first):
            [kind] = chance.choices(kinds, weights)
            says.send_bytes(json.dumps(["begins", kind, number]).encode())
            WRITES[kind](db, number)
            says.send_bytes(json.dumps(["is done", kind, number]).encode())
