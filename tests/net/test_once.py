"""A write is stored once, however often it comes and wherever its connection dies (N6)."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
import uvicorn
from tests.net.cutting import cutting
from tests.net.inprocess import Client
from tests.net.serving import serve

from scidb import BaseVariable
from scidb.database import DatabaseManager
from scidb.exceptions import ConflictError, NetworkError, SerializationError, StorageError
from scidb.store import Wrapper
from scidb.store.memory import MemoryStore
from scidb.store.model import (
    Answered,
    Answers,
    Batch,
    Compaction,
    Entries,
    KeyAdded,
    SchemaKey,
    TypeInfo,
)
from scidb.testing.store_suite.samples import KEYS, record, scalars
from scidbnet import HttpStore
from scidbnet.auth import TokenFile
from scidbnet.server import store_app
from scidbnet.server.settings import ServerSettings
from scidbnet.wire.batches import batch_bytes
from scidbnet.wire.errors import error_from_json
from scidbnet.wire.framing import PARTS_TYPE
from scidbnet.wire.plain import from_text, to_text
from scidbnet.wire.versions import DESCRIPTION, IDEMPOTENCY_KEY, PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scidb.exceptions import SciDBError
    from scidb.store.model import Record
    from scidb.store.protocol import Store


class Force(BaseVariable):
    """Force during one trial."""


def batch_of(value: float, *, subject: int = 1, encoding: str | None = None) -> Batch:
    """Return a batch that saves one value."""
    entry = record("Force", value, {"subject": subject})
    if encoding is not None:
        entry = replace(entry, encoding=encoding, nbytes=99)
    return Batch(chunks=(scalars([entry], [value]),))


def send(client: httpx.Client, batch: Batch, key: str | None, **headers: str) -> httpx.Response:
    """Send a batch as a client of any language would."""
    keyed = {} if key is None else {IDEMPOTENCY_KEY: key}
    body = b"".join(batch_bytes(batch))
    return client.post("/store/write", content=body, headers={"Content-Type": PARTS_TYPE, **keyed, **headers})


def refusal(answer: httpx.Response) -> SciDBError:
    """Return the error that was answered."""
    return error_from_json(from_text(answer.content, "The answer"))


@pytest.fixture
def store() -> Iterator[HttpStore]:
    """Return a client of an empty database with the variable Force."""
    store = HttpStore(serve(KEYS, verified=False))
    store.register(TypeInfo("Force"))
    yield store
    store.close()


@pytest.fixture
def client(store: HttpStore) -> Iterator[httpx.Client]:
    """Return plain HTTP to the same database."""
    with httpx.Client(base_url=f"{store.describe().target}{PREFIX}", timeout=30) as client:
        yield client


# ---------------------------------------------------------------- one key


def test_the_same_write_again(store: HttpStore, client: httpx.Client) -> None:
    """It gets the first answer, to the byte, and nothing is stored twice."""
    send(client, batch_of(1.0), "before")
    first = send(client, batch_of(1.0, encoding='{"kind":"other"}'), "k")
    again = [send(client, batch_of(1.0, encoding='{"kind":"other"}'), "k") for _ in range(3)]

    assert b"encoding" in first.content  # that of the record that was there
    assert [(one.status_code, one.content) for one in again] == [(200, first.content)] * 3
    assert len(store.find(Entries())) == 2


def test_another_body_under_the_same_key(store: HttpStore, client: httpx.Client) -> None:
    """It is a conflict, and not stored."""
    send(client, batch_of(1.0), "k")
    answer = send(client, batch_of(2.0), "k")

    assert answer.status_code == 409
    assert isinstance(refusal(answer), ConflictError)
    assert refusal(answer).code == "other_body"
    assert len(store.find(Entries())) == 1


@pytest.mark.parametrize("key", [None, "", "a b", "x" * 201])
def test_a_write_without_a_proper_key(store: HttpStore, client: httpx.Client, key: str | None) -> None:
    """It is refused: whoever loses the answer to it could not ask again."""
    answer = send(client, batch_of(1.0), key)

    assert (answer.status_code, refusal(answer).code) == (400, "idempotency_key")
    assert store.find(Entries()) == []


def test_only_the_server_says_what_it_answered(store: HttpStore, client: httpx.Client) -> None:
    """A client can neither bring such an event nor ask for answers."""
    forged = Batch(events=(Answered("somebody's", "digest", "ada"),))
    answer = send(client, forged, "k")

    assert (answer.status_code, type(refusal(answer))) == (400, SerializationError)
    with pytest.raises(SerializationError):
        store.find(Answers("k"))


def test_a_write_that_was_refused(store: HttpStore, client: httpx.Client) -> None:
    """Its key is free: what was not stored is stored when it comes again."""
    unknown = replace(record("Later", 1.0, {"subject": 1}))
    batch = Batch(chunks=(scalars([unknown], [1.0]),))
    assert send(client, batch, "k").status_code == 404
    store.register(TypeInfo("Later"))

    assert send(client, batch, "k").status_code == 200
    assert len(store.find(Entries())) == 1


def test_what_changed_the_schema(store: HttpStore, client: httpx.Client) -> None:
    """A write that adds a key comes again by the schema of before: it is answered, and not refused as outdated."""
    tag = client.get("/store/describe").headers[DESCRIPTION]
    batch = Batch(events=(KeyAdded(SchemaKey("day", "int"), "trial"),))
    answers = [send(client, batch, "k", **{DESCRIPTION: tag}) for _ in range(2)]

    assert [one.status_code for one in answers] == [200, 200]
    assert send(client, batch, "new", **{DESCRIPTION: tag}).status_code == 409


def test_after_a_restart(tmp_path: Path) -> None:
    """What a server knows no more, the file does."""
    target = str(tmp_path / "study.duckdb")
    addresses = [serve(keys, target, verified=False) for keys in (KEYS, None)]
    first, second = (httpx.Client(base_url=f"{address}{PREFIX}", timeout=30) for address in addresses)
    store = HttpStore(addresses[0])
    store.register(TypeInfo("Force"))
    with first, second:
        send(first, batch_of(1.0), "before")
        batch = batch_of(1.0, encoding='{"kind":"other"}')
        answers = [send(one, batch, "k").content for one in (first, second, second)]
        conflict = send(second, batch_of(3.0), "k")

        assert answers == [answers[0]] * 3
        assert b"encoding" in answers[0]
        assert refusal(conflict).code == "other_body"
        assert len(store.find(Entries())) == 2
    store.close()


def test_registering_again_changes_nothing(store: HttpStore) -> None:
    """`register` needs no key: the same type again is the same type."""
    info = TypeInfo("Emg", 2, "muscle", "mV")
    assert store.register(info) == store.register(info)
    assert [one.name for one in store.types()] == ["Emg", "Force"]


# ---------------------------------------------------------------- at the same time


class Slow(Wrapper):
    """A store whose writes wait until they are let go."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.has_begun, self.may_go = threading.Event(), threading.Event()
        self.writes = 0

    def write(self, batch: Batch) -> list[Record]:
        self.writes += 1
        self.has_begun.set()
        assert self.may_go.wait(20)
        return super().write(batch)


