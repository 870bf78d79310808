"""The views of a variable say in SQL what loading gives in Python."""

from __future__ import annotations

import datetime as dt
import math
from contextlib import closing
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.net.serving import served_file

import scidb
from scidb import BaseVariable, DatabaseManager

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Reading(BaseVariable): ...


@pytest.fixture(params=["duck", "http"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DatabaseManager]:
    target = served_file(request, tmp_path / "study.duckdb", subject="int", trial="int")
    with scidb.open(target, {"subject": int, "trial": int}) as db:
        yield db


def _rows(db: DatabaseManager, query: str) -> list[tuple[Any, ...]]:
    """Return rows by position, as a plain client gets them."""
    return [tuple(row.values()) for row in db.query(query).to_arrow().to_pylist()]


def _columns(db: DatabaseManager, view: str) -> dict[str, str]:
    """Return the columns of a view that hold values, with their types."""
    described = _rows(db, f"SELECT column_name, column_type FROM (DESCRIBE {view})")
    ours = {"subject", "trial", "version_keys", "record_id", "timestamp"}
    return {name: kind for name, kind in described if name not in ours}


# ------------------------------------------------------------------ one family at a time

SCALARS = [
    (True, "BOOLEAN"),
    (7, "BIGINT"),
    (2.5, "DOUBLE"),
    (-0.0, "DOUBLE"),
    (math.inf, "DOUBLE"),
    ("text", "VARCHAR"),
    ("", "VARCHAR"),
    (b"\0x", "BLOB"),
    (dt.date(2024, 2, 29), "DATE"),
    (dt.datetime(2024, 2, 29, 12, 30), "TIMESTAMP"),  # noqa: DTZ001
    (np.int8(-3), "TINYINT"),
    (np.uint64(2**64 - 1), "UBIGINT"),
    (np.float32(0.5), "FLOAT"),
]


@pytest.mark.parametrize(("value", "kind"), SCALARS, ids=[repr(value) for value, _ in SCALARS])
def test_scalars(db: DatabaseManager, value: Any, kind: str) -> None:
    """A scalar is one column of its own type in both views, and no other column shows (V8)."""
    Reading.save(value, subject=1, db=db)
    assert _columns(db, "Reading") == {"value": kind}
    assert _columns(db, "Reading__rows") == {"row": "INTEGER", "value": kind}
    for view in ("Reading", "Reading__rows"):
        assert _rows(db, f"SELECT value FROM {view}") == [(value,)]


def test_missing_is_not_nan(db: DatabaseManager) -> None:
    """NaN is NaN, and what is missing NULL (V5, V8)."""
    frame = pd.DataFrame({"x": [1.0, math.nan], "name": ["a", None], "n": pd.array([1, None], "Int64")})
    Reading.save(frame, subject=1, db=db)
    query = 'SELECT isnan(x), name IS NULL, n IS NULL FROM Reading__rows ORDER BY "row"'
    assert _rows(db, query) == [(False, False, False), (True, True, True)]
    assert _rows(db, "SELECT len(x), name, n FROM Reading") == [(2, ["a", None], [1, None])]


def test_arrays(db: DatabaseManager) -> None:
    """Each rank of array has its columns, and a row per sample (V9)."""
    arrays = [
        (np.array([1.5, -0.0]), {"value": "DOUBLE[]"}, 2),
        (np.array([[1, 2], [3, 4], [5, 6]]), {"value_0": "BIGINT[]", "value_1": "BIGINT[]"}, 3),
        (np.arange(24, dtype=np.int16).reshape(2, 3, 4), {"value": "SMALLINT[]"}, 24),
        (np.array(3.0), {"value": "DOUBLE[]"}, 1),
        (np.array([1 + 2j, -3j]), {"real": "DOUBLE[]", "imag": "DOUBLE[]"}, 2),
        (np.empty((0, 3)), {"value_0": "DOUBLE[]", "value_1": "DOUBLE[]", "value_2": "DOUBLE[]"}, 0),
        (np.array(["a", "bc"]), {"value": "VARCHAR[]"}, 2),
        (np.array([True, False]), {"value": "BOOLEAN[]"}, 2),
    ]
    for number, (array, kinds, length) in enumerate(arrays):
        kind: Any = type(f"Array{number}", (BaseVariable,), {})
        kind.save(array, subject=1, db=db)
        assert _columns(db, f"Array{number}") == kinds
        assert _rows(db, f'SELECT "row" FROM Array{number}__rows ORDER BY 1') == [(i,) for i in range(length)]
        for name in kinds:
            [(cells,)] = _rows(db, f"SELECT {name} FROM Array{number}")
            assert len(cells) == length
    assert _rows(db, "SELECT value_1 FROM Array1") == [([2, 4, 6],)]
    assert _rows(db, "SELECT value FROM Array2") == [(list(range(24)),)]


def test_frames(db: DatabaseManager) -> None:
    """The columns of a frame, its index included, have their names and types (V3, V10)."""
    frame = pd.DataFrame({"side": ["L", "R"], "length": [0.7, -0.0]}, index=pd.Index([10, 20], name="ms"))
    Reading.save(frame, subject=1, db=db)
    assert _rows(db, "SELECT side, length, ms FROM Reading") == [(["L", "R"], [0.7, 0.0], [10, 20])]
    assert _rows(db, 'SELECT "row", side, length, ms FROM Reading__rows ORDER BY 1') == [
        (0, "L", 0.7, 10),
        (1, "R", 0.0, 20),
    ]
    assert set(_columns(db, "Reading")) == {"side", "length", "ms"}


def test_strange_names(db: DatabaseManager) -> None:
    """Columns whose names are ours, equal but for case, or quoted are all there (V3)."""
    labels = ["a", "A", "record_id", "row", "subject", 'q"x', "two words", "value"]
    Reading.save(pd.DataFrame([range(len(labels))], columns=labels), subject=1, db=db)
    assert sorted(_columns(db, "Reading")) == sorted(
        ["a", "A_2", "record_id_2", "row_2", "subject_2", 'q"x', "two words", "value"]
    )
    assert _rows(db, 'SELECT "A_2", record_id_2, row_2, subject_2, "q""x", "two words" FROM Reading__rows') == [
        (1, 2, 3, 4, 5, 6)
    ]


def test_series_and_documents(db: DatabaseManager) -> None:
    """A Series is rows, a dict is JSON that SQL reads (V7, V10)."""

    class Curve(BaseVariable): ...

    Curve.save(pd.Series([1.0, 2.0], name="torque"), subject=1, db=db)
    assert _rows(db, 'SELECT "row" FROM Curve__rows ORDER BY 1') == [(0,), (1,)]
    Reading.save({"cutoff": 6, "name": "low"}, subject=1, db=db)
    [(text,)] = _rows(db, "SELECT COLUMNS(* EXCLUDE (subject, trial, version_keys, record_id, timestamp)) FROM Reading")
    assert "low" in text


# ------------------------------------------------------------------ several layouts of one variable


def test_layouts_side_by_side(db: DatabaseManager) -> None:
    """Values that no one column holds exactly have a column each; others share one (V1, V2, A10)."""
    values = [1, 2.5, np.array([1, 2], np.float32), np.array([0.1]), np.array([2**60 + 1]), np.empty(0), "text"]
    for trial, value in enumerate(values):
        Reading.save(value, subject=1, trial=trial, db=db)
    assert _columns(db, "Reading") == {
        "value": "BIGINT",
        "value_2": "DOUBLE",
        "value_3": "DOUBLE[]",
        "value_5": "BIGINT[]",
        "value_6": "VARCHAR",
    }
    assert _rows(db, "SELECT value, value_2, value_3, value_5, value_6 FROM Reading ORDER BY trial") == [
        (1, None, None, None, None),
        (None, 2.5, None, None, None),
        (None, None, [1.0, 2.0], None, None),
        (None, None, [0.1], None, None),
        (None, None, None, [2**60 + 1], None),
        (None, None, [], None, None),
        (None, None, None, None, "text"),
    ]
    samples = [(1, 0, 2.5), (2, 1, 2.0)]
    assert _rows(db, 'SELECT trial, "row", value_2 FROM Reading__rows WHERE value_2 > 1.5 ORDER BY 1') == samples
    assert _rows(db, "SELECT count(*) FROM Reading") == [(7,)]
    assert _rows(db, "SELECT count(*) FROM Reading__rows") == [(7,)]


def test_a_frame_gains_a_column(db: DatabaseManager) -> None:
    """Old and new frames are one table; the new column is NULL where it was not (A10)."""
    Reading.save(pd.DataFrame({"x": [1.0]}), subject=1, db=db)
    Reading.save(pd.DataFrame({"x": [2.0], "y": ["new"]}), subject=2, db=db)
    assert _rows(db, "SELECT x, y FROM Reading ORDER BY subject") == [([1.0], None), ([2.0], ["new"])]
    assert _rows(db, "SELECT x, y FROM Reading__rows ORDER BY subject") == [(1.0, None), (2.0, "new")]


@pytest.mark.local
def test_plain_client(db: DatabaseManager, tmp_path: Path) -> None:
    """A DuckDB client without SciDB reads the same rows."""
    for trial, value in enumerate((1, 2.5, np.arange(3.0), pd.DataFrame({"x": ["a"]}))):
        Reading.save(value, subject=1, trial=trial, db=db)
    queries = ["SELECT * FROM Reading ORDER BY trial", 'SELECT * FROM Reading__rows ORDER BY trial, "row"']
    ours = [_rows(db, query) for query in queries]
    db.close()
    with closing(duckdb.connect(tmp_path / "study.duckdb", read_only=True)) as plain:
        assert [plain.execute(query).fetchall() for query in queries] == ours


# ------------------------------------------------------------------ SQL and Python say the same

_NUMBERS = st.floats(allow_nan=False, width=64)
_VALUES = st.one_of(
    _NUMBERS,
    st.integers(-(2**63), 2**63 - 1),
    st.text(max_size=3).filter(str.isprintable),
    hnp.arrays(np.float64, st.integers(0, 4), elements=_NUMBERS),
    hnp.arrays(np.float32, st.integers(0, 4), elements=st.floats(allow_nan=False, width=32)),
)
_SAVES = st.lists(
    st.tuples(_VALUES, st.integers(0, 2), st.sampled_from([None, 0, 1]), st.sampled_from([None, 0.1, 0.2])),
    min_size=1,
    max_size=12,
)


@given(saves=_SAVES)
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_views_say_what_loads(saves: list[tuple[Any, ...]], tmp_path_factory: pytest.TempPathFactory) -> None:
    """For any saves, both views hold the values of load_all: the latest per location and version keys (A4, V1)."""
    path = tmp_path_factory.mktemp("views") / "study.duckdb"
    with scidb.open(path, {"subject": int, "trial": int}) as db:
        for value, subject, trial, cutoff in saves:
            keys = {"subject": subject, "trial": trial, "cutoff": cutoff}
            Reading.save(value, **{name: key for name, key in keys.items() if key is not None}, db=db)
        loaded = list(Reading.load_all(db=db))
        shown = db.query("SELECT * FROM Reading").to_arrow().to_pylist()
        by_row = db.query('SELECT * FROM Reading__rows ORDER BY record_id, "row"').to_arrow().to_pylist()
        one = loaded[0]
        filtered = db.query("FROM Reading WHERE subject = ?", [one.schema["subject"]])
    expected = {_place(v.record_id, v.schema): v.data for v in loaded}
    assert {_place(row["record_id"], row): _only(row) for row in shown} == {
        place: data.tolist() if isinstance(data, np.ndarray) else data for place, data in expected.items()
    }
    elements: dict[object, list[object]] = {}
    for row in by_row:
        elements.setdefault(_place(row["record_id"], row), []).append(_only(row))
    assert elements == {
        place: list(np.atleast_1d(data)) if isinstance(data, np.ndarray) else [data]
        for place, data in expected.items()
        if not (isinstance(data, np.ndarray) and data.size == 0)
    }
    assert len(filtered) == sum(v.schema["subject"] == one.schema["subject"] for v in loaded)


def _place(record_id: str | None, keys: Any) -> object:
    return record_id, keys["subject"], keys.get("trial")


def _only(row: dict[str, Any]) -> object:
    """Return the one value of a row, whichever column its layout has."""
    [value] = [cell for name, cell in row.items() if name.startswith("value") and cell is not None]
    return value
