"""The program: it starts or says why not, serves, and stops without losing anything. Real processes, and few."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import scidb
from scidb.exceptions import SciDBError
from scidb.store import open_store
from scidb.store.model import Batch, Latest, SchemaKey, Tagged, Tags
from scidbnet.client import HttpStore
from scidbnet.server.program import main as program
from scidbnet.server.program import process
from scidbnet.wire.batches import batch_bytes
from scidbnet.wire.framing import PARTS_TYPE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PREFIX = "/api/v1"
BODY = b"".join(batch_bytes(Batch(events=(Tagged("submitted"),))))


class Long(scidb.BaseVariable):
    pass


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "study.duckdb"
    open_store(found, [SchemaKey("subject", "int")]).close()
    return found


class Running:
    """A server process and what it has said."""

    def __init__(self, *arguments: str) -> None:
        code = "import sys; from scidb.cli import main; sys.argv[0] = 'scidb'; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, "serve", *arguments, "--port", "0", "--log-json"],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        self.lines: list[dict[str, Any]] = []
        for line in self.process.stderr:
            self.lines.append(json.loads(line))
            if "Serving" in self.lines[-1].get("message", ""):
                break
        self.host = self.lines[-1]["message"].split("//")[1].split()[0]

    def get(self, path: str) -> tuple[int, Any, http.client.HTTPResponse]:
        with closing(http.client.HTTPConnection(self.host, timeout=20)) as connection:
            connection.request("GET", f"{PREFIX}{path}")
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read()), answer

    def begin_write(self) -> http.client.HTTPConnection:
        """Send all of a write but for its last byte."""
        connection = http.client.HTTPConnection(self.host, timeout=20)
        connection.putrequest("POST", f"{PREFIX}/store/write")
        connection.putheader("Idempotency-Key", "one")
        connection.putheader("Content-Type", PARTS_TYPE)
        connection.putheader("Content-Length", str(len(BODY)))
        connection.endheaders(BODY[:-1])
        return connection

    def tell(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def until_ready_says(self, status: int) -> None:
        deadline = time.monotonic() + 20
        while self.get("/ready")[0] != status:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def wait(self) -> int:
        assert self.process.stderr is not None
        self.lines += [json.loads(line) for line in self.process.stderr]
        return self.process.wait(20)


@contextlib.contextmanager
def running(*arguments: str) -> Iterator[Running]:
    server = Running(*arguments)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()
        assert server.process.stderr is not None
        server.process.stderr.close()


def tags(path: Path) -> list[str]:
    with closing(open_store(path, lock_timeout=0)) as store:
        return [tag.name for tag in store.find(Tags())]


@pytest.mark.slow
def test_told_to_stop_it_finishes_what_runs(path: Path) -> None:
    """SIGTERM in a write: it is finished and kept, others hear 503 and when to come back, and the lock is gone."""
    with running(str(path)) as server:
        assert server.get("/ready")[0] == 200
        # Whoever else wants the file hears who has it.
        with pytest.raises(SciDBError, match=f"in use by process {server.process.pid} "):
            open_store(path, lock_timeout=0)

        write = server.begin_write()
        time.sleep(0.2)  # the server must have begun to read it
        server.tell(signal.SIGTERM)
        server.until_ready_says(503)
        time.sleep(0.5)  # a server that did not wait would be gone
        status, error, answer = server.get("/store/types")
        assert (status, error["code"], answer.headers["Retry-After"]) == (503, "stopping", "5")
        assert server.get("/health")[0] == 200

        write.send(BODY[-1:])
        assert write.getresponse().status == 200
        write.close()

        assert server.wait() == 0
        assert server.lines[-1]["message"] == "Stopped; the database is closed."
        assert all({"time", "level", "logger"} <= line.keys() for line in server.lines)
        audited = [line for line in server.lines if line["logger"] == "scidb.audit"]
        [written] = [line for line in audited if line["path"] == f"{PREFIX}/store/write"]
        assert {**written, "time": 0, "milliseconds": 0, "bytes_out": 0} == {
            **dict.fromkeys(("time", "milliseconds", "bytes_out"), 0),
            "level": "INFO",
            "logger": "scidb.audit",
            "user": "",
            "verified": False,
            "role": "admin",
            "token_id": None,
            "remote": "127.0.0.1",
            "method": "POST",
            "path": f"{PREFIX}/store/write",
            "status": 200,
            "whole": True,
            "bytes_in": len(BODY),
        }
        assert [line["status"] for line in audited if line["path"] == f"{PREFIX}/store/types"] == [503]
    assert tags(path) == ["submitted"]
    assert not path.with_name("study.duckdb.lock").exists()


@pytest.mark.slow
def test_told_twice_it_cuts_off_what_runs(path: Path) -> None:
    """A second Ctrl-C does not wait for a client that never ends its request; the file is whole all the same."""
    with running(str(path), "--shutdown-timeout", "600") as server:
        write = server.begin_write()
        time.sleep(0.2)
        server.tell(signal.SIGINT)
        server.until_ready_says(503)
        server.tell(signal.SIGINT)

        assert server.wait() == 0
        assert any("Cutting off 1" in line.get("message", "") for line in server.lines)
        write.close()
    assert tags(path) == []
    assert not path.with_name("study.duckdb.lock").exists()


@pytest.mark.slow
def test_a_stream_flows_to_its_end(path: Path) -> None:
    """SIGTERM while somebody reads slowly: the stream still comes whole, and then the server is gone."""
    values = np.arange(4_000_000.0)
    with running(str(path)) as server:
        with scidb.open(f"http://{server.host}") as database:
            Long.save(values, db=database, subject=1)
        with closing(HttpStore(f"http://{server.host}")) as store:
            chunks = store.fetch(Latest())
            server.tell(signal.SIGTERM)
            time.sleep(3)
            [chunk] = chunks
            assert chunk.table is not None
            assert chunk.table.nbytes >= values.nbytes
        assert server.wait() == 0


# ---------------------------------------------------------------- starts that fail


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the loggers of the tests as they are."""
    monkeypatch.setattr(process, "configure_logging", lambda **_: None)


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    with pytest.raises(SystemExit) as ended:
        program.main([str(one) for one in arguments])
    assert ended.value.code == 1
    return capsys.readouterr().err


