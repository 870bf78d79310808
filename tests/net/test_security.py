"""Before any route: who is let in, who is not, and that what was refused changed nothing (N4, N8)."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from tests.net.inprocess import HERE, Client

import scidb
from scidb import BaseVariable
from scidb.filters import raw_sql
from scidb.store import ReadOnly, open_store
from scidb.store.memory import MemoryStore
from scidb.store.model import Latest, Match, SchemaKey, TypeInfo
from scidbnet.auth import TokenFile
from scidbnet.server import store_app
from scidbnet.server.guard.limits import AtOnce, FailedLogins
from scidbnet.server.settings import ServerSettings
from scidbnet.wire.messages import QUERIES
from scidbnet.wire.versions import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from scidb.store import Store

DESCRIBE = f"{PREFIX}/store/describe"
REGISTER = f"{PREFIX}/store/register"
JSON = {"Content-Type": "application/json"}


class GuardedForce(BaseVariable):
    pass


@pytest.fixture
def tokens(tmp_path: Path) -> TokenFile:
    """Return tokens of nobody yet."""
    return TokenFile.beside(tmp_path / "study.duckdb")


def _client(
    store: Store | None = None,
    tokens: TokenFile | None = None,
    address: str = "127.0.0.1",
    **settings: Any,
) -> Client:
    store = store or MemoryStore([SchemaKey("subject", "int")])
    return Client(store_app(store, ServerSettings(**settings), tokens), address)


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _code(answer: httpx.Response) -> tuple[int, str]:
    data = answer.json()
    assert data["class"] in {"forbidden", "limit_exceeded", "serialization", "server"}
    return answer.status_code, data["code"]


# ------------------------------------------------------------------ tokens


def test_without_a_valid_token_only_health_and_ready_answer(tokens: TokenFile) -> None:
    """N4: every path there is, and one that there is not, is 401 to somebody unknown."""
    revoked = tokens.create("ben", "admin", "1d").token
    tokens.revoke("ben")
    client = _client(tokens=tokens, failed_logins=1_000)
    paths = [path.replace("{which}", "x") for path in client.app.openapi()["paths"]]

    assert client.get(f"{PREFIX}/health").status_code == 200
    for path in [*paths, "/docs", "/openapi.json", "/", "/nothing", f"{PREFIX}/health/", f"{PREFIX}//health"]:
        if path in (f"{PREFIX}/health", f"{PREFIX}/ready"):
            continue
        for headers in ({}, _bearer("nonsense"), _bearer(revoked), {"Authorization": "Basic YTpi"}):
            answer = client.get(path, headers=headers)
            assert _code(answer) == (401, "unauthenticated")
            assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert client.get(path, params={"token": revoked, "access_token": revoked}).status_code == 401


def test_a_token_lets_in(tokens: TokenFile) -> None:
    """Whoever shows one is known by its name, whatever the case of the scheme."""
    token = tokens.create("anna", "reader", "1d").token
    client = _client(tokens=tokens)

    for scheme in ("Bearer", "bearer", "BEARER"):
        answer = client.get(DESCRIBE, headers={"Authorization": f"{scheme} {token}"})
        assert answer.json()["user_id"] == "anna"
    twice = [("Authorization", f"Bearer {token}"), ("Authorization", "Bearer other")]
    assert client.get(DESCRIBE, headers=twice).status_code == 401


def test_roles_are_checked_before_a_body_is_received(tokens: TokenFile) -> None:
    """N4: a reader who writes is 403, nothing is changed, and its body is not even looked at."""
    store = MemoryStore([])
    client = _client(store, tokens)
    by_role = {role: _bearer(tokens.create(role, role, "1d").token) for role in ("reader", "writer", "admin")}
    info = json.dumps({"name": "Force"})

    assert _code(client.post(REGISTER, content=info, headers=JSON | by_role["reader"])) == (403, "forbidden")
    assert _code(client.post(REGISTER, content="{", headers=JSON | by_role["reader"])) == (403, "forbidden")
    assert store.types() == []
    assert _code(client.get(f"{PREFIX}/tokens", headers=by_role["writer"])) == (403, "forbidden")
    assert _code(client.get(f"{PREFIX}/something/new", headers=by_role["writer"])) == (403, "forbidden")
    assert client.post(REGISTER, content=info, headers=JSON | by_role["writer"]).status_code == 200
    assert client.get(f"{PREFIX}/something/new", headers=by_role["admin"]).status_code == 404


def test_tokens_that_change_while_the_server_runs(tokens: TokenFile) -> None:
    """A revoked token and one of a file that is gone let nobody in from the next request on; new ones do."""
    client = _client(tokens=tokens)
    assert client.get(DESCRIBE).status_code == 200  # there are no tokens yet

    anna, ben = (_bearer(tokens.create(name, "reader", "1d").token) for name in ("anna", "ben"))
    assert client.get(DESCRIBE).status_code == 401
    assert client.get(DESCRIBE, headers=anna).status_code == 200
    tokens.revoke("anna")
    assert client.get(DESCRIBE, headers=anna).status_code == 401
    assert client.get(DESCRIBE, headers=ben).status_code == 200
    tokens.path.unlink()
    assert client.get(DESCRIBE, headers=ben).status_code == 401
    assert client.get(DESCRIBE).status_code == 401


def test_a_damaged_file_lets_nobody_in_and_tells_nobody_where_it_is(
    tokens: TokenFile, caplog: pytest.LogCaptureFixture
) -> None:
    """A client learns that the server has a problem; the path is in the log of its owner alone."""
    anna = _bearer(tokens.create("anna", "admin", "1d").token)
    client = _client(tokens=tokens)
    tokens.path.write_text("{")

    for headers in (anna, _bearer("nonsense")):
        answer = client.get(DESCRIBE, headers=headers)
        assert _code(answer) == (500, "server")
        assert str(tokens.path) not in answer.text
    assert str(tokens.path) in caplog.text
    assert client.get(f"{PREFIX}/health").status_code == 200


# ------------------------------------------------------------------ a server without tokens


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8765", "localhost:8765", "[::1]:8765", "LocalHost"])
def test_programs_of_this_machine_are_answered(host: str) -> None:
    """Without tokens, whoever names this machine is an admin."""
    client = _client()

    assert client.get(DESCRIBE, headers={"Host": host}).status_code == 200
    assert client.post(REGISTER, content='{"name":"Force"}', headers={"Host": host} | JSON).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:8765"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "localhost.evil.example"},
        {"Host": "127.0.0.1@evil.example"},
        {"Host": "127.0.0.1:8765, evil.example"},
        {"Host": "0.0.0.0"},
        {"Host": "[::ffff:8.8.8.8]"},
        {"Host": ""},
        [("Host", "127.0.0.1"), ("Host", "evil.example")],
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:3000"},  # another program's page on this machine
        {"Origin": "https://127.0.0.1:8765"},
        {"Origin": "http://127.0.0.1:8765.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"X-Forwarded-For": "203.0.113.7"},
        {"Forwarded": "for=203.0.113.7"},
        {"Via": "1.1 proxy"},
    ],
)
def test_web_pages_and_proxies_are_refused(headers: Any) -> None:
    """A page in the browser of this machine reaches nothing, also by a name that leads here; nor does a proxy."""
    store = MemoryStore([])
    client = _client(store)

    assert _code(client.get(DESCRIBE, headers=headers)) == (403, "forbidden")
    more = [*(headers if isinstance(headers, list) else headers.items()), *JSON.items()]
    answer = client.post(REGISTER, content='{"name":"Force"}', headers=more)
    assert _code(answer) == (403, "forbidden")
    assert store.types() == []
    assert client.request("OPTIONS", DESCRIBE, headers=headers).status_code == 403
    assert "access-control-allow-origin" not in answer.headers


def test_the_servers_own_pages_are_answered() -> None:
    """A page that the server itself gave may ask it."""
    own = {"Origin": HERE, "Sec-Fetch-Site": "same-origin"}

    assert _client().post(REGISTER, content='{"name":"Force"}', headers=JSON | own).status_code == 200


@pytest.mark.parametrize("address", ["192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1"])
def test_without_tokens_other_machines_are_refused(address: str) -> None:
    """Whatever address the server was bound to, a request from elsewhere needs a token."""
    assert _code(_client(address=address).get(DESCRIBE)) == (403, "forbidden")


# ------------------------------------------------------------------ what a request may look like


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "a/b"])
def test_only_bodies_that_no_page_can_send_unasked(kind: str) -> None:
    """The types of body that a browser sends to other sites without asking them are not taken."""
    answer = _client().post(REGISTER, content='{"name":"Force"}', headers={"Content-Type": kind} if kind else {})

    assert _code(answer) == (415, "content_type")


def test_the_parameters_of_a_content_type_do_not_count() -> None:
    """What other clients send beside the type is fine."""
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}

    assert _client().post(REGISTER, content='{"name":"Force"}', headers=headers).status_code == 200


def test_headers_are_limited_in_number_and_size() -> None:
    """N5: too many, or too long, headers or a too long address are 431, with or without a token."""
    client = _client(header_count=20, header_limit=4_000)

    assert client.get(DESCRIBE, headers={f"X-{number}": "1" for number in range(12)}).status_code == 200
    for asked in (
        client.get(DESCRIBE, headers={f"X-{number}": "1" for number in range(21)}),
        client.get(DESCRIBE, headers={"X-Long": "1" * 4_000}),
        client.get(f"{DESCRIBE}?{'a' * 4_000}"),
    ):
        assert _code(asked) == (431, "headers_too_large")


def test_a_request_takes_only_so_long() -> None:
    """What goes on for longer than the limit is ended, and the client told so."""

    class Slow(ReadOnly):
        def types(self) -> list[TypeInfo]:
            stop.wait(5)
            return []

    stop = threading.Event()
    try:
        assert _code(_client(Slow(MemoryStore([])), time_limit=0.05).get(f"{PREFIX}/store/types")) == (
            408,
            "time_limit",
        )
    finally:
        stop.set()


# ------------------------------------------------------------------ how much


def test_failed_logins_are_limited(tokens: TokenFile) -> None:
    """Guessing the secret of a token ends after a few attempts, also for the right guess; nobody else is locked out."""
    anna, ben = (tokens.create(name, "reader", "1d").token for name in ("anna", "ben"))
    client = _client(tokens=tokens, failed_logins=3)
    wrong = anna[:-8] + "00000000"

    assert [client.get(DESCRIBE, headers=_bearer(wrong)).status_code for _ in range(4)] == [401, 401, 401, 429]
    blocked = client.get(DESCRIBE, headers=_bearer(anna))
    assert _code(blocked) == (429, "too_many_requests")
    assert 0 < int(blocked.headers["Retry-After"]) <= 60
    assert client.get(DESCRIBE, headers=_bearer(ben)).status_code == 200
    elsewhere = Client(client.app, "192.0.2.9")
    assert elsewhere.get(DESCRIBE, headers=_bearer(anna)).status_code == 200


def test_failed_logins_are_forgotten_after_a_minute_and_bounded_in_memory() -> None:
    """Who failed can come again later, and a flood of addresses takes no more memory than was set aside."""
    now = [0.0]
    failed = FailedLogins(2, clock=lambda: now[0], remembered=100)
    for number in range(1_000):
        failed.add(number)
    assert len(failed._failed) == 100

    for _ in range(2):
        failed.add("eve")
    with pytest.raises(Exception, match="Try again in 60 s"):
        failed.check("eve")
    now[0] = 60.0
    failed.check("eve")
    failed.add("eve")
    failed.check("eve")


def test_requests_at_once_are_limited_by_token() -> None:
    """One token does not take all of the server; what ended makes room again, and nothing is left behind."""
    at_once = AtOnce(2)

    with at_once.one_more("anna"), at_once.one_more("anna"), at_once.one_more("ben"):
        with pytest.raises(Exception, match="under way") as caught:
            at_once.one_more("anna").__enter__()
        assert caught.value.code == "too_many_requests"  # type: ignore[attr-defined]
    with at_once.one_more("anna"):
        pass
    assert not at_once._under_way


def test_too_many_at_once_is_429_until_some_have_ended(tokens: TokenFile) -> None:
    """The one too many is refused at once, with when to come back, and the others are answered."""
    token = tokens.create("anna", "reader", "1d").token
    app = _client(tokens=tokens, requests_per_token=2).app
    headers = [(b"authorization", f"Bearer {token}".encode())]
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": DESCRIBE,
        "query_string": b"",
        "headers": headers,
        "client": ("192.0.2.1", 1),
    }

    async def ask(hold: asyncio.Event | None) -> int:
        statuses = []

        async def send(message: Any) -> None:
            statuses.append(message.get("status"))
            if hold:
                await hold.wait()

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        await app({**scope, "state": {}}, receive, send)
        return int(statuses[0])

    async def all_of_them() -> tuple[int, list[int], int]:
        hold = asyncio.Event()
        slow = [asyncio.create_task(ask(hold)) for _ in range(2)]
        await asyncio.sleep(0.2)
        refused = await ask(None)
        hold.set()
        return refused, [await one for one in slow], await ask(None)

    assert asyncio.run(all_of_them()) == (429, [200, 200], 200)


# ------------------------------------------------------------------ the routes of tokens


def test_an_admin_makes_and_revokes_tokens(tokens: TokenFile) -> None:
    """A secret is answered once, is in no list, and is kept by nobody on the way."""
    admin = _bearer(tokens.create("root", "admin", "1d").token)
    client = _client(tokens=tokens)
    wanted = json.dumps({"name": "anna", "role": "reader", "expires": "12h"})

    answer = client.post(f"{PREFIX}/tokens", content=wanted, headers=JSON | admin)
    token = answer.json()["token"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert client.get(DESCRIBE, headers=_bearer(token)).json()["user_id"] == "anna"
    assert _code(client.post(f"{PREFIX}/tokens", content=wanted, headers=JSON | _bearer(token))) == (403, "forbidden")
    listed = client.get(f"{PREFIX}/tokens", headers=admin)
    assert [one["name"] for one in listed.json()] == ["root", "anna"]
    assert "digest" not in listed.text
    assert "salt" not in listed.text
    assert client.request("DELETE", f"{PREFIX}/tokens/anna", headers=admin).status_code == 200
    assert client.get(DESCRIBE, headers=_bearer(token)).status_code == 401
    assert client.request("DELETE", f"{PREFIX}/tokens/anna", headers=admin).status_code == 404


@pytest.mark.parametrize(
    "wanted",
    [
        {"name": "anna", "role": "root", "expires": "1d"},
        {"name": "", "role": "reader", "expires": "1d"},
        {"name": "anna", "role": "reader", "expires": "yesterday"},
        {"name": "anna", "role": "reader"},
        {"name": "anna", "role": "reader", "expires": "1d", "path": "/etc/passwd"},
        [],
    ],
)
def test_a_token_that_cannot_be_meant(tokens: TokenFile, wanted: Any) -> None:
    """Bad wishes are 400, and make no token."""
    client = _client(tokens=tokens)

    assert client.post(f"{PREFIX}/tokens", content=json.dumps(wanted), headers=JSON).status_code == 400
    assert not tokens.exists()


# ------------------------------------------------------------------ N8


@pytest.fixture
def file_store(tmp_path: Path) -> Iterator[Store]:
    """Return the store of a file with one record."""
    with scidb.open(tmp_path / "study.duckdb", {"subject": int}) as db:
        GuardedForce.save(1.0, subject=1, db=db)
    store = open_store(tmp_path / "study.duckdb")
    yield store
    store.close()
    assert {path.name for path in tmp_path.iterdir()} <= {"study.duckdb", "study.duckdb.lock"}


def test_no_name_of_a_client_reaches_a_file(file_store: Store) -> None:
    """N8: a type named like a path or like SQL is refused, and nothing beside the database is touched."""
    client = _client(file_store)
    for name in ("../../etc/passwd", "/etc/passwd", "a; DROP TABLE _records", 'a" FROM x --', "a\0b"):
        assert client.post(REGISTER, content=json.dumps({"name": name}), headers=JSON).status_code == 400
        query = {"kind": "Latest", "match": {"variables": [name]}}
        found = client.post(f"{PREFIX}/store/find", content=json.dumps(query), headers=JSON)
        assert found.status_code in {200, 400, 404}
    assert [info.name for info in file_store.types()] == ["GuardedForce"]


@pytest.mark.parametrize("allow_sql", [True, False])
def test_no_sql_of_a_client_reaches_a_file(file_store: Store, tmp_path: Path, allow_sql: bool) -> None:
    """N8: a filter in SQL is refused where SQL is off, and reaches no file where it is on."""
    client = _client(file_store, allow_sql=allow_sql)
    files = ["read_text('/etc/passwd')", "read_csv('/etc/passwd')", "read_blob('/etc/passwd')", "glob('/etc/*')"]
    texts = [f"EXISTS (SELECT 1 FROM {file})" for file in files]
    for text in [*texts, f"1 = 1; COPY (SELECT 1) TO '{tmp_path}/x.csv'"]:
        query = QUERIES.write(Latest(Match(("GuardedForce",), where=raw_sql(text))))
        answer = client.post(f"{PREFIX}/store/find", content=json.dumps(query), headers=JSON)
        assert answer.status_code == (400 if allow_sql else 403), text
        assert "root:" not in answer.text
