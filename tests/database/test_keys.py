"""Keys of a database: their types and order, ranges of them, near misses, and one that joins later."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

import scidb
from scidb import BaseVariable, DatabaseManager, any_of, exceptions, for_each

if TYPE_CHECKING:
    from pathlib import Path


class Keyed(BaseVariable):
    """A number."""


class Doubled(BaseVariable):
    """Twice the number."""


def double(x: float) -> float:
    return 2 * x


def places(key: str = "subject", **metadata: Any) -> list[Any]:
    return [found.schema.get(key) for found in Keyed.load_all(**metadata)]


def save_at(*subjects: Any) -> None:
    Keyed.save_many([(number, {"subject": subject}) for number, subject in enumerate(subjects)])


def test_a_slice_takes_both_its_ends(db: DatabaseManager) -> None:
    """A slice of a schema key is a range as in ``.loc``: both ends included, either may be open."""
    save_at(10, 9, 2, 5, 1)

    assert places(subject=slice(2, 9)) == [2, 5, 9]
    assert places(subject=slice("2", 5.0)) == [2, 5]
    assert places(subject=slice(None, 2)) == [1, 2]
    assert places(subject=slice(9, None)) == [9, 10]
    assert places(subject=slice(None)) == [1, 2, 5, 9, 10]
    assert places(subject=slice(6, 3)) == []


def test_slices_go_by_the_type_of_the_key(db: DatabaseManager) -> None:
    """Texts go by their characters, dates by time; a key that is not set is in no range."""
    save_at("S10", "S2", "S1")
    Keyed.save(7, trial=1)

    assert places(subject=slice("S1", "S2")) == ["S1", "S10", "S2"]
    assert places(subject=slice(None)) == ["S1", "S10", "S2"]


def test_slices_of_dates(target: str) -> None:
    """A range of days, with ends as text or as dates."""
    with scidb.open(target, {"day": dt.date}) as db, db.as_current():
        Keyed.save_many([(n, {"day": dt.date(2024, 2, n)}) for n in (28, 29, 1)])
        assert places("day", day=slice("2024-02-02", dt.date(2024, 2, 29))) == [
            dt.date(2024, 2, 28),
            dt.date(2024, 2, 29),
        ]


@pytest.mark.parametrize(("span", "said"), [(slice(1, 9, 2), "no step"), (slice("x", 2), "subject='x'")])
def test_slices_that_make_no_sense(db: DatabaseManager, span: slice, said: str) -> None:
    """A step, or an end that is no value of the key, is refused by name."""
    save_at(1, 2)

    with pytest.raises(exceptions.SchemaKeyError, match=said):
        Keyed.load_all(subject=span)
    with pytest.raises(exceptions.SchemaKeyError, match="any_of"):
        Keyed.load_all(gain=slice(1, 2))
    with pytest.raises(exceptions.SchemaKeyError, match="subject"):
        Keyed.save(1, subject=span)


@pytest.mark.parametrize(
    "wanted",
    [[2, 9], (2, 9), {2, 9}, np.array([2, 9]), pd.Index([2, 9]), pd.Series([2, 9]), range(2, 10, 7), any_of(2, 9)],
)
def test_whatever_holds_several_values_means_any_of(db: DatabaseManager, wanted: Any) -> None:
    """Lists, sets, arrays, ranges and the columns of pandas mean any of their values; an empty one matches nothing."""
    save_at(9, 2, 3)

    assert places(subject=wanted) == [2, 9]
    assert places(subject=[]) == []


def test_a_text_is_one_value(db: DatabaseManager) -> None:
    """A text is a value and not its characters; a table is none."""
    save_at("ab", "a")

    assert places(subject="ab") == ["ab"]
    with pytest.raises(exceptions.SchemaKeyError, match="subject"):
        Keyed.load_all(subject=pd.DataFrame({"a": [1]}))


def test_for_each_takes_slices(db: DatabaseManager) -> None:
    """A slice names stored values; one without any is an error and never every value."""
    save_at(1, 2, 5, 9)

    assert for_each(double, {"x": Keyed}, [Doubled], subject=slice(2, 5)).completed == 2
    with pytest.raises(exceptions.SchemaKeyError, match="no value of subject"):
        for_each(double, {"x": Keyed}, [Doubled], subject=slice(20, 30))


def test_an_odd_value_changes_no_other(db: DatabaseManager) -> None:
    """A2: the first value gives the type; what does not fit is refused, and the others stay as they were."""
    save_at("01", "S01")

    for odd in (None, float("nan"), True):
        with pytest.raises(exceptions.SchemaKeyError, match="subject="):
            Keyed.save(1.0, subject=odd)
    assert places() == ["01", "S01"]
    assert places(subject="1") == []


def test_times_are_not_rounded(target: str) -> None:
    """A2: nanoseconds that a key cannot hold are refused, and times of numpy and pandas that fit are taken."""
    with scidb.open(target, {"at": dt.datetime}) as db, db.as_current():
        Keyed.save(1, at=np.datetime64("2024-01-01T00:00:00.000001000", "ns"))
        assert places("at") == [dt.datetime(2024, 1, 1, 0, 0, 0, 1)]  # noqa: DTZ001 - naive on purpose
        for fine in (pd.Timestamp("2024-01-01T00:00:00.000000001"), np.datetime64("2024-01-01T00:00:00.000000001")):
            with pytest.raises(exceptions.SchemaKeyError, match="microseconds"):
                Keyed.save(1, at=fine)


def test_natural_order_everywhere(db: DatabaseManager) -> None:
    """A3: 9 comes before 10 wherever places are listed."""
    save_at(10, 9, 100)

    assert places() == db.distinct_schema_values("subject") == [9, 10, 100]
    assert list(Keyed.load_all(as_df=True)["subject"]) == list(Keyed.head()["subject"]) == [9, 10, 100]
    assert list(db.to_dataframe([Keyed])["subject"]) == [9, 10, 100]


def test_a_key_that_nothing_has_is_said(db: DatabaseManager) -> None:
    """A1, A8: a typo'd key is an error, or at least a warning, and never an empty result that looks like success."""
    save_at(1)

    with pytest.raises(exceptions.SchemaKeyError, match="Did you mean 'subject'"):
        Keyed.load_all(subjct=1)
    with pytest.warns(exceptions.SciDBWarning, match="never saved with a key 'person'"):
        assert list(Keyed.load_all(person=1)) == []
    with pytest.warns(exceptions.SciDBWarning, match="person"):
        assert Keyed.load_all(as_df=True, person=1).empty
    with pytest.warns(exceptions.SciDBWarning, match="person"):
        assert Keyed.list_versions(person=1) == []
    with pytest.raises(exceptions.NotFoundError, match="never saved with a key 'person'"):
        Keyed.load_one(person=1)


