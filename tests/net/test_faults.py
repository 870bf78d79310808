"""Whatever breaks, nobody is told what is not so: what was acknowledged is there, what was cut raises."""

from __future__ import annotations

import contextlib
import random
import socket
import subprocess
import threading
import time
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from tests.net.alone import Alone, alone
from tests.net.serving import serve

import scidb
from scidb import BaseVariable
from scidb.database import DatabaseManager
from scidb.exceptions import NetworkError, NotFoundError, SciDBError, SerializationError, StorageError
from scidb.store.model import Match, Records, SchemaKey
from scidbnet.client import HttpStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from urllib.parse import SplitResult

KEYS = [SchemaKey("subject", "int")]


class FaultyNumber(BaseVariable):
    """A number, or an array of them."""


class Cutting:
    """A way to a server that is cut after so many bytes in one direction, every time or so many times."""

    def __init__(self, to: SplitResult, *, after: int, upwards: bool, times: int = 1_000) -> None:
        self._to, self._after, self._upwards = to, after, upwards
        self.left = times
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}{to.path}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection((self._to.hostname or "", self._to.port or 0))
            for source, target, upwards in ((near, far, True), (far, near, False)):
                threading.Thread(target=self._pump, args=(source, target, upwards), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, upwards: bool) -> None:
        passed = 0
        with source, target, contextlib.suppress(OSError):
            while data := source.recv(65536):
                if upwards == self._upwards and self.left and passed + len(data) > self._after:
                    self.left -= 1
                    target.sendall(data[: max(0, self._after - passed)])
                    break
                target.sendall(data)
                passed += len(data)
            for end in (source, target):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def address() -> str:
    return serve(KEYS)


@pytest.fixture
def direct(address: str) -> Iterator[DatabaseManager]:
    with scidb.open(address) as db:
        db.register(FaultyNumber)
        yield db


@contextlib.contextmanager
def cut(address: str, *, after: int, upwards: bool, times: int = 1_000) -> Iterator[tuple[Cutting, DatabaseManager]]:
    """Give a database behind a way that is cut; who finds it cut every time gives up soon."""
    way = Cutting(urlsplit(address), after=after, upwards=upwards, times=times)
    try:
        with DatabaseManager(HttpStore(way.address, retry_for=0.2 if times > 1 else 30)) as db:
            yield way, db
    finally:
        way.close()


# ------------------------------------------------------------------ cuts


@pytest.mark.parametrize("after", [20_000, 300_000, 3_000_000])
def test_a_load_that_is_cut_raises(address: str, direct: DatabaseManager, after: int) -> None:
    """Of a long answer that breaks off, nobody gets less than all without an error."""
    FaultyNumber.save(np.arange(500_000.0), subject=1, db=direct)
    with cut(address, after=after, upwards=False) as (_, db), pytest.raises((NetworkError, SerializationError)):
        list(db.load_all(FaultyNumber))

    assert FaultyNumber.load(subject=1, db=direct).data[-1] == 499_999.0


@pytest.mark.parametrize("after", [20_000, 3_000_000])
def test_a_save_that_is_cut_leaves_nothing(address: str, direct: DatabaseManager, after: int) -> None:
    """A save whose body never comes to its end raises, and nothing of it is there."""
    with cut(address, after=after, upwards=True) as (_, db), pytest.raises(NetworkError):
        FaultyNumber.save(np.arange(500_000.0), subject=1, db=db)

    with pytest.raises(NotFoundError):
        FaultyNumber.load(subject=1, db=direct)


@pytest.mark.parametrize("upwards", [True, False])
def test_a_save_that_was_cut_once_is_stored_once(address: str, direct: DatabaseManager, upwards: bool) -> None:
    """Cut in the request or in its answer, a save is sent again, and stored once (N6)."""
    with cut(address, after=20_000 if upwards else 0, upwards=upwards, times=1) as (way, db):
        FaultyNumber.save(np.arange(50_000.0), subject=1, db=db)

        assert way.left == 0
    assert len(direct.list_versions(FaultyNumber, subject=1)) == 1


# ------------------------------------------------------------------ the end of a server


