"""CSV from a server: complete, and written without holding all values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from tests.net.inprocess import Client

import scidb
from scidb import BaseVariable
from scidbnet.server import store_app
from scidbnet.server.routes import facade

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


class WindowedSignal(BaseVariable):
    """A recording."""


def test_csv_of_many_values_holds_few_of_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Values are read some at a time, twice: for the columns of all, and to write them."""
    asked: list[int] = []
    with scidb.open(tmp_path / "study.duckdb", {"subject": int}) as db:
        db.save_many(WindowedSignal, [(np.arange(float(n % 3 + 1)), {"subject": n}) for n in range(10)])
        db.export_to_csv(WindowedSignal, tmp_path / "local.csv")
        fetch = db._store.fetch

        def counted(query: Any) -> Any:
            asked.append(len(query.record_ids))
            return fetch(query)

        monkeypatch.setattr(facade, "_RECORDS_AT_ONCE", 4)
        monkeypatch.setattr(type(db._store), "fetch", lambda _, query: counted(query))
        app = store_app(db._store)
        answer = Client(app).post("/api/v1/export_to_csv", json={"variable": "WindowedSignal"})

    assert answer.text == (tmp_path / "local.csv").read_bytes().decode()
    assert answer.headers["SciDB-Count"] == "10"
    assert max(asked) <= 4
    assert len(asked) == 6
