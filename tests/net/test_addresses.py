"""What `scidb.open("http://...")` says when nobody is there, or somebody else, or a server of another version."""

from __future__ import annotations

import contextlib
import socket
import threading
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

import scidb
from scidb.exceptions import FormatVersionError, NetworkError, SciDBError, SciDBWarning, ServerError
from scidbnet.client import requests
from scidbnet.client.transport import Transport
from scidbnet.wire.versions import API_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again at once."""
    monkeypatch.setattr(requests, "_wait", lambda _: 0.001)
    monkeypatch.setattr(requests, "_UNMET", 0.01, raising=False)


@contextlib.contextmanager
def answering(status: int, body: bytes = b"", **headers: str) -> Iterator[str]:
    """Run something at an address that answers every request in one way."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_nobody_there() -> None:
    """Where no server runs, the address is named, and how to start one."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    with pytest.raises(NetworkError, match=rf"http://127.0.0.1:{port} cannot be reached.*`scidb serve` starts one"):
        scidb.open(f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("address", ["http://", "http://lab:port", "http://no such host/", "https://256.256.256.256"])
def test_no_address_at_all(address: str) -> None:
    """An address that cannot be one is a NetworkError, too."""
    with pytest.raises(NetworkError, match="Is the address right"):
        scidb.open(address)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>It works!</html>"),
        (200, b""),
        (200, b"[]"),
        (200, b'{"status": "ok"}'),
        (200, b'{"status": "ok", "api_version": "1"}'),
        (404, b"<html>Not found</html>"),
        (404, b'{"detail": "Not Found"}'),
        (401, b"Who are you?"),
        (500, b"Oops"),
    ],
)
def test_somebody_else_is_there(status: int, body: bytes) -> None:
    """What is no SciDB server is called that, whatever it answers, with its address."""
    with answering(status, body) as address, pytest.raises(NetworkError) as caught:
        scidb.open(address)

    assert f"What answers at {address} is not a server of SciDB" in caught.value.message


def test_a_server_that_moved() -> None:
    """A redirect, such as a proxy sends to its https address, is not followed, and says where to go."""
    with (
        answering(301, Location="https://lab.example/api/v1/health") as address,
        pytest.raises(ServerError, match=r"https://lab\.example"),
    ):
        scidb.open(address)


@pytest.mark.parametrize("version", [0, API_VERSION - 1, API_VERSION + 1])
def test_another_version_of_the_interface(version: int) -> None:
    """A server that speaks another version is refused with both versions and what to install."""
    body = b'{"status": "ok", "version": "9.1.0", "api_version": %d, "format_version": 7}' % version
    with answering(200, body) as address, pytest.raises(FormatVersionError) as caught:
        scidb.open(address)

    assert f"speaks version {version}" in caught.value.message
    assert "9.1.0" in caught.value.message


def test_a_server_that_is_busy_is_asked_again_and_then_given_up() -> None:
    """503 is tried again some times; in the end its own error is what is raised."""
    body = b'{"code": "stopping", "class": "network", "message": "The server is stopping.", "details": {}}'
    with answering(503, body, **{"Retry-After": "0"}) as address, pytest.raises(NetworkError, match="is stopping"):
        scidb.open(address)


def test_errors_of_a_server_are_its_own() -> None:
    """A SciDB server that fails is not mistaken for somebody else."""
    body = b'{"code": "server", "class": "server", "message": "The server failed.", "details": {}}'
    with answering(500, body) as address, pytest.raises(ServerError, match="The server failed"):
        scidb.open(address)


def test_a_failed_open_leaves_no_connection() -> None:
    """What could not be opened is closed: no warning about a socket that is left, and the error is one of ours."""
    with answering(200, b"{}") as address, pytest.raises(SciDBError):
        scidb.open(address)


@pytest.mark.parametrize(
    ("address", "is_said"),
    [
        ("http://lab:8765", True),
        ("HTTP://192.0.2.7", True),
        ("https://lab:8765", False),
        ("http://localhost:8765", False),
        ("http://127.0.0.1:8765", False),
        ("http://[::1]:8765", False),
    ],
)
def test_a_token_that_others_could_read_is_warned_of(address: str, is_said: bool) -> None:
    """Over plain HTTP to another machine, whoever listens has it."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        Transport(address, "scidb_0_0", 1.0)

    assert [one.category for one in seen] == [SciDBWarning] * is_said
    assert "scidb_0_0" not in "".join(str(one.message) for one in seen)
