"""``where=`` when loading: A7, what a filter means for each kind of value, and results made under a filter."""

from __future__ import annotations

import datetime as dt
import decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

import scidb
from scidb import (
    BaseVariable,
    FilterError,
    Fixed,
    NotFoundError,
    NotRegisteredError,
    SchemaKeyError,
    UnsupportedOperationError,
    any_of,
    for_each,
    raw_sql,
    schema_key,
)
from scidb.store.columns import RecordColumns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scidb.filters import Filter
    from scidb.store.model import Record

pytestmark = [pytest.mark.above_stores, pytest.mark.usefixtures("db")]


class Pace(BaseVariable):
    """What is asked for, at each trial."""


class Leg(BaseVariable):
    """The leg of a trial."""


class Years(BaseVariable):
    """The age of a person."""


class Notes(BaseVariable):
    """A table, or whatever else is compared."""


class Trend(BaseVariable):
    """What is computed."""


@pytest.fixture(autouse=True)
def _three_people(db: scidb.DatabaseManager) -> None:
    """Save two trials of three people."""
    places = [{"subject": subject, "trial": trial} for subject in (1, 2, 3) for trial in (1, 2)]
    Pace.save_many([(place["subject"] + place["trial"] / 10, place) for place in places], db=db)
    Leg.save_many([("LR"[place["trial"] - 1], place) for place in places], db=db)
    Years.save_many([(20 + subject, {"subject": subject}) for subject in (1, 2, 3)], db=db)


def _paces(where: Filter, **metadata: Any) -> list[float]:
    return [pace.data for pace in Pace.load_all(where=where, **metadata)]


# ------------------------------------------------------------------ loading


def test_same_and_coarser_levels_combine() -> None:
    """A filter at the same level picks, a coarser one expands downwards, keys are those of the target."""
    assert _paces(Leg == "R") == [1.2, 2.2, 3.2]
    assert _paces(Years >= 22) == [2.1, 2.2, 3.1, 3.2]
    assert _paces((Leg == "R") & (Years >= 22)) == [2.2, 3.2]
    assert _paces(~(Leg == "R") | (Years == 21)) == [1.1, 1.2, 2.1, 3.1]
    assert _paces(schema_key("subject").isin([1, 3]) & (schema_key("trial") == 1)) == [1.1, 3.1]
    assert _paces(schema_key("subject") >= "3") == [3.1, 3.2]
    assert _paces(Pace > 3.1) == [3.2]
    assert _paces(Leg == "R", subject=2) == [2.2]


def test_every_way_of_loading_takes_a_filter(db: scidb.DatabaseManager) -> None:
    """load, load_one, load_all and the methods of the database filter alike."""
    where = (Leg == "R") & (Years == 22)
    assert Pace.load(where=where).data == 2.2
    assert [pace.data for pace in Pace.load(where=Leg == "R")] == [1.2, 2.2, 3.2]
    assert Pace.load(where=where, as_table=True)["Pace"].tolist() == [2.2]
    assert Pace.load_one(where=where).data == 2.2
    assert Pace.load_all(as_df=True, where=where)["Pace"].tolist() == [2.2]
    assert [pace.data for pace in Pace.load_all(version_id="all", where=where)] == [2.2]
    assert db.load("Pace", where=where).data == 2.2
    assert db.load_one(Pace, where=where).data == 2.2
    assert [pace.data for pace in db.load_all(Pace, where=where)] == [2.2]
    assert db.find_record(Pace, where=where).schema == {"subject": 2, "trial": 2}
    assert Pace.load_one(version=str(Pace.load_one(where=where).record_id), where=where).data == 2.2


def test_a_filter_looks_at_the_same_past(db: scidb.DatabaseManager) -> None:
    """With as_of, the filter compares what was the latest then."""
    then = db.log(Leg)[0].timestamp
    Leg.save("R", subject=1, trial=1)
    assert _paces(Leg == "R") == [1.1, 1.2, 2.2, 3.2]
    assert _paces(Leg == "R", as_of=then) == [1.2, 2.2, 3.2]


