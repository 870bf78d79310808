"""The reference store passes the conformance suite."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scidb.store.memory import MemoryStore
from scidb.testing import StoreTests

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from scidb.store.model import SchemaKey
    from scidb.store.protocol import Store


class TestMemoryStore(StoreTests):
    def make_store(self, schema_keys: Sequence[SchemaKey], tmp_path: Path) -> Store:
        return MemoryStore(schema_keys)

    def make_clocked_store(
        self, schema_keys: Sequence[SchemaKey], tmp_path: Path, clock: Callable[[], dt.datetime]
    ) -> Store:
        return MemoryStore(schema_keys, clock=clock)
