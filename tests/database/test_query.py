"""``db.query``, ``db.tables`` and ``db.schema``: SQL over the variables of a database."""

from __future__ import annotations

import datetime as dt
import decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from tests.net.serving import served_file

import scidb
from scidb import BaseVariable, DatabaseManager
from scidb.exceptions import NotFoundError, NotRegisteredError, QueryError, UnsupportedOperationError
from scidb.store.memory import MemoryStore
from scidb.store.model import SchemaKey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class StepLength(BaseVariable):
    """Mean step length."""


class Emg(BaseVariable):
    """Muscle activity."""


class NeverSaved(BaseVariable):
    """Registered, and no more."""


@pytest.fixture(scope="module", params=["duck", "http"])
def db(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseManager]:
    target = served_file(request, tmp_path_factory.mktemp("query") / "study.duckdb", subject="int", session="str")
    with scidb.open(target, {"subject": int, "session": str}) as db:
        for subject in (1, 2):
            StepLength.save(0.5 + subject, subject=subject, session="pre", db=db)
            Emg.save(np.arange(3.0) * subject, subject=subject, session="pre", db=db)
        db.register(NeverSaved)
        yield db


# ------------------------------------------------------------------ results


def test_three_forms(db: DatabaseManager) -> None:
    """A result is Arrow, pandas or polars, with the same rows."""
    result = db.query("SELECT subject, value FROM StepLength ORDER BY subject")
    rows = [{"subject": 1, "value": 1.5}, {"subject": 2, "value": 2.5}]
    assert len(result) == 2
    assert result.to_arrow().to_pylist() == rows
    assert result.to_pandas().to_dict("records") == rows
    assert result.to_polars().rows(named=True) == rows
    assert isinstance(result.to_polars(), pl.DataFrame)
    assert repr(result) == repr(result.to_pandas())
    assert "<table" in result._repr_html_()


def test_missing_integers_stay_integers(db: DatabaseManager) -> None:
    """Whole numbers are not rounded by way of floats, whether some are missing or they are a sum."""
    large = 2**62 + 1
    frame = db.query(
        f"SELECT x, x::UTINYINT::INT AS small, sum(y) AS total FROM (VALUES (1, {large}), (NULL, 1)) t(x, y) "
        "GROUP BY x ORDER BY x"
    ).to_pandas()
    assert frame["x"].dtype == pd.Int32Dtype()
    assert frame["total"].dtype == np.int64
    assert frame["total"].tolist() == [large, 1]
    assert frame["x"].tolist()[0] == 1
    assert frame["x"].isna().tolist() == [False, True]


def test_sums_beyond_64_bits(db: DatabaseManager) -> None:
    """A sum too large for int64 is exact all the same."""
    frame = db.query("SELECT sum(x) AS total FROM (VALUES (9223372036854775807), (1)) t(x)").to_pandas()
    assert frame["total"].tolist() == [decimal.Decimal(2**63)]


def test_equal_names_are_told_apart(db: DatabaseManager) -> None:
    """Columns of one name keep their values in every form."""
    result = db.query("SELECT a.value, b.value FROM StepLength a JOIN StepLength b ON a.subject + 1 = b.subject")
    assert result.to_arrow().to_pylist() == [{"value": 1.5, "value_2": 2.5}]
    assert result.to_pandas().to_dict("records") == [{"value": 1.5, "value_2": 2.5}]
    assert result.to_polars().columns == ["value", "value_2"]


# ------------------------------------------------------------------ parameters


@pytest.mark.parametrize(
    "value",
    [
        1,
        True,
        1.5,
        "a",
        b"a",
        None,
        dt.date(2024, 2, 29),
        dt.datetime(2024, 2, 29, 12),  # noqa: DTZ001
        decimal.Decimal("1.5"),
        [1, 2],
    ],
)
def test_plain_parameters(db: DatabaseManager, value: object) -> None:
    """A plain value comes back as itself, by position and by name."""
    assert db.query("SELECT ? AS x", [value]).to_arrow().to_pylist() == [{"x": value}]
    assert db.query("SELECT $a AS x", {"a": value}).to_arrow().to_pylist() == [{"x": value}]


@pytest.mark.parametrize(
    "value", [np.int64(3), np.uint8(3), np.float32(3), np.float64(3), np.float16(3), np.bool_(True), np.str_("3")]
)
def test_numpy_parameters(db: DatabaseManager, value: Any) -> None:
    """A numpy scalar counts as the Python value that it holds, in a list too."""
    assert db.query("SELECT ? AS x", [value]).to_arrow().to_pylist() == [{"x": value.item()}]
    assert db.query("SELECT ? AS x", [[value]]).to_arrow().to_pylist() == [{"x": [value.item()]}]


@pytest.mark.parametrize("value", [object(), 1 + 2j, {1}, pd.DataFrame({"a": [1]}), 2**200, "\ud800", len])
def test_unsuitable_parameters(db: DatabaseManager, value: object) -> None:
    """A parameter that SQL does not have is refused."""
    with pytest.raises(QueryError):
        db.query("SELECT ?", [value])


