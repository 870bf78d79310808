"""What every group of cases needs: an empty store, and the ways to open one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scidb.store.model import TypeInfo
from scidb.testing.store_suite.samples import KEYS

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from scidb.store.model import SchemaKey
    from scidb.store.protocol import Store

__all__ = ["StoreCases"]


class StoreCases:
    """How a store's tests say what is under test."""

    def make_store(self, schema_keys: Sequence[SchemaKey], tmp_path: Path) -> Store:
        """Return a new, empty store with these keys; files belong under `tmp_path`."""
        raise NotImplementedError

    def make_clocked_store(
        self,
        schema_keys: Sequence[SchemaKey],  # noqa: ARG002 - what an override needs
        tmp_path: Path,  # noqa: ARG002
        clock: Callable[[], dt.datetime],  # noqa: ARG002
    ) -> Store:
        """Return a new, empty store that takes its time from `clock`; skip where there is no such thing."""
        pytest.skip(f"{type(self).__name__} gives its store no clock")

    def reopen(self, store: Store) -> Store:
        """Close and open again a store that outlives its handle; here it does not, so it stays open."""
        return store

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        """Return an empty store with three keys and the variables Force and Emg."""
        store = self.make_store(KEYS, tmp_path)
        store.register(TypeInfo("Force"))
        store.register(TypeInfo("Emg"))
        yield store
        store.close()
