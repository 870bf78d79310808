"""How a server is, and how its interface is described: health, readiness, counters, OpenAPI, errors of every kind."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from typing import TYPE_CHECKING, Any, Final

import pytest
from fastapi import FastAPI
from tests.net.inprocess import Client

from scidb.exceptions import StorageError
from scidb.store import Wrapper, open_store
from scidb.store.model import SchemaKey
from scidbnet.server import create_app, store_app
from scidbnet.server.routes.direct import Direct
from scidbnet.server.routes.openapi import OPERATIONS
from scidbnet.wire.errors import STATUS
from scidbnet.wire.versions import API_VERSION, PREFIX

if TYPE_CHECKING:
    from pathlib import Path

JSON: Final = {"Content-Type": "application/json"}


class Breakable(Wrapper):
    """A store that fails as it is told to."""

    error: Exception | None = None

    def find(self, query: Any) -> Any:
        if self.error:
            raise self.error
        return super().find(query)


@pytest.fixture
def store() -> Breakable:
    return Breakable(open_store("memory:", [SchemaKey("subject", "int")]))


@pytest.fixture
def app(store: Breakable) -> FastAPI:
    return store_app(store)


@pytest.fixture
def client(app: FastAPI) -> Client:
    return Client(app)


def test_health_asks_no_database(client: Client, store: Breakable) -> None:
    """/health answers while the database does not, and tells the versions by which a client goes."""
    store.error = StorageError("The disk is gone.")
    store.close()

    answer = client.get(f"{PREFIX}/health")

    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    assert answer.json()["api_version"] == API_VERSION
    assert answer.json()["format_version"] == 1


def test_ready_asks_the_database(client: Client, store: Breakable) -> None:
    """/ready is 200 while the store answers, and an error while it does not."""
    assert client.get(f"{PREFIX}/ready").json() == {"status": "ready"}

    store.error = StorageError("The disk is gone.")
    assert client.get(f"{PREFIX}/ready").status_code == 507


def test_while_it_stops_only_its_state_is_told(client: Client, app: FastAPI) -> None:
    """A stopping server answers 503 with Retry-After, but for /health and /metrics."""
    app.state.served.lifecycle.stopping = True

    for path in ("/ready", "/store/types"):
        answer = client.get(f"{PREFIX}{path}")
        assert (answer.status_code, answer.json()["code"]) == (503, "stopping")
        assert int(answer.headers["Retry-After"]) > 0
    assert client.get(f"{PREFIX}/health").status_code == 200
    assert "scidb_stopping 1.0" in client.get(f"{PREFIX}/metrics").text


def test_requests_are_counted_while_they_run(client: Client, app: FastAPI, store: Breakable) -> None:
    """What runs is counted, and no more once it is done, also when it failed."""
    here = app.state.served.lifecycle
    store.error = StorageError("The disk is gone.")

    assert client.post(f"{PREFIX}/store/find", json={"kind": "Groups"}).status_code == 507
    assert client.post(f"{PREFIX}/store/write", content=b"x", headers=JSON).status_code == 400

    assert (here.running, here.writing) == (0, 0)


def test_metrics_are_by_route_and_status(client: Client) -> None:
    """Requests, bytes and durations stand under route and method; what no route has stands under one name."""
    body = b'{"kind":"Groups"}'
    client.post(f"{PREFIX}/store/find", content=body, headers=JSON)
    client.get(f"{PREFIX}/store/nonsense-1")
    client.get(f"{PREFIX}/store/nonsense-2")

    lines = client.get(f"{PREFIX}/metrics").text.splitlines()

    find = next(line for line in lines if line.startswith("scidb_requests_total") and "find" in line)
    assert 'method="POST"' in find
    assert 'status="200"' in find
    assert find.endswith(" 1.0")
    received = next(line for line in lines if line.startswith("scidb_received_bytes_total") and "find" in line)
    assert received.endswith(f" {float(len(body))}")
    assert 'scidb_requests_total{method="none",route="none",status="404"} 2.0' in lines
    assert not any("nonsense" in line for line in lines)
    assert {"scidb_running_writes 0.0", "scidb_spooled_bytes 0.0"} <= set(lines)


def test_without_the_extra_metrics_are_refused(store: Breakable, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server without prometheus-client serves, and says of /metrics which extra to install."""
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    client = Client(store_app(store))

    assert client.get(f"{PREFIX}/ready").status_code == 200
    answer = client.get(f"{PREFIX}/metrics")
    assert answer.status_code == 405
    assert "pip install 'scidb[metrics]'" in answer.json()["message"]