def test_nothing_left_is_not_no_data() -> None:
    """A filter that leaves nothing says so, and what there is; load_all gives an empty result."""
    with pytest.raises(NotFoundError, match=r"Years > 90 leaves nothing of the 6 values of Pace"):
        Pace.load(where=Years > 90)
    with pytest.raises(NotFoundError, match=r"leaves nothing of the one value"):
        Pace.load_one(where=Years > 90, subject=1, trial=1)
    with pytest.raises(NotFoundError, match=r"No Pace at subject=9"):
        Pace.load(where=Years > 20, subject=9)
    assert list(Pace.load_all(where=Years > 90)) == []


# ------------------------------------------------------------------ A7


def test_a_finer_filter_is_refused() -> None:
    """A7: a filter that is finer than its target is an error that names places."""
    with pytest.raises(FilterError, match=r"Leg == 'R' cannot be decided for subject=1.*finer"):
        Years.load(where=Leg == "R")


def test_a_filter_that_does_not_cover_is_refused() -> None:
    """A7: a filter that has no value for a part of its target is an error that names places."""
    Pace.save(9.1, subject=9, trial=1)
    with pytest.raises(FilterError, match=r"Leg == 'R' cannot be decided for subject=9, trial=1"):
        Pace.load(where=Leg == "R")
    with pytest.raises(FilterError, match="subject=9"):
        Pace.load(where=~(Leg == "R"))


def test_what_is_misspelt_is_refused() -> None:
    """A7: a misspelt column, variable or key is an error with the nearest name, and what there is."""
    for subject in (1, 2, 3):
        Notes.save(pd.DataFrame({"weight": [60.0 + subject], "sex": ["f"]}), subject=subject)
    with pytest.raises(FilterError, match=r"no column 'wieght'; its columns are 'weight', 'sex'.*mean 'weight'"):
        Pace.load(where=Notes["wieght"] > 60)
    with pytest.raises(NotRegisteredError, match="Trend"):
        Pace.load(where=Trend > 1)
    with pytest.raises(SchemaKeyError, match="subject"):
        Pace.load(where=schema_key("subjct") == 1)
    with pytest.raises(FilterError, match="where= takes a filter"):
        Pace.load(where=False)  # type: ignore[arg-type]
    with pytest.raises(FilterError, match="where= takes a filter"):
        Pace.load(where=Leg)  # type: ignore[arg-type]


def test_several_values_at_one_place_are_refused() -> None:
    """Several version keys or rows at one place are an error that says how to choose."""
    Notes.save(1.0, subject=1, method="a")
    Notes.save(2.0, subject=1, method="b")
    with pytest.raises(FilterError, match=r"version keys.*any\(\)"):
        Pace.load(where=Notes > 1, subject=1)
    assert _paces(Notes.any() > 1, subject=1) == [1.1, 1.2]
    assert _paces(Notes.all() > 1, subject=1) == []


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (1.5, lambda: Notes == "a"),
        (1.5, lambda: Notes == True),  # noqa: E712
        (True, lambda: Notes == 1),
        ("a", lambda: Notes > 1),
        (dt.datetime(2026, 1, 1), lambda: Notes > dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),  # noqa: DTZ001
        (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), lambda: Notes > dt.datetime(2026, 1, 1)),  # noqa: DTZ001
        (dt.datetime(2026, 1, 1), lambda: Notes > dt.date(2026, 1, 1)),  # noqa: DTZ001
        (decimal.Decimal("1.5"), lambda: Notes > 1),
        (1 + 2j, lambda: Notes == 1),
        ([1, 2], lambda: Notes == 1),
        (np.zeros((2, 2)), lambda: Notes.any() == 0),
        (np.zeros(3), lambda: Notes == 0),
        (pd.Series([1.0]), lambda: Notes == 1),
        (pd.DataFrame({"a": [1]}), lambda: Notes == 1),
        (1.5, lambda: Notes["a"] == 1),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), lambda: Notes["a"] == 1),
        (pd.DataFrame({"a": [1]}, index=pd.Index([5], name="day")), lambda: Notes["day"] == 5),
        (pd.DataFrame({"a": pd.Categorical(["x"], ["y", "x"], ordered=True)}), lambda: Notes["a"] > "x"),
        (pd.DataFrame({"a": [1, 2]}), lambda: Notes["a"] == 1),
    ],
)
def test_what_cannot_be_compared_is_refused(value: Any, where: Any) -> None:
    """Another type, or a value that is not one, is an error and never a silent no."""
    Notes.save(value, subject=1)
    with pytest.raises(FilterError, match="cannot be decided"):
        Pace.load(where=where(), subject=1)