# ------------------------------------------------------------------ a key that joins later


def test_a_schema_key_can_be_added(db: DatabaseManager) -> None:
    """A11: old records have the new key empty, keep their ids, and load; new ones sort by it in its place."""
    old = Keyed.save(1.0, subject=1, trial=2)

    assert db.admin.add_schema_key("session", after="subject", value_type=str) == ("subject", "session", "trial")
    new = Keyed.save(2.0, subject=1, session="pre", trial=1)

    table = Keyed.load_all(as_df=True, include_record_id=True)
    assert list(table.columns) == ["subject", "session", "trial", "Keyed", "record_id"]
    assert list(table["record_id"]) == [old, new]
    assert Keyed.load_one(session=None).record_id == Keyed.save(1.0, subject=1, trial=2) == old
    assert Keyed.load_one(session="pre").schema == {"subject": 1, "session": "pre", "trial": 1}


def test_where_a_key_is_added(db: DatabaseManager) -> None:
    """Without a place a key is the finest one; ``before`` puts it in front of another."""
    assert db.admin.add_schema_key("step") == ("subject", "trial", "step")
    assert db.admin.add_schema_key("lab", before="subject") == ("lab", "subject", "trial", "step")
    with pytest.raises(exceptions.SchemaKeyError, match="Did you mean 'trial'"):
        db.admin.add_schema_key("x", before="trail")
    with pytest.raises(exceptions.SchemaKeyError, match="not both"):
        db.admin.add_schema_key("x", "lab", before="trial")


@pytest.mark.parametrize("name", ["Subject", "data", "row", "_x", "", "where", "gain", "GAIN"])
@pytest.mark.above_stores
def test_keys_that_cannot_be_added(db: DatabaseManager, name: str) -> None:
    """A9: names that are taken, reserved, or in use as a version key are refused, and nothing changes."""
    Keyed.save(1.0, subject=1, gain=2)

    with pytest.raises(exceptions.SchemaKeyError):
        db.admin.add_schema_key(name)
    assert db.schema_keys == ("subject", "trial")
    assert Keyed.load_one(gain=2).data == 1.0


def test_other_handles_see_an_added_key(tmp_path: Path) -> None:
    """A11: a key can be added while another handle is open; it and the views have it at once."""
    with scidb.open(tmp_path / "a.duckdb", ["subject"]) as one, scidb.open(tmp_path / "a.duckdb") as other:
        Keyed.save(1, subject=1, db=one)
        other.admin.add_schema_key("session")
        Keyed.save(2, subject=1, session="a", db=one)
        assert one.schema_keys == ("subject", "session")
        assert one.query("SELECT session FROM Keyed ORDER BY session NULLS FIRST").to_arrow()[
            "session"
        ].to_pylist() == [None, "a"]
    with scidb.open(tmp_path / "a.duckdb") as again:
        assert again.schema_keys == ("subject", "session")


def test_awkward_key_names_work(target: str) -> None:
    """A9: keys named like SQL keywords, or with a blank, can be read, sliced and tabled."""
    with scidb.open(target, ["order", "My Key"]) as db, db.as_current():
        Keyed.save(1, **{"order": 1, "My Key": "a"})
        assert places("order", order=slice(0, 2)) == [1]
        assert list(db.to_dataframe([Keyed]).columns) == ["order", "My Key", "Keyed"]
