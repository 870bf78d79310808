"""A write that fails, at any statement and for any reason, leaves everything as it was, and can be done again."""

from __future__ import annotations

import itertools
import logging
from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeAlias

import duckdb
import pytest
from tests.durability.dumping import dump
from tests.durability.writes import WRITES, every_write

from scidb.exceptions import StorageError
from scidb.store.duck import DuckStore
from scidb.store.duck.connection import Connection
from scidb.store.model import SchemaKey, TypeInfo
from scidb.testing.store_suite.samples import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from scidb.store.model import Batch

_log = logging.getLogger(__name__)

KEYS = (SchemaKey("subject", "int"), SchemaKey("trial", "int"))
Asked: TypeAlias = "tuple[str, TypeInfo | Batch]"


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> list[Asked]:
    """Return what a store is asked by every kind of write, transaction by transaction."""
    folder = tmp_path_factory.mktemp("asked")
    return every_write(DuckStore.open(folder / "study.duckdb", KEYS), folder)


class Fault:
    """An error at one statement, before it or after it."""

    def __init__(self, moment: int, error: BaseException, *, after: bool) -> None:
        self._moment, self._error, self._after = moment, error, after
        self.left = moment
        self.query = ""

    def wrap(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def run(connection: Connection, query: str, call: Callable[..., Any]) -> Any:
            self.left -= 1
            if self.left:
                return original(connection, query, call)
            self.query = query
            if self._after:
                original(connection, query, call)
            raise self._error

        return run


ERRORS: tuple[tuple[type[BaseException], BaseException], ...] = (
    (StorageError, duckdb.IOException("IO Error: Could not write file: No space left on device")),
    (MemoryError, MemoryError()),
    (KeyboardInterrupt, KeyboardInterrupt()),
    (StorageError, duckdb.OutOfMemoryException("Out of Memory Error: failed to allocate data of size 16.0 KiB")),
    (StorageError, duckdb.FatalException("FATAL Error: Failed to create checkpoint: No space left on device")),
)


def do(store: DuckStore, asked: TypeInfo | Batch) -> None:
    """Do what a store was asked."""
    if isinstance(asked, TypeInfo):
        store.register(asked)
    else:
        store.write(asked)


def faults(steps: int) -> Iterator[tuple[int, int, bool]]:
    """Return which statement fails, how, and whether it is done before."""
    for moment in range(1, steps + 1):
        yield from ((moment, error, False) for error in range(len(ERRORS)))
        yield moment, 0, True


def count_statements(store: DuckStore, one: TypeInfo | Batch, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return how many statements a write takes, which is made and then undone by a fault."""
    counting = Fault(10_000, RuntimeError(), after=False)
    original = Connection.transaction

    def undone(self: Connection, work: Callable[[], Any]) -> Any:
        def fail() -> Any:
            work()
            raise counting._error

        return original(self, fail)

    with monkeypatch.context() as patch:
        patch.setattr(Connection, "_run", counting.wrap(Connection._run))
        patch.setattr(Connection, "transaction", undone)
        with pytest.raises(RuntimeError):
            do(store, one)
    return 10_000 - counting.left + 1  # COMMIT


def fail_once(
    store: DuckStore, one: TypeInfo | Batch, fault: tuple[int, int, bool], monkeypatch: pytest.MonkeyPatch
) -> bool:
    """Let a write fail; return whether it was stored all the same, as a whole."""
    moment, number, after = fault
    kind, error = ERRORS[number]
    injected = Fault(moment, error, after=after)
    with monkeypatch.context() as patch:
        patch.setattr(Connection, "_run", injected.wrap(Connection._run))
        with pytest.raises(kind):
            do(store, one)
    return after and injected.query == "COMMIT"


def inject(path: Path, asked: list[Asked], monkeypatch: pytest.MonkeyPatch, *, every: int) -> tuple[int, set[str]]:
    """Let each write fail at every n-th of its moments, compare, then let it succeed; return how many failed."""
    failed, kinds = 0, set()
    turn = itertools.count()
    clock = Clock()
    with closing(DuckStore.open(path, KEYS, clock=clock)) as store:
        for kind, one in asked:
            clock.move(1)
            moments = [fault for fault in faults(count_statements(store, one, monkeypatch)) if next(turn) % every == 0]
            before = dump(store) if moments else {}
            for fault in moments:
                if fail_once(store, one, fault, monkeypatch):
                    break  # it is there, which was not acknowledged
                assert dump(store) == before, (kind, fault)
                failed += 1
                kinds.add(kind)
            else:
                do(store, one)
    return failed, kinds


def undisturbed(path: Path, asked: list[Asked]) -> dict[str, Any]:
    """Return what all writes together leave when none fails."""
    clock = Clock()
    with closing(DuckStore.open(path, KEYS, clock=clock)) as store:
        for _, one in asked:
            clock.move(1)
            do(store, one)
        return dump(store)


@pytest.mark.parametrize("every", [pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(3_600)]), 101])
def test_a_write_that_fails_leaves_nothing(
    tmp_path: Path, asked: list[Asked], monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    """Whichever statement fails and why: all tables are as before, and in the end as if nothing had failed."""
    path = tmp_path / "study.duckdb"

    failed, kinds = inject(path, asked, monkeypatch, every=every)

    _log.info("%s faults in %s writes of %s kinds", failed, len(asked), len(kinds))
    assert len(kinds) >= len(WRITES) * (0.4 if every > 1 else 1)
    with closing(DuckStore.open(path, clock=Clock())) as reopened:
        found = dump(reopened)
    assert found == undisturbed(tmp_path / "other.duckdb", asked)