@pytest.mark.usefixtures("quiet")
def test_a_port_in_use_is_said_before_the_file_is_opened(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever has the port is asked about, in one line, and the file is not touched."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        said = refused(capsys, path, "--port", other.getsockname()[1])

    assert said.startswith("scidb-server: Cannot listen at 127.0.0.1 port")
    assert "Does another server run?" in said
    assert not path.with_name("study.duckdb.lock").exists()


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["{other}"], "does not exist. To make a new one, name its schema keys"),
        (["{path}", "--schema-keys", "animal"], "schema keys"),
        (["{path}", "--host", "192.0.2.1"], "there is no valid token"),
        (["{path}", "--host", "0.0.0.0"], "there is no valid token"),
        (["{path}", "--ssl-certfile", "{path}"], "--ssl-keyfile"),
        (["{path}", "--ssl-certfile", "{path}", "--ssl-keyfile", "{path}"], "cannot be used"),
        (["{text}"], "not a"),
        (["{path}", "--port", "http"], "--port is 'http'"),
    ],
)
def test_what_cannot_be_served_is_said_in_a_line(
    arguments: list[str], expected: str, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing file, other keys, an address for all without tokens, bad certificates: exit 1 and what to do."""
    text = path.with_name("notes.txt")
    text.write_text("no database", encoding="utf-8")
    names = {"path": path, "other": path.with_name("other.duckdb"), "text": text}

    said = refused(
        capsys, *(one.format(**names) for one in arguments), *([] if "--port" in arguments else ["--port=0"])
    )

    assert said.startswith("scidb-server: ")
    assert expected in said
    assert not path.with_name("other.duckdb").exists()


def test_without_the_extra_the_program_names_it(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where FastAPI or uvicorn is missing, the error says which extra to install."""
    monkeypatch.setitem(sys.modules, "uvicorn", None)

    assert "pip install 'scidb[net]'" in refused(capsys, path)
