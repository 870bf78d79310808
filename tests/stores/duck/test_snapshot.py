"""A snapshot of a DuckDB file: one instant of it, while others write, and nobody waits."""

from __future__ import annotations

import gc
import hashlib
import os
import subprocess
import sys
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from scidb.exceptions import ConflictError, StorageError, UnsupportedOperationError
from scidb.store import Snapshots
from scidb.store.duck import DuckStore
from scidb.store.duck import connection as connections
from scidb.store.duck.copied import look_at
from scidb.store.memory import MemoryStore
from scidb.store.model import BackedUp, Backups, Batch, Chunk, Latest, Record, SchemaKey, TypeInfo
from scidb.store.wrap import ReadOnly

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from scidb.store.model import Piece

KEYS = (SchemaKey("subject", "int"),)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DuckStore]:
    """Return a store whose file DuckDB puts in order after every few writes."""
    monkeypatch.setitem(connections._SETTINGS, "checkpoint_threshold", "1MB")
    with closing(DuckStore.open(tmp_path / "study.duckdb", KEYS)) as store:
        store.register(TypeInfo("Force"))
        yield store


def _save(store: DuckStore, subject: int, rows: int = 20_000) -> None:
    values = np.random.default_rng(subject).normal(size=rows)
    digest = hashlib.sha256(values.tobytes()).hexdigest()
    record = Record(digest, "Force", {"subject": subject}, "{}", digest, 1, "{}", 8 * rows)
    store.write(Batch(chunks=(Chunk((record,), pa.table({"value": pa.array([values])})),)))


def _values(store: DuckStore) -> dict[object, str]:
    """Return a digest of each subject's value."""
    return {
        record.schema["subject"]: hashlib.sha256(row.values.to_numpy().tobytes()).hexdigest()
        for chunk in store.fetch(Latest())
        if chunk.table is not None
        for record, row in zip(chunk.records, chunk.table.column(0), strict=True)
    }


def _put_together(pieces: Iterable[Piece], path: Path) -> Path:
    parts: dict[str, list[bytes]] = {"database": [], "log": []}
    for piece in pieces:
        assert piece.data is not None
        assert hashlib.sha256(piece.data).hexdigest() == piece.digest
        parts[piece.part].append(bytes(piece.data))
    path.write_bytes(b"".join(parts["database"]))
    if parts["log"]:
        path.with_name(f"{path.name}.wal").write_bytes(b"".join(parts["log"]))
    return path


def test_one_instant_whatever_is_written_meanwhile(store: DuckStore, tmp_path: Path) -> None:
    """What is read piece by piece while others save is the database as it was at first, to the last value."""
    for subject in range(8):
        _save(store, subject)
    before = _values(store)
    snapshot = store.snapshot()
    pieces = []
    for number, piece in enumerate(snapshot.pieces):
        pieces.append(piece)
        if number < 12:
            _save(store, 100 + number)
            assert len(store.find(Latest())) == 8 + number + 1  # nor does a reader wait
    path = _put_together(pieces, tmp_path / "copy.duckdb")
    assert sum(piece.nbytes for piece in pieces) == snapshot.nbytes
    assert look_at(path).counts == snapshot.counts
    with closing(DuckStore.open(path, read_only=True)) as copy:
        assert _values(copy) == before
    assert len(store.find(Latest())) == 20


def test_what_only_the_log_has(store: DuckStore, tmp_path: Path) -> None:
    """What DuckDB has in its log alone is in a snapshot, and in the one file that becomes of it."""
    _save(store, 1, rows=10)
    snapshot = store.snapshot()
    pieces = list(snapshot.pieces)
    assert {piece.part for piece in pieces} == {"database", "log"}
    path = _put_together(pieces, tmp_path / "copy.duckdb")
    assert look_at(path).counts["Force_data"] == 10
    assert not path.with_name("copy.duckdb.wal").exists()


def test_known_pieces_come_without_their_bytes(store: DuckStore) -> None:
    """Of what somebody has already, only the digest comes; a small change touches few pieces."""
    for subject in range(10):
        _save(store, subject)
    first = {piece.digest for piece in store.snapshot().pieces}
    again = list(store.snapshot(first).pieces)
    assert [piece for piece in again if piece.data is not None] == []
    _save(store, 99, rows=5)
    changed = [piece for piece in store.snapshot(first).pieces if piece.data is not None]
    assert 0 < len(changed) < len(again) / 3


