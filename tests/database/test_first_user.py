"""What a first user of versions, filters and time ran into: numbers that could be mistaken, and advice that fails."""

from __future__ import annotations

import datetime as dt
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

import scidb
from scidb import BaseVariable, DatabaseManager, Fixed, any_of, exceptions, for_each

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.above_stores


class UserReaction(BaseVariable):
    """A number per trial."""


class UserBaseline(BaseVariable):
    """A number per subject, in variants."""


class UserSlowing(BaseVariable):
    """Made of both."""


def mean_of(values: list[float], first: int) -> float:
    """Return the mean of the first few."""
    return float(np.mean(values[:first]))


def subtract(reaction: float, baseline: float) -> float:
    """Return the difference."""
    return reaction - baseline


def _two_configurations(db: DatabaseManager) -> None:
    """Make two variants of UserSlowing, of which only for_each's own keys tell which is which."""
    UserReaction.save_many([(250.0 + 10 * t, {"subject": 1, "trial": t}) for t in (1, 2)])
    for first in (1, 2):
        for_each(mean_of, {"values": UserReaction, "first": first}, [UserBaseline], subject=[])
    db.tag("before")
    for first in (1, 2):
        baseline = Fixed(UserBaseline, first=first)
        for_each(subtract, {"reaction": UserReaction, "baseline": baseline}, [UserSlowing], subject=[], trial=[])


def test_rows_of_two_configurations_can_be_told_apart(db: DatabaseManager) -> None:
    """Rows that differ in for_each's own keys alone show these, so that no mean mixes variants unseen."""
    _two_configurations(db)

    for table in (UserSlowing.load_all(as_df=True), UserSlowing.load(as_table=True)):
        assert list(table.columns) == ["subject", "trial", "__inputs", "UserSlowing"]
        assert table.groupby("__inputs")["UserSlowing"].apply(list).tolist() == [[0.0, 10.0], [-5.0, 5.0]]
        assert not table.duplicated(["subject", "trial", "__inputs"]).any()
    one = UserSlowing.load_all(as_df=True, params={"__inputs": table["__inputs"][0]})
    assert list(one.columns) == ["subject", "trial", "UserSlowing"]


def test_lines_of_two_configurations_can_be_told_apart(db: DatabaseManager, tmp_path: Path) -> None:
    """The same holds for a CSV file."""
    _two_configurations(db)

    db.export_to_csv(UserSlowing, tmp_path / "a.csv")

    table = pd.read_csv(tmp_path / "a.csv")
    assert list(table.columns) == ["subject", "trial", "__inputs", "UserSlowing"]
    assert table["__inputs"].nunique() == 2


def test_changes_of_two_configurations_can_be_told_apart(db: DatabaseManager) -> None:
    """The same holds for the rows of a difference, and for its table."""
    _two_configurations(db)

    diff = db.diff("before", variable=UserSlowing)

    assert len({(row.schema["trial"], row.version_keys["__inputs"]) for row in diff}) == len(diff) == 4
    assert diff.to_pandas()["__inputs"].nunique() == 2
    assert "first=1" in repr(diff)


def test_one_configuration_needs_no_more_columns(db: DatabaseManager) -> None:
    """Where nothing could be mistaken, a table has the keys that a person gave, and no others."""
    UserReaction.save_many([(250.0, {"subject": 1, "trial": t}) for t in (1, 2)])
    for_each(mean_of, {"values": UserReaction, "first": 1}, [UserBaseline], subject=[])
    UserBaseline.save(3.0, subject=2, first=1)  # by hand, elsewhere

    assert list(UserBaseline.load_all(as_df=True).columns) == ["subject", "first", "UserBaseline"]


# ---------------------------------------------------------------- a key that was added


def _with_sessions(db: DatabaseManager) -> None:
    UserReaction.save_many([(float(s), {"subject": s, "trial": 1}) for s in (1, 2)])
    UserBaseline.save_many([(s * 10, {"subject": s}) for s in (1, 2)])
    db.admin.add_schema_key("session", after="subject")
    UserReaction.save(100.0, subject=1, session="post", trial=1)