def test_an_application_closes_the_file_that_it_opened(tmp_path: Path) -> None:
    """Whatever runs `create_app`: when it ends, the file is closed and its lock gone."""
    path = tmp_path / "study.duckdb"
    lock = path.with_name("study.duckdb.lock")
    app = create_app(path, ["subject"])

    async def run() -> None:
        async with app.router.lifespan_context(app):
            assert lock.exists()

    asyncio.run(run())

    assert not lock.exists()


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nothing", 404), ("PUT", "/store/types", 405), ("GET", "/store/find", 405)]
)
def test_every_error_has_the_same_form(client: Client, method: str, path: str, status: int) -> None:
    """An unknown path and a wrong method are JSON, too."""
    answer = client.request(method, f"{PREFIX}{path}")

    assert answer.status_code == status
    assert answer.json().keys() == {"code", "class", "message", "details"}


def test_what_nobody_thought_of_is_an_error_without_its_text(client: Client, store: Breakable) -> None:
    """An exception that is none of ours is a 500 that names its class; what it says stands in the log alone."""
    store.error = RuntimeError("/home/anna/secret")

    answer = client.post(f"{PREFIX}/store/find", json={"kind": "Groups"})

    assert answer.status_code == 500
    assert "RuntimeError" in answer.json()["message"]
    assert "secret" not in answer.text


# ---------------------------------------------------------------- the description


@pytest.fixture
def description(client: Client) -> Any:
    return client.get("/openapi.json").json()


def operations(description: Any) -> dict[str, Any]:
    return {
        f"{method.upper()} {path.removeprefix(PREFIX)}": operation
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    }


def test_every_route_is_described(description: Any) -> None:
    """Each operation has an id of its own, a sentence, answer, body and errors."""
    found = operations(description)

    assert found.keys() >= OPERATIONS.keys()
    assert len({one["operationId"] for one in found.values()}) == len(found)
    for name, one in found.items():
        assert one["description"].strip(), name
        [answer] = [answer for status, answer in one["responses"].items() if status.startswith("2")]
        assert all(content["schema"] for content in answer["content"].values()), name
        assert answer["content"], name
        if name.startswith("POST /store"):
            assert one["requestBody"]["content"], name
        assert {"400", "403", "405", "429", "500", "503"} <= one["responses"].keys(), name


def test_every_status_of_an_error_is_declared(description: Any) -> None:
    """What the table of errors can answer is declared for every route but /health and /ready, in the one form."""
    expected = {str(status) for status in STATUS.values()} | {"400"}
    for name, one in operations(description).items():
        if name not in {"GET /health", "GET /ready"}:
            assert expected <= one["responses"].keys(), name
            assert one["security"] == [{"token": []}, {}]
        for status in expected & one["responses"].keys():
            [content] = one["responses"][status]["content"].values()
            assert content["schema"] == {"$ref": "#/components/schemas/Error"}


def test_references_lead_somewhere(description: Any) -> None:
    """Each $ref names a schema that is there, and each schema is valid JSON Schema."""
    jsonschema = pytest.importorskip("jsonschema")
    named = {text.rsplit("/", 1)[-1] for text in re.findall(r'"\$ref": "([^"]+)"', json.dumps(description))}

    assert named <= description["components"]["schemas"].keys()
    for schema in description["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_the_page_needs_nothing_from_elsewhere(client: Client, description: Any) -> None:
    """/docs shows every route, names no other host, runs no script, and loads nothing."""
    answer = client.get("/docs")
    page = answer.text

    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert re.findall(r"(?:https?:)?//[\w.-]+\.\w+", page) == []
    assert re.findall(r"<(?:script|link|img|iframe)|@import|url\(|\son\w+=", page) == []
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    for path in description["paths"]:
        assert f"<code>{path}</code>" in page
    targets = set(re.findall(r'href="#([^"]+)"', page))
    assert targets <= set(re.findall(r'id="([^"]+)"', page))


def test_verbs_take_the_short_way(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """S10s: a verb of the store is found without a walk through all routes, also under a path; errors are answers."""
    outer = FastAPI()
    outer.mount("/lab", app)
    clients = [(Client(app), PREFIX), (Client(outer), f"/lab{PREFIX}")]
    questions = [b'{"kind":"Groups"}', b'{"kind":"Nonsense"}']

    def asked() -> list[tuple[int, bytes]]:
        answers = [
            client.post(f"{prefix}/store/find", content=body, headers=JSON)
            for client, prefix in clients
            for body in questions
        ]
        return [(answer.status_code, answer.content) for answer in answers]

    async def walk(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(app.router, "app", walk)
    monkeypatch.setattr(app.router, "middleware_stack", walk)
    short = asked()
    assert [status for status, _ in short] == [200, 400, 200, 400]

    monkeypatch.undo()
    monkeypatch.setattr(Direct, "__call__", lambda self, *rest: self._app(*rest))
    assert asked() == short


def test_under_a_path_the_description_says_where(store: Breakable) -> None:
    """An application that is mounted tells its own address, so that what reads the description finds its routes."""
    outer = FastAPI()
    outer.mount("/lab", store_app(store))

    found = Client(outer).get("/lab/openapi.json").json()

    assert found["servers"] == [{"url": "/lab"}]
