"""The routes for people with curl or another language: one real server, spoken to as they would."""

from __future__ import annotations

import asyncio
import csv
import functools
import io
import json
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pandas as pd
import pytest
from fastapi.routing import APIRoute
from tests.net.serving import serve

from scidb import BaseVariable
from scidb.exceptions import CorruptDatabaseError, SciDBError
from scidb.filters import VariableFilter
from scidb.store.memory import MemoryStore
from scidb.store.model import Entries, Match, SchemaKey, TypeInfo
from scidbnet.auth import TokenFile
from scidbnet.auth.roles import VERB_ROLES, verb_of_path
from scidbnet.serialization import decode_response, deserialize_data, serialize_data, to_envelope
from scidbnet.server import create_app, store_app
from scidbnet.server.routes import aliases, models
from scidbnet.server.routes.facade import ServedDatabase
from scidbnet.wire.framing import PARTS_TYPE, envelope_from

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scidbnet.wire.framing import Envelope

# One for all tests, since each takes a while to make.
_http = functools.cache(httpx.Client)


@pytest.fixture(scope="module", autouse=True)
def _closed() -> Iterator[None]:
    yield
    _http().close()
    _http.cache_clear()


KEYS = [SchemaKey("subject", "int"), SchemaKey("day", "date")]


class Client:
    """What somebody without Python has: an address, JSON, and bytes."""

    def __init__(self, address: str) -> None:
        self.address = f"{address}/api/v1"
        self.client = _http()

    def post(self, route: str, **body: Any) -> httpx.Response:
        return self.client.post(f"{self.address}/{route}", json=body)

    def ok(self, route: str, **body: Any) -> Any:
        answer = self.post(route, **body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, route: str, status: int, **body: Any) -> dict[str, Any]:
        answer = self.post(route, **body)
        assert answer.status_code == status, answer.text
        error: dict[str, Any] = answer.json()
        assert set(error) == {"code", "class", "message", "details"}
        return error

    def sent(self, route: str, value: object, **meta: Any) -> httpx.Response:
        text = json.dumps(meta).encode()
        body = len(text).to_bytes(4, "big") + text + serialize_data(value)
        return self.client.post(f"{self.address}/{route}", content=body, headers={"Content-Type": PARTS_TYPE})

    def save(self, value: object, variable: str = "Step", /, **meta: Any) -> Any:
        answer = self.sent("save", value, variable=variable, **meta)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def values(self, route: str, **body: Any) -> list[Any]:
        answer = self.post(route, **body)
        assert answer.status_code == 200, answer.text
        return [deserialize_data(one) for one in decode_response(answer.content)]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Client:
    """Return a client of a database file that all tests share."""
    client = Client(serve(KEYS, str(tmp_path_factory.mktemp("served") / "study.duckdb")))
    client.ok("register", name="Step", units="m")
    return client


@pytest.fixture
def empty() -> Client:
    """Return a client of a database of its own."""
    client = Client(serve(KEYS))
    client.ok("register", name="Step")
    return client


# ------------------------------------------------------------------ register, save, load


VALUES = [3, 0.5, "ü", True, None, [1, 2], {"a": {"b": None}}, np.arange(6.0).reshape(2, 3), pd.DataFrame({"x": [1]})]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_what_is_registered_and_saved_is_loaded(client: Client, value: Any) -> None:
    """A value goes in as an envelope and comes back as the same one, with what record it is."""
    saved = client.save(value, metadata={"subject": 1, "day": "2026-01-31"}, params={"of": repr(value)})

    answer = client.post("load", variable="Step", metadata={"subject": 1}, params={"of": repr(value)})
    record = envelope_from(answer.content).header["record"]

    assert np.array_equal(deserialize_data(answer.content), value)
    assert models.RecordAnswer.model_validate(record).record_id == saved["record_id"] == saved["vhash"]
    assert record["schema"] == {"subject": 1, "day": "2026-01-31"}
    assert record["version_keys"] == {"of": repr(value)}


def test_a_value_may_be_json(client: Client) -> None:
    """Who has nothing but curl saves numbers, texts and lists as they are."""
    saved = client.ok("save", variable="Step", metadata={"subject": 2}, value=0.71)
    again = client.save(0.71, metadata={"subject": 2})

    assert models.Saved.model_validate(saved).record_id == again["record_id"]


