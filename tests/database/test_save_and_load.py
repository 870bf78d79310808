"""Values are saved by variable and location, and come back as they were."""

from __future__ import annotations

import datetime as dt
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

import scidb
from scidb import BaseVariable, DatabaseManager, exceptions, thunk
from scidb.registry import register_class

if TYPE_CHECKING:
    from pathlib import Path


class Signal(BaseVariable):
    """A raw signal."""

    units = "mV"


class Count(BaseVariable):
    pass


class Rotation(BaseVariable):
    """A rotation, stored row by row."""

    def to_db(self) -> pd.DataFrame:
        return pd.DataFrame({"value": np.asarray(self.data).ravel()})

    @classmethod
    def from_db(cls, df: pd.DataFrame) -> np.ndarray[Any, Any]:
        return np.asarray(df["value"]).reshape(3, 3)


class Unwilling(BaseVariable):
    def to_db(self) -> pd.DataFrame:
        raise ZeroDivisionError("no")

    @classmethod
    def from_db(cls, df: pd.DataFrame) -> Any:
        return df


def define(name: str, **body: Any) -> type[BaseVariable]:
    """Define a variable class, as a notebook cell would."""
    return type(name, (BaseVariable,), body)


def test_both_spellings_save_the_same_record(db: DatabaseManager) -> None:
    """``V.save(data, ...)`` and ``V(data).save(...)`` are one thing."""
    first = Signal.save(np.arange(3.0), subject=1)
    instance = Signal(np.arange(3.0))
    second = instance.save(subject=1)

    assert first == second == instance.record_id == instance.vhash
    assert instance.schema == {"subject": 1}


def test_a_loaded_value_knows_where_it_is(db: DatabaseManager) -> None:
    """A loaded instance carries keys, ids and time."""
    record_id = Signal.save(np.arange(3.0), subject=1, trial=2, gain=2)

    loaded = Signal.load_one(subject=1)

    assert np.array_equal(loaded.data, np.arange(3.0))
    assert loaded.record_id == record_id
    assert loaded.metadata == {"subject": 1, "trial": 2, "gain": 2}
    assert loaded.version == {"gain": 2}
    assert loaded.timestamp is not None
    assert loaded.timestamp.endswith("Z")
    assert "subject=1" in repr(loaded)
    assert record_id[:12] in repr(loaded)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        2**62,
        -0.0,
        float("inf"),
        "",
        "ä\n",
        np.float64(1),
        np.int16(-3),
        np.bool_(1),
        [],
        [1, 2],
        [1, "x", None],
        {"a": [1, {"b": 2.5}]},
        np.zeros((0, 3)),
        np.arange(24, dtype="u1").reshape(2, 3, 4),
        np.array(3.5),
        np.array([True, False]),
    ],
    ids=repr,
)
def test_values_come_back_as_they_were(db: DatabaseManager, value: Any) -> None:
    """V2, V4, V7, V8: equal in value, type, dtype and shape."""
    Count.save(value, subject=1)

    loaded = Count.load_one(subject=1).data

    assert type(loaded) is type(value)
    assert scidb.canonical_hash(loaded) == scidb.canonical_hash(value)


def test_nan_comes_back(db: DatabaseManager) -> None:
    """V8: NaN is NaN and not None."""
    Count.save(float("nan"), subject=1)

    assert np.isnan(Count.load_one(subject=1).data)


def test_an_int_and_a_float_of_one_variable_keep_their_types(db: DatabaseManager) -> None:
    """V1: 2.5 is never rounded because 1 was saved first, nor 1 widened because of 2.5."""
    Count.save(1, subject=1)
    Count.save(2.5, subject=2)

    one, two = (Count.load_one(subject=s).data for s in (1, 2))

    assert (one, two) == (1, 2.5)
    assert (type(one), type(two)) == (int, float)


def test_a_variable_may_change_its_shape(db: DatabaseManager) -> None:
    """A10: a scalar, an array and frames with other columns live side by side."""
    values = [1.0, np.arange(3.0), pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [1], "b": ["x"]})]
    for trial, value in enumerate(values):
        Count.save(value, subject=1, trial=trial)

    loaded = [scidb.canonical_hash(item.data) for item in Count.load_all(subject=1)]

    assert loaded == [scidb.canonical_hash(value) for value in values]


def test_frames_keep_index_labels_and_dtypes(db: DatabaseManager) -> None:
    """V3: the index, its name, the labels and the dtypes of a frame are part of the value."""
    frame = pd.DataFrame(
        {"x": np.arange(3, dtype="i2"), "a b": ["p", None, "q"], "t": pd.to_datetime(["2020-01-01"] * 3)},
        index=pd.Index([3, 1, 2], name="step"),
    )
    Signal.save(frame, subject=1)

    pd.testing.assert_frame_equal(Signal.load_one(subject=1).data, frame)