@pytest.mark.parametrize("session", ["post", ["post"], slice(None)])
def test_a_wide_table_of_a_new_key(db: DatabaseManager, session: Any) -> None:
    """A11: a key that is asked for chooses the values that have it; what has none at all is repeated as ever."""
    _with_sessions(db)

    table = db.to_dataframe([UserReaction, UserBaseline], session=session)

    assert table.to_dict("records") == [
        {"subject": 1, "session": "post", "trial": 1, "UserReaction": 100.0, "UserBaseline": 10}
    ]


def test_a_wide_table_of_what_was_before_the_key(db: DatabaseManager) -> None:
    """A11: None asks for the old values; without either, old and new ones of one place are not mixed."""
    _with_sessions(db)

    assert db.to_dataframe([UserReaction], session=None)["UserReaction"].tolist() == [1.0, 2.0]
    with pytest.raises(exceptions.AmbiguousVersionError, match=r"slice\(None\)"):
        db.to_dataframe([UserReaction])


def test_results_stay_up_to_date_when_a_key_is_added(db: DatabaseManager) -> None:
    """A11: what was computed before is not computed again; at a new place it is, beside the old one."""
    UserReaction.save_many([(float(s), {"subject": s, "trial": 1}) for s in (1, 2)])
    inputs = {"reaction": UserReaction, "baseline": 0.5}
    for_each(subtract, inputs, [UserSlowing], subject=[], trial=[])
    instant = db.tag("before")
    db.admin.add_schema_key("session", after="subject")

    assert for_each(subtract, inputs, [UserSlowing], subject=[], trial=[]).up_to_date == 2
    UserReaction.save(100.0, subject=1, session="post", trial=1)
    report = for_each(subtract, inputs, [UserSlowing], subject=[], session=[], trial=[])
    assert (report.completed, report.up_to_date) == (1, 0)
    assert for_each(subtract, inputs, [UserSlowing], subject=[], trial=[]).up_to_date == 2

    assert UserSlowing.load_one(subject=1, session=None).data == 0.5
    assert UserSlowing.load_one(subject=1, session="post").data == 99.5
    assert [one.data for one in UserSlowing.load_all(as_of=instant)] == [0.5, 1.5]
    assert db.diff("before", variable=UserSlowing).counts["added"] == 1
    assert db.diff("before", variable=UserSlowing).counts["changed"] == 0


# ---------------------------------------------------------------- keys


@pytest.mark.parametrize("value", [any_of(1, 2), slice(1, 2)])
def test_a_value_is_saved_under_one_version(db: DatabaseManager, value: Any) -> None:
    """What asks for several values is refused when saving, since nothing would find the value again."""
    with pytest.raises(exceptions.SchemaKeyError, match="asks for several values"):
        UserReaction.save(1.0, subject=1, gain=value)
    with pytest.raises(exceptions.SchemaKeyError, match="asks for several values"):
        UserReaction.save(1.0, subject=1, params={"gain": value})


@pytest.mark.parametrize("value", [10**5_000, -(10**5_000), "1" * 5_000], ids=["large", "small", "text"])
def test_integers_beyond_any_sense_are_refused(db: DatabaseManager, value: Any) -> None:
    """A2: Python itself refuses to write such a number, in an error that is not ours."""
    UserReaction.save(1.0, subject=10**40)
    with pytest.raises(exceptions.SchemaKeyError):
        UserReaction.save(1.0, subject=value)
    with pytest.raises(exceptions.SchemaKeyError):
        UserReaction.load(subject=value)
    assert UserReaction.load_one(subject="1" + "0" * 40).schema == {"subject": 10**40}


@pytest.mark.every_store
def test_an_instant_is_one_place_in_any_zone(target: str) -> None:
    """A2: a time with a zone comes back in UTC from every store, however it was written."""
    noon = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
    in_paris = noon.astimezone(dt.timezone(dt.timedelta(hours=1)))
    with scidb.open(target, ["at"]) as db, db.as_current():
        ids = [UserReaction.save(1.0, at=one) for one in (in_paris, noon, pd.Timestamp(in_paris), in_paris.isoformat())]
        assert len(set(ids)) == 1
        [version, *_] = UserReaction.list_versions(at=noon)
        assert repr(version["schema"]["at"]) == repr(noon)
        assert repr(UserReaction.load_one(at=in_paris).schema["at"]) == repr(noon)


