"""An interrupt at any moment of a write leaves a handle that works and a file that is whole."""

from __future__ import annotations

import itertools
import random
import signal
import sys
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pytest

from scidb.exceptions import ConflictError
from scidb.store.duck import DuckStore
from scidb.store.duck.connection import Connection
from scidb.store.memory import MemoryStore
from scidb.store.model import Batch, Chunk, Entries, KeyTyped, Latest, Record, SchemaKey, TypeInfo
from scidb.testing.store_suite.samples import Clock, record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEYS = (SchemaKey("subject", "int"), SchemaKey("session"))


def _batch(number: int) -> Batch:
    """Return two values: one at a place that comes again and again, one at a new place."""
    entries = [
        record("Force", number, {"subject": number % 5}),
        record("Force", -number, {"subject": 1000 + number, "session": "a"}, seq=1),
    ]
    table = pa.table({"value": [[float(number)] * 3, [-float(number)] * (number % 4)]})
    return Batch(chunks=(Chunk(tuple(entries), table),), events=(KeyTyped("session", "str"),))


class Pair:
    """A file and its oracle, which is told what the file has taken in."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = DuckStore.open(path, KEYS, clock=Clock())
        self.oracle = MemoryStore(KEYS, clock=Clock())
        self.last: Batch | None = None
        for store in (self.store, self.oracle):
            store.register(TypeInfo("Force"))

    def save(self, number: int) -> None:
        self.last = _batch(number)
        self.store.write(self.last)
        self.oracle.write(self.last)
        self.last = None

    def settle(self) -> None:
        """After an interrupt: what was not acknowledged is there as a whole, or not at all."""
        if self.last is not None and len(self.store.find(Entries())) > len(self.oracle.find(Entries())):
            self.oracle.write(self.last)
        self.last = None

    def check(self) -> None:
        """See that the handle shows what the oracle shows, and so does the file when it is opened again."""
        self._compare()
        self.store.close()
        with closing(duckdb.connect(self.path, read_only=True)) as connection:
            for table, number in (("_records", "record_no"), ("_schema", "schema_id")):
                query = f"SELECT {number} FROM {table} GROUP BY ALL HAVING count(*) > 1"
                assert connection.execute(query).fetchall() == []
            orphans = "SELECT count(*) FROM Force_data WHERE record_no NOT IN (SELECT record_no FROM _records)"
            assert connection.execute(orphans).fetchall() == [(0,)]
        self.store = DuckStore.open(self.path, clock=Clock())
        self._compare()

    def _compare(self) -> None:
        for query in (Latest(), Entries()):
            found = [_without_time(store.find(query)) for store in (self.store, self.oracle)]
            assert found[0] == found[1]
        fetched = [
            [cell for chunk in store.fetch(Latest()) if chunk.table for cell in chunk.table.column(0).to_pylist()]
            for store in (self.store, self.oracle)
        ]
        assert fetched[0] == fetched[1]
        assert self.store.types()[0].entries == self.oracle.types()[0].entries


def _without_time(records: list[Record]) -> list[Record]:
    return [replace(entry, timestamp="") for entry in records]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    pair = Pair(tmp_path / "study.duckdb")
    yield pair
    pair.store.close()


class Interrupt:
    """Raise KeyboardInterrupt at the n-th call of a function, where Python itself looks for signals."""

    def __init__(self, moment: int) -> None:
        self.left = moment

    def __call__(self, frame: Any, event: str, argument: object) -> None:
        # Python handles signals when a function begins, and after a call of one that is written in C.
        if event in ("call", "c_return"):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt

    def __enter__(self) -> None:
        sys.setprofile(self)

    def __exit__(self, *details: object) -> None:
        sys.setprofile(None)


def _interrupt_every(pair: Pair, moments: Iterator[int]) -> int:
    """Interrupt one save after the other, each at a later moment, until one ends before its moment comes."""
    done = 0
    for number, moment in enumerate(moments, start=1):
        interrupt = Interrupt(moment)
        try:
            with interrupt:
                pair.save(number)
        except KeyboardInterrupt:
            pair.settle()
            done += 1
        if interrupt.left > 0:
            break
        if number % 20 == 0:
            pair.save(-number)
    pair.check()
    return done


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # struck where Python cannot raise
def test_interrupt_at_some_moments(pair: Pair) -> None:
    """Wherever an interrupt strikes, the save is there as a whole or not at all, and the handle goes on."""
    assert _interrupt_every(pair, itertools.count(1, 29)) > 10


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # struck where Python cannot raise
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_interrupt_at_every_moment(pair: Pair) -> None:
    """The same at each moment of a save."""
    assert _interrupt_every(pair, itertools.count(1)) > 300


@pytest.mark.parametrize("statement", ["BEGIN", "INSERT", "COMMIT"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_interrupted_statement(pair: Pair, monkeypatch: pytest.MonkeyPatch, statement: str, when: str) -> None:
    """An interrupt around a statement of a write or of a registration does no harm."""
    pair.save(1)
    original = Connection._run
    armed = False

    def run(self: Connection, query: str, call: Any) -> Any:
        nonlocal armed
        hit = armed and query.startswith(statement)
        armed = armed and not hit
        if hit and when == "before":
            raise KeyboardInterrupt
        done = original(self, query, call)
        if hit:
            raise KeyboardInterrupt
        return done

    monkeypatch.setattr(Connection, "_run", run)
    for number in (1, 2):
        armed = True
        with pytest.raises(KeyboardInterrupt):
            pair.save(number)
        pair.settle()
        pair.save(number + 10)
    armed = True
    with pytest.raises(KeyboardInterrupt):
        pair.store.register(TypeInfo("Emg"))
    for store in (pair.store, pair.oracle):
        assert store.register(TypeInfo("Emg")).identity_name == "Emg"
    pair.save(20)
    pair.check()


def test_interrupt_while_data_stream(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt while DuckDB takes in an array is an interrupt, not an error of DuckDB's."""

    def interrupted(layout: object, columns: object) -> list[pa.Array]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("scidb.store.duck.insert._with_marks", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pair.save(1)
    pair.save(2)
    pair.check()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no timers here")
@pytest.mark.parametrize("kind", ["find", "sql", "write"])
def test_interrupt_within_a_statement(pair: Pair, kind: str) -> None:
    """An interrupt while DuckDB computes is a KeyboardInterrupt; the handle goes on, and the file opens again."""
    pair.save(1)
    long = "SELECT sum(a.range * b.range) FROM range(20000) a, range(20000) b"
    insert = "INSERT INTO _hits SELECT 'x', a.range * b.range, '', '' FROM range(20000) a, range(1000) b"

    def interrupt(*details: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        connection = pair.store._connection
        asks: dict[str, Any] = {
            "find": lambda: connection.rows(long),
            "sql": lambda: pair.store.sql(long),
            "write": lambda: connection.transaction(lambda: connection.execute(insert)),
        }
        with pytest.raises(KeyboardInterrupt):
            asks[kind]()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert pair.store.sql("SELECT count(*) AS n FROM Force").to_pylist() == [{"n": 2}]
    pair.save(2)
    pair.check()


def test_records_of_somebody_else(pair: Pair) -> None:
    """Numbers that are taken are never given again: the write is refused, and the next one knows better."""
    pair.save(1)
    pair.store._state.clockwork = replace(pair.store._state.clockwork, record_no=0)
    with pytest.raises(ConflictError, match="try again"):
        pair.store.write(_batch(2))
    pair.save(3)
    pair.check()


def test_place_of_somebody_else(pair: Pair) -> None:
    """The same for the numbers of places."""
    pair.save(1)
    pair.store._state.clockwork = replace(pair.store._state.clockwork, schema_id=0)
    with pytest.raises(ConflictError, match="Constraint"):
        pair.store.write(_batch(2))
    pair.save(3)
    pair.check()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no timers here")
@pytest.mark.parametrize("seed", range(3))
def test_interrupts_by_the_clock(pair: Pair, seed: int) -> None:
    """Hundreds of saves interrupted at random by a real timer: nothing that was acknowledged is lost."""
    chance = random.Random(seed)
    armed = False

    def interrupt(*details: object) -> None:
        nonlocal armed
        if armed:
            armed = False
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    interrupts = 0
    try:
        for number in range(400):
            try:
                armed = True
                signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.0005, 0.03))
                pair.save(number)
                armed = False
            except KeyboardInterrupt:
                interrupts += 1
                pair.settle()
            armed = False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert interrupts > 20
    pair.check()