def test_writers_wait_for_nothing(store: DuckStore) -> None:
    """While somebody reads a snapshot as slowly as he likes, writes take as long as ever."""
    _save(store, 0)
    snapshot = store.snapshot()
    next(snapshot.pieces)
    thread = threading.Thread(target=_save, args=(store, 1), daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    assert len(store.find(Latest())) == 2
    snapshot.pieces.close()


def test_nothing_is_held_for_whoever_went_away(store: DuckStore) -> None:
    """A snapshot that is thrown away unread, or closed in the middle, lets DuckDB put the file in order again."""
    snapshot = store.snapshot()
    with pytest.raises(ConflictError, match="CHECKPOINT"):
        store._connection.execute("CHECKPOINT")
    [held] = store._connection.holding._held  # kept here, so that it is not thrown away by itself
    next(snapshot.pieces)
    snapshot.pieces.close()
    store._connection.execute("CHECKPOINT")
    assert held.is_closed
    snapshot = store.snapshot()
    del snapshot
    gc.collect()
    store._connection.execute("CHECKPOINT")


def test_a_file_that_is_closed_meanwhile_is_no_snapshot(store: DuckStore) -> None:
    """Closing puts the file in order; what was read until then is refused rather than mixed with it."""
    _save(store, 1)
    snapshot = store.snapshot()
    next(snapshot.pieces)
    store.close()
    with pytest.raises(ConflictError, match="make it again"):
        list(snapshot.pieces)
    with pytest.raises(StorageError, match="is closed"):
        store.snapshot()


def test_a_file_that_was_rewritten_meanwhile_is_no_snapshot(store: DuckStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should DuckDB put the file in order all the same, that shows at the end."""
    monkeypatch.setattr("scidb.store.duck.held._HOLD", "SELECT 1 FROM _format")
    _save(store, 1)
    snapshot = store.snapshot()
    _save(store, 2)
    store._connection.execute("CHECKPOINT")
    with pytest.raises(ConflictError, match="rewritten"):
        list(snapshot.pieces)


def test_the_file_stays_locked(store: DuckStore) -> None:
    """Reading the file beside DuckDB does not open it to other processes, which closing any descriptor of it would."""
    list(store.snapshot().pieces)
    gc.collect()
    code = "import duckdb, sys; duckdb.connect(sys.argv[1])"
    other = subprocess.run(
        [sys.executable, "-c", code, str(store._connection.path)], capture_output=True, text=True, check=False
    )
    assert "Could not set lock" in other.stderr


def test_a_file_in_the_place_of_another(store: DuckStore, tmp_path: Path) -> None:
    """When another file has taken the place of this one, as after it was written anew, that is the one that is read."""
    holding = store._connection.holding
    store.snapshot().pieces.close()
    old = holding._file
    path = store._connection.path
    (tmp_path / "new").write_bytes(path.read_bytes())
    (tmp_path / "new").replace(path)
    store.snapshot().pieces.close()
    assert old is not None
    assert holding._file is not None
    assert os.fstat(holding._file).st_ino == path.stat().st_ino


def test_read_only(store: DuckStore, tmp_path: Path) -> None:
    """A file that is open read-only has snapshots, too, with what lies in its log."""
    _save(store, 1, rows=10)
    pieces = list(store.snapshot().pieces)
    path = _put_together(pieces, tmp_path / "other.duckdb")
    with closing(DuckStore.open(path, read_only=True)) as other:
        snapshot = ReadOnly(other).snapshot()
        assert {piece.digest for piece in snapshot.pieces} == {piece.digest for piece in pieces}
        assert snapshot.counts["_record_metadata"] == 1


def test_what_a_snapshot_says_of_itself(store: DuckStore) -> None:
    """It knows when it was taken, of which database, and what must be in it."""
    empty = store.snapshot()
    empty.pieces.close()
    assert (empty.origin, empty.counts["_records"]) == (None, 0)
    _save(store, 1)
    [one] = store.find(Latest())
    first, second = store.snapshot(), store.snapshot()
    for snapshot in (first, second):
        snapshot.pieces.close()
    assert one.timestamp < first.taken < second.taken
    assert first.origin == second.origin is not None
    assert (first.counts["_records"], first.format_version) == (1, store.describe().format_version)


def test_stores_that_are_no_files(store: DuckStore) -> None:
    """The ability is named where it is; a store without it says so."""
    assert "snapshots" in store.describe().abilities
    assert isinstance(store, Snapshots)
    assert not isinstance(MemoryStore(KEYS), Snapshots)
    with pytest.raises(UnsupportedOperationError, match="cannot be backed up") as refused:
        ReadOnly(MemoryStore(KEYS)).snapshot()
    assert refused.value.details["ability"] == "snapshots"


def test_backups_are_noted(store: DuckStore, tmp_path: Path) -> None:
    """What is noted of backups comes back in the order of making, also from the file."""
    for held in (store, MemoryStore(KEYS)):
        held.write(Batch(events=(BackedUp("/b", 10, 9, "me"), BackedUp("/c", 10, 1))))
        held.write(Batch(events=(BackedUp("/a", 11, 1),)))
        found = held.find(Backups())
        assert [(one.path, one.nbytes, one.written, one.user_id) for one in found] == [
            ("/b", 10, 9, "me"),
            ("/c", 10, 1, None),
            ("/a", 11, 1, None),
        ]
        assert found[0].timestamp == found[1].timestamp < found[2].timestamp
    store.close()
    with closing(DuckStore.open(tmp_path / "study.duckdb")) as again:
        assert len(again.find(Backups())) == 3


@pytest.mark.slow
def test_hard_under_load(store: DuckStore, tmp_path: Path) -> None:
    """Eight snapshots, while three threads save as quickly as they can, are each the database at their instant."""
    done = threading.Event()
    numbers = iter(range(10**6))

    def save() -> None:
        while not done.is_set():
            _save(store, next(numbers), rows=3000)

    threads = [threading.Thread(target=save) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(8):
            time.sleep(0.05)
            snapshot = store.snapshot()
            path = _put_together(snapshot.pieces, tmp_path / f"copy-{number}.duckdb")
            assert look_at(path).counts == snapshot.counts
            with closing(DuckStore.open(path, read_only=True)) as copy:
                found = copy.find(Latest())
                assert len(found) == snapshot.counts["_record_metadata"]
                assert {record.schema["subject"]: record.record_id for record in found} == _values(copy)
                assert max(record.timestamp for record in found) <= snapshot.taken
    finally:
        done.set()
        for thread in threads:
            thread.join()