# ------------------------------------------------------------------ kinds of values


_ZONED = dt.datetime(2026, 1, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=2)))
_DAY = dt.date(2026, 1, 2)
_HOUR = dt.timedelta(hours=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("value", "holding", "failing"),
    [
        (2, lambda: Notes == 2.0, lambda: Notes > 2),
        (np.float32(0.5), lambda: Notes <= 0.5, lambda: Notes != 0.5),
        (True, lambda: Notes == True, lambda: Notes == False),  # noqa: E712
        ("b", lambda: Notes > "a", lambda: Notes.isin(["a", "c"])),
        (None, Notes.isna, lambda: Notes == 1),
        (float("nan"), lambda: ~(Notes > 1), Notes.notna),
        (dt.date(2026, 1, 2), lambda: Notes > dt.date(2026, 1, 1), lambda: Notes < dt.date(2026, 1, 1)),
        (_ZONED, lambda: Notes == _ZONED.astimezone(dt.UTC), lambda: Notes > _ZONED),
        (_HOUR, lambda: Notes == np.timedelta64(60, "m"), lambda: Notes > _HOUR),
        (np.arange(3), lambda: Notes.any() > 1, lambda: Notes.all() > 1),
        (np.array([90], "m8[s]"), lambda: Notes.all() > dt.timedelta(seconds=89.5), lambda: Notes.any() > _HOUR),
        (np.array(["2026-01-02"], "M8[D]"), lambda: Notes.all() == _DAY, lambda: ~Notes.any().isin([_DAY])),
        (pd.Series([1, 2], name="force"), lambda: Notes.any() == 2, lambda: Notes.all() == 2),
        (pd.DataFrame({"a b": [1.5], 3: ["x"]}), lambda: (Notes["a b"] < 2) & (Notes[3] == "x"), Notes["a b"].isna),
        (pd.DataFrame({"side": pd.Categorical(["L"])}), lambda: Notes["side"] == "L", lambda: Notes["side"] != "L"),
        (pd.DataFrame({"t": [pd.Timestamp(_ZONED)]}), lambda: Notes["t"] == _ZONED, lambda: Notes["t"] > _ZONED),
        (pd.DataFrame({"t": np.array([3600], "m8[s]")}), lambda: Notes["t"] == _HOUR, lambda: Notes["t"] < _HOUR),
        (pd.DataFrame({"n": pd.array([None], "Int64")}), Notes["n"].isna, lambda: Notes["n"] == 1),
        (pd.DataFrame({"a": [1, 5]}), lambda: Notes["a"].any() > 4, lambda: Notes["a"].all() > 4),
    ],
)  # fmt: skip
@pytest.mark.every_store
def test_kinds_of_values(value: Any, holding: Any, failing: Any) -> None:
    """Each kind of value is compared as what it is, however it is stored."""
    Notes.save(value, subject=1)
    assert _paces(holding(), subject=1) == [1.1, 1.2]
    assert _paces(failing(), subject=1) == []
    assert _paces(~failing(), subject=1) == [1.1, 1.2]


@pytest.mark.every_store
def test_integers_and_floats_mix() -> None:
    """A variable of integers here and floats there is compared as numbers."""
    for subject, value in ((1, 1), (2, 1.5), (3, 2)):
        Notes.save(value, subject=subject)
    assert _paces(Notes > 1) == [2.1, 2.2, 3.1, 3.2]