@contextmanager
def served(store: Store, **settings: Any) -> Iterator[httpx.Client]:
    """Serve a store of this process in a thread, and give plain HTTP to it."""
    server = uvicorn.Server(uvicorn.Config(store_app(store, ServerSettings(**settings)), log_level="warning"))
    sock = uvicorn.Config("", port=0, log_level="critical").bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
    thread.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{sock.getsockname()[1]}{PREFIX}", timeout=30) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def slow() -> Slow:
    """Return a slow store with the variable Force."""
    store = MemoryStore(KEYS)
    store.register(TypeInfo("Force"))
    return Slow(store)


def test_a_write_that_comes_while_it_runs(slow: Slow) -> None:
    """It waits for the first one and gets its answer; a write under another key waits for nobody."""
    with served(slow) as client, ThreadPoolExecutor(4) as pool:
        first = pool.submit(send, client, batch_of(1.0), "k")
        assert slow.has_begun.wait(20)
        others = [pool.submit(send, client, batch_of(1.0), "k") for _ in range(3)]
        time.sleep(0.2)  # until they are there
        assert (slow.writes, first.done()) == (1, False)
        slow.may_go.set()
        answers = [one.result(20) for one in (first, *others)]

    assert [(one.status_code, one.content) for one in answers] == [(200, answers[0].content)] * 4
    assert (slow.writes, len(slow.find(Entries()))) == (1, 1)


