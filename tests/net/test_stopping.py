"""When the time of a request is over, what it does in the database ends, and is not only no longer waited for."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from tests.net.inprocess import Client

import scidb
from scidb import BaseVariable, raw_sql
from scidb.exceptions import LimitExceededError
from scidb.store import Store, open_store
from scidb.store.model import Batch, Latest, Match, Tagged, Tags, TypeInfo
from scidb.store.stopping import Stop, running, stoppable, stopped_in
from scidbnet.server import store_app
from scidbnet.server.routes.abilities import TimedFilters
from scidbnet.server.settings import ServerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SLOW = "(SELECT max(a.range + b.range) FROM range(100000) a, range(100000) b) > 0"
"""Minutes of work."""


class Measured(BaseVariable):
    """A number."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    path = tmp_path / "study.duckdb"
    with scidb.open(path, {"subject": int}) as db:
        Measured.save(1.5, subject=1, db=db)
    with closing(open_store(path)) as store:
        yield store


def slow() -> Latest:
    return Latest(Match(variables=("Measured",), where=raw_sql(SLOW)))


@pytest.mark.parametrize("verb", ["find", "fetch"])
def test_sql_in_a_filter_is_stopped(store: Store, verb: str) -> None:
    """A filter may take no longer than SQL by itself; the store goes on."""
    began = time.monotonic()
    with pytest.raises(LimitExceededError, match=r"0\.2 s") as caught:
        list(getattr(TimedFilters(store, 0.2), verb)(slow()))

    assert time.monotonic() - began < 10
    assert caught.value.code == "time_limit"
    assert len(TimedFilters(store, 20.0).find(Latest())) == 1


def test_a_request_that_takes_too_long_is_stopped(store: Store) -> None:
    """Its statement ends, so that the thread is free again, and it is answered 408."""
    app = store_app(store, ServerSettings(allow_sql=True, time_limit=0.3, sql_seconds=1000))
    began = time.monotonic()
    answer = Client(app).post("/api/v1/ability/sql", json={"query": f"SELECT {SLOW}"})

    assert (answer.status_code, answer.json()["code"]) == (408, "time_limit")
    assert time.monotonic() - began < 10
    assert Client(app).get("/api/v1/ready").status_code == 200


def test_a_write_that_is_stopped_stores_nothing(store: Store) -> None:
    """It comes to its check, in a transaction, and is late; the next one finds nothing in its way."""
    stop = Stop(1.0)
    with stoppable(stop), pytest.raises(LimitExceededError):
        store.write(Batch(events=(Tagged("late"),), check=stop.stop))

    assert store.find(Tags()) == []
    store.write(Batch(events=(Tagged("in time"),)))
    assert len(store.find(Tags())) == 1
    assert store.register(TypeInfo("Other")).name == "Other"


def test_what_is_around_stops_what_is_inside() -> None:
    """And the error says which time was over."""
    outer = Stop(5.0)
    outer.stop()
    with stoppable(outer), stopped_in(50.0), pytest.raises(LimitExceededError, match="5 s"), running(lambda: None):
        pytest.fail("It began.")


def test_what_is_done_is_not_interrupted() -> None:
    """An interrupt that comes later is for somebody else."""
    seen: list[str] = []
    stop = Stop(1.0)
    with stoppable(stop):
        with running(lambda: seen.append("first")):
            pass
        with running(lambda: seen.append("second")):
            stop.stop()

    assert seen == ["second"]


def test_other_failures_stay_what_they_are() -> None:
    """Only what was stopped is said to have been."""
    with stoppable(Stop(1.0)), pytest.raises(OSError, match="disk"), running(lambda: None, OSError):
        raise OSError("disk")