def test_index_becomes_the_index(db: DatabaseManager) -> None:
    """``index=`` labels the rows on the way in, and leaves the caller's frame alone."""
    frame = pd.DataFrame({"x": [1, 2]})
    Signal.save(frame, index=["a", "b"], subject=1)

    assert list(Signal.load_one(subject=1).data.index) == ["a", "b"]
    assert list(frame.index) == [0, 1]
    with pytest.raises(exceptions.UnsupportedValueError, match="3 labels for 2 rows"):
        Signal.save(frame, index=[1, 2, 3], subject=1)


def test_custom_storage_goes_through_both_methods(db: DatabaseManager) -> None:
    """to_db on the way in, from_db on the way out; without the class, the stored table."""
    Rotation.save(np.eye(3), subject=1)

    assert np.array_equal(Rotation.load_one(subject=1).data, np.eye(3))
    assert list(db.load_one("Rotation", subject=1).data.shape) == [3, 3]


def test_a_failing_to_db_is_said_and_writes_nothing(db: DatabaseManager) -> None:
    """V11: an error in a user's own to_db names the class, and nothing is half-written."""
    with pytest.raises(exceptions.UnsupportedValueError, match=r"Unwilling.to_db\(\) failed"):
        Unwilling.save(1, subject=1)
    assert [info.name for info in db.types()] == []


@pytest.mark.parametrize(
    "value",
    [open, (i for i in [1]), object(), {"k": [1, lambda: 1]}],
    ids=["function", "generator", "object", "nested"],
)
def test_what_cannot_be_stored_is_refused(db: DatabaseManager, value: Any) -> None:
    """V11: an unsupported value is refused with the path inside it, and nothing is written."""
    with pytest.raises(exceptions.UnsupportedValueError) as caught:
        Count.save(value, subject=1)

    assert isinstance(caught.value.path, str)
    assert sum(info.records for info in db.types()) == 0


def test_one_bad_value_in_a_batch_stores_nothing(db: DatabaseManager) -> None:
    """save_many is all or nothing."""
    with pytest.raises(exceptions.UnsupportedValueError):
        Count.save_many([(1, {"subject": 1}), (object(), {"subject": 2})])

    with pytest.raises(exceptions.SciDBError):
        Count.load_all(as_df=True)


def test_save_many_keeps_the_order(db: DatabaseManager) -> None:
    """A6: of several values for one place in one batch, the last is the latest."""
    ids = Count.save_many([(1, {"subject": 1}), ("one", {"subject": 1}), (2.5, {"subject": 2})], gain=1)

    assert Count.load_one(subject=1).data == "one"
    assert [item.record_id for item in Count.load_all(version_id="all", subject=1)] == ids[:2]
    assert Count.load_one(subject=2).version_keys == {"gain": 1}


def test_a_revert_is_the_latest_again(db: DatabaseManager) -> None:
    """A4: A, B, A leaves three log lines and two records, and A is the latest."""
    first = Count.save(1, subject=1)
    Count.save(2, subject=1)
    again = Count.save(1, subject=1)

    versions = Count.list_versions(subject=1)

    assert first == again
    assert Count.load_one(subject=1).data == 1
    assert len(versions) == 3
    assert [line["record_id"] == first for line in versions] == [True, False, True]
    assert [info.records for info in db.types()] == [2]


def test_version_keys_each_have_their_latest(db: DatabaseManager) -> None:
    """A5: parameter 0.2 -> 0.3 -> 0.2 finds the first record again."""
    first = Count.save(1, subject=1, smoothing=0.2)
    Count.save(2, subject=1, smoothing=0.3)

    assert Count.save(1, subject=1, smoothing=0.2) == first
    assert Count.load_one(subject=1, smoothing=0.3).data == 2
    assert [item.data for item in Count.load_all(subject=1)] == [1, 2]


def test_version_values_match_exactly(db: DatabaseManager) -> None:
    """1, 1.0, True and "1" are four version keys; a list matches an equal list."""
    for number, value in enumerate([1, 1.0, True, "1", [1]]):
        Count.save(number, subject=1, k=value)

    assert [Count.load_one(subject=1, k=value).data for value in (1, 1.0, True, "1", [1])] == [0, 1, 2, 3, 4]
    assert sorted(item.data for item in Count.load_all(k=scidb.any_of(1, "1"))) == [0, 3]


def test_load_gives_one_or_many(db: DatabaseManager) -> None:
    """Load is for the prompt: one instance for one match, a list for several, an error for none."""
    Count.save_many([(s * 10 + t, {"subject": s, "trial": t}) for s in (9, 10) for t in (1, 2)])

    assert Count.load(subject=9, trial=1).data == 91
    assert [item.data for item in Count.load(trial=2)] == [92, 102]
    with pytest.raises(exceptions.NotFoundError, match=r"No Count at subject=3.*subject=9"):
        Count.load(subject=3)
    with pytest.raises(exceptions.AmbiguousVersionError, match="trial: 1, 2"):
        Count.load_one(subject=9)


