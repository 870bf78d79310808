"""Retention: results are set aside by age, size or disuse, on command."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest

from scidb import BaseVariable, DatabaseManager, exceptions, for_each, thunk
from scidb.store.model import Invalidations, MemoEntries

pytestmark = pytest.mark.above_stores


class Raw(BaseVariable):
    pass


class Out(BaseVariable):
    pass


@thunk
def scale(x: Any, k: float = 2.0) -> Any:
    return x * k


@thunk
def spread(count: int) -> Any:
    return np.arange(float(count))


def _instants(db: DatabaseManager) -> list[str]:
    return sorted(entry.saved for entry in db._store.find(MemoEntries()))


def test_by_age(db: DatabaseManager) -> None:
    """What was saved before an instant is not recalled any more, also not as up to date; nothing is deleted."""
    for subject in (1, 2):
        Out.save(scale(float(subject)), subject=subject)
    older, newer = _instants(db)

    plan = db.admin.prune(memo=True, older_than=newer, dry_run=True)
    assert (plan.computations, plan.latest, plan.nbytes, plan.done) == (1, 1, 8, False)
    assert scale(1.0).was_cached
    assert db.admin.prune(memo=True, older_than=older).computations == 0

    done = db.admin.prune(memo=True, older_than=newer)

    assert (done.computations, done.latest, done.nbytes, done.done) == (1, 1, 8, True)
    assert not scale(1.0).was_cached
    assert scale(2.0).was_cached
    assert len(Out.load_all(as_df=True)) == 2
    [row] = db._store.find(Invalidations())
    assert (row.reason, row.user_id) == (f"pruned: older than {newer}", db._user)
    Out.save(scale(1.0), subject=1)
    assert scale(1.0).was_cached


def test_by_size(db: DatabaseManager) -> None:
    """Results of more bytes than that are set aside; the function with most bytes comes first."""
    for count in (1, 100, 1000):
        Out.save(spread(count), subject=count)
    Out.save(scale(1.0), subject=9)

    found = db.admin.prune(memo=True, larger_than="0.5kB")

    assert [(one.name, one.computations) for one in found.functions] == [("spread", 2)]
    assert found.nbytes == 8_800
    assert [spread(count).was_cached for count in (1, 100, 1000)] == [True, False, False]
    assert db.admin.prune(memo=True, larger_than=7).functions[0].name == "scale"


def test_least_recently_used(db: DatabaseManager) -> None:
    """What was recalled, or found up to date by a run of the same code, was of use then."""
    for subject in (1, 2):
        Out.save(scale(float(subject)), subject=subject)
    Raw.save(5.0, subject=5)
    for_each(spread, {"count": 3}, [Out], subject=5)
    mark = db._store.find(MemoEntries())
    newest = max(entry.last_used for entry in mark)
    assert for_each(spread, {"count": 3}, [Out], subject=5).up_to_date == 1
    assert scale(2.0).was_cached

    found = db.admin.prune(memo=True, unused_since=dt.datetime.fromisoformat(newest) + dt.timedelta(microseconds=1))

    assert [(one.name, one.computations) for one in found.functions] == [("scale", 1)]
    assert not scale(1.0).was_cached
    assert scale(2.0).was_cached


def test_conditions_hold_together(db: DatabaseManager) -> None:
    """A large result that is young stays, when both age and size are asked for."""
    Out.save(spread(100), subject=1)
    assert db.admin.prune(memo=True, larger_than=1, older_than="1h").computations == 0
    assert db.admin.prune(memo=True, larger_than=1, older_than=dt.timedelta(seconds=-5)).computations == 1


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        ({}, "older_than='90d'"),
        ({"older_than": "long"}, "neither a duration"),
        ({"unused_since": "9e9y"}, "neither a duration"),
        ({"larger_than": "big"}, "no size"),
    ],
)
def test_what_cannot_be_understood(db: DatabaseManager, conditions: dict[str, Any], said: str) -> None:
    """No condition, or one that cannot be read, is refused with an example."""
    with pytest.raises(exceptions.SciDBError, match=said):
        db.admin.prune(memo=True, **conditions)
    with pytest.raises(
        exceptions.SciDBError, match="neither a duration" if "older_than" in conditions else "memo=True"
    ):
        db.admin.prune(**conditions)
