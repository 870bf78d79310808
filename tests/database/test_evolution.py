"""A variable changes: old and new records both load, each as it was saved, or as migrate makes it (A10)."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

import scidb
from scidb import BaseVariable, canonical_hash, for_each, registry, thunk
from scidb.exceptions import MigrationError, SciDBWarning
from scidb.hashing.ids import content_hash

if TYPE_CHECKING:
    from pathlib import Path

    from scidb import DatabaseManager

pytestmark = pytest.mark.above_stores


def define(name: str, **body: Any) -> Any:
    """Define a variable class, as a notebook cell or another version of a script does."""
    return type(name, (BaseVariable,), body)


def to_db(self: Any) -> pd.DataFrame:
    return pd.DataFrame({"x": [self.data]})


def from_db(cls: Any, df: pd.DataFrame) -> float:
    return float(df["x"].iloc[0])


CUSTOM: dict[str, Any] = {"to_db": to_db, "from_db": classmethod(from_db)}


def in_mm(cls: Any, value: float, from_version: int) -> float:
    return value * 1000


def in_cm(cls: Any, value: float, from_version: int) -> float:
    return value * 100


# ------------------------------------------------------------------ without a migration


def test_other_shapes_and_columns_live_side_by_side(db: DatabaseManager) -> None:
    """A10: a scalar, an array, a frame, a frame with one more column, one with another type, each as saved."""
    step = define("Step")
    values: list[Any] = [
        1.5,
        np.arange(3.0),
        pd.DataFrame({"a": [1, 2]}),
        pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}),
        pd.DataFrame({"a": [1.5, 2.5]}),
    ]
    for trial, value in enumerate(values):
        step.save(value, subject=1, trial=trial)

    loaded = [one.data for one in step.load_all()]

    assert [canonical_hash(one) for one in loaded] == [canonical_hash(one) for one in values]
    assert [type(one) for one in loaded] == [type(one) for one in values]


def test_a_plain_value_of_an_older_version_comes_as_it_was_saved(db: DatabaseManager) -> None:
    """A10: it says so, and claims no units, which may have been others then."""
    define("Step", units="m").save(1.5, subject=1)
    step = define("Step", units="mm", schema_version=2)
    step.save(1500.0, subject=2)

    with pytest.warns(SciDBWarning, match=r"schema_version 1.*migrate"):
        old = step.load_one(subject=1)
    new = step.load_one(subject=2)

    assert (old.data, old.units) == (1.5, None)
    assert (new.data, new.units) == (1500.0, "mm")


def test_sql_shows_every_version(tmp_path: Path) -> None:
    """A10: the view has old and new records, a scalar and an array, each with its own value."""
    with scidb.open(tmp_path / "study.duckdb", {"subject": int}) as db:
        define("Step").save(1.5, subject=1, db=db)
        step = define("Step", schema_version=2)
        step.save(7.0, subject=2, db=db)
        step.save(np.arange(3.0), subject=3, db=db)
        shown = db.query("SELECT * FROM Step ORDER BY subject").to_pandas()

    assert shown["subject"].tolist() == [1, 2, 3]
    assert shown["value"].dropna().tolist() == [1.5, 7.0]
    assert [list(cell) for cell in shown["value_2"].dropna()] == [[0.0, 1.0, 2.0]]


def test_it_says_so_once(db: DatabaseManager) -> None:
    """Old values by the thousand give one warning."""
    old = define("Step")
    old.save_many((float(n), {"subject": n}) for n in range(50))
    step = define("Step", schema_version=2)

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("default")
        list(step.load_all())
        step.load(subject=1)

    assert len([one for one in said if issubclass(one.category, SciDBWarning)]) == 1


def test_a_custom_value_of_an_older_version_needs_migrate(db: DatabaseManager) -> None:
    """A10: from_db was not written for the old form, so it never sees it."""
    define("Step", **CUSTOM).save(1.5, subject=1)
    step = define("Step", **CUSTOM, schema_version=3)

    with pytest.raises(MigrationError, match=r"Step at subject=1 was stored with schema_version 1.*at 3.*migrate"):
        step.load(subject=1)


@pytest.mark.parametrize("custom", [False, True])
def test_a_newer_version_than_the_class(db: DatabaseManager, custom: bool) -> None:
    """A10: an old script refuses what a newer one has stored, and says what to do."""
    body = CUSTOM if custom else {}
    define("Step", **body, schema_version=2).save(1.5, subject=1)
    old = define("Step", **body)

    with pytest.raises(MigrationError, match=r"schema_version 2. The class is older, at 1: import"):
        old.load(subject=1)


def test_by_name_alone_every_version_loads_as_stored(db: DatabaseManager) -> None:
    """Without a class, as on the command line, nothing is migrated or refused; the database says the units."""
    define("Unseen", schema_version=4, units="m").save(1.5, subject=1)
    registry._classes.pop("Unseen")

    found = db.load_one("Unseen", subject=1)

    assert (type(found), found.data, found.units) == (BaseVariable, 1.5, "m")


def test_by_name_alone_older_values_have_no_units(db: DatabaseManager) -> None:
    """The database says the units of the last version, which are not those of older values."""
    define("Unseen", units="m").save(1.5, subject=1)
    define("Unseen", units="mm", schema_version=2).save(7.0, subject=2)
    registry._classes.pop("Unseen")

    assert [(one.data, one.units) for one in db.load_all("Unseen")] == [(1.5, None), (7.0, "mm")]


def test_a_run_over_values_that_cannot_be_restored(db: DatabaseManager) -> None:
    """for_each says it as loading does, and stores nothing."""
    define("Step", **CUSTOM).save(1.5, subject=1)
    step, out = define("Step", **CUSTOM, schema_version=2), define("Out")

    with pytest.raises(MigrationError, match="migrate"):
        for_each(lambda x: x, {"x": step}, [out], subject=[1])

    assert [info.name for info in db.types() if info.records] == ["Step"]


# ------------------------------------------------------------------ migrate


@pytest.mark.parametrize("stored_version", [1, 2])
def test_migrate_gets_what_was_stored_and_its_version(db: DatabaseManager, stored_version: int) -> None:
    """A10: it is called once, with the version of the record, whatever lies between; then from_db."""
    seen: list[tuple[list[str], int]] = []

    def migrate(cls: Any, df: pd.DataFrame, from_version: int) -> pd.DataFrame:
        seen.append((list(df.columns), from_version))
        return df.assign(x=df["x"] * 1000)

    define("Step", **CUSTOM, schema_version=stored_version).save(1.5, subject=1)
    step = define("Step", **CUSTOM, schema_version=3, migrate=classmethod(migrate))
    step.save(7.0, subject=2)

    assert step.load_one(subject=1).data == 1500.0
    assert step.load_one(subject=2).data == 7.0
    assert seen == [(["x"], stored_version)]


def test_migrate_of_plain_values(db: DatabaseManager) -> None:
    """A class that changes its unit converts older values, in every way of loading; what is stored stays."""
    define("Step", units="m").save(1.5, subject=1)
    step = define("Step", units="mm", schema_version=2, migrate=classmethod(in_mm))
    step.save(7.0, subject=2)

    old = step.load_one(subject=1)

    assert (old.data, old.units) == (1500.0, "mm")
    assert [one.data for one in step.load_all()] == [1500.0, 7.0]
    assert list(step.load_all(as_df=True)["Step"]) == [1500.0, 7.0]
    assert old.content_hash == db.find_record("Step", subject=1).content_hash == content_hash(1.5)


def test_saving_what_was_migrated_makes_a_record_of_the_new_version(db: DatabaseManager) -> None:
    """A migrated value that is saved is stored as the class stores it now."""
    define("Step").save(1.5, subject=1)
    step = define("Step", schema_version=2, migrate=classmethod(in_mm))
    step.load_one(subject=1).save(subject=1)

    record = db.find_record("Step", subject=1)

    assert record.schema_version == 2
    assert step.load_one(subject=1).data == 1500.0


@pytest.mark.parametrize("custom", [False, True])
@pytest.mark.parametrize(
    ("migrate", "said"),
    [
        (lambda cls, df, from_version: None, "returned None"),
        (lambda cls, df, from_version: 1 / 0, "ZeroDivisionError"),
    ],
    ids=["nothing", "failing"],
)
def test_a_migration_that_fails(db: DatabaseManager, custom: bool, migrate: Any, said: str) -> None:
    """It names variable, place, version and what to correct; the stored record is untouched."""
    body = CUSTOM if custom else {}
    define("Step", **body).save(1.5, subject=1)
    step = define("Step", **body, schema_version=2, migrate=classmethod(migrate))

    with pytest.raises(MigrationError, match=rf"Step at subject=1 .*schema_version 1.*{said}.*migrate") as caught:
        step.load_one(subject=1)

    assert caught.value.details["stored_version"] == 1
    assert define("Step", **body).load_one(subject=1).data == 1.5


def test_a_class_that_gains_to_db(db: DatabaseManager) -> None:
    """Values saved before are never passed off as what from_db gives; migrate takes them over."""
    define("Step").save(1.5, subject=1)

    with pytest.raises(MigrationError, match=r"before the class had to_db.*schema_version = 2.*migrate"):
        define("Step", **CUSTOM).load_one(subject=1)

    table = classmethod(lambda cls, value, from_version: pd.DataFrame({"x": [value * 2]}))
    assert define("Step", **CUSTOM, schema_version=2, migrate=table).load_one(subject=1).data == 3.0


def test_a_class_that_loses_to_db(db: DatabaseManager) -> None:
    """What to_db made comes as the table that it is, which is said; migrate takes it over."""
    define("Step", **CUSTOM).save(1.5, subject=1)

    with pytest.warns(SciDBWarning, match="no longer has"):
        assert list(define("Step").load_one(subject=1).data["x"]) == [1.5]

    value = classmethod(lambda cls, df, from_version: float(df["x"].iloc[0]))
    assert define("Step", schema_version=2, migrate=value).load_one(subject=1).data == 1.5


# ------------------------------------------------------------------ identity


@pytest.mark.parametrize("way", ["for_each", "thunk"])
@pytest.mark.parametrize("custom", [False, True])
def test_another_migration_is_another_input(db: DatabaseManager, way: str, custom: bool) -> None:
    """M6b: what a function receives depends on migrate, so changing it computes anew; a new value does not."""
    body = CUSTOM if custom else {}
    out = define("Out")

    def double(x: float) -> float:
        return x * 2

    doubled = thunk(double)

    def run(step: Any) -> tuple[float, bool]:
        if way == "thunk":
            result: Any = doubled(step.load_one(subject=1))
            out.save(result, subject=1)
            return result.data, not result.was_cached
        report = for_each(double, {"x": step}, [out], subject=[1])
        return out.load_one(subject=1).data, report.completed == 1

    def migration(factor: int) -> Any:
        if factor == 1000:
            plain: Any = in_mm
            table: Any = lambda cls, df, from_version: df * 1000
        else:
            plain = in_cm
            table = lambda cls, df, from_version: df * 100
        return classmethod(table if custom else plain)

    old = define("Step", **body)
    old.save(1.5, subject=1)

    assert run(old) == (3.0, True)
    in_mm_now = define("Step", **body, schema_version=2, migrate=migration(1000))
    assert run(in_mm_now) == (3000.0, True)
    assert run(in_mm_now) == (3000.0, False)
    assert run(define("Step", **body, schema_version=2, migrate=migration(100))) == (300.0, True)


def test_a_migrated_value_keeps_its_origin(db: DatabaseManager) -> None:
    """Strict lineage knows the record behind a migrated value, which was never saved in its present form."""
    define("Step").save(1.5, subject=1)
    step, out = define("Step", schema_version=2, migrate=classmethod(in_mm)), define("Out")

    @thunk
    def double(x: float) -> float:
        return x * 2

    loaded = step.load_one(subject=1)
    out.save(double(loaded), subject=1)

    made = db.get_provenance(out, subject=1)
    assert made is not None
    assert [one["record_id"] for one in made["inputs"]] == [loaded.record_id]


def test_results_of_another_version_are_not_recalled(db: DatabaseManager) -> None:
    """A result stored under an older schema_version is not what the function returns for the class of today."""

    @thunk
    def make(n: int) -> float:
        return n / 2

    define("Out").save(make(3), subject=1)
    assert make(3).was_cached

    define("Out", schema_version=2, migrate=classmethod(in_mm))
    assert not make(3).was_cached