def test_natural_order(db: DatabaseManager) -> None:
    """A3: subject 9 comes before subject 10."""
    Count.save_many([(s, {"subject": s}) for s in (10, 9, 100, 1)])

    assert [item.data for item in Count.load_all()] == [1, 9, 10, 100]
    assert db.distinct_schema_values("subject") == [1, 9, 10, 100]


def test_lists_mean_any_of_and_none_means_unset(db: DatabaseManager) -> None:
    """A list of schema values matches any of them; None matches what has no such key."""
    Count.save("subject", subject=1)
    Count.save("trial", subject=1, trial=1)
    Count.save("other", subject=2)

    assert {item.data for item in Count.load_all(subject=[1, 2])} == {"subject", "trial", "other"}
    assert Count.load_one(subject=1, trial=None).data == "subject"


def test_a_key_keeps_the_type_of_its_first_value(db: DatabaseManager) -> None:
    """A2: an odd value is refused and changes nothing for the others."""
    Count.save(1, subject="01")

    assert Count.load_one(subject="01").schema == {"subject": "01"}
    Count.save(2, subject=1)
    assert [item.schema["subject"] for item in Count.load_all()] == ["01", "1"]
    with pytest.raises(exceptions.SchemaKeyError, match="needs a number"):
        Count.save(3, subject=float("nan"))


def test_tables(db: DatabaseManager) -> None:
    """as_table and as_df give keys, version keys and a column named after the class."""
    Count.save_many([(s, {"subject": s, "gain": 2}) for s in (1, 2)])

    table = Count.load_all(as_df=True, include_record_id=True)

    assert isinstance(table, pd.DataFrame)
    assert list(table.columns) == ["subject", "gain", "Count", "record_id"]
    assert list(table["Count"]) == [1, 2]
    assert list(Count.load(as_table=True).columns) == ["subject", "gain", "Count"]


def test_rows_can_be_selected(db: DatabaseManager) -> None:
    """Loc and iloc select rows after loading, as in pandas."""
    Signal.save(pd.DataFrame({"x": [1, 2, 3]}, index=["a", "b", "c"]), subject=1)
    Signal.save(np.arange(4), subject=2)

    assert list(Signal.load_one(subject=1, loc=["a", "c"]).data["x"]) == [1, 3]
    assert list(Signal.load_one(subject=1, iloc=slice(1)).data["x"]) == [1]
    assert list(Signal.load_one(subject=2, iloc=slice(2, None)).data) == [2, 3]


def test_versions_by_id_and_prefix(db: DatabaseManager) -> None:
    """Superseded records load by id or by a unique prefix."""
    old = Count.save(1, subject=1)
    Count.save(2, subject=1)

    assert Count.load(version=old).data == 1
    assert Count.load_one(version=old[:12]).data == 1
    assert db.load_by_record_id(old[:20]).data == 1
    with pytest.raises(exceptions.NotFoundError, match="begins with"):
        Count.load(version="zz")


def test_as_of_shows_the_past(db: DatabaseManager) -> None:
    """as_of means up to and including that instant, on every read."""
    Count.save(1, subject=1)
    then = Count.load_one(subject=1).timestamp
    Count.save(2, subject=1)

    assert Count.load_one(subject=1, as_of=then).data == 1
    assert [item.data for item in Count.load_all(as_of=then)] == [1]
    assert len(Count.list_versions(as_of=then)) == 1
    with pytest.raises(exceptions.NotFoundError):
        Count.load_one(subject=1, as_of=dt.datetime(2000, 1, 1, tzinfo=dt.UTC))
    with pytest.raises(exceptions.SciDBError, match="no moment"):
        Count.load_one(subject=1, as_of="yesterday")


def test_unknown_variables_are_named(db: DatabaseManager) -> None:
    """A8: a misspelt variable is an error with the nearest name."""
    Count.save(1, subject=1)

    with pytest.raises(exceptions.NotRegisteredError, match="Did you mean 'Count'"):
        db.load("Cuont")
    with pytest.raises(exceptions.NotRegisteredError, match="Nothing of it was saved yet"):
        Signal.load()


def test_no_database_is_an_error_that_says_what_to_call() -> None:
    """Without a current database the message names configure_database."""
    for call in (lambda: Count.save(1, subject=1), Count.load, scidb.get_database):
        with pytest.raises(exceptions.DatabaseNotConfiguredError, match="configure_database"):
            call()