@pytest.mark.slow
def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    """Killed amid writes and started again: acknowledged ones are there, the others whole or absent."""
    file, each = tmp_path / "study.duckdb", 20
    chance = random.Random(3)
    told: set[int] = set()
    begun = 0
    server = Alone(file)
    port = server.port
    for _ in range(5):
        stop = threading.Event()

        def write(address: str = server.address, stop: threading.Event = stop) -> None:
            nonlocal begun
            with DatabaseManager(HttpStore(address, retry_for=0)) as db, contextlib.suppress(SciDBError):
                while not stop.is_set():
                    batch, begun = begun, begun + 1
                    many = [(float(n), {"subject": batch * each + n}) for n in range(each)]
                    FaultyNumber.save_many(many, db=db)
                    told.add(batch)

        writer = threading.Thread(target=write)
        writer.start()
        time.sleep(chance.uniform(0.5, 2))
        server.kill()
        stop.set()
        writer.join()
        server = Alone(file, port)
    try:
        with scidb.open(server.address) as db:
            there = Counter(one.metadata["subject"] // each for one in db.load_all(FaultyNumber))
    finally:
        server.kill()

    assert len(told) > 5
    assert told <= there.keys()
    assert set(there.values()) == {each}


# ------------------------------------------------------------------ a full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 64 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.slow
def test_a_full_disk_is_said_and_got_over(small_disk: Path) -> None:
    """Without room, a save raises StorageError (507) and nothing of it stays; with room again, the server goes on."""
    ballast = small_disk / "ballast"
    with alone(small_disk / "study.duckdb") as server, scidb.open(server.address) as db:
        FaultyNumber.save(0.5, subject=0, db=db)
        ballast.write_bytes(bytes(40 * 2**20))
        large = np.random.default_rng(0).random(5_000_000)
        with pytest.raises(StorageError):
            FaultyNumber.save(large, subject=1, db=db)

        assert FaultyNumber.load(subject=0, db=db).data == 0.5
        ballast.unlink()
        FaultyNumber.save(large[:1_000_000], subject=2, db=db)
        assert [one.metadata["subject"] for one in db.load_all(FaultyNumber)] == [0, 2]


# ------------------------------------------------------------------ many clients


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_nothing_is_lost_or_doubled_among_many(tmp_path: Path) -> None:
    """50 clients, 200 mixed calls each: what is there in the end is what each was told."""
    clients, calls = 50, 200
    told: list[tuple[int, set[float]]] = []
    failed: list[str] = []
    with alone(tmp_path / "study.duckdb") as server:
        with scidb.open(server.address) as db:
            db.register(FaultyNumber)

        def work(number: int) -> None:
            try:
                with scidb.open(server.address) as db:
                    told.append((number, mixed(db, number, calls)))
            except (SciDBError, AssertionError) as error:
                failed.append(f"client {number}: {error!r}")

        threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert not failed
        with closing(HttpStore(server.address)) as store:
            entries = store.find(Records(Match(variables=("FaultyNumber",))))
        with scidb.open(server.address) as db:
            there = Counter((one.metadata["subject"], one.data) for one in db.load_all(FaultyNumber))
    expected = {(number, value) for number, values in told for value in values}
    assert len(told) == clients
    assert there == Counter(expected)
    assert len(entries) == len(expected)


def mixed(db: Any, client: int, calls: int) -> set[float]:
    """Save one and several, load the latest and all; return every value that was said to be saved."""
    chance = random.Random(client)
    saved: list[float] = []
    for call in range(calls):
        match chance.choice(["save", "save", "save_many", "load", "load_all"]):
            case "save":
                FaultyNumber.save(float(call), subject=client, take=call * 10, db=db)
                saved.append(float(call))
            case "save_many":
                many = [(call + n / 10, {"subject": client, "take": call * 10 + n}) for n in range(1, 4)]
                FaultyNumber.save_many(many, db=db)
                saved += [value for value, _ in many]
            case "load" if saved:
                found = {one.data for one in db.load_all(FaultyNumber, subject=client)}
                assert saved[-1] in found
            case "load_all":
                found = {one.data for one in db.load_all(FaultyNumber, subject=client)}
                assert found == set(saved)
    return set(saved)