@pytest.mark.every_store
def test_records_of_several_types() -> None:
    """One label of several types or columns is refused; what is superseded does not count."""
    Notes.save("a", subject=1)
    Notes.save(1.0, subject=2)
    with pytest.raises(FilterError, match="stored as number and text"):
        Pace.load(where=Notes > 0)
    Notes.save(2.0, subject=1)
    assert _paces(Notes > 1.5, subject=[1, 2]) == [1.1, 1.2]
    Leg.save(pd.DataFrame({"A": [1]}), subject=1)
    Leg.save(pd.DataFrame({"a": [2], "A": [1]}), subject=2)
    with pytest.raises(FilterError, match="not stored in the same column"):
        Years.load(where=Leg["A"] == 1, subject=[1, 2])
    Leg.save(pd.DataFrame({"A_2": [1]}), subject=1)  # what the other one's "A" is called in the store
    with pytest.raises(FilterError, match="not stored in the same column"):
        Years.load(where=Leg["A_2"] == 1, subject=[1, 2])


@pytest.mark.every_store
def test_own_storage_and_migrations() -> None:
    """A class with to_db is compared by its stored columns; what migrate would change first is not compared."""

    class Point(BaseVariable):
        def to_db(self) -> pd.DataFrame:
            return pd.DataFrame({"x": [self.data]})

        @classmethod
        def from_db(cls, df: pd.DataFrame) -> float:
            return float(df["x"][0])

    for subject in (1, 2, 3):
        Point.save(float(subject), subject=subject)
    assert _paces(Point["x"] > 2) == [3.1, 3.2]

    class Mass(BaseVariable):
        pass

    Mass.save(60.0, subject=1)

    class Mass(BaseVariable):  # type: ignore[no-redef]
        schema_version = 2

        @classmethod
        def migrate(cls, df: float, from_version: int) -> float:
            return df * 1_000

    with pytest.raises(FilterError, match="schema_version 1"):
        Pace.load(where=Mass > 100, subject=1)
    Mass.save(60_000.0, subject=1)
    assert _paces(Mass > 100, subject=1) == [1.1, 1.2]


@pytest.mark.every_store
def test_raw_sql(target: str) -> None:
    """A condition in SQL filters in a file, and is refused by name where there is no SQL."""
    if target == "memory:":
        with pytest.raises(UnsupportedOperationError, match="SQL"):
            Pace.load(where=raw_sql("value > 3"))
    else:
        assert _paces(raw_sql("value > 3 AND trial = 1")) == [3.1]
        assert _paces(raw_sql("value > 2") & (Leg == "R")) == [2.2, 3.2]


def test_filters_after_a_key_was_added(db: scidb.DatabaseManager) -> None:
    """What was saved before a key was added counts where nothing newer says more (A11)."""
    db.admin.add_schema_key("session", after="subject")
    for subject in (1, 2):
        Pace.save(10.0 + subject, subject=subject, session=1, trial=1)
    Leg.save("R", subject=1, session=1, trial=1)
    assert _paces(Leg == "R", trial=1) == [11.0]
    assert _paces(Leg == "L", trial=1) == [1.1, 2.1, 12.0, 3.1]


@pytest.mark.every_store
def test_one_variant_of_a_variable() -> None:
    """`Fixed` names the variant that is compared; what is no version key, or nearly a schema key, is refused."""
    for subject in (1, 2, 3):
        for gain in (1, 2):
            Notes.save(subject * gain, subject=subject, gain=gain)
    with pytest.raises(FilterError, match=r"Fixed\(Notes"):
        Pace.load_all(as_df=True, where=Notes > 3)
    assert _paces(Fixed(Notes, gain=1) > 2) == [3.1, 3.2]
    assert _paces(Fixed(Notes, gain=2) > 2) == [2.1, 2.2, 3.1, 3.2]
    assert _paces(Fixed(Notes, gain=2).isin([2]) | (Fixed(Notes, gain=1) == 3)) == [1.1, 1.2, 3.1, 3.2]
    assert _paces(Fixed(Notes, gain=any_of(1, 2)).any() == 4) == [2.1, 2.2]
    with pytest.raises(FilterError, match="these version keys"):
        _paces(Fixed(Notes, gain=1.0) > 2)
    with pytest.raises(FilterError, match="'subject' is a schema key"):
        _paces(Fixed(Notes, subject=1) > 2)
    with pytest.raises(SchemaKeyError, match="subject"):
        _paces(Fixed(Notes, subjct=1) > 2)
    report = for_each(_twice, {"pace": Pace}, [Trend], where=Fixed(Notes, gain=1) > 2, subject=[], trial=[])
    assert report.completed == 2
    assert [trend.data for trend in Trend.load_all(where=Fixed(Notes, gain=1) > 2)] == [6.2, 6.4]
    for subject in (1, 2, 3):
        Notes.save(pd.DataFrame({"x": [subject]}), subject=subject, table=True)
    assert _paces(Fixed(Notes["x"], table=True) >= 3) == [3.1, 3.2]