def test_all_that_match_are_streamed_in_natural_order(empty: Client) -> None:
    """load_all streams what matches: the latest, or every record, and nothing where nothing does."""
    for subject in (10, 2):
        for value in (subject, 100 * subject):
            empty.save(value, metadata={"subject": subject})

    assert empty.values("load_all", variable="Step") == [200, 1000]
    assert sorted(empty.values("load_all", variable="Step", version_id="all")) == [2, 10, 200, 1000]
    assert empty.values("load_all", variable="Step", metadata={"subject": [2, 3]}) == [200]
    assert empty.values("load_all", variable="Step", metadata={"subject": 77}) == []
    assert empty.values("load_all", variable="Step", metadata={"subjekt_id": 77}) == []


def test_big_values_go_both_ways(client: Client) -> None:
    """A value longer than many pieces of a connection comes back whole, by either route."""
    big = np.random.default_rng(0).random(1_000_000)
    client.save(big, metadata={"subject": 5})
    where = {"variable": "Step", "metadata": {"subject": 5}}

    assert np.array_equal(deserialize_data(client.post("load", **where).content), big)
    assert np.array_equal(client.values("load_all", **where)[0], big)


def test_versions_moments_and_filters_are_as_in_python(empty: Client) -> None:
    """Load takes version, as_of and where as the facade does."""
    first = empty.save(1, metadata={"subject": 1})
    second = empty.save(2, metadata={"subject": 1})
    empty.save(3, metadata={"subject": 2})

    def load(**asked: Any) -> Any:
        return deserialize_data(empty.post("load", variable="Step", **asked).content)

    assert load(metadata={"subject": 1}) == 2
    assert load(metadata={"subject": 1}, version=first["record_id"][:12]) == 1
    assert load(metadata={"subject": 1}, as_of=first["timestamp"]) == 1
    assert empty.values("load_all", variable="Step", where=VariableFilter("Step", ">", 2).to_json()) == [3]
    versions = empty.ok("list_versions", variable="Step", metadata={"subject": 1})
    assert [one["record_id"] for one in models.Versions.model_validate(versions).model_dump()["versions"]] == [
        second["record_id"],
        first["record_id"],
    ]


# ------------------------------------------------------------------ CSV


def test_csv_is_the_answer_with_its_count(empty: Client) -> None:
    """export_to_csv gives the rows themselves, and says of how many records they are."""
    empty.save(0.1, metadata={"subject": 1})
    empty.save(0.2, metadata={"subject": 2})

    answer = empty.post("export_to_csv", variable="Step")

    assert list(csv.reader(io.StringIO(answer.text))) == [["subject", "Step"], ["1", "0.1"], ["2", "0.2"]]
    assert (answer.headers[aliases.COUNT], answer.headers["content-type"]) == ("2", "text/csv; charset=utf-8")


def test_what_csv_cannot_say_is_refused(empty: Client) -> None:
    """Half of a character has no form in UTF-8; that is an error of ours, and no crash."""
    empty.save("\ud800", metadata={"subject": 1})

    error = empty.refused("export_to_csv", 400, variable="Step")

    assert error["class"] == "unsupported_value"


def test_no_client_names_a_path(client: Client) -> None:
    """N8: where a CSV is written is no affair of the server."""
    error = client.refused("export_to_csv", 400, variable="Step", path="results.csv")

    assert error["code"] == "invalid_request"


# ------------------------------------------------------------------ lineage


def test_lineage_is_told_and_asked_for(empty: Client) -> None:
    """What made a value is saved with it, in words, and found again by its id and by its description."""
    empty.ok("register", name="Mean")
    raw = empty.save([1.0, 3.0], metadata={"subject": 1})
    inputs = [{"name": "x", "record_id": raw["record_id"]}, {"name": "trim", "value": 0.1}]
    lineage = {"function_name": "mean.R", "function_hash": "c0ffee00", "inputs": inputs}
    asked = {"function_hash": "c0ffee00", "inputs": inputs}

    before = empty.post("find_by_lineage", lineage=asked)
    saved = empty.save(2.0, "Mean", metadata={"subject": 1}, lineage={**lineage, "seconds": 0.5})

    assert (before.status_code, before.json()) == (200, None)
    assert empty.values("find_by_lineage", lineage=asked) == [2.0]
    assert empty.values("find_by_lineage", lineage_id=saved["lineage_id"]) == [2.0]
    assert empty.post("find_by_lineage", lineage={**asked, "inputs": inputs[:1]}).json() is None
    assert empty.ok("has_lineage", record_id=saved["record_id"]) == {"has_lineage": True}
    assert empty.ok("has_lineage", record_id=raw["record_id"]) == {"has_lineage": False}
    made = empty.ok("provenance", variable="Mean", metadata={"subject": 1})["provenance"]
    assert (made["function_name"], made["seconds"], made["call_id"]) == ("mean.R", 0.5, saved["call_id"])
    assert [one["record_id"] for one in made["inputs"]] == [raw["record_id"]]
    assert made["constants"][0]["value_repr"] == "0.1"
    assert empty.ok("provenance", record_id=raw["record_id"]) == {"provenance": None}
    assert empty.ok("provenance_by_schema", metadata={"subject": 1})["provenance"] == [made]
    structure = empty.client.get(f"{empty.address}/pipeline_structure").json()["structure"]
    assert {(one["source"], one["target"], one["function_name"]) for one in structure} == {
        ("Step", "Mean", "mean.R"),
        ("0.1", "Mean", "mean.R"),
    }


