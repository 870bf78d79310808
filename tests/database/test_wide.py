"""Several variables side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scidb
from scidb import BaseVariable, DatabaseManager, exceptions


class WideStep(BaseVariable):
    """A number per trial."""


class WideSpeed(BaseVariable):
    """Another number per trial."""


class WideSide(BaseVariable):
    """A text per subject."""


def test_coarser_values_are_repeated(db: DatabaseManager) -> None:
    """One row per location, one column per variable; coarser ones on every row below them, gaps where there is none."""
    WideStep.save_many(
        [(0.1, {"subject": 10, "trial": 1}), (0.2, {"subject": 9, "trial": 10}), (0.3, {"subject": 9, "trial": 9})]
    )
    WideSpeed.save(3, subject=9, trial=9)
    WideSide.save_many([("L", {"subject": 9}), ("R", {"subject": 11})])

    table = db.to_dataframe([WideStep, "WideSpeed", WideSide])

    expected = pd.DataFrame(
        {
            "subject": [9, 9, 10, 11],
            "trial": pd.array([9, 10, 1, None], dtype="Int64"),
            "WideStep": [0.3, 0.2, 0.1, np.nan],
            "WideSpeed": pd.array([3, None, None, None], dtype="Int64"),
            "WideSide": pd.Series(["L", "L", None, "R"]),
        }
    )
    pd.testing.assert_frame_equal(table, expected)
    assert list(db.to_dataframe([WideStep, WideSide], subject=9)["WideSide"]) == ["L", "L"]
    assert db.to_dataframe([WideStep, WideSide], trial=slice(9, 9)).to_numpy().tolist() == [[9, 9, 0.3, "L"]]


numbers = st.dictionaries(st.tuples(st.integers(1, 4), st.integers(1, 3)), st.floats(-9, 9), max_size=8)


@given(step=numbers, speed=numbers, side=st.dictionaries(st.integers(1, 4), st.sampled_from("LR"), max_size=4))
def test_as_pandas_merges(step: dict[Any, float], speed: dict[Any, float], side: dict[int, str]) -> None:
    """The same as outer merges by pandas of one table per variable."""
    with scidb.open("memory:", {"subject": int, "trial": int}) as db:
        for variable, values in ((WideStep, step), (WideSpeed, speed)):
            db.register(variable)
            variable.save_many([(v, {"subject": s, "trial": t}) for (s, t), v in values.items()], db=db)
        db.register(WideSide)
        WideSide.save_many([(v, {"subject": s}) for s, v in side.items()], db=db)
        table = db.to_dataframe([WideStep, WideSpeed, WideSide])
    keys = ["subject", "trial"]
    frames = [
        pd.DataFrame([(*at, v) for at, v in values.items()], columns=[*keys, name])
        for name, values in (("WideStep", step), ("WideSpeed", speed))
    ]
    merged = (
        frames[0]
        .merge(frames[1], on=keys, how="outer")
        .merge(pd.DataFrame(side.items(), columns=["subject", "WideSide"]), on="subject", how="outer")
    )
    columns = list(merged.columns)
    assert _rows(table.reindex(columns=columns)) == _rows(merged)


def _rows(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    return sorted((_plain(row) for row in frame.astype(object).to_numpy().tolist()), key=repr)


def _plain(row: list[Any]) -> tuple[Any, ...]:
    return tuple(None if pd.isna(cell) else float(cell) if not isinstance(cell, str) else cell for cell in row)


def test_several_versions_are_refused_until_one_is_chosen(db: DatabaseManager) -> None:
    """Several versions at one place are an error that names params=; a version key narrows those that have it."""
    WideStep.save(0.1, subject=1, gain=1)
    WideStep.save(0.2, subject=1, gain=2)
    WideSide.save("L", subject=1)

    with pytest.raises(exceptions.AmbiguousVersionError, match=r"params=\{'gain': 2\}"):
        db.to_dataframe([WideStep, WideSide])
    assert db.to_dataframe([WideStep, WideSide], params={"gain": 2}).to_numpy().tolist() == [[1, 0.2, "L"]]
    with pytest.raises(exceptions.SchemaKeyError, match="None of WideStep, WideSide has a version key"):
        db.to_dataframe([WideStep, WideSide], smoothing=2)


def test_levels_that_cannot_be_compared(target: str) -> None:
    """Values by subject and session have no common rows with values by subject and trial."""
    with scidb.open(target, ["subject", "session", "trial"]) as db, db.as_current():
        WideStep.save(1.0, subject=1, session=1)
        WideSpeed.save(1.0, subject=1, trial=1)
        with pytest.raises(exceptions.SchemaKeyError, match="cannot be compared"):
            db.to_dataframe([WideStep, WideSpeed])
        WideStep.save(2.0, subject=1)
        with pytest.raises(exceptions.AmbiguousVersionError, match="several levels"):
            db.to_dataframe([WideStep])


def test_what_a_wide_table_refuses(db: DatabaseManager) -> None:
    """Arrays and tables, a variable named twice, none at all, and unknown ones are refused by name."""
    WideStep.save(np.arange(3), subject=1)

    with pytest.raises(exceptions.UnsupportedValueError, match="WideStep at subject=1 is a ndarray"):
        db.to_dataframe([WideStep])
    with pytest.raises(exceptions.SciDBError, match="named twice"):
        db.to_dataframe([WideStep, "WideStep"])
    with pytest.raises(exceptions.SciDBError, match="at least one"):
        db.to_dataframe([])
    with pytest.raises(exceptions.NotRegisteredError, match="WideSpeed"):
        db.to_dataframe([WideSpeed])


def test_numbers_stay_what_they_are(db: DatabaseManager) -> None:
    """Whole numbers stay whole; with others they become floats only where none changes."""
    WideStep.save_many([(1, {"subject": 1}), (2.5, {"subject": 2})])
    WideSpeed.save_many([(2**60 + 1, {"subject": 1}), (2.5, {"subject": 2})])

    table = db.to_dataframe([WideStep, WideSpeed])

    assert table["WideStep"].dtype == np.float64
    assert table["WideSpeed"].tolist() == [2**60 + 1, 2.5]
    assert db.to_dataframe([WideStep], subject=1)["WideStep"].dtype == np.int64
