"""Agreement of values: equal, within tolerance or different, per column, with the largest differences."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given

from scidb.exceptions import SciDBError
from scidb.provenance.reproduction.agreement import ColumnAgreement, Tolerance, agreement, worst
from scidb.testing.strategies import values as storable

DEFAULT = Tolerance()


def state(stored: Any, made: Any, tolerance: Tolerance = DEFAULT) -> str:
    return worst(line.state for line in agreement(stored, made, tolerance))


def lines(stored: Any, made: Any, tolerance: Tolerance = DEFAULT) -> dict[str, ColumnAgreement]:
    return {line.name: line for line in agreement(stored, made, tolerance)}


@given(storable(), storable())
def test_equal_is_what_has_one_content(stored: Any, made: Any) -> None:
    """Every storable value equals itself; any two can be compared, and equal means equal by content."""
    from scidb.hashing.ids import content_hash

    assert state(stored, stored) == "equal"
    assert (state(stored, made) == "equal") <= (content_hash(stored) == content_hash(made))


@pytest.mark.parametrize(
    ("stored", "made", "expected"),
    [
        (1.0, 1.0 + 1e-12, "within tolerance"),
        (1.0, 1.0 + 1e-6, "different"),
        (1, 2, "different"),
        (1, 1.0, "different"),
        (10**15, 10**15 + 1, "different"),
        (True, False, "different"),
        (math.nan, math.nan, "equal"),
        (math.nan, 1.0, "different"),
        (math.inf, math.inf, "equal"),
        (math.inf, 1e300, "different"),
        (0.0, -0.0, "within tolerance"),
        (1 + 1j, 1 + 1.0000000000001j, "within tolerance"),
        ("left", "right", "different"),
        (None, 0.0, "different"),
        (10**400, 10**400 + 1, "different"),
        (dt.date(2024, 1, 1), dt.date(2024, 1, 2), "different"),
        (np.float32(1), np.float32(1.000001), "within tolerance"),
        (np.float32(1), np.float64(1), "different"),
        ([1.0, 2.0], [1.0, 2.0 + 1e-12], "within tolerance"),
        ([1.0, 2.0], [1.0, 2.0, 3.0], "different"),
        ([1, "a"], [1, "b"], "different"),
        ({"a": 1.0}, {"b": 1.0}, "different"),
        (np.zeros(3), np.zeros((3, 1)), "different"),
        (np.array([1, 2]), np.array([1, 3]), "different"),
        (np.array(["a", "b"]), np.array(["a", "c"]), "different"),
    ],
)
def test_values_agree_or_not(stored: Any, made: Any, expected: str) -> None:
    """Only floating-point numbers of one type have a tolerance; NaN equals NaN."""
    assert state(stored, made) == expected


def test_what_is_zero_but_for_rounding_passes() -> None:
    """A difference is seen against the largest number of its column, unless `atol` says how."""
    stored, made = np.array([1000.0, 1e-13]), np.array([1000.0, 2e-13])

    assert state(stored, made) == "within tolerance"
    assert state(stored, made, Tolerance(atol=0.0)) == "different"
    assert state(stored, made, Tolerance(rtol=0.0)) == "different"
    assert state(stored, made, Tolerance(rtol=0.0, atol=1e-12)) == "within tolerance"


def test_a_table_is_compared_by_column() -> None:
    """Each column has its state, its largest differences, and says how many rows differ."""
    stored = pd.DataFrame({"t": [0.0, 1.0], "x": [100.0, np.nan], "side": ["L", "R"], "n": [1, 2]})
    made = pd.DataFrame({"t": [0.0, 1.0], "x": [110.0, np.nan], "side": ["L", "L"], "n": [1, 2]})

    found = lines(stored, made)

    assert {name: line.state for name, line in found.items()} == {
        "index": "equal",
        "t": "equal",
        "x": "different",
        "side": "different",
        "n": "equal",
    }
    assert (found["x"].largest_absolute, found["x"].largest_relative) == (10.0, 0.1)
    assert str(found["x"]) == "x: different, by 10 at most (relative: 0.1); 1 of 2 differ"
    assert str(found["side"]) == "side: different, 1 of 2 differ"


def test_columns_that_came_or_went_are_named() -> None:
    """A renamed column is one that is gone and one that is new; columns of one label are numbered."""
    stored = pd.DataFrame([[1.0, 2.0]], columns=["a", "a"])
    made = pd.DataFrame([[1.0, 2.0]], columns=["a", "b"])

    found = lines(stored, made)

    assert found["a (2)"].note == "not there any more"
    assert found["b"].note == "not there before"


@pytest.mark.parametrize(
    ("stored", "made", "name"),
    [
        (pd.DataFrame({"a": [1.0]}), pd.DataFrame({"a": [1.0]}, index=["x"]), "index"),
        (pd.Series([1.0], name="a"), pd.Series([1.0], name="b"), "the value"),
        (pd.Series([1.0, None], dtype="Float64"), pd.Series([None, 1.0], dtype="Float64"), "the value"),
        (pd.Series([1], dtype="Int64"), pd.Series([1]), "the value"),
        (pd.Series(["a"], dtype="category"), pd.Series(["a"]), "the value"),
        (np.ma.array([1.0, 2.0], mask=[True, False]), np.ma.array([1.0, 2.0], mask=[False, True]), "the value"),
        (pd.Timestamp("2024-01-01"), pd.Timestamp("2024-01-02"), "the value"),
    ],
)
def test_other_labels_types_and_masks_are_differences(stored: Any, made: Any, name: str) -> None:
    """What the numbers do not show differs all the same, and is never called equal."""
    assert lines(stored, made)[name].state == "different"


def test_tables_of_other_libraries() -> None:
    """polars, Arrow and xarray are compared by column, too."""
    pl, pa, xr = (pytest.importorskip(name) for name in ("polars", "pyarrow", "xarray"))
    near, far = [1.0, 2.0 + 1e-12], [1.0, 3.0]

    for make in (pl.DataFrame, pa.table):
        assert lines(make({"x": [1.0, 2.0]}), make({"x": near}))["x"].state == "within tolerance"
        assert lines(make({"x": [1.0, 2.0]}), make({"x": far}))["x"].state == "different"
    array, moved = (xr.DataArray(near, coords={"t": at}, dims="t") for at in ([0, 1], [0, 2]))
    assert lines(array, moved)["t"].state == "different"
    assert lines(xr.Dataset({"x": ("t", [1.0, 2.0])}), xr.Dataset({"x": ("t", near)}))["x"].state == "within tolerance"


@pytest.mark.parametrize("given", [{"rtol": -1.0}, {"atol": math.nan}])
def test_a_tolerance_is_a_number_from_zero_on(given: dict[str, float]) -> None:
    """Negative tolerances and NaN would make everything differ; they are refused."""
    with pytest.raises(SciDBError, match="tolerance"):
        Tolerance(**given)