@pytest.mark.parametrize(
    ("asked", "said"),
    [([0.2, 3], "any_of"), ("0.2", r"gain=0\.2 is there \(float\)"), (3.0, r"gain=3 is there \(int\)")],
)
def test_values_that_only_look_alike_are_said(db: DatabaseManager, asked: Any, said: str) -> None:
    """A8: a version key matches exactly, and where that leaves nothing, the difference is named."""
    UserReaction.save(1.0, subject=1, gain=0.2)
    UserReaction.save(2.0, subject=1, gain=3)
    for request in (
        lambda: list(UserReaction.load_all(gain=asked)),
        lambda: UserReaction.load_all(as_df=True, params={"gain": asked}, subject=1),
        lambda: UserReaction.list_versions(gain=asked),
    ):
        with pytest.warns(scidb.SciDBWarning, match=said):
            request()
    with pytest.raises(exceptions.NotFoundError, match=said):
        UserReaction.load_one(gain=asked)
    assert list(UserReaction.load_all(gain=0.4)) == []  # not there yet, which may well be


def test_none_is_not_set_in_a_version_too(db: DatabaseManager) -> None:
    """A value saved under None is found by None, as one that was saved without the key is."""
    UserReaction.save(1.0, subject=1, gain=None)
    UserReaction.save(2.0, subject=2)
    UserReaction.save(3.0, subject=3, gain=2)

    assert [one.data for one in UserReaction.load_all(gain=None)] == [1.0, 2.0]
    assert [one.data for one in UserReaction.load_all(gain=any_of(2, None))] == [1.0, 2.0, 3.0]
    assert db.to_dataframe([UserReaction], params={"gain": None})["UserReaction"].tolist() == [1.0, 2.0]
    report = for_each(
        subtract, {"reaction": Fixed(UserReaction, gain=None), "baseline": 0.0}, [UserSlowing], subject=[]
    )
    assert (report.completed, report.skipped) == (2, 1)


@pytest.mark.every_store
def test_odd_version_keys(db: DatabaseManager) -> None:
    """Names that are no text are refused by name; a number that Python cannot write is kept by its hash."""
    UserReaction.save(0.0, subject=2)
    odd: list[Any] = [{1: 2}, {"": 2}, [1], "gain"]
    for params in odd:
        with pytest.raises(exceptions.SchemaKeyError):
            UserReaction.save(1.0, subject=1, params=params)
        with pytest.raises(exceptions.SchemaKeyError):
            UserReaction.load(params=params)
    UserReaction.save(1.0, subject=1, gain=10**5_000)
    assert UserReaction.load_one(gain=10**5_000).data == 1.0


# ---------------------------------------------------------------- files and tables


@pytest.mark.parametrize("text", ["a\rb", "a\nb", "a\r\nb", 'say "x"', "x,y", "é😀", " sp ", "\r", "\n"])
def test_texts_come_back_from_a_file(db: DatabaseManager, tmp_path: Path, text: str) -> None:
    """A text of several lines, or with quotes, is one cell for whoever reads the file."""
    UserReaction.save(text, subject=1)
    UserBaseline.save(pd.DataFrame({"a": [text, "z"]}), subject=1)

    db.export_to_csv(UserReaction, tmp_path / "a.csv")
    db.export_to_csv(UserBaseline, tmp_path / "b.csv")

    assert pd.read_csv(tmp_path / "a.csv")["UserReaction"].tolist() == [text]
    assert pd.read_csv(tmp_path / "b.csv")["a"].tolist() == [text, "z"]
    assert (tmp_path / "a.csv").read_bytes().startswith(b"subject,UserReaction\n1,")


