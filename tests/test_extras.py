"""Optional libraries."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

import scidb
from scidb import BaseVariable, exceptions
from scidb.extras import require

if TYPE_CHECKING:
    from pathlib import Path


class Height(BaseVariable):
    """Body height."""


def test_a_missing_library_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An extra that is missing is named by the error."""
    monkeypatch.setitem(sys.modules, "polars", None)
    with scidb.open(tmp_path / "study.duckdb", ["subject"]) as db:
        Height.save(1.8, subject=1, db=db)
        result = db.query('SELECT subject, value FROM "Height" WHERE value > ?', [1])

        assert result.to_pandas().to_dict("records") == [{"subject": 1, "value": 1.8}]
        with pytest.raises(exceptions.UnsupportedOperationError, match=r"scidb\[polars\]"):
            result.to_polars()


def test_a_library_that_is_there_is_imported() -> None:
    """What is installed is simply returned."""
    assert require("json", "nothing") is sys.modules["json"]
