"""Renaming a variable: its records, their ids, its lineage and its views stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import scidb
from scidb import BaseVariable, Fixed, for_each, thunk
from scidb.exceptions import NotRegisteredError, StorageError, VariableDefinitionError

if TYPE_CHECKING:
    from pathlib import Path

    from scidb import DatabaseManager

pytestmark = pytest.mark.above_stores


class Emg(BaseVariable):
    """Muscle activity."""

    units = "mV"


class Activity(BaseVariable):
    """Muscle activity."""

    units = "mV"


class Peak(BaseVariable):
    """The largest value."""


def largest(signal: np.ndarray) -> float:
    return float(signal.max())


def test_records_load_under_the_new_name(db: DatabaseManager) -> None:
    """Every record, of every shape and version, loads as it was saved, under its old id."""
    ids = [Emg.save(np.arange(3.0), subject=1), Emg.save(2.5, subject=2), Emg.save(3, subject=2)]

    info = db.admin.rename_variable(Emg, Activity)

    assert (info.name, info.identity_name, info.entries) == ("Activity", "Emg", 3)
    assert Activity.load_one(subject=1).data.tolist() == [0.0, 1.0, 2.0]
    assert [one["record_id"] for one in Activity.list_versions(subject=2)] == ids[:0:-1]
    assert Activity.load_one(version=ids[1]).data == 2.5


def test_the_same_data_keeps_its_id(db: DatabaseManager) -> None:
    """No second history begins: saved again under the new name, it is the same record."""
    record_id = Emg.save(1.5, subject=1)
    db.admin.rename_variable("Emg", "Activity")

    assert Activity.save(1.5, subject=1) == record_id
    [info] = db.types()
    assert (info.records, info.entries) == (1, 2)


def test_the_old_name_says_where_it_went(db: DatabaseManager) -> None:
    """Saving, loading, listing or running with the old class names the new one; nothing is written."""
    Emg.save(1.5, subject=1)
    db.admin.rename_variable(Emg, Activity)

    attempts: list[Any] = [
        lambda: Emg.save(2.5, subject=1),
        lambda: Emg.load(subject=1),
        lambda: list(Emg.load_all()),
        Emg.list_versions,
        lambda: db.load("Emg"),
        lambda: db.register(Emg),
        lambda: for_each(largest, {"signal": Emg}, [Peak], subject=[1]),
        lambda: for_each(largest, {"signal": Activity}, [Emg], subject=[1]),
    ]
    for attempt in attempts:
        with pytest.raises(NotRegisteredError, match="renamed to 'Activity'"):
            attempt()
    assert [info.entries for info in db.types() if info.name == "Activity"] == [1]


@pytest.mark.every_store
def test_another_handle_sees_it(target: str) -> None:
    """A handle that knew the old name goes on under the new one, with the same ids."""
    with scidb.open(target, ["subject", "trial"]) as first:
        second = scidb.DatabaseManager(first._store) if target == "memory:" else scidb.open(target)
        record_id = Emg.save(1.5, subject=1, db=second)
        first.admin.rename_variable(Emg, Activity)

        with pytest.raises(NotRegisteredError, match="renamed to 'Activity'"):
            Emg.save(1.5, subject=1, db=second)
        assert Activity.save(1.5, subject=1, db=second) == record_id
        assert Activity.load_one(subject=1, db=second).record_id == record_id
        second.close()


def test_provenance_and_pipeline_stay_connected(db: DatabaseManager) -> None:
    """What was computed from it, and what it was computed from, is found under the new name."""
    Emg.save(np.arange(3.0), subject=1)
    for_each(largest, {"signal": Emg}, [Peak], subject=[1])
    db.admin.rename_variable(Emg, Activity)
    db.admin.rename_variable(Peak, "Highest")

    assert [(edge["source"], edge["target"]) for edge in db.get_pipeline_structure()] == [("Activity", "Highest")]
    made = db.get_provenance("Highest", subject=1)
    assert made is not None
    assert [one["type"] for one in made["inputs"]] == ["Activity"]
    assert [one["type"] for one in db.get_derived_from(Activity, subject=1)] == ["Highest"]


@pytest.mark.parametrize("fixed", [False, True])
def test_nothing_is_computed_or_stored_again(db: DatabaseManager, fixed: bool) -> None:
    """A call of for_each after the renaming belongs to the same variant of its results: all is up to date."""
    trial: dict[str, Any] = {"trial": 1}
    for subject in (1, 2):
        Emg.save(np.arange(3.0) * subject, subject=subject, **(trial if fixed else {}))

    def run(variable: type[BaseVariable]) -> Any:
        source: Any = Fixed(variable, trial=1) if fixed else variable
        return for_each(largest, {"signal": source}, [Peak], subject=[1, 2])

    assert run(Emg).completed == 2
    db.admin.rename_variable(Emg, Activity)

    assert run(Activity).up_to_date == 2
    assert Peak.load_one(subject=2).data == 4.0


def test_results_that_are_renamed_stay_up_to_date(db: DatabaseManager) -> None:
    """The output of a call may be renamed as well."""

    class Highest(BaseVariable):
        """The largest value."""

    Emg.save(np.arange(3.0), subject=1)
    for_each(largest, {"signal": Emg}, [Peak], subject=[1])
    db.admin.rename_variable(Peak, Highest)

    assert for_each(largest, {"signal": Emg}, [Highest], subject=[1]).up_to_date == 1


def test_a_thunk_recalls_across_the_renaming(db: DatabaseManager) -> None:
    """Plain values are known by content, so a call on them is recognised."""
    work = thunk(largest)
    Emg.save(np.arange(3.0), subject=1)
    Peak.save(work(Emg.load_one(subject=1)), subject=1)
    db.admin.rename_variable(Emg, Activity)

    assert work(Activity.load_one(subject=1)).was_cached


def test_what_was_loaded_before_the_renaming(db: DatabaseManager) -> None:
    """An instance of the old class is recorded as an input under the name of today."""
    Emg.save(np.arange(3.0), subject=1)
    loaded = Emg.load_one(subject=1)
    db.admin.rename_variable(Emg, Activity)
    Peak.save(thunk(largest)(loaded), subject=1)

    assert [(edge["source"], edge["target"]) for edge in db.get_pipeline_structure()] == [("Activity", "Peak")]
    made = db.get_provenance(Peak, subject=1)
    assert made is not None
    assert [one["type"] for one in made["inputs"]] == ["Activity"]


def test_a_pinned_class_is_recognised(db: DatabaseManager) -> None:
    """A class with from_db that names its former class in __scidb_type__ is the same input as before."""
    body: dict[str, Any] = {
        "to_db": lambda self: __import__("pandas").DataFrame({"x": self.data}),
        "from_db": classmethod(lambda cls, df: df["x"].to_numpy()),
    }
    before = type("Before", (BaseVariable,), body)
    after = type("After", (BaseVariable,), {**body, "__scidb_type__": "Before"})
    work = thunk(largest)
    before.save(np.arange(3.0), subject=1)  # type: ignore[attr-defined]
    Peak.save(work(before.load_one(subject=1)), subject=1)  # type: ignore[attr-defined]
    db.admin.rename_variable(before, after)

    assert work(after.load_one(subject=1)).was_cached  # type: ignore[attr-defined]


def test_views_go_by_the_new_name(tmp_path: Path) -> None:
    """SQL finds both views under the new name, and neither under the old one; also after the file was closed."""
    path = tmp_path / "study.duckdb"
    with scidb.open(path, ["subject"]) as db:
        Emg.save(np.arange(3.0), subject=1, db=db)
        Emg.save(7.5, subject=2, db=db)
        db.admin.rename_variable(Emg, Activity)
        Activity.save(8.5, subject=3, db=db)
    with scidb.open(path, read_only=True) as db:
        assert len(db.query("SELECT * FROM Activity")) == 3
        assert db.query("SELECT count(*) AS n FROM Activity__rows WHERE subject = '1'").to_pandas()["n"].tolist() == [3]
        for view in ("Emg", "Emg__rows", "Emg_data"):
            with pytest.raises(scidb.exceptions.QueryError, match=view):
                db.query(f"SELECT * FROM {view}")


@pytest.mark.parametrize("new", ["Peak", "peak", "EMG", "class", "_x", "A_data"])
def test_names_that_are_refused(db: DatabaseManager, new: str) -> None:
    """A9: taken, different in case only, or no name for a variable; everything stays as it was."""
    Emg.save(1.5, subject=1)
    Peak.save(1.5, subject=1)

    with pytest.raises(VariableDefinitionError, match=new):
        db.admin.rename_variable(Emg, new)

    assert Emg.load_one(subject=1).data == 1.5


def test_an_unknown_variable(db: DatabaseManager) -> None:
    """The nearest name is offered."""
    Emg.save(1.5, subject=1)

    with pytest.raises(NotRegisteredError, match="'Emg'"):
        db.admin.rename_variable("Emgs", "Activity")


def test_a_read_only_database(tmp_path: Path) -> None:
    """It is refused where nothing may be written."""
    path = tmp_path / "study.duckdb"
    with scidb.open(path, ["subject"]) as db:
        Emg.save(1.5, subject=1, db=db)
    with scidb.open(path, read_only=True) as db, pytest.raises(StorageError, match="read-only"):
        db.admin.rename_variable(Emg, Activity)


def test_the_accessor_says_what_it_can(db: DatabaseManager) -> None:
    """Its repr names the database and what there is to do."""
    assert "rename_variable" in repr(db.admin)
    assert db.target in repr(db.admin)
