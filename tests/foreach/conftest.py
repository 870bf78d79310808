"""The facade suite runs over every store: what holds for the reference holds for the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import scidb

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["memory", "duck"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the database of a test lives."""
    return "memory:" if request.param == "memory" else str(tmp_path / "study.duckdb")


@pytest.fixture
def db(target: str) -> Iterator[scidb.DatabaseManager]:
    """Open a database with two schema keys and make it the current one."""
    database = scidb.open(target, ["subject", "trial"])
    with database.as_current(), database:
        yield database