def test_a_write_that_runs_for_long(slow: Slow) -> None:
    """Whoever sends it again waits for so long only, and is told to ask again."""
    with served(slow, write_timeout=0.05) as client, ThreadPoolExecutor(1) as pool:
        first = pool.submit(send, client, batch_of(1.0), "k")
        assert slow.has_begun.wait(20)
        again = send(client, batch_of(1.0), "k")
        slow.may_go.set()

        assert (again.status_code, refusal(again).code) == (503, "still_writing")
        assert first.result(20).content == send(client, batch_of(1.0), "k").content
    assert slow.writes == 1


# ---------------------------------------------------------------- work that takes long


class SlowWork(Wrapper):
    """A store that compacts once it may, or fails."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.has_begun, self.may_go = threading.Event(), threading.Event()
        self.compactions = 0
        self.error: SciDBError | None = None

    def compact(self) -> Compaction:
        self.compactions += 1
        self.has_begun.set()
        assert self.may_go.wait(20)
        if self.error is not None:
            raise self.error
        return Compaction(self.compactions, 0)


def compact(client: httpx.Client, key: str | None) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post("/ability/maintenance/compact", json={}, headers=headers)


def test_work_that_is_asked_for_while_it_runs() -> None:
    """It is done once, and who asks again gets the answer, also afterwards; without a key, or with another, anew."""
    store = SlowWork(MemoryStore(KEYS))
    with served(store) as client, ThreadPoolExecutor(3) as pool:
        first = pool.submit(compact, client, "k")
        assert store.has_begun.wait(20)
        others = [pool.submit(compact, client, "k") for _ in range(2)]
        time.sleep(0.1)  # until they are there
        assert (store.compactions, first.done()) == (1, False)
        store.may_go.set()
        answers = [one.result(20).json() for one in (first, *others)] + [compact(client, "k").json()]
        assert answers == [{"before": 1, "after": 0}] * 4
        assert [compact(client, key).json()["before"] for key in ("l", None, None, "l")] == [2, 3, 4, 2]
        assert compact(client, 201 * "k").status_code == 400


def test_work_that_failed_is_done_again() -> None:
    """A failure is answered to all who wait for it, and kept for nobody."""
    store = SlowWork(MemoryStore(KEYS))
    store.may_go.set()
    with served(store) as client:
        store.error = StorageError("No room.")
        assert [compact(client, "k").status_code for _ in range(2)] == [507, 507]
        store.error = None
        assert compact(client, "k").json() == {"before": 3, "after": 0}


def test_work_that_takes_longer_than_a_timeout() -> None:
    """The client waits for it, however little patience it has with other requests, and does not ask twice."""
    store = SlowWork(MemoryStore(KEYS))
    with served(store) as client:
        remote = HttpStore.open(str(client.base_url).partition("/api")[0], timeout=0.3, retry_for=0.0)
        threading.Timer(1.0, store.may_go.set).start()
        assert remote.compact() == Compaction(1, 0)
        remote.close()
    assert store.compactions == 1


def test_work_whose_answer_is_lost() -> None:
    """The connection dies while it runs: the client asks again under the same key, and it is not done again."""
    store = SlowWork(MemoryStore(KEYS))
    with served(store) as client, cutting(str(client.base_url).partition("/api")[0]) as proxy:
        remote = HttpStore.open(proxy.address)
        proxy.cut("answer", 1)
        store.may_go.set()
        assert remote.compact() == Compaction(1, 0)
        assert proxy.cuts == 1
        remote.close()
    assert store.compactions == 1


# ---------------------------------------------------------------- connections that die


def positions(length: int, count: int) -> list[int]:
    """Return so many positions within so many bytes, its ends and what is beside them among them."""
    inner = np.linspace(2, length - 2, count).astype(int).tolist()
    return sorted({0, 1, *inner, length - 1})


def save_with_cuts(value: Any, per_side: int) -> None:
    """Save a value again and again, each time with the connection cut elsewhere; see that each is stored once."""
    address = serve([SchemaKey("subject", "int")])
    with (
        cutting(address) as proxy,
        DatabaseManager(HttpStore(proxy.address)) as db,
        DatabaseManager(HttpStore(address)) as direct,
    ):
        Force.save(value, subject=0, db=db)
        proxy.measure()
        Force.save(value, subject=1, db=db)
        lengths = proxy.passed
        saved = [0, 1]
        cuts: list[tuple[Any, int]] = [("request", at) for at in positions(lengths["request"], per_side)]
        cuts += [("answer", at) for at in positions(lengths["answer"], per_side)]
        for what, at in [*cuts, ("request", lengths["request"])]:
            proxy.cut(what, at)
            saved.append(len(saved))
            Force.save(value, subject=saved[-1], db=db)
            assert proxy.cuts == 1, (what, at)

        entries = direct._store.find(Entries())
        assert sorted(entry.schema["subject"] for entry in entries) == saved
        assert len(list(Force.load_all(db=direct))) == len(saved)


def test_a_connection_that_dies_during_a_save() -> None:
    """Wherever it is cut, in the request or in the answer, the client tries again and the value is stored once (N6)."""
    save_with_cuts(1.5, 4)


@pytest.mark.slow
def test_a_connection_that_dies_anywhere() -> None:
    """At a hundred places of each, also within a body of several hundred kilobytes."""
    save_with_cuts(1.5, 100)
    save_with_cuts(np.arange(50_000, dtype=float), 60)


def test_a_connection_that_dies_during_a_load() -> None:
    """A read is asked again as long as nobody has got anything of it."""
    address = serve([SchemaKey("subject", "int")])
    with cutting(address) as proxy, DatabaseManager(HttpStore(proxy.address)) as db:
        Force.save(np.arange(20_000.0), subject=1, db=db)
        cuts: list[tuple[Any, int]] = [("request", 0), ("request", 100), ("answer", 0), ("answer", 500)]
        for what, at in [*cuts, ("answer", 100_000)]:
            proxy.cut(what, at)
            assert Force.load(subject=1, db=db).data[-1] == 19_999.0
            assert proxy.cuts == 1


# ---------------------------------------------------------------- a server that does not come back


def test_a_write_of_which_nobody_knows(tmp_path: Path) -> None:
    """When the connection dies for good, the error says whether the write may have happened."""
    address = serve([SchemaKey("subject", "int")])
    with cutting(address) as proxy, DatabaseManager(HttpStore(proxy.address, retry_for=0.3)) as db:
        Force.save(1.0, subject=1, db=db)
        proxy.cut("answer", 10)
        proxy.close()  # the next connection is refused
        with pytest.raises(NetworkError, match="not known whether this was stored") as caught:
            Force.save(2.0, subject=1, db=db)
        assert caught.value.stored is None
        with pytest.raises(NetworkError, match="Nothing was stored") as refused:
            Force.save(3.0, subject=1, db=db)
        assert refused.value.stored is False

    with DatabaseManager(HttpStore(address)) as db:
        Force.save(2.0, subject=1, db=db)  # run again
        assert [one.data for one in Force.load_all(subject=1, db=db)] == [2.0]
        # The second save is one line more in the log, and no second value.
        assert len({one["record_id"] for one in db.list_versions(Force, subject=1)}) == 2


# ---------------------------------------------------------------- callers


def test_keys_and_claims_are_of_their_caller(tmp_path: Path) -> None:
    """Two tokens may choose the same key, and neither has the claims of the other; a reader has none at all."""
    tokens = TokenFile.beside(tmp_path / "study.duckdb")
    shown = {name: tokens.create(name, role, "1d").token for name, role in (("ada", "writer"), ("bob", "writer"))}
    shown["eve"] = tokens.create("eve", "reader", "1d").token
    store = MemoryStore(KEYS)
    store.register(TypeInfo("Force"))
    client = Client(store_app(store, tokens=tokens))

    def ask(name: str, path: str, body: bytes, **headers: str) -> httpx.Response:
        return client.post(
            f"{PREFIX}{path}", content=body, headers={"Authorization": f"Bearer {shown[name]}", **headers}
        )

    def save(name: str, value: float) -> httpx.Response:
        headers = {"Content-Type": PARTS_TYPE, IDEMPOTENCY_KEY: "k"}
        return ask(name, "/store/write", b"".join(batch_bytes(batch_of(value))), **headers)

    def claim(name: str) -> httpx.Response:
        body = {"lineage_ids": ["a"], "owner": "same"}
        return ask(name, "/ability/claims/claim", to_text(body), **{"Content-Type": "application/json"})

    first = save("ada", 1.0)
    assert (save("bob", 2.0).status_code, save("ada", 1.0).content) == (200, first.content)
    assert save("ada", 2.0).status_code == 409
    assert save("eve", 3.0).status_code == 403
    assert [one.user_id for one in store.find(Entries())] == ["bob", "ada"]
    assert [from_text(claim(name).content, "x").get("lineage_ids") for name in ("ada", "bob", "ada")] == [
        ["a"],
        [],
        ["a"],
    ]
    assert claim("eve").status_code == 403
