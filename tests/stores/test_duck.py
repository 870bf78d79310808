"""The DuckDB store passes the conformance suite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scidb.store.duck import DuckStore
from scidb.testing.store_suite.flagging import FlagCases
from scidb.testing.store_suite.matching import MatchingCases, OrderCases
from scidb.testing.store_suite.saving import SavingCases
from scidb.testing.stores import StoreTests

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from scidb.store.model import SchemaKey
    from scidb.store.protocol import Store


class OnDisk:
    """A store in a file."""

    def make_store(self, schema_keys: Sequence[SchemaKey], tmp_path: Path) -> Store:
        return DuckStore.open(tmp_path / "study.duckdb", schema_keys)

    def make_clocked_store(
        self, schema_keys: Sequence[SchemaKey], tmp_path: Path, clock: Callable[[], dt.datetime]
    ) -> Store:
        return DuckStore.open(tmp_path / "study.duckdb", schema_keys, clock=clock)

    def reopen(self, store: Store) -> Store:
        path = store.describe().target
        store.close()
        return DuckStore.open(path)


class TestDuckStore(OnDisk, StoreTests):
    pass


@pytest.mark.slow
class TestDuckStoreWithManyEntries(OnDisk, SavingCases, MatchingCases, OrderCases, FlagCases):
    """The newest of many entries are picked in SQL; here few count as many, for all that asks for the latest."""

    @pytest.fixture(autouse=True)
    def few_are_many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("scidb.store.duck.few.FEW", 1)