def test_all_outputs_must_have_been_saved(empty: Client) -> None:
    """A computation of two outputs is known once both are there, and gives them in their order."""
    lineage = {"function_name": "both", "function_hash": "c0ffee00", "outputs": 2}

    second = empty.save("b", metadata={"subject": 1}, lineage={**lineage, "output_num": 1})
    half = empty.post("find_by_lineage", lineage_id=second["lineage_id"]).json()
    empty.save("a", metadata={"subject": 2}, lineage={**lineage, "output_num": 0})

    assert half is None
    assert empty.values("find_by_lineage", lineage_id=second["lineage_id"]) == ["a", "b"]


def test_lineage_alone_is_for_ephemeral_servers() -> None:
    """A result of a value that was never saved is refused by a strict server, and told of in an ephemeral one."""
    lineage = {"function_name": "f", "function_hash": "c0ffee00", "inputs": [{"name": "n", "value": 1}]}
    told = {}
    for mode in ("strict", "ephemeral"):
        client = Client(serve(KEYS, lineage_mode=mode))
        client.ok("register", name="Step")
        client.ok("register", name="Sum")
        alone = client.ok("save_ephemeral_lineage", variable="Step", lineage=lineage, value=[1, 2])
        models.SavedLineage.model_validate(alone)
        origin = {"name": "x", "variable": "Step", **{one: alone[one] for one in ("record_id", "content_hash")}}
        following = {"function_name": "g", "function_hash": "c0ffee01", "inputs": [origin]}
        told[mode] = client.sent("save", 3, variable="Sum", metadata={"subject": 1}, lineage=following)
        assert client.values("load_all", variable="Step") == []
        wrong = {**origin, "content_hash": "0" * 64}
        client.refused("save", 400, variable="Sum", lineage={**following, "inputs": [wrong]}, value=3)

    error = told["strict"].json()
    assert (told["strict"].status_code, error["class"]) == (400, "unsaved_intermediate")
    assert error["details"]["paths"] == ["g() -> x"]
    assert told["ephemeral"].status_code == 200
    assert client.ok("provenance", variable="Sum")["provenance"]["inputs"][0]["type"] == "Step"


# ------------------------------------------------------------------ exactly once


def test_a_save_that_comes_again_is_stored_once(empty: Client) -> None:
    """N6: under one key the same save is one entry of the log with one answer, and another one is refused."""
    headers = {"Idempotency-Key": "of-this-save"}
    lineage = {"function_name": "f", "function_hash": "c0ffee00"}
    body = {"variable": "Step", "metadata": {"subject": 1}, "lineage": lineage, "value": 1}

    answers = [empty.client.post(f"{empty.address}/save", json=body, headers=headers) for _ in range(3)]
    other = empty.client.post(f"{empty.address}/save", json={**body, "value": 2}, headers=headers)
    malformed = empty.client.post(f"{empty.address}/save", json=body, headers={"Idempotency-Key": ""})

    assert [(one.status_code, one.json()) for one in answers] == [(200, answers[0].json())] * 3
    assert len(empty.ok("list_versions", variable="Step")["versions"]) == 1
    assert (other.status_code, other.json()["code"]) == (409, "other_body")
    assert malformed.status_code == 400
    assert empty.ok("provenance", variable="Step")["provenance"]["call_id"] == answers[0].json()["call_id"]


