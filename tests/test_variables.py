"""The ready-made variable classes."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal, assert_series_equal

import scidb
from scidb import BaseVariable, DatabaseManager, thunk
from scidb.exceptions import UnsupportedValueError
from scidb.variables import Array, DataFrame, RotationMatrix, Series

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray


class ShankOrientation(RotationMatrix):
    """Orientation of the shank."""


class ThighOrientation(RotationMatrix):
    """Orientation of the thigh."""


class GaitKinematics(DataFrame):
    """Joint angles."""

    units = {"knee": "deg"}  # noqa: RUF012 - as users write it


@pytest.fixture
def db(tmp_path: Path) -> Iterator[DatabaseManager]:
    with scidb.open(tmp_path / "study.duckdb", {"subject": int}) as db:
        yield db


def _turned(angle: float) -> NDArray[np.float64]:
    """Return a rotation about the z axis."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])


# ------------------------------------------------------------------ all of them


@pytest.mark.parametrize(("variable", "value"), [(Array, [1, 2]), (DataFrame, np.eye(2)), (Series, pd.DataFrame())])
def test_values_of_another_kind(db: DatabaseManager, variable: Any, value: Any) -> None:
    """A value that is not of the kind that the class is for is refused, and nothing is written."""
    with pytest.raises(UnsupportedValueError, match=f"{variable.__name__} cannot be saved.*{type(value).__name__}"):
        variable.save(value, subject=1, db=db)
    assert not db.query("SELECT * FROM _record_metadata").to_arrow().num_rows


def test_importing_scidb_does_not_import_them() -> None:
    """Who does not use them does not pay for them."""
    code = "import scidb, sys; assert 'scidb.variables' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_not_registered_until_used(db: DatabaseManager) -> None:
    """A database knows those alone of which something was saved."""
    assert db.types() == []
    Array.save(np.arange(3), subject=1, db=db)
    assert [info.name for info in db.types()] == ["Array"]


def test_values_come_back(db: DatabaseManager) -> None:
    """Each gives back what was saved as it."""
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    frame = pd.DataFrame({"knee": [1.5, 2.5], "side": ["L", "R"]}, index=pd.Index([10, 20], name="ms"))
    series = pd.Series([1, 2], index=["a", "b"], name="torque")
    Array.save(array, subject=1, db=db)
    DataFrame.save(frame, subject=1, db=db)
    Series.save(series, subject=1, db=db)
    loaded = Array.load_one(subject=1, db=db).data
    assert loaded.dtype == array.dtype
    np.testing.assert_array_equal(loaded, array)
    assert_frame_equal(DataFrame.load_one(subject=1, db=db).data, frame)
    assert_series_equal(Series.load_one(subject=1, db=db).data, series)


def test_a_subclass_is_its_own_variable(db: DatabaseManager) -> None:
    """Subclasses share no values, and keep their own units and descriptions."""
    ShankOrientation.save(_turned(0.1), subject=1, db=db)
    ThighOrientation.save(_turned(0.2), subject=1, db=db)
    GaitKinematics.save(pd.DataFrame({"knee": [60.0]}), subject=1, db=db)
    np.testing.assert_array_equal(ShankOrientation.load_one(subject=1, db=db).data, _turned(0.1))
    np.testing.assert_array_equal(ThighOrientation.load_one(subject=1, db=db).data, _turned(0.2))
    assert db.tables() == ["GaitKinematics", "ShankOrientation", "ThighOrientation"]
    described = {info.name: (info.description, info.units) for info in db.types()}
    assert described["GaitKinematics"] == ("Joint angles.", {"knee": "deg"})
    assert described["ShankOrientation"] == ("Orientation of the shank.", None)


# ------------------------------------------------------------------ rotations


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
@pytest.mark.parametrize("shape", [(3, 3), (1, 3, 3), (5, 3, 3), (0, 3, 3)])
def test_rotations_come_back(db: DatabaseManager, shape: tuple[int, ...], dtype: type) -> None:
    """One rotation and a series of any length come back with shape and dtype (V9)."""
    value: NDArray[Any] = np.broadcast_to(np.eye(3), shape).astype(dtype)
    RotationMatrix.save(value, subject=1, db=db)
    loaded = RotationMatrix.load_one(subject=1, db=db).data
    assert (loaded.shape, loaded.dtype) == (shape, value.dtype)
    np.testing.assert_array_equal(loaded, value)


