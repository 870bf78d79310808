"""``scidb sql`` at its edges."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Scidb


@pytest.mark.parametrize(
    "query", ["DROP VIEW Reaction", "SELECT * FROM 'x.csv'", "SELECT 1; SELECT 2", "SET threads = 1"]
)
def test_refused(scidb: Scidb, query: str) -> None:
    """What does more than read ends with an error that says what is allowed."""
    assert "Allowed is one statement that reads" in scidb("sql", query, expect=1).stderr


def test_equal_names(scidb: Scidb) -> None:
    """Two columns of one name are told apart for people and for programs."""
    query = "SELECT 1 AS a, 2 AS a"
    assert scidb("sql", query).stdout.split() == ["a", "a_2", "1", "2"]
    assert json.loads(scidb("sql", query, "--json").stdout) == {"a": 1, "a_2": 2}


def test_other_statements(scidb: Scidb) -> None:
    """DESCRIBE and SHOW work too."""
    assert "DOUBLE" in scidb("sql", "DESCRIBE Reaction").stdout
    assert "Reaction__rows" in scidb("sql", "SHOW TABLES").stdout