def test_lineage_that_comes_again_is_stored_once(empty: Client) -> None:
    """Of lineage alone, too, a repeated request gets the first answer."""
    body = {"variable": "Step", "lineage": {"function_name": "f", "function_hash": "c0ffee00"}, "value": 1}
    headers = {"Idempotency-Key": "of-this-lineage"}

    answers = [
        empty.client.post(f"{empty.address}/save_ephemeral_lineage", json=body, headers=headers) for _ in range(2)
    ]

    assert [one.status_code for one in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()


# ------------------------------------------------------------------ what is missing or malformed


MISSING: list[tuple[str, dict[str, Any]]] = [
    ("load", {"variable": "Step", "metadata": {"subject": 404}}),
    ("load", {"variable": "Step", "version": "ffff"}),
    ("load", {"variable": "Nothing"}),
    ("load_all", {"variable": "Nothing"}),
    ("list_versions", {"variable": "Nothing"}),
    ("export_to_csv", {"variable": "Step", "metadata": {"subject": 404}}),
    ("provenance", {"variable": "Step", "metadata": {"subject": 404}}),
    ("provenance", {"record_id": "ffff"}),
    ("save", {"variable": "Nothing", "value": 1}),
    ("save", {"variable": "Step", "value": 1, "lineage": {
        "function_name": "f", "function_hash": "c0ffee00", "inputs": [{"name": "x", "record_id": "f" * 64}]}}),
]  # fmt: skip


@pytest.mark.parametrize(("route", "body"), MISSING)
def test_what_is_missing_is_not_found(client: Client, route: str, body: dict[str, Any]) -> None:
    """N2: missing data are 404 with an error of ours, never a 500."""
    error = client.refused(route, 404, **body)

    assert error["class"] in ("not_found", "not_registered")


def test_no_lineage_is_no_error(client: Client) -> None:
    """An id that nobody knows has no lineage, and gives nothing back."""
    assert client.ok("has_lineage", record_id="ffff") == {"has_lineage": False}
    assert client.post("find_by_lineage", lineage_id="ffff").json() is None


DEEP: Any = 1
for _ in range(300):
    DEEP = [DEEP]

LINEAGE = {"function_name": "f", "function_hash": "c0ffee00"}
WRONG: list[tuple[str, dict[str, Any]]] = [
    ("register", {}),
    ("register", {"name": "no name"}),
    ("register", {"name": "X", "schema_version": 0}),
    ("register", {"name": "X", "schema_version": "1"}),
    ("register", {"name": "X", "display": {"a": DEEP}}),
    ("save", {"variable": "Step"}),
    ("save", {"variable": "Step", "value": DEEP}),
    ("save", {"variable": "Step", "value": 1, "metadata": {"subject": "one"}}),
    ("save", {"variable": "Step", "value": 1, "metadata": {"subject": None}}),
    ("save", {"variable": "Step", "value": 1, "metadata": {"day": "yesterday"}}),
    ("save", {"variable": "Step", "value": 1, "metadata": {"subjct": 1}}),
    ("save", {"variable": "Step", "value": 1, "metadata": {"version": 1}}),
    ("save", {"variable": "Step", "value": 1, "metadata": {"k": DEEP}}),
    ("save", {"variable": "Step", "value": 1, "metadata": []}),
    ("save", {"variable": "Step", "value": 1, "unknown": 1}),
    ("save", {"variable": "Step", "value": 1, "lineage": {**LINEAGE, "output_num": 1}}),
    ("save", {"variable": "Step", "value": 1, "lineage": {**LINEAGE, "outputs": 0}}),
    ("save", {"variable": "Step", "value": 1, "lineage": {**LINEAGE, "inputs": [{"name": "x"}]}}),
    ("save", {"variable": "Step", "value": 1, "lineage": {**LINEAGE, "inputs": [{"name": "x", "value": 1}] * 2}}),
    ("load", {}),
    ("load", {"variable": 1}),
    ("load", {"variable": "Step", "version": ""}),
    ("load", {"variable": "Step", "metadata": {"where": 1}}),
    ("load", {"variable": "Step", "metadata": {"self": 1}}),
    ("load", {"variable": "Step", "as_of": "yesterday"}),
    ("load", {"variable": "Step", "where": {"filter": "nothing"}}),
    ("load", {"variable": "Step", "where": {}}),
    ("load_all", {"variable": "Step", "version_id": "first"}),
    ("load_all", {"variable": "Step", "params": {"subject": 1}}),
    ("list_versions", {"variable": "Step", "metadata": {"limit": 1}}),
    ("provenance", {}),
    ("provenance", {"variable": "Step", "record_id": "ff"}),
    ("provenance", {"record_id": "ff", "metadata": {"subject": 1}}),
    ("provenance", {"variable": "Step", "metadata": {"all": True}}),
    ("has_lineage", {"record_id": ""}),
    ("find_by_lineage", {}),
    ("find_by_lineage", {"lineage_id": "ff", "lineage": {"function_hash": "c0ffee00"}}),
]


@pytest.mark.parametrize(("route", "body"), WRONG, ids=[f"{route} {str(body)[:60]}" for route, body in WRONG])
def test_what_cannot_be_meant_is_refused(client: Client, route: str, body: dict[str, Any]) -> None:
    """N5: a request that is malformed, or asks for what cannot be, is a 400 in the form of our errors."""
    client.refused(route, 400, **body)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"variable": NaN}', b"[" * 100_000], ids=repr)