def test_types_carry_what_the_class_says(db: DatabaseManager) -> None:
    """The description is the docstring; units are kept."""
    Signal.save(np.arange(3.0), subject=1, trial=1)

    (info,) = db.types()

    assert (info.name, info.description, info.units) == ("Signal", "A raw signal.", "mV")
    assert info.schema_level == "trial"


def test_a_class_may_be_defined_again(db: DatabaseManager) -> None:
    """A notebook cell run twice keeps its data."""
    Count.save(1, subject=1)

    again = define("Count")

    assert again.load_one(subject=1).data == 1


@pytest.mark.parametrize("name", ["_hidden", "x_data", "x__rows", "x_data_2"])
def test_names_that_would_clash_are_refused(name: str) -> None:
    """A9: refused when the class is defined."""
    with pytest.raises(exceptions.VariableDefinitionError):
        define(name)


def test_names_that_differ_in_case_are_refused(db: DatabaseManager) -> None:
    """A9: the second of two names that differ only in case is refused."""
    define("abc").save(1, subject=1)

    with pytest.raises(exceptions.VariableDefinitionError, match="case"):
        define("ABC").save(1, subject=1)


def test_sql_keywords_are_fine_names(db: DatabaseManager) -> None:
    """A9: a class named like a SQL keyword works."""
    select = define("select")
    select.save(1, subject=1)

    assert select.load_one(subject=1).data == 1


def test_half_a_custom_storage_is_refused() -> None:
    """to_db and from_db come both or not at all, from_db as a classmethod."""
    with pytest.raises(exceptions.VariableDefinitionError, match="but not from_db"):
        define("Half", to_db=lambda self: self.data)
    with pytest.raises(exceptions.VariableDefinitionError, match="classmethod"):
        define("Plain", to_db=lambda self: self.data, from_db=lambda df: df)
    with pytest.raises(exceptions.VariableDefinitionError, match="schema_version"):
        define("Zero", schema_version=0)


def test_an_old_schema_version_says_so(db: DatabaseManager) -> None:
    """A10: a stored version without a migration is an error that says how to write one."""
    Rotation.save(np.eye(3), subject=1)
    body: dict[str, Any] = {"to_db": Rotation.to_db, "from_db": classmethod(lambda cls, df: df), "schema_version": 2}
    newer = define("Rotation", **body)

    with pytest.raises(exceptions.MigrationError, match="migrate"):
        newer.load_one(subject=1)

    body["migrate"] = classmethod(lambda cls, df, version: df.assign(was=version))
    migrating = define("Rotation", **body)
    assert list(migrating.load_one(subject=1).data["was"].unique()) == [1]
    register_class(Rotation)


def test_declared_key_types(target: str, tmp_path: Any) -> None:
    """A2: a declared type holds from the first value on, and cannot be declared otherwise later."""
    path = tmp_path / "typed.duckdb"
    with scidb.open(path, {"subject": str, "trial": int}) as db:
        Count.save(1, subject=7, trial="3", db=db)
        assert Count.load_one(db=db).schema == {"subject": "7", "trial": 3}
    with pytest.raises(exceptions.SchemaKeyError, match="holds str values"):
        scidb.open(path, {"subject": int, "trial": int})
    with pytest.raises(exceptions.SchemaKeyError, match="'trial', 'subject'"):
        scidb.open(path, ["trial", "subject"])


def test_the_same_current_database_is_returned(tmp_path: Any) -> None:
    """configure_database on the current path returns the current manager; the deprecated path warns."""
    first = scidb.configure_database(tmp_path / "a.duckdb", ["subject"])

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert scidb.configure_database(tmp_path / "a.duckdb") is first
    assert scidb.get_database() is first
    with pytest.warns(DeprecationWarning, match="pipeline_db_path"):
        scidb.configure_database(tmp_path / "a.duckdb", ["subject"], tmp_path / "p.db")
    first.close()
    with pytest.raises(exceptions.DatabaseNotConfiguredError):
        scidb.get_database()


def test_a_large_value_by_its_id_and_recalled(tmp_path: Path) -> None:
    """A value large enough to be read piece by piece loads by its id, and is recalled by another handle."""
    samples = np.arange(200_000.0)  # 1.6 MB

    @thunk
    def shifted(values: Any) -> Any:
        return values + 1.0

    path = tmp_path / "study.duckdb"
    with scidb.open(path, ["subject", "session", "trial"]) as db, db.as_current():
        record_id = Signal.save(samples, subject=1)
        other = Signal.save(shifted(Signal.load_one(subject=1)), subject=2)
    with scidb.open(path) as db, db.as_current():
        np.testing.assert_array_equal(db.load_by_record_id(record_id).data, samples)
        recalled = shifted(Signal.load_one(subject=1))
        assert Signal.save(recalled, subject=2) == other
        np.testing.assert_array_equal(db.load_by_record_id(other).data, samples + 1.0)