# ------------------------------------------------------------------ results made under a filter


def _twice(pace: float) -> float:
    return pace * 2


def _thrice(pace: float) -> float:
    return pace * 3


def test_verification_6_a_filter_chooses_places_and_variants() -> None:
    """Verification 6: load(where=f) gives the results made under f, where there are any, at places where f holds."""
    right, left = Leg == "R", Leg == "L"
    everything = {"pace": Pace}
    for_each(_twice, everything, [Trend], subject=[], trial=[])
    for_each(_twice, everything, [Trend], subject=[1], trial=[], where=right)
    for_each(_thrice, everything, [Trend], subject=[2], trial=[], where=schema_key("trial") == 2)
    found = {(t.schema["subject"], t.schema["trial"]): t for t in Trend.load_all(where=right)}
    assert {place: trend.data for place, trend in found.items()} == {(1, 2): 2.4, (2, 2): 4.4, (3, 2): 6.4}
    assert found[1, 2].record_id == Trend.load_one(params={"__where": right.to_key()}).record_id
    assert Trend.load_one(subject=1, where=right).data == 2.4
    assert [trend.data for trend in Trend.load(where=left)] == [2.2, 4.2, 6.2]
    assert [trend.data for trend in Trend.load(where=schema_key("trial") == 2)] == [2.4, pytest.approx(6.6), 6.4]
    assert Trend.load_all(as_df=True, where=right)["Trend"].tolist() == [2.4, 4.4, 6.4]


def test_variants_of_several_types_are_chosen_in_a_stream() -> None:
    """The variants of one location may be stored in several ways, and come in several pieces."""
    for_each(_twice, {"pace": Pace}, [Trend], where=Leg == "R", subject=[], trial=[])
    for_each(str, {"object": Pace}, [Trend], subject=[], trial=[])
    assert [trend.data for trend in Trend.load_all(where=Leg == "R")] == [2.4, 4.4, 6.4]
    assert [trend.data for trend in Trend.load_all(where=Leg == "L")] == ["1.1", "2.1", "3.1"]
    assert [trend.data for trend in Trend.load_all(where=Years > 22)] == ["3.1", "3.2"]


def test_many_values_pass_a_filter_as_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing was made under a filter, none of what is loaded is looked at one by one."""
    each = RecordColumns.__iter__

    def refuse(records: RecordColumns) -> Iterator[Record]:
        assert len(records) == 1
        return each(records)

    monkeypatch.setattr(RecordColumns, "__iter__", refuse)
    assert Pace.load_all(as_df=True, where=Leg == "R")["Pace"].tolist() == [1.2, 2.2, 3.2]


def test_results_under_another_filter_are_never_returned() -> None:
    """Verification 6: where there are only results made under another filter, there is nothing for this one."""
    for_each(_twice, {"pace": Pace}, [Trend], subject=[], trial=[], where=Leg == "R")
    with pytest.raises(NotFoundError, match="made under another filter"):
        Trend.load(where=Years > 20)
    assert len(Trend.load(where=Leg == "R")) == 3
    assert len(Trend.load()) == 3


def test_a_renamed_variable_keeps_its_results(db: scidb.DatabaseManager) -> None:
    """The text of a filter does not change when a variable that it names is renamed."""
    for_each(_twice, {"pace": Pace}, [Trend], subject=[], trial=[], where=Leg == "R")
    db.admin.rename_variable("Leg", "Limb")

    class Limb(BaseVariable):
        pass

    again = for_each(_twice, {"pace": Pace}, [Trend], subject=[], trial=[], where=Limb == "R")
    assert (again.up_to_date, again.left_out) == (3, 3)
    assert len(Trend.load(where=Limb == "R")) == 3
