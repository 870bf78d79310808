"""Units: of the class, kept in the database, and never contradicted by what is saved or loaded."""

from __future__ import annotations

import subprocess
import sys
import types
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

import scidb
from scidb import BaseVariable, canonical_hash, for_each
from scidb.exceptions import SciDBWarning, UnitError, UnsupportedValueError, VariableDefinitionError
from scidb.variable.units import check_own_units, same_units

if TYPE_CHECKING:
    from scidb import DatabaseManager

pytestmark = pytest.mark.above_stores

xarray = pytest.importorskip("xarray")
pint = pytest.importorskip("pint")


def define(name: str, **body: Any) -> Any:
    """Define a variable class, as a notebook cell does."""
    return type(name, (BaseVariable,), body)


def frame(units: object = None, **columns: Any) -> pd.DataFrame:
    made = pd.DataFrame(columns or {"x": [1.0, 2.0], "t": [0, 1]})
    if units is not None:
        made.attrs["units"] = units
    return made


def array(unit: str, name: str = "x") -> Any:
    return xarray.DataArray([1.0, 2.0], dims="t", coords={"t": ("t", [0, 1], {"units": "s"})}, name=name).assign_attrs(
        units=unit
    )


# ------------------------------------------------------------------ what a value says of itself


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ("m", frame("m")),
        ("m", frame(" m ")),
        ("m", frame("metre")),
        ("m", frame({"x": "m"})),
        ({"x": "m"}, frame({"x": "m", "t": "s"})),
        ({"x": "m", "t": "s"}, frame({"x": "m"})),
        (None, frame("furlong")),
        ("m", frame()),
        ("m", 1.5),
        ("m", {"units": "mm"}),
        ("m", array("m")),
        ({"x": "m", "t": "s"}, xarray.Dataset({"x": array("m")})),
        ({"x": "m"}, xarray.Dataset({"x": array("m"), "y": array("N", "y")})),
    ],
    ids=repr,
)
def test_units_that_agree(declared: Any, value: Any) -> None:
    """The same text, another spelling that pint knows, columns that only one side names, or none at all."""
    check_own_units("Step", declared, value)


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ("m", frame("mm")),
        ("m", frame({"x": "m", "t": "s"})),
        ({"x": "m"}, frame({"x": "mm"})),
        ({"x": "m", "t": "s"}, frame("m")),
        ("m", frame("gibberish unit")),
        ("m", array("mm")),
        ("m", xarray.Dataset({"x": array("m"), "y": array("mm", "y")})),
        ({"x": "m", "t": "ms"}, xarray.Dataset({"x": array("m")})),
        ("m", pint.Quantity(1.5, "mm")),
    ],
    ids=repr,
)
def test_units_that_contradict(db: DatabaseManager, declared: Any, value: Any) -> None:
    """It is refused with both units named, and nothing is written."""
    step = define("Step", units=declared)

    with pytest.raises(UnitError, match=r"Step.* is in .*(says that it is in|given)"):
        step.save(value, subject=1)

    assert db.types() == []


@pytest.mark.parametrize("declared", ["m", None])
def test_a_quantity_is_no_value(db: DatabaseManager, declared: str | None) -> None:
    """V11: a quantity of pint is refused, saying how to save its number."""
    with pytest.raises(UnsupportedValueError, match=r"q.to\('m(eter)?'\).magnitude"):
        define("Step", units=declared).save(pint.Quantity(np.arange(3.0), "m"), subject=1)


def test_units_of_the_class_stay_out_of_the_value(db: DatabaseManager) -> None:
    """The value's own attrs come back as they were; the class's unit is on the instance."""
    step = define("Step", units={"x": "m"})
    bare, labelled = frame(), frame({"x": "m"})
    step.save(bare, subject=1)
    step.save(labelled, subject=2)

    first, second = step.load_all()

    assert (first.data.attrs, second.data.attrs) == ({}, {"units": {"x": "m"}})
    assert canonical_hash(first.data) == canonical_hash(bare)
    assert first.units == second.units == {"x": "m"}


