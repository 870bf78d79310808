"""Claims: who computes what, on a server that several machines share."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.net.serving import serve

from scidb.exceptions import LimitExceededError, SerializationError, UnsupportedOperationError
from scidb.store import Claims, ReadOnly, Wrapper
from scidb.store.memory import MemoryStore
from scidb.store.model import Batch, Failed, RunStarted
from scidb.testing.store_suite.samples import KEYS, call
from scidbnet import HttpStore
from scidbnet.server.routes.claims import Claiming
from scidbnet.wire.errors import error_from_json
from scidbnet.wire.plain import from_text
from scidbnet.wire.versions import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator


class Hands:
    """A clock that shows what it is set to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Hands:
    """Return the clock of the claims."""
    return Hands()


@pytest.fixture
def claims(clock: Hands) -> Claiming:
    """Return a store with claims and no others."""
    return Claiming(MemoryStore(KEYS), most=100, clock=clock)


def test_one_has_what_another_has_not(claims: Claiming) -> None:
    """What is claimed is obtained by one alone, in the order asked; again, or by its owner, as often as wanted."""
    assert claims.claim(["b", "a"], "x") == ["b", "a"]
    assert claims.claim(["a", "c"], "y") == ["c"]
    assert claims.claim(["a", "c"], "x") == ["a"]
    assert claims.describe().abilities[-1] == "claims"


def test_no_more_than_wanted(claims: Claiming) -> None:
    """Of many that are asked for, the first free ones are given, and the rest stays free."""
    claims.claim(["a"], "x")
    assert claims.claim(["a", "b", "c", "d"], "y", most=2) == ["b", "c"]
    assert claims.claim(["d"], "z") == ["d"]
    assert claims.claim(["e"], "z", most=0) == []


def test_a_claim_runs_out(claims: Claiming, clock: Hands) -> None:
    """After its time anybody may have it; whoever renews keeps it, and whoever lost it is told."""
    claims.claim(["a", "b"], "x", 60)
    clock.now += 59
    assert claims.renew(["b", "other"], "x", 60) == ["b"]
    clock.now += 1
    assert claims.claim(["a", "b"], "y") == ["a"]
    assert claims.renew(["a", "b"], "x") == ["b"]


def test_a_claim_is_given_up(claims: Claiming) -> None:
    """By its owner alone."""
    claims.claim(["a", "b"], "x")
    claims.release(["a", "b", "c"], "y")
    assert claims.claim(["a"], "y") == []
    claims.release(["a"], "x")
    assert claims.claim(["a", "b"], "y") == ["a"]


def test_a_claim_ends_with_its_result(claims: Claiming) -> None:
    """A call that is written, or a failure, ends the claim on its computation, whoever has written it."""
    made = call("c1")
    done = made.computation.lineage_id
    claims.claim([done, "failed", "other"], "x")
    failure = Failed("r", {}, "{}", "ValueError", "no", "", 0.1, "failed")
    claims.write(Batch(calls=(made,), events=(RunStarted("r", "f", "h", 1), failure)))

    assert claims.claim([done, "failed", "other"], "y") == [done, "failed"]
    assert claims.renew([done, "other"], "x") == ["other"]


def test_claims_are_bounded(claims: Claiming, clock: Hands) -> None:
    """In number, time and length; claims that have run out make room."""
    claims.claim([f"a{number}" for number in range(100)], "x", 10)
    with pytest.raises(LimitExceededError, match="100"):
        claims.claim(["more"], "y")
    clock.now += 10
    assert claims.claim(["more"], "y") == ["more"]
    for seconds in (0, -1, 601, float("nan"), float("inf")):
        with pytest.raises(LimitExceededError, match="at most"):
            claims.claim(["b"], "x", seconds)
    with pytest.raises(LimitExceededError, match="longer"):
        claims.claim(["b" * 401], "x")


def test_a_store_of_one_process_keeps_none() -> None:
    """A wrapper asks the store inside, and says when that has no claims."""
    store = Wrapper(MemoryStore(KEYS))
    for ask in (store.claim, store.renew, store.release):
        with pytest.raises(UnsupportedOperationError, match="claims"):
            ask(["a"], "x")
    assert not isinstance(MemoryStore(KEYS), Claims)
    assert ReadOnly(Claiming(MemoryStore(KEYS))).claim(["a"], "x") == ["a"]


# ---------------------------------------------------------------- over HTTP


@pytest.fixture
def address() -> str:
    """Return where a database is served."""
    return serve(KEYS)


@pytest.fixture
def store(address: str) -> Iterator[HttpStore]:
    """Return a client."""
    with closing(HttpStore(address)) as store:
        yield store


def test_claims_over_http(address: str, store: HttpStore) -> None:
    """Two clients share the claims of one server, which says that it has them."""
    assert isinstance(store, Claims)
    assert "claims" in store.describe().abilities
    with closing(HttpStore(address)) as other:
        assert store.claim(["a", "b"], "x", 30) == ["a", "b"]
        assert other.claim(["a", "b", "c", "d"], "y", most=1) == ["c"]
        assert other.renew(["a", "c"], "y") == ["c"]
        store.release(["a"], "x")
        assert other.claim(["a"], "y") == ["a"]


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"lineage_ids": "abc", "owner": "x"},
        {"lineage_ids": [1], "owner": "x"},
        {"lineage_ids": ["a"], "owner": ""},
        {"lineage_ids": ["a"], "owner": "x", "seconds": "long"},
        {"lineage_ids": ["a"], "owner": "x", "most": 1.5},
        {"lineage_ids": ["a"], "owner": "x", "other": 1},
        [],
    ],
)
def test_claims_that_cannot_be_meant(address: str, asked: Any) -> None:
    """What is no claim is refused as such."""
    answer = httpx.post(f"{address}{PREFIX}/ability/claims/claim", json=asked)
    assert answer.status_code == 400
    assert isinstance(error_from_json(from_text(answer.content, "x")), SerializationError)