def test_rotations_in_sql(db: DatabaseManager) -> None:
    """The elements have the names of their axes."""
    ShankOrientation.save(np.stack([_turned(0.1), _turned(0.2)]), subject=1, db=db)
    ThighOrientation.save(_turned(0.3), subject=1, db=db)
    rows = db.query('SELECT xx, xy, zz FROM ShankOrientation__rows ORDER BY "row"').to_pandas()
    assert rows.to_numpy().tolist() == [[np.cos(0.1), -np.sin(0.1), 1], [np.cos(0.2), -np.sin(0.2), 1]]
    assert db.query("SELECT x FROM ThighOrientation").to_arrow().to_pylist() == [{"x": [np.cos(0.3), np.sin(0.3), 0]}]


def test_missing_samples(db: DatabaseManager) -> None:
    """Among several, a matrix of NaN stands for a missing one; alone, or NaN in part, it is refused."""
    series = np.stack([np.eye(3), np.full((3, 3), np.nan)])
    RotationMatrix.save(series, subject=1, db=db)
    np.testing.assert_array_equal(RotationMatrix.load_one(subject=1, db=db).data, series)
    series[1, 0, 0] = 1.0
    for wrong in (series, np.full((3, 3), np.nan)):
        with pytest.raises(UnsupportedValueError, match="no rotation"):
            RotationMatrix.save(wrong, subject=1, db=db)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.diag([1.0, 1.0, -1.0]), "determinant is -1"),
        (2 * np.eye(3), "rows are off by 3"),
        (np.array([[1.0, 0, 0], [0.5, 1, 0], [0, 0, 1]]), "rows are off by 0.5"),
        (np.stack([np.eye(3), np.eye(3), np.zeros((3, 3))]), "at position 2 (1 of 3 do)"),
        (np.eye(4), "has the shape (4, 4)"),
        (np.ones(9), "has the shape (9,)"),
        (np.ones((1, 1, 3, 3)), "has the shape (1, 1, 3, 3)"),
        (np.eye(3).tolist(), "no numpy array of real numbers"),
        (np.eye(3, dtype=complex), "no numpy array of real numbers"),
        (np.ma.masked_array(np.eye(3)), "no numpy array of real numbers"),
        (np.full((3, 3), np.inf), "no rotation"),
        (None, "no numpy array of real numbers"),
    ],
)
def test_no_rotations(db: DatabaseManager, value: Any, said: str) -> None:
    """What is no rotation is refused under the name of its class, by every way of saving, and nothing is written."""
    ways: list[Callable[[], object]] = [
        lambda: ShankOrientation.save(value, subject=1, db=db),
        lambda: ShankOrientation(value).save(subject=1, db=db),
        lambda: ShankOrientation.save_many([(np.eye(3), {"subject": 1}), (value, {"subject": 2})], db=db),
    ]
    for save in ways:
        with pytest.raises(UnsupportedValueError, match=rf"ShankOrientation cannot be saved.*{re.escape(said)}"):
            save()
    assert db.types() == []


def test_tolerance(db: DatabaseManager) -> None:
    """Matrices of four decimals pass; a subclass may ask for more."""

    class Exact(RotationMatrix):
        tolerance = 1e-9

    rounded = _turned(0.7).round(4)
    RotationMatrix.save(rounded, subject=1, db=db)
    with pytest.raises(UnsupportedValueError, match="tolerance = 1e-09"):
        Exact.save(rounded, subject=1, db=db)


@given(angle=st.floats(-10, 10))
def test_every_rotation_fits(angle: float) -> None:
    """A true rotation is never refused, and its mirror image always is."""
    turned = _turned(angle)
    frame = RotationMatrix(turned).stored_value()
    np.testing.assert_array_equal(RotationMatrix.from_db(frame), turned)
    with pytest.raises(UnsupportedValueError):
        RotationMatrix(-turned).stored_value()


def test_rotations_as_inputs(db: DatabaseManager) -> None:
    """A loaded rotation is an input like any other: the call is recalled."""
    runs = []

    @thunk(ignore=("runs",))
    def angle(rotation: Any) -> float:
        runs.append(1)
        return float(np.arccos(rotation[0, 0]))

    class Angle(BaseVariable): ...

    with db.as_current():
        ShankOrientation.save(_turned(0.5), subject=1)
        for _ in range(2):
            Angle.save(angle(ShankOrientation.load_one(subject=1)), subject=1)
    assert len(runs) == 1
