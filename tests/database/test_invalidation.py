"""Results that are set aside are neither recalled nor up to date, until something is saved again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import scidb
from scidb import BaseVariable, DatabaseManager, exceptions, for_each, thunk
from scidb.exceptions import SciDBWarning
from scidb.store.model import Invalidations, MemoEntries

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.above_stores


class Raw(BaseVariable):
    pass


class Out(BaseVariable):
    pass


class Other(BaseVariable):
    pass


@thunk
def scale(x: Any, k: float = 2.0) -> Any:
    return x * k


@thunk
def shift(x: Any, k: float = 2.0) -> Any:
    return x + k


def double(x: Any) -> Any:
    return 2 * x


def _saved(value: float, subject: int = 1) -> Any:
    Raw.save(value, subject=subject)
    return Raw.load_one(subject=subject)


def test_by_function_name(db: DatabaseManager) -> None:
    """A function's results are set aside by its name, and nobody else's; the number of computations is told."""
    raw = _saved(3.0)
    Out.save(scale(raw), subject=1)
    Out.save(scale(raw, k=3.0), subject=2)
    Other.save(shift(raw), subject=1)

    assert db.invalidate_cache(function_name="scale", reason="wrong unit") == 2

    assert not scale(raw).was_cached
    assert not scale(raw, k=3.0).was_cached
    assert shift(raw).was_cached
    [row] = db._store.find(Invalidations())
    assert (row.function_name, row.reason, row.user_id) == ("scale", "wrong unit", db._user)


def test_what_is_saved_later_counts_again(db: DatabaseManager) -> None:
    """An invalidation is about what was saved until then; the same value saved again is recalled."""
    raw = _saved(3.0)
    first = Out.save(scale(raw), subject=1)
    db.invalidate_cache("scale")
    result = scale(raw)
    assert not result.was_cached

    assert Out.save(result, subject=1) == first

    assert scale(raw).was_cached


def test_by_hash_and_by_record(db: DatabaseManager) -> None:
    """A beginning of a function's hash, of a record's id, or the loaded record name what is meant."""
    raw = _saved(3.0)
    Out.save(scale(raw), subject=1)
    assert db.invalidate_cache(function_hash=scale.fingerprint().hash[:10]) == 1
    assert not scale(raw).was_cached
    record_id = Out.save(scale(raw), subject=1)
    assert scale(raw).was_cached
    assert db.invalidate_cache(output=record_id[:12]) == 1
    assert not scale(raw).was_cached
    Out.save(scale(raw), subject=1)
    assert db.invalidate_cache(output=Out.load_one(subject=1)) == 1
    assert not scale(raw).was_cached


def test_conditions_hold_together(db: DatabaseManager) -> None:
    """A record of another function than the one that is named sets nothing aside."""
    raw = _saved(3.0)
    record_id = Out.save(scale(raw), subject=1)
    Other.save(shift(raw), subject=1)

    assert db.invalidate_cache("shift", output=record_id) == 0
    assert scale(raw).was_cached
    assert db.invalidate_cache("scale", output=record_id) == 1
    assert not scale(raw).was_cached


def test_nothing_named_is_an_error(db: DatabaseManager) -> None:
    """Without an argument nothing is set aside, and what to write is said."""
    with pytest.raises(exceptions.SciDBError, match="function_name="):
        db.invalidate_cache()


def test_what_cannot_be_meant_is_said(db: DatabaseManager) -> None:
    """A8: a misspelt function is a warning with the nearest name; a record that no computation made, an error."""
    raw = _saved(3.0)
    Out.save(scale(raw), subject=1)

    with pytest.warns(SciDBWarning, match="Did you mean 'scale'"):
        assert db.invalidate_cache("scael") == 0
    with pytest.raises(exceptions.NotFoundError):
        db.invalidate_cache(output="f" * 64)
    with pytest.raises(exceptions.SciDBError, match="by hand"):
        db.invalidate_cache(output=raw)
    with pytest.raises(exceptions.SciDBError, match="never saved"):
        db.invalidate_cache(output=Out(1.0))
    with pytest.raises(exceptions.NotFoundError):
        db.invalidate_cache(output="")
    assert scale(raw).was_cached


def test_for_each_computes_what_was_set_aside(db: DatabaseManager) -> None:
    """What stands at its place is up to date no longer, and is computed and logged again."""
    for subject in (1, 2):
        _saved(float(subject), subject)
    run: dict[str, Any] = {"fn": double, "inputs": {"x": Raw}, "outputs": [Out], "subject": []}
    for_each(**run)
    assert for_each(**run).up_to_date == 2

    db.invalidate_cache(output=Out.load_one(subject=2))

    report = for_each(**run)
    assert (report.up_to_date, report.completed, report.recalled) == (1, 1, 0)
    assert for_each(**run).up_to_date == 2
    assert db.invalidate_cache("double") == 2
    assert for_each(**run).completed == 2
    assert for_each(**run).up_to_date == 2


def test_for_each_does_not_recall_what_was_set_aside(db: DatabaseManager) -> None:
    """A5: a result of before is recalled only if it was not set aside."""
    run: dict[str, Any] = {"fn": double, "inputs": {"x": Raw}, "outputs": [Out], "subject": 1}
    for value in (1.0, 2.0, 1.0):
        Raw.save(value, subject=1)
        report = for_each(**run)
    assert report.recalled == 1
    db.invalidate_cache("double")
    Raw.save(2.0, subject=1)

    assert for_each(**run).completed == 1


def test_other_handles_see_it_at_once(tmp_path: Path) -> None:
    """A result that one handle has recalled, and keeps in memory, is not recalled once another one set it aside."""
    one, other = (scidb.open(tmp_path / "study.duckdb", ["subject"]) for _ in range(2))
    with one, other:
        with one.as_current():
            Out.save(scale(2.0), subject=1)
            assert scale(2.0).was_cached
            assert scale(2.0).was_cached
        other.invalidate_cache("scale")
        with one.as_current():
            assert not scale(2.0).was_cached
        with other.as_current():
            Out.save(scale(2.0, force=True), subject=1)
        with one.as_current():
            assert scale(2.0).was_cached


def test_it_is_for_good(tmp_path: Path) -> None:
    """What was set aside stays so in the next process."""
    path = tmp_path / "study.duckdb"
    with scidb.open(path, ["subject"]) as db, db.as_current():
        Out.save(scale(2.0), subject=1)
        db.invalidate_cache("scale")
    with scidb.open(path) as db, db.as_current():
        assert not scale(2.0).was_cached


def test_read_only_databases_refuse(tmp_path: Path) -> None:
    """Setting aside is writing; recalling from a read-only database is not."""
    path = tmp_path / "study.duckdb"
    with scidb.open(path, ["subject"]) as db, db.as_current():
        Out.save(scale(2.0), subject=1)
    with scidb.open(path, read_only=True) as db, db.as_current():
        assert scale(2.0).was_cached
        with pytest.raises(exceptions.StorageError, match="read-only"):
            db.invalidate_cache("scale")


def test_nothing_is_deleted(db: DatabaseManager) -> None:
    """The values and their provenance stay; only the memo does without them."""
    Out.save(scale(2.0), subject=1)
    db.invalidate_cache("scale")

    assert Out.load_one(subject=1).data == 4.0
    assert db.get_provenance(Out, subject=1) is not None
    assert db._store.find(MemoEntries()) == []