def test_files_of_a_part_of_the_data(db: DatabaseManager, tmp_path: Path) -> None:
    """A filter narrows a file as it narrows what is loaded; what is wrong with a request is said as there."""
    UserReaction.save_many([(float(s), {"subject": s}) for s in (1, 2, 3)])

    assert db.export_to_csv(UserReaction, tmp_path / "a.csv", where=UserReaction > 1) == 2
    assert (tmp_path / "a.csv").read_text() == "subject,UserReaction\n2,2.0\n3,3.0\n"
    with pytest.raises(exceptions.NotFoundError, match=r"as of 2020-01-01\. It was first saved"):
        db.export_to_csv(UserReaction, tmp_path / "b.csv", as_of="2020-01-01")
    with pytest.raises(exceptions.NotFoundError, match="leaves nothing of the 3 values"):
        db.export_to_csv(UserReaction, tmp_path / "b.csv", where=UserReaction > 9)
    assert not (tmp_path / "b.csv").exists()


@pytest.mark.parametrize("path", [None, 1, "", "a\0b", b"a.csv"])
def test_what_names_no_file(db: DatabaseManager, path: Any) -> None:
    """A path that is none is an error of ours."""
    UserReaction.save(1.0, subject=1)
    with pytest.raises(exceptions.StorageError, match="names no file"):
        db.export_to_csv(UserReaction, path)
    with pytest.raises(exceptions.StorageError, match="names no file"):
        UserReaction.load_one().to_csv(path)


def test_a_column_is_no_table(db: DatabaseManager) -> None:
    """A Series, which Arrow can stream, too, is refused by name."""
    polars = pytest.importorskip("polars")
    for column in (pd.Series([1, 2], name="v"), polars.Series("v", [1, 2])):
        with pytest.raises(exceptions.SciDBError, match="takes a DataFrame"):
            UserReaction.save_from_dataframe(column, "v", ["subject"])


# ---------------------------------------------------------------- words


def test_a_filter_that_leaves_nothing_speaks_of_for_each_only_where_it_matters(db: DatabaseManager) -> None:
    """The hint about other filters comes where for_each made something under one."""
    UserReaction.save_many([(float(s), {"subject": s}) for s in (1, 2)])
    with pytest.raises(exceptions.NotFoundError) as caught:
        UserReaction.load(where=UserReaction > 9)
    assert "for_each" not in str(caught.value)

    inputs = {"reaction": UserReaction, "baseline": 0.5}
    for_each(subtract, inputs, [UserSlowing], where=UserReaction > 0, subject=[])
    with pytest.raises(exceptions.NotFoundError, match="under another filter counts as nothing"):
        UserSlowing.load(where=UserReaction > 1)


def test_a_day_is_not_compared_with_a_time(db: DatabaseManager) -> None:
    """The error says what to compare with, and speaks of zones only where zones differ."""
    UserReaction.save(dt.date(2026, 1, 5), subject=1)
    with pytest.raises(exceptions.FilterError, match="Compare with a date") as caught:
        UserReaction.load(where=UserReaction > dt.datetime(2026, 1, 1))  # noqa: DTZ001 - without a zone on purpose
    assert "zone" not in str(caught.value)
    UserBaseline.save(pd.DataFrame({"txt": ["a"]}), subject=1)
    with pytest.raises(exceptions.FilterError, match=r"Did you mean 'txt'\?$"):
        UserReaction.load(where=UserBaseline["tx"] == "a")


# ---------------------------------------------------------------- threads


@pytest.mark.slow
@pytest.mark.every_store
def test_readers_with_filters_while_one_writes(db: DatabaseManager) -> None:
    """R5: 8 threads that read with ``where=`` see whole answers while another thread writes and tags."""
    UserReaction.save_many([(float(s), {"subject": s}) for s in range(20)])
    UserBaseline.save_many([(s % 2, {"subject": s}) for s in range(20)])
    wanted = [float(s) for s in range(1, 20, 2)]
    done = threading.Event()
    problems: list[object] = []

    def read() -> None:
        while not done.is_set():
            found = [one.data for one in db.load_all(UserReaction, where=UserBaseline == 1, subject=slice(0, 19))]
            if found != wanted:
                problems.append(found)
                return

    readers = [threading.Thread(target=read) for _ in range(8)]
    for reader in readers:
        reader.start()
    try:
        for number in range(8):
            UserReaction.save(1000.0, subject=100 + number)
            UserBaseline.save(1, subject=100 + number)
            db.tag(f"tag {number}")
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert problems == []