def test_a_result_in_another_unit_fails_its_combination(db: DatabaseManager) -> None:
    """for_each stores the others, and names the failure."""
    step, length = define("Step"), define("Length", units="m")
    step.save(1.0, subject=1)
    step.save(2.0, subject=2)

    def measure(x: float) -> pd.DataFrame:
        return frame("mm" if x > 1 else "m")

    report = for_each(measure, {"x": step}, [length], subject=[1, 2])

    assert (report.completed, report.failed) == (1, 1)
    assert "'mm'" in str(report.failures[0].error)


# ------------------------------------------------------------------ what the class says, and the database


def test_saving_under_another_unit_is_refused(db: DatabaseManager) -> None:
    """Numbers in m and in mm never come under one version; the message says both ways out."""
    define("Step", units="m").save(1.5, subject=1)
    step = define("Step", units="mm")

    with pytest.raises(UnitError, match=r"units mm.* has m for schema_version 1.*schema_version = 2.*register"):
        step.save(1500.0, subject=2)
    with pytest.raises(UnitError, match="units mm"):
        for_each(lambda x: x, {"x": 1.0}, [step], subject=[2])

    assert [info.units for info in db.types()] == ["m"]
    assert len(db.log()) == 1


def test_loading_under_another_unit_says_so(db: DatabaseManager) -> None:
    """A class that relabels what is stored is a warning in each way of loading."""
    define("Step", units="m").save(1.5, subject=1)
    step = define("Step", units="mm")

    for load in (step.load, step.load_one, lambda: list(step.load_all())):
        with pytest.warns(SciDBWarning, match="units mm, and the database has m"):
            load()


def test_a_new_version_may_have_another_unit(db: DatabaseManager) -> None:
    """A10: stated by schema_version, with migrate to convert what is there."""
    define("Step", units="m").save(1.5, subject=1)
    migrate = classmethod(lambda cls, value, from_version: value * 1000)
    step = define("Step", units="mm", schema_version=2, migrate=migrate)
    step.save(7.0, subject=2)

    assert [(one.data, one.units) for one in step.load_all()] == [(1500.0, "mm"), (7.0, "mm")]


def test_a_misnamed_unit_is_corrected_on_purpose(db: DatabaseManager) -> None:
    """db.register makes the database say what the class says."""
    define("Step", units="mV").save(1.5, subject=1)
    step = define("Step", units="uV")

    assert db.register(step).units == "uV"

    step.save(2.5, subject=2)
    assert [one.units for one in step.load_all()] == ["uV", "uV"]


@pytest.mark.parametrize("units", ["m", {"x": "m"}])
def test_a_unit_may_be_added(db: DatabaseManager, units: Any) -> None:
    """What had no unit gets one; a class that says none labels nothing wrongly, but cannot save."""
    define("Step").save(frame(), subject=1)
    step = define("Step", units=units)
    step.save(frame(), subject=2)

    assert [info.units for info in db.types()] == [units]
    assert define("Step").load_one(subject=2).units is None
    with pytest.raises(UnitError, match="declares the units none"):
        define("Step").save(frame(), subject=3)


def test_another_spelling_is_no_change() -> None:
    """Where pint is installed, m and metre are one unit; a factor is none."""
    assert same_units("m", "metre")
    assert same_units({"x": "N/m"}, {"x": "newton / meter"})
    assert not same_units("m", "mm")
    assert not same_units("m", None)


def test_without_pint_the_text_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same rules hold, but for other spellings."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    assert same_units("m", " m")
    assert not same_units("m", "metre")