def test_bodies_that_are_no_json_object_are_refused(client: Client, body: bytes) -> None:
    """N5: garbage for JSON is a 400 on every route."""
    for path in aliases.ROLES:
        if path not in ("/pipeline_structure", "/close"):
            answer = client.client.post(
                client.address + path, content=body, headers={"Content-Type": "application/json"}
            )
            assert (answer.status_code, answer.json()["class"]) == (400, "serialization")


@pytest.mark.parametrize(
    "body",
    [b"", b"\0\0", b"\0\0\0\x09{}", b"\0\0\0\x02{}", b"\0\0\0\x13" + b'{"variable":"Step"}', b"\xff" * 64],
    ids=repr,
)
def test_malformed_saves_are_refused(client: Client, body: bytes) -> None:
    """N5: a save without metadata, or without an envelope, stores nothing."""
    answer = client.client.post(f"{client.address}/save", content=body, headers={"Content-Type": PARTS_TYPE})

    assert (answer.status_code, answer.json()["class"]) == (400, "serialization")


def test_several_matches_are_a_conflict(empty: Client) -> None:
    """Load is for one value; the error says what tells the candidates apart."""
    empty.save(1, metadata={"subject": 1})
    empty.save(2, metadata={"subject": 2})

    error = empty.refused("load", 409, variable="Step")

    assert error["code"] == "ambiguous_version"
    assert error["details"]["differ_in"] == {"dict": [["subject", ["1", "2"]]]}


def test_a_question_that_cannot_be_decided_is_an_answer_of_its_own(empty: Client) -> None:
    """What is wrong with a filter is a 400, and not the end of a stream that had begun."""
    empty.ok("register", name="Fine")
    empty.save(1, metadata={"subject": 1})
    empty.save(1, "Fine", metadata={"subject": 1, "day": "2026-01-31"})

    error = empty.refused("load_all", 400, variable="Step", where=VariableFilter("Fine", ">", 0).to_json())

    assert error["class"] == "filter"


def test_sql_in_a_filter_is_off_unless_it_is_allowed() -> None:
    """N8: a SQL text chosen by a client runs only where the owner of the server said so."""
    where = {"filter": "raw", "sql": "value > 1"}
    client = Client(serve(KEYS))
    client.ok("register", name="Step")

    error = client.refused("load_all", 403, variable="Step", where=where)

    assert error["code"] == "forbidden"


def test_what_goes_wrong_in_a_stream_is_said_in_it() -> None:
    """Once values have begun to flow, an error is the last part, and the client raises it as what it is."""

    def failing() -> Iterator[Envelope]:
        yield to_envelope(1)
        raise CorruptDatabaseError("damaged", variable="Step")

    stream = b"".join(piece for pieces in aliases._told(failing()) for piece in pieces)

    with pytest.raises(CorruptDatabaseError, match="damaged"):
        decode_response(stream)


# ------------------------------------------------------------------ who may


