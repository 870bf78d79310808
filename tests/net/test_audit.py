"""The audit: who asked for what and what became of it, for every request, and no secret."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from tests.net.inprocess import Client

from scidb.store.memory import MemoryStore
from scidb.store.model import SchemaKey
from scidbnet.auth import TokenFile
from scidbnet.server import store_app
from scidbnet.server.guard.audit import JsonFormatter
from scidbnet.server.settings import ServerSettings
from scidbnet.wire.versions import PREFIX, USER

if TYPE_CHECKING:
    from pathlib import Path

REGISTER = f"{PREFIX}/store/register"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Any:
    """Return a function that gives the audit of what was asked since."""
    caplog.set_level(logging.INFO, "scidb.audit")

    def taken() -> list[dict[str, Any]]:
        records = [record for record in caplog.records if record.name == "scidb.audit"]
        texts = [JsonFormatter().format(record) for record in records]
        assert all("\n" not in text for text in [*texts, *(record.getMessage() for record in records)])
        caplog.clear()
        return [json.loads(text) for text in texts]

    return taken


def _client(tokens: TokenFile | None = None, **settings: Any) -> Client:
    return Client(store_app(MemoryStore([SchemaKey("subject", "int")]), ServerSettings(**settings), tokens))


def test_a_request_is_one_line(tmp_path: Path, lines: Any) -> None:
    """Who, by which token, from where, what, how many bytes to and fro, with what result, and how long it took."""
    tokens = TokenFile.beside(tmp_path / "study.duckdb")
    made = tokens.create("anna", "writer", "1d")
    body = '{"name":"Force"}'

    answer = _client(tokens).post(REGISTER, content=body, headers=JSON | {"Authorization": f"Bearer {made.token}"})
    [line] = lines()

    assert line.pop("milliseconds") >= 0
    assert line.pop("time")
    assert line == {
        "level": "INFO",
        "logger": "scidb.audit",
        "user": "anna",
        "verified": True,
        "role": "writer",
        "token_id": made.info.token_id,
        "remote": "127.0.0.1",
        "method": "POST",
        "path": REGISTER,
        "status": 200,
        "whole": True,
        "bytes_in": len(body),
        "bytes_out": len(answer.content),
    }


def test_what_is_refused_is_logged(tmp_path: Path, lines: Any) -> None:
    """N4: attempts with no token, a wrong one or too low a role are there, with the id of the token that was tried."""
    tokens = TokenFile.beside(tmp_path / "study.duckdb")
    made = tokens.create("anna", "reader", "1d")
    client = _client(tokens)
    shown = [None, "scidb_00000000_" + 64 * "0", made.token[:-1], made.token[:-8] + "00000000", made.token]
    for token in shown:
        client.post(REGISTER, content="{}", headers=JSON | ({"Authorization": f"Bearer {token}"} if token else {}))

    told = [(line["user"], line["verified"], line["token_id"], line["status"]) for line in lines()]
    known = made.info.token_id
    assert told == [
        *(3 * [(None, False, None, 401)]),
        (None, False, known, 401),
        ("anna", True, known, 403),
    ]


def test_no_secret_is_ever_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither a token that was shown, in a header or by mistake in an address, nor one that was made."""
    caplog.set_level(logging.DEBUG)
    tokens = TokenFile.beside(tmp_path / "study.duckdb")
    admin = tokens.create("root", "admin", "1d").token
    client = _client(tokens)
    wanted = '{"name":"anna","role":"reader","expires":"1d"}'

    answer = client.post(f"{PREFIX}/tokens", content=wanted, headers=JSON | {"Authorization": f"Bearer {admin}"})
    made = answer.json()["token"]
    client.get(f"{PREFIX}/store/describe", params={"token": admin})
    client.get(f"{PREFIX}/store/describe", headers={"Authorization": f"Bearer {admin}"})

    own = [record for record in caplog.records if record.name.startswith("scidb")]
    texts = [record.getMessage() + JsonFormatter().format(record) for record in own]
    assert len(texts) == 3
    for secret in (admin, made):
        assert not any(secret.split("_")[2] in text for text in texts)


def test_a_name_that_nobody_checked_is_marked(lines: Any) -> None:
    """Without tokens the line says who the client claims to be, and that this is not verified."""
    client = _client()
    for name in ("ben", "Zo%C3%AB", "eve%0Aanna verified=True", "x" * 1_000):
        client.get(f"{PREFIX}/store/describe", headers={USER: name})

    told = [(line["user"], line["verified"], line["role"]) for line in lines()]
    assert told == [(name, False, "admin") for name in ("ben", "Zoë", "", 64 * "x")]


def test_a_path_cannot_make_a_line(lines: Any) -> None:
    """What looks like the end of a line in a path does not end the line."""
    client = _client()
    client.get("/a%0Aanna%20verified=True%20GET")
    client.get("/" + 5_000 * "a")

    assert [len(line["path"]) < 600 for line in lines()] == [True, True]


def test_an_answer_that_was_cut_is_marked(lines: Any) -> None:
    """A request whose answer did not reach its end is told apart from one that did."""
    app = store_app(MemoryStore([]))

    async def ask() -> None:
        async def send(message: Any) -> None:
            if message["type"] == "http.response.body":
                raise ConnectionError

        async def receive() -> Any:
            return {"type": "http.disconnect"}

        scope = {
            "type": "http",
            "method": "GET",
            "scheme": "http",
            "path": f"{PREFIX}/health",
            "query_string": b"",
            "headers": [(b"host", b"127.0.0.1")],
            "client": ("127.0.0.1", 1),
            "state": {},
        }
        await app(scope, receive, send)

    with pytest.raises(ConnectionError):
        asyncio.run(ask())
    [line] = lines()
    assert (line["status"], line["whole"]) == (200, False)


def test_other_records_are_lines_too() -> None:
    """The formatter serves any logger: message, and traceback where there is one."""
    error = ValueError("no")
    about = (ValueError, error, None)
    record = logging.LogRecord("scidb.server", logging.ERROR, "", 0, "failed: %s", ("so",), about)
    line = json.loads(JsonFormatter().format(record))

    assert (line["level"], line["message"]) == ("ERROR", "failed: so")
    assert "ValueError: no" in line["traceback"]