def test_no_library_is_imported_for_it() -> None:
    """Saving and loading with units imports neither pint nor xarray."""
    code = (
        "import sys, scidb, pandas as pd\n"
        "class Step(scidb.BaseVariable):\n    units = 'm'\n"
        "with scidb.open('memory:', ['subject']) as db:\n"
        "    Step.save(pd.DataFrame({'x': [1.0]}), subject=1, db=db)\n"
        "    Step.load_one(subject=1, db=db)\n"
        "print([name for name in ('pint', 'xarray') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


# ------------------------------------------------------------------ display hints and describe


class Force(BaseVariable):
    """Ground reaction force.

    Measured by the plate.
    """

    units = {"z": "N"}  # noqa: RUF012
    display = {"precision": 1, "z": {"description": "vertical"}}  # noqa: RUF012


def test_describe_without_a_database() -> None:
    """What the class says is there; what only a database knows is not."""
    found = Force.describe()

    assert (found.name, found.units, found.records) == ("Force", {"z": "N"}, 0)
    assert found.columns() == {"z": {"units": "N", "description": "vertical"}}
    for text in (repr(found), found._repr_html_()):
        for part in ("Force", "Ground reaction force.", "Measured by the plate.", "precision 1", "units N", "0 times"):
            assert part in text


def test_describe_with_a_database(db: DatabaseManager) -> None:
    """Counts, level, type and last change come from the current database, or from the one that is given."""
    Force.save(pd.DataFrame({"z": [1.0]}), subject=1, trial=2)
    last = db.log()[0].timestamp
    Force.save(pd.DataFrame({"z": [1.0]}), subject=1, trial=2)

    found = Force.describe()

    assert (found.records, found.entries, found.level) == (1, 2, "trial")
    assert found.last_change is not None
    assert found.last_change > last
    assert "2 times" in repr(found)
    assert all(line == line.rstrip() for line in repr(found).splitlines())
    with scidb.open("memory:", ["subject"]) as other:
        assert Force.describe(db=other).entries == 0


def test_display_hints_are_kept(db: DatabaseManager) -> None:
    """The database has them, and follows the class."""
    Force.save(pd.DataFrame({"z": [1.0]}), subject=1)
    assert db.types()[0].display == {"precision": 1, "z": {"description": "vertical"}}

    define("Force", units={"z": "N"}, display={"precision": 2}).save(pd.DataFrame({"z": [2.0]}), subject=1)
    assert db.types()[0].display == {"precision": 2}


def test_markup_in_a_description_is_text() -> None:
    """A docstring with markup cannot change a notebook."""
    found = define("Odd", __doc__="<script>x</script>").describe()

    assert "<script>" not in found._repr_html_()


@pytest.mark.parametrize("display", [3, ["precision"], {"precision": object()}, {1: 2}, {"width": float("nan")}])
def test_display_is_checked(display: Any) -> None:
    """Hints that could not be kept are refused when the class is defined."""
    with pytest.raises(VariableDefinitionError, match="display"):
        define("Odd", display=display)


@pytest.mark.parametrize(
    "migrate",
    [
        lambda cls, df, from_version: df,
        staticmethod(lambda df, from_version: df),
        classmethod(lambda cls, df: df),
        classmethod(lambda cls, df, from_version, extra: df),
        classmethod(lambda cls: None),
    ],
)
def test_migrate_is_checked(migrate: Any) -> None:
    """A migrate that could not be called is refused when the class is defined."""
    with pytest.raises(VariableDefinitionError, match=r"migrate.*from_version"):
        define("Odd", migrate=migrate)


def test_a_read_only_mapping_will_do(db: DatabaseManager) -> None:
    """Units and hints may be any mapping."""
    fixed = types.MappingProxyType
    step = define("Step", units=fixed({"x": "m"}), display=fixed({"x": fixed({"precision": 2})}))
    step.save(frame(), subject=1)
    step.save(frame(), subject=2)

    assert (db.types()[0].units, db.types()[0].display) == ({"x": "m"}, {"x": {"precision": 2}})
