"""Values as CSV files."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scidb
from scidb import BaseVariable, DatabaseManager, exceptions
from scidb.database.flattening import cell_text
from scidb.store.model import Exports

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.above_stores


class Csv(BaseVariable):
    """A value."""

    units = "N"


def test_single_values_are_one_row_each(db: DatabaseManager, tmp_path: Path) -> None:
    """Scalars come one row per record with keys and version keys, in natural order, with all their digits."""
    Csv.save_many([(1 / 3, {"subject": 10}), (2, {"subject": 9, "hand": "l"}), (None, {"subject": 11})])

    assert db.export_to_csv(Csv, tmp_path / "a.csv") == 3
    assert (tmp_path / "a.csv").read_text() == "subject,hand,Csv\n9,l,2\n10,,0.3333333333333333\n11,,\n"


def test_samples_are_one_row_each(db: DatabaseManager, tmp_path: Path) -> None:
    """Arrays, frames and documents together: a row per sample with the keys, documents as JSON."""
    Csv.save(np.array([0.1, 0.2]), subject=1)
    Csv.save(pd.DataFrame({"x": [1, 2], "subject": ["a", "b"]}, index=[5, 6]), subject=2)
    Csv.save({"a": [1, None]}, subject=3)
    Csv.save(np.arange(4).reshape(2, 2), subject=4)

    assert db.export_to_csv("Csv", tmp_path / "a.csv") == 4
    table = pd.read_csv(tmp_path / "a.csv")
    assert list(table.columns) == ["subject", "row", "Csv", "index", "x", "subject_value", "Csv_0", "Csv_1"]
    assert table["subject"].tolist() == [1, 1, 2, 2, 3, 4, 4]
    assert table["Csv"].tolist()[:2] == ["0.1", "0.2"]
    assert json.loads(table["Csv"].tolist()[4]) == {"a": [1, None]}
    assert table["index"].tolist()[2:4] == [5, 6]
    assert (tmp_path / "a.csv").read_text().splitlines()[3] == "2,0,,5,1,a,,"


def test_one_value(db: DatabaseManager, tmp_path: Path) -> None:
    """``to_csv`` writes one value with its keys; one that was never saved has none."""
    Csv.save(pd.Series([1, 2], name="f"), subject=1)

    Csv.load_one().to_csv(tmp_path / "a.csv")
    Csv(2.5).to_csv(tmp_path / "b.csv")

    assert (tmp_path / "a.csv").read_text() == "subject,row,f\n1,0,1\n1,1,2\n"
    assert (tmp_path / "b.csv").read_text() == "Csv\n2.5\n"


def test_exports_are_noted(db: DatabaseManager, tmp_path: Path) -> None:
    """The database knows which records went into which file, by the digest of what was written."""
    saved = Csv.save(1, subject=1)

    db.export_to_csv(Csv, tmp_path / "a.csv")

    [noted] = db._store.find(Exports())
    assert (noted.path, noted.record_ids) == (str(tmp_path / "a.csv"), (saved,))
    assert noted.sha256 == hashlib.sha256((tmp_path / "a.csv").read_bytes()).hexdigest()


def test_a_read_only_database_can_be_exported(tmp_path: Path) -> None:
    """Nothing is noted where nothing can be written."""
    with scidb.open(tmp_path / "a.duckdb", ["subject"]) as db:
        Csv.save(1, subject=1, db=db)
    with scidb.open(tmp_path / "a.duckdb", read_only=True) as db:
        assert db.export_to_csv(Csv, tmp_path / "a.csv") == 1


@pytest.mark.parametrize(
    "value", [b"x", np.zeros((2, 2, 2)), pd.DataFrame({"a": [[1], [2]]}), {"a": b"x"}, {1, 2}, np.array(1.5)]
)
def test_what_is_no_table_is_refused(db: DatabaseManager, tmp_path: Path, value: Any) -> None:
    """A value without rows and columns is refused by an error of ours, and the file stays as it was."""
    Csv.save(value, subject=1)
    (tmp_path / "a.csv").write_text("before")

    with pytest.raises(exceptions.UnsupportedValueError, match="cannot be written as CSV"):
        db.export_to_csv(Csv, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "before"
    assert [path.name for path in tmp_path.iterdir() if "csv" in path.name] == ["a.csv"]
    assert db._store.find(Exports()) == []


def test_a_text_that_is_no_utf8_is_refused(db: DatabaseManager, tmp_path: Path) -> None:
    """Half of a character can be stored, and has no form in a CSV file: none is written."""
    Csv.save("\ud800", subject=1)

    with pytest.raises(exceptions.UnsupportedValueError, match="UTF-8"):
        db.export_to_csv(Csv, tmp_path / "a.csv")

    assert list(tmp_path.glob("*.csv")) == []


def test_nothing_is_no_file(db: DatabaseManager, tmp_path: Path) -> None:
    """A8: where nothing matches there is an error, and no file that looks like success; nor one nowhere."""
    Csv.save(1, subject=1)

    with pytest.raises(exceptions.NotFoundError):
        db.export_to_csv(Csv, tmp_path / "a.csv", subject=2)
    assert not (tmp_path / "a.csv").exists()
    with pytest.raises(exceptions.StorageError, match="folder"):
        db.export_to_csv(Csv, tmp_path / "nowhere" / "a.csv")


@given(st.floats(allow_nan=False))
def test_the_text_of_a_number_is_exact(value: float) -> None:
    """A float is written with as many digits as tell it from all others."""
    assert float(cell_text(value) or "") == value
    assert float(cell_text(np.float32(0.1)) or "") == np.float32(0.1)
