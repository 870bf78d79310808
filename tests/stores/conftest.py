"""What the tests of the stores share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from scidb.store.duck.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list that every statement of a DuckDB store is added to from now on."""
    seen: list[str] = []
    original = Connection._run

    def run(self: Connection, query: str, call: Callable[..., Any]) -> Any:
        seen.append(query)
        return original(self, query, call)

    monkeypatch.setattr(Connection, "_run", run)
    return seen
