"""Backups over HTTP: consistent while others write, for admins alone, and only what is new crosses."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from typing import TYPE_CHECKING, Any, cast

import httpx
import numpy as np
import pytest
from tests.net.inprocess import Client
from tests.net.serving import serve

import scidb
from scidb import BaseVariable
from scidb.exceptions import (
    NetworkError,
    PermissionDeniedError,
    SerializationError,
    StorageError,
    UnsupportedOperationError,
)
from scidb.maintenance.backups import restore
from scidb.store import open_store
from scidb.store.memory import MemoryStore
from scidb.store.model import BackedUp, Backups, Batch, Piece, SchemaKey, Snapshot
from scidbnet.auth import TokenFile
from scidbnet.server.app import store_app
from scidbnet.server.exchange.streams import answer_flowing
from scidbnet.wire import snapshots as wire
from scidbnet.wire.framing import Parts, end, part
from scidbnet.wire.snapshots import digests_from, digests_to, snapshot_from, snapshot_parts
from scidbnet.wire.versions import PREFIX

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from scidb.store import Snapshots


KEYS = [SchemaKey("subject", "int")]


class Force(BaseVariable): ...


@pytest.fixture
def address(tmp_path: Path) -> str:
    address = serve(KEYS, str(tmp_path / "served.duckdb"))
    with scidb.open(address) as db:
        _save(db, range(10))
    return address


def _save(db: scidb.DatabaseManager, subjects: Any) -> None:
    values = [(np.random.default_rng(subject).normal(size=5_000), {"subject": subject}) for subject in subjects]
    Force.save_many(values, db=db)


def _subjects(path: Path | str) -> list[object]:
    with scidb.open(path, read_only=True) as db:
        for one in Force.load_all(db=db):
            assert np.array_equal(one.data, np.random.default_rng(int(str(one.schema["subject"]))).normal(size=5_000))
        return [one.schema["subject"] for one in Force.load_all(db=db)]


def test_only_what_is_new_crosses(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A served database is backed up to the caller's disk; the second time, little more than what changed is sent."""
    sent: list[int] = []
    parts_of = wire._pieces

    def counted(parts: Iterator[Any]) -> Generator[Piece, None, None]:
        def count() -> Iterator[Any]:
            for one in parts:
                sent.append(len(one.body))
                yield one

        return parts_of(count())

    monkeypatch.setattr(wire, "_pieces", counted)
    with scidb.open(address) as db:
        first = db.admin.backup(tmp_path / "backups")
        assert first.is_verified
        whole = sum(sent)
        sent.clear()
        _save(db, [50])
        second = db.admin.backup(tmp_path / "backups")
        assert (whole, sum(sent)) > (first.nbytes - 1, 0)
        assert sum(sent) < whole / 3
        noted = db._store.find(Backups())
        assert [one.path.partition(":")[2] for one in noted] == [str(tmp_path / "backups")] * 2
        assert noted[1].written == second.written
    assert _subjects(restore(tmp_path / "backups", tmp_path / "old.duckdb", at=first.taken).path) == list(range(10))
    assert _subjects(restore(tmp_path / "backups", tmp_path / "new.duckdb").path) == [*range(10), 50]


def test_one_instant_while_others_write(address: str, tmp_path: Path) -> None:
    """While another client saves, what is backed up is the database at one instant, and the other waits for nothing."""
    done = threading.Event()
    with scidb.open(address) as other, scidb.open(address) as db:

        def save() -> None:
            for number in range(100, 1000):
                if done.is_set():
                    return
                _save(other, [number])

        saving = threading.Thread(target=save)
        saving.start()
        try:
            made = [db.admin.backup(tmp_path / "backups", verify=False) for _ in range(3)]
        finally:
            done.set()
            saving.join()
        for number, one in enumerate(made):
            path = restore(tmp_path / "backups", tmp_path / f"{number}.duckdb", at=one.taken).path
            until = [record.schema["subject"] for record in Force.load_all(db=db, as_of=one.taken)]
            assert _subjects(path) == until


def test_for_admins_alone(tmp_path: Path) -> None:
    """Who may only read or write gets no copy of everything, and notes none."""
    path = tmp_path / "served.duckdb"
    open_store(path, KEYS).close()
    tokens = TokenFile.beside(path)
    made = {role: tokens.create(role, role, "1d").token for role in ("reader", "writer", "admin")}
    address = serve(KEYS, str(path), tokens=tmp_path / "served.duckdb.tokens")
    for role in ("reader", "writer"):
        with scidb.open(address, token=made[role]) as db:
            with pytest.raises(PermissionDeniedError, match="takes the role admin"):
                db.admin.backup(tmp_path / "backups")
            with pytest.raises((PermissionDeniedError, StorageError)):
                db._store.write(Batch(events=(BackedUp("x", 1, 1),)))
    with scidb.open(address, token=made["admin"]) as db:
        db.admin.backup(tmp_path / "backups")
        assert [one.user_id for one in db._store.find(Backups())] == ["admin"]
    held = b"".join(one.read_bytes() for one in (tmp_path / "backups").rglob("*") if one.is_file())
    assert not any(token.encode() in held for token in made.values())