def test_each_route_takes_its_role(tmp_path: Path) -> None:
    """N4: nothing without a token, no writing by a reader, and what a writer saves bears the name of his token."""
    tokens = TokenFile.beside(tmp_path / "study.duckdb")
    reader, writer = (tokens.create(name, role=name, expires="1d").token for name in ("reader", "writer"))
    store = MemoryStore(KEYS)
    app = store_app(store, tokens=tokens)

    async def ask(path: str, token: str | None, body: Any) -> httpx.Response:
        headers = {"Idempotency-Key": "one"} | ({} if token is None else {"Authorization": f"Bearer {token}"})
        method = "GET" if path == "/pipeline_structure" else "POST"
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://lab:8765") as client:
            sent = None if method == "GET" else body
            return await client.request(method, f"/api/v1{path}", json=sent, headers=headers)

    async def statuses(token: str | None) -> dict[str, int]:
        return {path: (await ask(path, token, {})).status_code for path in aliases.ROLES}

    nobody, read = asyncio.run(statuses(None)), asyncio.run(statuses(reader))
    asyncio.run(ask("/register", writer, {"name": "Step"}))
    saved = asyncio.run(ask("/save", writer, {"variable": "Step", "metadata": {"subject": 1}, "value": 1}))

    assert set(nobody.values()) == {401}
    assert {path for path, status in read.items() if status == 403} == {
        path for path, role in aliases.ROLES.items() if role == "writer"
    }
    assert saved.status_code == 200
    assert [entry.user_id for entry in store.find(Entries(Match()))] == ["writer"]


# ------------------------------------------------------------------ the facade behind them


class Doubled(BaseVariable):
    """A class that the process of a server happens to have."""

    def to_db(self) -> pd.DataFrame:
        raise AssertionError

    @classmethod
    def from_db(cls, df: pd.DataFrame) -> Any:
        raise AssertionError


def test_classes_of_the_process_are_not_asked() -> None:
    """A server runs no code of its users, also where a class of that name is imported."""
    db = ServedDatabase(MemoryStore(KEYS), lineage_mode="strict", user="anna")
    db.declare(TypeInfo("Doubled"))

    record = db.save_value(models.Save(variable="Doubled", metadata={"subject": 1}), [1, 2])

    assert db.load_one("Doubled").data == [1, 2]
    assert record.user_id == "anna"
    with pytest.raises(SciDBError, match="name of a variable"):
        db.load_one(Doubled)


# ------------------------------------------------------------------ the routes themselves


def test_a_client_closes_only_itself(empty: Client) -> None:
    """N3: close ends the connection of one client, and the database goes on."""
    empty.save(1, metadata={"subject": 1})

    answer = empty.client.post(f"{empty.address}/close")

    assert (answer.json(), answer.headers["connection"]) == ({"closed": True}, "close")
    assert empty.values("load_all", variable="Step") == [1]


def test_who_saves_is_not_the_account_of_the_server(empty: Client) -> None:
    """Where nobody says who asks, no name of the server's machine is written down."""
    empty.save(1, metadata={"subject": 1})

    [version] = empty.ok("list_versions", variable="Step")["versions"]

    assert version["user_id"] == "unknown"


def test_an_application_is_made_as_a_database_is_configured() -> None:
    """It takes what configure_database takes: a path of before is ignored aloud, another mode is refused."""
    with pytest.warns(DeprecationWarning, match="pipeline_db_path is ignored"):
        app = create_app("memory:", {"subject": int}, "pipeline.db", "ephemeral", allow_sql=True)
    with pytest.raises(SciDBError, match="'strict' or 'ephemeral'"):
        create_app("memory:", ["subject"], lineage_mode="lax")  # type: ignore[arg-type]

    served = app.state.served
    assert (served.settings.lineage_mode, served.settings.allow_sql) == ("ephemeral", True)
    assert served.store.describe().schema_keys == (SchemaKey("subject", "int"),)


PLANNED = {
    "/register", "/save", "/load", "/load_all", "/list_versions", "/provenance", "/provenance_by_schema",
    "/pipeline_structure", "/has_lineage", "/save_ephemeral_lineage", "/export_to_csv", "/find_by_lineage", "/close",
}  # fmt: skip


def test_every_route_has_a_role_and_is_described() -> None:
    """The routes of the plan are there, with a role, a schema of what they take and of what they answer."""
    described = store_app(MemoryStore(KEYS)).openapi()["paths"]
    found = {route.path for route in aliases.router.routes if isinstance(route, APIRoute)}

    assert set(aliases.ROLES) == found == PLANNED
    assert {path: str(VERB_ROLES[verb_of_path(path)]) for path in found} == aliases.ROLES
    for path in PLANNED:
        [(method, operation)] = described[f"/api/v1{path}"].items()
        assert operation["x-scidb-role"] == aliases.ROLES[path]
        assert operation["responses"]["200"]["content"]
        assert "400" in operation["responses"]
        assert (method == "post") == (path != "/pipeline_structure")
        if path not in ("/close", "/pipeline_structure"):
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            assert schema["additionalProperties"] is False
            assert "$ref" not in json.dumps(operation["requestBody"])
