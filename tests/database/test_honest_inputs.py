"""A value is identified by what it is now, and recalled as what was returned then."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

import scidb
from scidb import BaseVariable, DatabaseManager, exceptions, for_each, thunk
from scidb.registry import register_class

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.above_stores


class Plain(BaseVariable):
    pass


class Out(BaseVariable):
    pass


class Grid(BaseVariable):
    """A dict of columns, stored as a table."""

    def to_db(self) -> pd.DataFrame:
        return pd.DataFrame(self.data)

    @classmethod
    def from_db(cls, df: pd.DataFrame) -> Any:
        return {str(name): list(df[name]) for name in df.columns}


@thunk
def total(x: Any) -> float:
    return float(sum(x["a"])) if isinstance(x, dict) else float(np.sum(np.asarray(x)))


def test_a_changed_custom_value_is_another_input(db: DatabaseManager) -> None:
    """M4: also a value with its own storage is identified by what it is now."""
    Grid.save({"a": [1, 2, 7]}, subject=1)
    Out.save(total(Grid.load_one(subject=1)), subject=1)
    assert total(Grid.load_one(subject=1)).was_cached

    changed = Grid.load_one(subject=1)
    changed.data["a"][0] = 100

    assert total(changed).data == 109.0


@pytest.mark.parametrize("variable", [Plain, Grid])
def test_selected_rows_are_another_input(db: DatabaseManager, variable: type[BaseVariable]) -> None:
    """Rows selected after loading are not taken for the whole value, and still come from its record."""
    value: Any = pd.DataFrame({"a": [1, 2, 7]}) if variable is Plain else {"a": [1, 2, 7]}
    variable.save(value, subject=1)
    Out.save(total(variable.load_one(subject=1)), subject=1)
    if variable is Grid:
        with pytest.raises(exceptions.SciDBError):
            variable.load_one(subject=1, iloc=slice(0, 2))
        return

    part = total(variable.load_one(subject=1, iloc=slice(0, 2)))
    Out.save(part, subject=2)

    assert part.data == 3.0
    made = db.get_provenance(Out, subject=2)
    assert made is not None
    assert made["inputs"][0]["record_id"] == variable.load_one(subject=1).record_id


def test_another_index_is_not_what_the_function_returned(db: DatabaseManager) -> None:
    """``index=`` keeps the provenance of a result, and is never recalled as that result."""

    @thunk
    def frame(n: int) -> pd.DataFrame:
        return pd.DataFrame({"x": range(n)})

    Plain.save(frame(2), index=["p", "q"], subject=1)

    again = frame(2)

    assert not again.was_cached
    assert list(again.data.index) == [0, 1]
    made = db.get_provenance(Plain, subject=1)
    assert made is not None
    assert made["function_name"] == "frame"


def test_a_result_is_recalled_through_the_class_that_it_was_saved_as(db: DatabaseManager) -> None:
    """M13: recalled for another variable, it is the value and not the stored table."""
    Plain.save([1, 2], subject=1)

    def columns(x: list[int]) -> dict[str, list[int]]:
        return {"a": list(x)}

    for_each(columns, {"x": Plain}, [Grid], subject=[])
    report = for_each(columns, {"x": Plain}, [Out], subject=[])

    assert report.recalled == 1
    assert Out.load_one(subject=1).data == {"a": [1, 2]}


def test_without_its_class_a_custom_result_is_computed(db: DatabaseManager) -> None:
    """M13: a stored table is never passed off as the value that ``from_db`` would give."""
    gone = type("Gone", (BaseVariable,), {"to_db": Grid.to_db, "from_db": classmethod(lambda cls, df: {"a": [0]})})

    @thunk
    def make(n: int) -> dict[str, list[int]]:
        return {"a": [n]}

    gone.save(make(3), subject=1)  # type: ignore[attr-defined]
    assert make(3).was_cached
    register_class(type("Gone", (object,), {"has_custom_storage": staticmethod(lambda: False), "schema_version": 1}))

    assert not make(3).was_cached


def test_tables_change_no_value(db: DatabaseManager) -> None:
    """V1: a column of a table holds each value as it is; keys stay whole numbers."""
    values = [2**60 + 1, 0.5, None]
    for subject, value in enumerate(values):
        Plain.save(value, subject=subject)
    Plain.save("all")

    table = Plain.load_all(as_df=True)

    assert list(table["Plain"][1:]) == values
    assert str(table["subject"].dtype) == "Int64"
    assert list(table["subject"][1:]) == [0, 1, 2]


def test_a_variable_called_like_a_key(db: DatabaseManager) -> None:
    """The column of the value never replaces the column of the key."""
    subject = type("subject", (BaseVariable,), {})
    subject.save("x", subject=7)  # type: ignore[attr-defined]

    table = db.load_all("subject", as_df=True)

    assert table.to_dict("records") == [{"subject": 7, "subject_value": "x"}]


@pytest.mark.parametrize("as_of", [5, dt.date(2030, 1, 1), ["2030"]])
def test_moments_are_checked(db: DatabaseManager, as_of: Any) -> None:
    """``as_of`` that is no moment is an error of our own."""
    Plain.save(1, subject=1)
    with pytest.raises(exceptions.SciDBError, match="no moment"):
        Plain.load_one(as_of=as_of)


@pytest.mark.parametrize("version", [1, "", None])
def test_versions_are_checked(db: DatabaseManager, version: Any) -> None:
    """A version that is no id is an error of our own, and never matches anything."""
    Plain.save(1, subject=1)
    with pytest.raises(exceptions.SciDBError, match="version="):
        Plain.load_one(version=version)


@pytest.mark.parametrize("items", [[(1, 5)], [1, 2], [(1,)]])
def test_save_many_says_what_it_takes(db: DatabaseManager, items: Any) -> None:
    """Malformed items are named."""
    with pytest.raises(exceptions.SciDBError, match="item 0"):
        Plain.save_many(items)


@pytest.mark.parametrize("units", [3, ["m"], {"a": 1j}])
def test_units_are_checked(units: Any) -> None:
    """Units are texts."""
    with pytest.raises(exceptions.VariableDefinitionError, match="units"):
        type("Odd", (BaseVariable,), {"units": units})


def test_long_and_odd_version_keys(db: DatabaseManager) -> None:
    """A long parameter is stored by its hash, a set has one identity in every process."""
    long = list(range(5_000))
    Plain.save(1, subject=1, weights=long)
    Plain.save(2, subject=1, weights={"b", "a"})

    assert Plain.load_one(weights=long).data == 1
    assert set(Plain.load_one(weights=long).version_keys["weights"]) == {"__hash__", "kind"}
    assert Plain.load_one(weights={"a", "b"}).version_keys["weights"]["kind"] == "set"


def test_a_refused_save_leaves_the_pipeline_as_it_was(db: DatabaseManager) -> None:
    """The edges of a result are written with the first save that succeeds."""
    Plain.save(3.0, subject=1)

    @thunk
    def odd(x: float, good: bool) -> Any:
        return x if good else object()

    with pytest.raises(exceptions.UnsupportedValueError):
        Out.save(odd(Plain.load_one(subject=1), good=False), subject=1)
    Out.save(odd(Plain.load_one(subject=1), good=True), subject=1)

    assert {edge["source"] for edge in db.get_pipeline_structure()} == {"Plain", "True"}


def test_two_handles_on_one_file_agree(tmp_path: Path) -> None:
    """What one handle adds to a file, another on the same file knows."""
    path = tmp_path / "study.duckdb"
    with scidb.open(path, ["subject"]) as first, scidb.open(path) as second:
        Plain.save(1.0, subject="1", db=second)

        assert Plain.load_one(subject=1, db=first).schema == {"subject": "1"}
        Plain.save(2.0, subject=2, db=first)
        assert [item.data for item in Plain.load_all(db=second)] == [1.0, 2.0]


def test_closing_one_database_forgets_no_other(tmp_path: Path) -> None:
    """The default of the process goes only with the database that it is."""
    main = scidb.configure_database(tmp_path / "main.duckdb", ["subject"])
    other = scidb.open(tmp_path / "other.duckdb", ["subject"])

    with other.as_current():
        other.close()
    assert scidb.get_database() is main

    with scidb.open("memory:", ["subject"]).as_current():
        main.close()
    again = scidb.configure_database(tmp_path / "main.duckdb")
    assert again is not main
    assert Plain.save(1, subject=1)


def test_read_only_is_read_only(tmp_path: Path) -> None:
    """Asking for the current database read-only gives one that refuses to write."""
    scidb.configure_database(tmp_path / "main.duckdb", ["subject"])
    read_only = scidb.configure_database(tmp_path / "main.duckdb", read_only=True)

    assert read_only.read_only
    with pytest.raises(exceptions.StorageError, match="read-only"):
        Plain.save(1, subject=1)


def test_a_function_that_works_in_place_spoils_nothing(db: DatabaseManager) -> None:
    """M11: what a later function does to a result in place is never saved as that result."""

    @thunk
    def make(n: int) -> Any:
        return np.arange(float(n))[::-1].copy()

    @thunk
    def middle(x: Any) -> float:
        x.sort()
        return float(x[len(x) // 2])

    raw = make(5)
    Out.save(middle(raw), subject=1)
    Plain.save(raw, subject=1)

    again = make(5)
    assert again.was_cached
    assert list(again.data) == [4, 3, 2, 1, 0]


def test_a_result_changed_by_hand_is_refused(db: DatabaseManager) -> None:
    """A changed result is saved as a value of its own, never under the function's name."""

    @thunk
    def make(n: int) -> Any:
        return np.arange(float(n))

    raw = make(3)
    raw.data[0] = 9

    with pytest.raises(exceptions.SciDBError, match="was changed after it was returned"):
        Plain.save(raw, subject=1)
    Plain.save(raw.data, subject=1)
    assert not make(3).was_cached
