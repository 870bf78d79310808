"""Random operations leave every store as they leave the reference store."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from scidb.store.duck.store import DuckStore
from scidb.store.memory import MemoryStore
from scidb.store.model import Entries, Records
from scidb.store.wrap import Wrapper
from scidb.testing.machine import StoreMachine

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from scidb.store.model import Query, SchemaKey
    from scidb.store.protocol import Store

T = TypeVar("T")


class WrappedMachine(StoreMachine):
    def make_store(self, schema_keys: Sequence[SchemaKey], folder: Path, clock: Callable[[], dt.datetime]) -> Store:
        return Wrapper(MemoryStore(schema_keys, clock=clock))


class DuckMachine(StoreMachine):
    def make_store(self, schema_keys: Sequence[SchemaKey], folder: Path, clock: Callable[[], dt.datetime]) -> Store:
        return DuckStore.open(folder / "study.duckdb", schema_keys, clock=clock)

    def reopen(self, store: Store) -> Store:
        store.close()
        return DuckStore.open(self.folder / "study.duckdb", clock=self.clock)


class FaultyStore(Wrapper):
    """Answers `Records` with every entry, as if a record that was saved twice were two."""

    def find(self, query: Query[T]) -> list[T]:
        return super().find(Entries(query.match) if isinstance(query, Records) else query)  # type: ignore[arg-type]


class FaultyMachine(StoreMachine):
    def make_store(self, schema_keys: Sequence[SchemaKey], folder: Path, clock: Callable[[], dt.datetime]) -> Store:
        return FaultyStore(MemoryStore(schema_keys, clock=clock))


def test_memory_store() -> None:
    """The machine finds no difference between the reference store and itself behind a wrapper."""
    run_state_machine_as_test(WrappedMachine, settings=settings(max_examples=10, deadline=None))


def test_duck_store() -> None:
    """Random operations leave a DuckDB file as they leave the reference store."""
    run_state_machine_as_test(DuckMachine, settings=settings(max_examples=2, stateful_step_count=30, deadline=None))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_duck_store_at_length() -> None:
    """The same, many times over."""
    run_state_machine_as_test(DuckMachine, settings=settings(max_examples=500, deadline=None))


def test_faulty_store() -> None:
    """The machine finds a planted fault."""
    with pytest.raises(AssertionError):
        run_state_machine_as_test(
            FaultyMachine,
            settings=settings(max_examples=200, deadline=None, database=None, phases=[Phase.generate]),
        )
