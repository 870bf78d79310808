"""What flows takes bounded memory however much it is, and nobody waits for somebody who reads slowly."""

from __future__ import annotations

import socket
import sys
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.net.alone import Alone, alone

import scidb
from scidb import BaseVariable
from scidb.store.model import Latest, Match
from scidbnet.wire.messages import FETCHED
from scidbnet.wire.plain import to_text

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how much memory a process has"),
]

MIB = 2**20
WINDOW = 64 * MIB
"""How much of an answer a store reads at once."""
DUCK = 200_000_000
READERS = 45
"""More than the threads of the pool, which are 40."""


class StreamedArray(BaseVariable):
    """An array of 8 MiB."""


def array(number: int) -> Any:
    return np.random.default_rng(number).random(MIB)


def filled(file: Path, count: int) -> Path:
    with scidb.open(file, {"subject": int}) as db:
        for number in range(count):
            StreamedArray.save(array(number), subject=number, db=db)
    return file


def test_a_gigabyte_flows_out_in_bounded_memory(tmp_path: Path) -> None:
    """load_all of 1 GiB: the server, its DuckDB apart, takes less than 2.5 windows."""
    count = 128
    with alone(filled(tmp_path / "study.duckdb", count), f"{DUCK}B") as server, scidb.open(server.address) as db:
        StreamedArray.load(subject=0, db=db)
        with server.watched() as memory:
            seen = 0
            for one in StreamedArray.load_all(db=db):
                assert one.data[-1] == array(one.metadata["subject"])[-1]
                seen += 1

    assert seen == count
    assert memory[1] - memory[0] < DUCK + 2.5 * WINDOW


def test_a_gigabyte_flows_in_in_bounded_memory(tmp_path: Path) -> None:
    """1 GiB in one write: its body waits in a file, and no more than a part of its values is in memory at once."""
    count = 128
    with alone(tmp_path / "study.duckdb", f"{DUCK}B") as server, scidb.open(server.address) as db:
        StreamedArray.save(array(0), subject=-1, db=db)
        with server.watched() as memory:
            StreamedArray.save_many([(array(number), {"subject": number}) for number in range(count)], db=db)

        assert len(list(db.load_all(StreamedArray, subject=[5, 127]))) == 2
    assert memory[1] - memory[0] < DUCK + 2.5 * WINDOW


def test_nobody_waits_for_who_reads_slowly(tmp_path: Path) -> None:
    """More readers than threads of the pool ask for much and read nothing; others save and load meanwhile (N7)."""
    file = filled(tmp_path / "study.duckdb", 2)
    with alone(file, f"{DUCK}B") as server, scidb.open(server.address) as db, ExitStack() as readers:
        StreamedArray.save(np.zeros(3), subject=-1, db=db)
        usual = saved_in(db, 100)
        for _ in range(READERS):
            readers.enter_context(closing(slow_reader(server)))

        assert saved_in(db, 200) < 20 * usual + 2
        assert len(list(db.load_all(StreamedArray, subject=[100, 200]))) == 2


def saved_in(db: Any, first: int) -> float:
    started = time.monotonic()
    for number in range(first, first + 10):
        StreamedArray.save(np.full(3, float(number)), subject=number, db=db)
    return time.monotonic() - started


def slow_reader(server: Alone) -> socket.socket:
    """Ask for everything, and read no more than that an answer begins."""
    body = to_text(FETCHED.write(Latest(Match(variables=("StreamedArray",)))))
    head = f"POST /api/v1/store/fetch HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\n"
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
    connection.sendall(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
    assert connection.recv(12) == b"HTTP/1.1 200"
    return connection