@pytest.mark.parametrize(
    ("query", "parameters", "said"),
    [
        ("SELECT ?", [], "has 1 parameter, and 0 parameters given"),
        ("SELECT ?, ?", [1], "has 2 parameters, and 1 parameter given"),
        ("SELECT 1", [1], "has 0 parameters, and 1 parameter given"),
        ("SELECT $a", {}, r"has the parameters \$a"),
        ("SELECT $a", {"b": 1}, r"the parameters \$b given"),
        ("SELECT ?", "x", r"a list or a dict, not str: for one value, \[value\]"),
        ("SELECT ?", 1, "a list or a dict, not int"),
    ],
)
def test_parameters_that_do_not_fit(db: DatabaseManager, query: str, parameters: Any, said: str) -> None:
    """Too few, too many and misnamed parameters are counted in the error."""
    with pytest.raises(QueryError, match=said):
        db.query(query, parameters)


# ------------------------------------------------------------------ mistakes


def test_syntax_error_shows_the_place(db: DatabaseManager) -> None:
    """The line and the caret of DuckDB come along."""
    with pytest.raises(QueryError, match=r"(?s)LINE 1: SELECT subject FRM StepLength.*\^"):
        db.query("SELECT subject FRM StepLength LIMIT")


@pytest.mark.parametrize("name", ["StepLenght", "Steplengt"])
def test_unknown_variable(db: DatabaseManager, name: str) -> None:
    """A misspelt variable is answered by the nearest variable, not by a table of SciDB's own."""
    with pytest.raises(QueryError, match=f"There is no variable {name}. Did you mean 'StepLength'"):
        db.query(f"SELECT * FROM {name}")
    with pytest.raises(QueryError, match=r"There is no variable Unheard\.\Z|There is no variable Unheard\.\n"):
        db.query("SELECT * FROM Unheard")


@pytest.mark.parametrize("column", ["subjct", "StepLength.subjct"])
def test_unknown_column(db: DatabaseManager, column: str) -> None:
    """A misspelt column is answered by the nearest one."""
    with pytest.raises(QueryError, match="Did you mean 'subject'"):
        db.query(f"SELECT {column} FROM StepLength")


@pytest.mark.parametrize(
    "query", ["SELECT 'a'::INT", "SELECT 1e400::DOUBLE::TINYINT", "SELECT sume(1)", "SELECT 'a' + []"]
)
def test_failing_queries(db: DatabaseManager, query: str) -> None:
    """Whatever else DuckDB refuses is a QueryError, after which the database works on."""
    with pytest.raises(QueryError):
        db.query(query)
    assert len(db.query("FROM StepLength")) == 2


def test_query_is_text(db: DatabaseManager) -> None:
    """What is no text is refused."""
    with pytest.raises(QueryError, match="a text, not int"):
        db.query(1)  # type: ignore[arg-type]


def test_a_store_without_sql() -> None:
    """A store that runs no SQL says so."""
    with DatabaseManager(MemoryStore([SchemaKey("subject")])) as db, pytest.raises(UnsupportedOperationError):
        db.query("SELECT 1")


# ------------------------------------------------------------------ what there is


def test_tables(db: DatabaseManager) -> None:
    """The variables that hold values are listed, and each can be queried."""
    assert db.tables() == ["Emg", "StepLength"]
    for name in db.tables():
        assert len(db.query(f"FROM {name}")) == 2


def test_schema(db: DatabaseManager) -> None:
    """Columns and their SQL types, of a class, a name and the view of samples."""
    expected = {"subject": "BIGINT", "session": "VARCHAR", "version_keys": "VARCHAR", "record_id": "VARCHAR"}
    for variable in (Emg, "Emg"):
        columns = db.schema(variable)
        assert list(columns.columns) == ["column", "type"]
        assert dict(columns.values.tolist()) == {**expected, "timestamp": "VARCHAR", "value": "DOUBLE[]"}
    assert dict(db.schema("Emg__rows").values.tolist())["value"] == "DOUBLE"


def test_schema_of_nothing(db: DatabaseManager) -> None:
    """An unknown name is answered by the nearest one; a variable without values says that it has none."""
    with pytest.raises(NotRegisteredError, match="Did you mean 'StepLength'"):
        db.schema("StepLenght")
    with pytest.raises(NotFoundError, match="No value of NeverSaved was saved yet"):
        db.schema(NeverSaved)


def test_reading_only(tmp_path: Path) -> None:
    """A database that is opened for reading answers the same queries."""
    with scidb.open(tmp_path / "study.duckdb", {"subject": int}) as db:
        StepLength.save(1.0, subject=1, db=db)
    with scidb.open(tmp_path / "study.duckdb", read_only=True) as db:
        assert db.query("SELECT value FROM StepLength").to_arrow().to_pylist() == [{"value": 1.0}]
        with pytest.raises(QueryError):
            db.query("DROP VIEW StepLength")
