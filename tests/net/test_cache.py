"""Thunks ask a server for earlier results, whoever computed them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from tests.matrices import Matrix
from tests.net.serving import serve

import scidb
from scidb import BaseVariable, thunk
from scidb.store.model import SchemaKey
from scidbnet import RemoteDatabaseManager, configure_remote_database
from scidbnet.serialization import decode_response, deserialize_data
from scidbnet.wire.framing import envelope_from

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scidb import ThunkOutput


class Low(BaseVariable):
    pass


class High(BaseVariable):
    pass


@thunk(n_outputs=2)
def extremes(x: Any) -> Any:
    return float(np.min(x)), float(np.max(x))


@thunk
def square(x: Any) -> Any:
    return np.asarray(x).reshape(2, 2) ** 2


@pytest.fixture
def address() -> str:
    return serve([SchemaKey("subject")])


@pytest.fixture
def db(address: str) -> Iterator[RemoteDatabaseManager]:
    with configure_remote_database(address) as db:
        yield db


def known(address: str, result: ThunkOutput) -> httpx.Response:
    """Ask as another language does."""
    body = {"lineage_id": result.pipeline_thunk.lineage_id}
    return httpx.post(f"{address}/api/v1/find_by_lineage", json=body)


def test_nothing_is_known_before_it_is_saved(db: RemoteDatabaseManager, address: str) -> None:
    """A computation that nobody saved is None, and null."""
    low, _ = extremes([1.0, 2.0])

    assert db.find_by_lineage(low) is None
    assert known(address, low).json() is None


def test_all_outputs_are_recalled_in_their_order(db: RemoteDatabaseManager, address: str) -> None:
    """Saved outputs come back in the order of the function, once all of them are there."""
    low, high = extremes([1.0, 2.0])
    High.save(high, subject=1)
    half = db.find_by_lineage(low), known(address, low).json(), extremes([1.0, 2.0])[0].was_cached
    Low.save(low, subject=1)

    parts = decode_response(known(address, low).content)

    assert half == (None, None, False)
    assert db.find_by_lineage(low) == [1.0, 2.0]
    assert [deserialize_data(one) for one in parts] == [1.0, 2.0]
    assert [envelope_from(one).header["record"]["variable"] for one in parts] == ["Low", "High"]
    assert [one.was_cached for one in extremes([1.0, 2.0])] == [True, True]


def test_what_one_client_saved_another_recalls(db: RemoteDatabaseManager, address: str) -> None:
    """The memo belongs to the lab: another connection finds the result, and its own save is the same record."""
    first = [kind.save(one, subject=1) for kind, one in zip((Low, High), extremes([3.0]), strict=True)]

    with scidb.open(address) as other, other.as_current():
        again = extremes([3.0])

        assert [one.was_cached for one in again] == [True, True]
        assert [kind.save(one, subject=1) for kind, one in zip((Low, High), again, strict=True)] == first
    assert not extremes([4.0])[0].was_cached


def test_a_class_restores_what_is_recalled(db: RemoteDatabaseManager, address: str) -> None:
    """Of a class with storage of its own, a thunk gets the value, and other languages nothing that might be it."""
    result = square([1.0, 2.0, 3.0, 4.0])
    Matrix.save(result, subject=1)

    again = square([1.0, 2.0, 3.0, 4.0])

    assert (again.was_cached, again.data.tolist()) == (True, [[1.0, 4.0], [9.0, 16.0]])
    assert known(address, result).json() is None


def test_results_that_were_set_aside_are_not_recalled(db: RemoteDatabaseManager, address: str) -> None:
    """After invalidate_cache nobody gets the result, until it is saved again."""
    for kind, one in zip((Low, High), extremes([5.0]), strict=True):
        kind.save(one, subject=1)

    assert db.invalidate_cache("extremes") == 1
    low, _ = extremes([5.0])

    assert not low.was_cached
    assert known(address, low).json() is None


def test_hits_are_counted_on_the_server(db: RemoteDatabaseManager, address: str) -> None:
    """What a client recalled counts for all, once it closes."""
    for kind, one in zip((Low, High), extremes([6.0]), strict=True):
        kind.save(one, subject=1)
    with scidb.open(address) as other, other.as_current():
        extremes([6.0])

    assert db.get_cache_stats()["total_hits"] == 1
