"""Pruning: what goes, what stays whatever is asked for, and what is said of what went."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

import scidb
from scidb import BaseVariable, for_each, thunk
from scidb.exceptions import NotFoundError, NotRegisteredError, SciDBError, SciDBWarning
from scidb.store.model import Entries, MemoEntries

if TYPE_CHECKING:
    from scidb import DatabaseManager

pytestmark = pytest.mark.above_stores


class Emg(BaseVariable):
    """Muscle activity."""


class Scaled(BaseVariable):
    """In other units."""


class Peak(BaseVariable):
    """Its largest value."""


def scale(emg: list[float], factor: float = 2.0) -> list[float]:
    return [factor * one for one in emg]


def peak(scaled: list[float]) -> float:
    return max(scaled)


def run(db: DatabaseManager) -> None:
    """Compute what there is of each subject."""
    for_each(scale, {"emg": Emg}, [Scaled], db=db, progress=False, subject=[])
    for_each(peak, {"scaled": Scaled}, [Peak], db=db, progress=False, subject=[])


def ids(db: DatabaseManager, variable: type[BaseVariable]) -> list[str]:
    """Return the records that are there, newest first."""
    return list(dict.fromkeys(one.record_id for one in db.log(variable)))


def counts(found: Any) -> dict[str, int]:
    """Return how many records of each variable a plan has."""
    return {one.variable: one.records for one in found}


def test_superseded_versions_go_and_the_latest_stay(db: DatabaseManager) -> None:
    """Each place and set of version keys keeps its latest, a plan comes first, and sizes are those of the values."""
    for value in (1.0, 2.0, 3.0):
        Emg.save([value, value], subject=1)
    Emg.save([9.0], subject=1, gain=2)
    before = db._store.find(Entries())
    plan = db.admin.prune(superseded=True, dry_run=True)
    assert (counts(plan.variables), plan.entries, plan.done) == ({"Emg": 2}, 2, False)
    assert plan.nbytes == sum(one.nbytes for one in before[2:])
    assert db._store.find(Entries()) == before
    done = db.admin.prune(superseded=True, reason="before the review")
    assert (counts(done.variables), done.done) == ({"Emg": 2}, True)
    assert sorted(one.data[0] for one in Emg.load_all()) == [3.0, 9.0]
    assert db.admin.prune(superseded=True).records == 0
    [proof] = db.admin.removals()
    assert (proof.kind, proof.records, proof.entries, proof.nbytes) == ("prune", 2, 2, plan.nbytes)
    assert proof.reason == "before the review"


def test_a_version_that_came_back_stays(db: DatabaseManager) -> None:
    """A record whose newest line is the latest keeps all its lines; what stood between goes."""
    for value in (1.0, 2.0, 1.0):
        Emg.save([value], subject=1)
    db.admin.prune(superseded=True)
    assert len(db.log(Emg)) == 2
    assert ids(db, Emg) == [Emg.load_one(subject=1).record_id]


def test_conditions_must_all_hold(db: DatabaseManager) -> None:
    """Age, variable and the rest narrow each other; age is that of the newest line."""
    for value in (1.0, 2.0):
        Emg.save([value], subject=1)
        Peak.save(value, subject=1)
    assert counts(db.admin.prune(superseded=True, variable=Emg, dry_run=True).variables) == {"Emg": 1}
    both = db.admin.prune(superseded=True, variable=[Emg, "Peak"], dry_run=True)
    assert counts(both.variables) == {"Emg": 1, "Peak": 1}
    hour_ago = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    assert db.admin.prune(older_than=hour_ago, dry_run=True).records == 0
    old = db.admin.prune(older_than=dt.timedelta(0), variable="Emg", dry_run=True)
    assert (old.records, old.kept) == (1, {"latest": 1})
    # Saved again just now, the first version is young.
    instant = db.log(Emg)[0].timestamp
    Emg.save([1.0], subject=1)
    Emg.save([2.0], subject=1)
    assert db.admin.prune(older_than=instant, variable=Emg, superseded=True, dry_run=True).records == 0


def test_what_is_tagged_or_pinned_stays(db: DatabaseManager) -> None:
    """What was visible at a tag stays, and what is pinned with all that it was made from; the plan says so."""
    for value in (1.0, 2.0, 3.0, 4.0):
        Emg.save([value], subject=1)
        run(db)
        if value == 2.0:
            db.tag("submitted")
        if value == 3.0:
            db.flag(Peak, "in the paper", pin=True, subject=1)
    plan = db.admin.prune(superseded=True)
    assert counts(plan.variables) == {"Emg": 1, "Scaled": 1, "Peak": 1}
    assert plan.kept == {"pinned": 3, "tagged": 3}
    assert Emg.load_one(subject=1, as_of="submitted").data == [2.0]
    [pinned] = [flag.record_id for flag in db.flags() if flag.is_pin]
    assert db.get_provenance(pinned)["inputs"][0].get("removed") is None  # type: ignore[index]


def test_unreachable_results_go(db: DatabaseManager) -> None:
    """A result goes from whose computation nothing current comes; what one still rests on stays, as raw data do."""
    Emg.save([1.0], subject=1)
    run(db)
    Emg.save([2.0], subject=1)
    run(db)
    superseded = db.admin.prune(superseded=True, dry_run=True)
    unreachable = db.admin.prune(unreachable=True, dry_run=True)
    assert counts(superseded.variables)["Emg"] == 1
    assert counts(unreachable.variables) == {"Scaled": 1, "Peak": 1}
    assert unreachable.losing == ()

    # Somebody else with the same data has the same computation, which is still current there.
    Emg.save([1.0], subject=2)
    run(db)
    assert db.admin.prune(unreachable=True, variable=Scaled, dry_run=True).records == 0
    db.admin.erase(subject=2)

    # The scaled value goes on, and the peak is still that of before: it rests on what was superseded.
    Emg.save([5.0], subject=1)
    for_each(scale, {"emg": Emg}, [Scaled], db=db, progress=False, subject=[])
    plan = db.admin.prune(superseded=True, dry_run=True, variable=Scaled)
    assert (counts(plan.variables), counts(plan.losing)) == ({"Scaled": 2}, {"Peak": 2})
    assert counts(db.admin.prune(unreachable=True, variable=Scaled).variables) == {"Scaled": 1}


def test_what_was_removed_is_named_where_it_was_used(db: DatabaseManager) -> None:
    """Provenance, lineage, status and errors say that an input was removed; nothing fails over it."""
    Emg.save([1.0], subject=1)
    run(db)
    Emg.save([2.0], subject=1)
    for_each(scale, {"emg": Emg}, [Scaled], db=db, progress=False, subject=[])
    before = [(one.variable, one.state) for one in db.status().records]
    [_, old] = ids(db, Emg)
    [_, old_scaled] = ids(db, Scaled)
    db.flag(old, "electrode 7 bad")
    db.admin.prune(superseded=True, reason="space")

    made = db.get_provenance(Peak, subject=1)
    assert made is not None
    [used] = made["inputs"]
    assert (used["record_id"], used["metadata"]["subject"]) == (old_scaled, 1)
    assert used["removed"]["reason"] == "space"
    text = db.get_lineage_graph(Peak, subject=1).to_text()
    assert text.count(", removed on ") == 2
    assert "scale()" in text
    assert [(one.variable, one.state) for one in db.status().records] == before
    assert "which was removed on" in str(db.explain(Peak, subject=1))
    # The way from the flag to the result led through both.
    assert list(db.load_all(Peak, exclude="electrode 7 bad")) == []
    with pytest.raises(NotFoundError, match=r"was removed by prune on .*\(space\)"):
        db.load_by_record_id(old)
    with pytest.raises(NotFoundError, match=r"was removed by prune on .*\(space\)"):
        Emg.load_one(version=old[:12], subject=1)
    again = for_each(peak, {"scaled": Scaled}, [Peak], db=db, progress=False, subject=[])
    assert again.completed == 1


def test_a_look_at_the_past_never_takes_something_older_instead(db: DatabaseManager) -> None:
    """Where the latest of an instant was removed nothing stands for it, and whoever looks is told."""
    Emg.save([1.0], subject=1)
    Emg.save([2.0], subject=1)
    Emg.save([5.0], subject=2)
    then = db.log(Emg)[0].timestamp
    Emg.save([1.0], subject=1)
    db.admin.prune(superseded=True)
    with pytest.raises(NotFoundError, match="was removed by prune"):
        Emg.load_one(subject=1, as_of=then)
    with pytest.warns(SciDBWarning, match="count as not there: Emg at subject=1"):
        assert [one.data for one in Emg.load_all(as_of=then)] == [[5.0]]
    with pytest.warns(SciDBWarning, match="count as not there"):
        assert [row.change for row in db.diff(then)] == ["added"]
    with pytest.warns(SciDBWarning, match="count as not there"):
        db.status(as_of=then)
    first = db.log(Emg)[-1].timestamp
    assert Emg.load_one(subject=1, as_of=first).data == [1.0]


def test_the_memo_gives_no_result_whose_value_is_gone(db: DatabaseManager) -> None:
    """A computation all of whose results were removed runs again, and its result can be saved as before."""

    @thunk
    def double(x: float) -> float:
        return 2 * x

    first = Peak.save(double(1.0), subject=1)
    Peak.save(double(2.0), subject=1)
    assert double(1.0).was_cached
    db.admin.prune(superseded=True)
    assert len(db._store.find(MemoEntries())) == 1
    again = double(1.0)
    assert not again.was_cached
    assert Peak.save(again, subject=1) == first
    assert double(1.0).was_cached
    assert Peak.load_one(subject=1).data == 2.0
    with scidb.open("memory:", ["subject"]) as empty:
        assert empty.admin.removals() == []


def test_pieces_of_earlier_results_go(db: DatabaseManager) -> None:
    """Pieces that a later result does not have any more are superseded, and a look at the trials finds no such one."""

    def split(emg: list[float]) -> list[float]:
        return emg

    for values in ([1.0, 2.0, 3.0], [4.0, 5.0]):
        Emg.save(values, subject=1)
        for_each(split, {"emg": Emg}, [Peak], db=db, progress=False, subject=[1], distribute=True)
    assert db.admin.prune(superseded=True, variable=Peak).records == 3
    assert [one.data for one in Peak.load_all()] == [4.0, 5.0]
    assert db.distinct_schema_values("trial") == [1, 2]


def test_what_cannot_be_meant_is_refused(db: DatabaseManager) -> None:
    """No condition, one of the memo without it, one of values with it, and a variable that is none."""
    Emg.save([1.0], subject=1)
    with pytest.raises(SciDBError, match="superseded=True"):
        db.admin.prune()
    with pytest.raises(SciDBError, match="memo=True"):
        db.admin.prune(larger_than=5)  # type: ignore[call-overload]
    with pytest.raises(SciDBError, match="of values"):
        db.admin.prune(memo=True, superseded=True)  # type: ignore[call-overload]
    with pytest.raises(SciDBError, match="neither a duration"):
        db.admin.prune(older_than="soon")
    with pytest.raises(NotRegisteredError, match="Emg"):
        db.admin.prune(variable="Emgs")