def test_a_server_without_a_file(tmp_path: Path) -> None:
    """What serves no file says so, and no folder is made."""
    with scidb.open(serve(KEYS)) as db:
        with pytest.raises(UnsupportedOperationError, match="cannot be backed up"):
            db.admin.backup(tmp_path / "backups")
        with pytest.raises(UnsupportedOperationError, match="cannot be backed up"):
            cast("Snapshots", db._store).snapshot()
    assert not (tmp_path / "backups").exists()


def test_what_is_no_list_of_digests() -> None:
    """A body that holds no digests is refused."""
    with pytest.raises(SerializationError, match="31 bytes"):
        digests_from(b"x" * 31)
    known = [hashlib.sha256(bytes([number])).hexdigest() for number in range(3)]
    assert digests_from(memoryview(digests_to(known))) == frozenset(known)
    headers = {"Content-Type": wire.KNOWN_TYPE}
    answer = Client(store_app(MemoryStore(KEYS))).post(f"{PREFIX}/ability/snapshot", content=b"x" * 31, headers=headers)
    assert answer.status_code == httpx.codes.BAD_REQUEST


# ------------------------------------------------------------------ the stream


def _snapshot(*pieces: Piece) -> Snapshot:
    def flow() -> Generator[Piece, None, None]:
        yield from pieces

    return Snapshot("x", "2026", "o", 3, "1.5", 10, {"t": 1}, flow())


def _sent(snapshot: Snapshot) -> bytes:
    parts = [b"".join(one) for one in snapshot_parts(snapshot)]
    return b"".join([*parts, b"".join(end(len(parts)))])


def test_there_and_back() -> None:
    """What a store gives is what a client gets, in however many parts."""
    pieces = [
        Piece("database", hashlib.sha256(bytes([n]) * 300_000).hexdigest(), 300_000, bytes([n]) * 300_000)
        if n % 3
        else Piece("log", hashlib.sha256(bytes([n])).hexdigest(), 1)
        for n in range(200)
    ]
    found = snapshot_from(Parts([_sent(_snapshot(*pieces))]))
    assert found == _snapshot()
    came = list(found.pieces)
    assert [(one.part, one.digest, one.nbytes) for one in came] == [
        (one.part, one.digest, one.nbytes) for one in pieces
    ]
    assert [None if one.data is None else bytes(one.data) for one in came] == [one.data for one in pieces]


def test_what_was_changed_or_cut_on_its_way() -> None:
    """A block with another digest, a stream that is cut, and what is no snapshot are refused."""
    sent = _sent(_snapshot(Piece("database", hashlib.sha256(b"abc").hexdigest(), 3, b"abc")))
    with pytest.raises(SerializationError, match="was changed on its way"):
        list(snapshot_from(Parts([sent.replace(b"abc", b"abd")])).pieces)
    with pytest.raises(SerializationError, match="cut"):
        list(snapshot_from(Parts([sent[:-10]])).pieces)
    for wrong in (part({"kind": "chunk"}), part({"kind": "snapshot", "much": 1})):
        with pytest.raises(SerializationError, match="no snapshot"):
            snapshot_from(Parts([b"".join([*wrong, *end(1)])]))
    odd = [*part({"kind": "snapshot", "target": "x", "taken": "", "origin": None, "format_version": 3})]
    with pytest.raises(SerializationError, match="no snapshot"):
        snapshot_from(Parts([b"".join([*odd, *end(1)])]))


def _flowing(closed: list[str]) -> Iterator[list[bytes]]:
    try:
        for _ in range(5):
            yield [b"x" * 10]
    finally:
        closed.append("closed")


def test_nothing_is_held_for_whoever_went_away() -> None:
    """When a client goes away in the middle, what was held for it is let go of."""
    closed: list[str] = []

    async def leave() -> None:
        answer: Any = await answer_flowing(lambda: _flowing(closed), {}, held_back=1)  # type: ignore[arg-type, return-value]
        stream = answer.body_iterator
        await anext(stream)
        assert not closed
        await stream.aclose()

    asyncio.run(leave())
    assert closed == ["closed"]


def test_nothing_is_held_for_whoever_takes_nothing() -> None:
    """A client that takes nothing for too long gets a stream that is cut, and what was held is let go of."""
    closed: list[str] = []

    async def stall() -> list[bytes]:
        answer: Any = await answer_flowing(lambda: _flowing(closed), {}, held_back=1, patience=0.05)  # type: ignore[arg-type, return-value]
        stream = answer.body_iterator
        came = [await anext(stream)]
        await asyncio.sleep(0.3)
        assert closed == ["closed"]
        return [*came, *[bytes(one) async for one in stream]]

    came = asyncio.run(stall())
    assert len(came) == 1


def test_a_server_that_goes_away(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backup whose stream breaks is no backup; the next one goes on from what came."""
    pieces = wire._pieces

    def broken(parts: Iterator[Any]) -> Generator[Piece, None, None]:
        for number, piece in enumerate(pieces(parts)):
            if number == 5:
                raise NetworkError("The connection broke.")
            yield piece

    with scidb.open(address) as db:
        with monkeypatch.context() as patch:
            patch.setattr(wire, "_pieces", broken)
            with pytest.raises(NetworkError):
                db.admin.backup(tmp_path / "backups")
        assert not list((tmp_path / "backups" / "snapshots").iterdir())
        db.admin.backup(tmp_path / "backups")
    assert _subjects(restore(tmp_path / "backups", tmp_path / "new.duckdb").path) == list(range(10))
