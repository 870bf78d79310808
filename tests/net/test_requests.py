"""How many requests each call of the facade sends: one where one will do, and never more for more records."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tests.net.serving import serve

import scidb
from scidb import BaseVariable, DatabaseManager, for_each, thunk
from scidb.store.model import MemoEntries, SchemaKey
from scidbnet.client.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEYS = {"subject": "int", "trial": "int"}


class Sway(BaseVariable): ...


class SwayTwice(BaseVariable): ...


class SwayMean(BaseVariable): ...


def twice(x: float) -> float:
    return 2 * x


@thunk
def mean(x: float, y: float) -> float:
    return (x + y) / 2


class Sent:
    """The paths of the requests that were sent."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    def __call__(self, work: Callable[[], Any]) -> list[str]:
        """Do some work, and return what was asked for it."""
        self.paths.clear()
        work()
        return [path.rpartition("/")[2] for path in self.paths]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    """Note every request."""
    noted = Sent()
    send = Transport.send

    def note(self: Transport, method: str, path: str, *rest: Any) -> Any:
        noted.paths.append(path)
        return send(self, method, path, *rest)

    monkeypatch.setattr(Transport, "send", note)
    return noted


@contextmanager
def opened() -> Iterator[DatabaseManager]:
    address = serve([SchemaKey(name, "int") for name in KEYS])
    with scidb.open(address, KEYS) as db, db.as_current():
        yield db


@pytest.fixture
def db(monkeypatch: pytest.MonkeyPatch) -> Iterator[DatabaseManager]:
    """Return a remote database that knows its variables, with a description that stays fresh."""
    monkeypatch.setattr("scidbnet.client.store._FRESH", 600.0)
    with opened() as db:
        Sway.save_many([(10.0 * n + t, {"subject": n, "trial": t}) for n in range(10) for t in range(10)])
        yield db


def test_one_record_is_one_request(db: DatabaseManager, sent: Sent) -> None:
    """S10s: to save and to load one record is one request each; to save it again, too."""
    assert sent(lambda: Sway.save(0.5, subject=1, trial=1)) == ["write"]
    assert sent(lambda: Sway.save(0.5, subject=1, trial=1)) == ["write"]
    assert sent(lambda: Sway.load(subject=1, trial=1)) == ["fetch"]
    assert sent(lambda: db.load(Sway, subject=1, trial=1)) == ["fetch"]
    # Of several that match, none is fetched.
    assert sent(lambda: Sway.load_one(subject=1, trial=1)) == ["find", "fetch"]


def test_a_first_record(db: DatabaseManager, sent: Sent) -> None:
    """A variable that is new is looked for and registered first."""
    assert sent(lambda: SwayMean.save(0.5, subject=1, trial=1)) == ["types", "register", "write"]


def test_many_records_are_one_request(db: DatabaseManager, sent: Sent) -> None:
    """As many as there are."""
    many = [(float(n), {"subject": n % 100, "trial": n}) for n in range(300)]
    assert sent(lambda: Sway.save_many(many)) == ["write"]
    assert sent(lambda: list(Sway.load_all())) == ["fetch"]
    assert sent(lambda: Sway.list_versions(subject=1)) == ["find"]
    assert sent(lambda: db.to_dataframe([Sway])) == ["fetch"]


def test_a_description_is_asked_for_once_a_while(
    db: DatabaseManager, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stale one costs a request more, whatever the call does."""
    assert sent(lambda: [db.schema_keys for _ in range(3)]) == []
    monkeypatch.setattr("scidbnet.client.store._FRESH", 0.5)
    time.sleep(0.6)
    assert sent(lambda: Sway.save(0.75, subject=1, trial=1)) == ["describe", "write"]
    assert sent(lambda: db.schema_keys) == []


def test_opening(sent: Sent) -> None:
    """The version of the server, and the description."""
    address = serve([SchemaKey(name, "int") for name in KEYS])
    assert sent(lambda: scidb.open(address, KEYS).close()) == ["health", "describe"]


def run(**keys: Any) -> None:
    for_each(twice, {"x": Sway}, [SwayTwice], progress=False, **{"subject": [], "trial": [], **keys})


def test_for_each_asks_for_all_combinations_at_once(db: DatabaseManager, sent: Sent) -> None:
    """What a run sends does not grow with its combinations; there are 2 or 100 here."""
    SwayTwice.save(0.0, subject=99, trial=99)
    inputs, results = ["find", "find"], ["find", "find"]  # where there are any, and which; what is known, and stands
    portion = ["claim", "find", "find", "fetch"]  # nobody else computes it, nor did; values of inputs
    work = [*portion, *portion, "write"]  # one to learn how long a call takes, the others; results, and that it ended
    assert sent(lambda: run(subject=[1])) == [*inputs, *results, *work]
    earlier = ["find", "find"]  # failures of an earlier run, and what was set aside
    assert sent(run) == [*inputs, *earlier, *results, *work]
    assert sent(run) == [*inputs, *earlier, "write"]


def test_a_thunk(db: DatabaseManager, sent: Sent) -> None:
    """A result is looked for by one request, saved by one; one that is there is fetched by another, and kept."""
    first, second = Sway.load(subject=1, trial=1), Sway.load(subject=1, trial=2)
    made: list[Any] = []
    assert sent(lambda: made.append(mean(first, second))) == ["find", "find"]
    SwayMean.save(made[0], subject=1, trial=1)
    again = mean(second, first)
    assert sent(lambda: SwayMean.save(again, subject=1, trial=2)) == ["write"]
    assert sent(lambda: mean(first, second)) == ["find", "fetch"]


def test_questions_about_results(db: DatabaseManager, sent: Sent) -> None:
    """What is asked about a hundred results takes as many requests as about one."""
    for number in (1, 10):
        run(subject=list(range(number)))
        assert len(sent(db.status)) == 10
        assert len(sent(lambda: db.get_provenance(SwayTwice, subject=0, trial=0))) == 4
        assert len(sent(lambda: db.explain(SwayTwice, subject=0, trial=0))) == 12
        assert len(sent(lambda: db.impact(Sway, subject=0, trial=0))) == 5
        assert [len(sent(ask)) for ask in (db.runs, db.log, db.types, db.tables, db.tags, db.flags)] == [1] * 6


SCRIPT = """
import scidb, sys
from tests.net.test_requests import Sway, SwayMean, mean

db = scidb.configure_database(sys.argv[1])
first, second = Sway.load(subject=1, trial=1), Sway.load(subject=1, trial=2)
SwayMean.save(mean(first, second), subject=1, trial=1)
mean(first, second)
mean(first, second)
"""


@pytest.mark.slow
def test_a_script_that_never_closes(db: DatabaseManager, tmp_path: Path) -> None:
    """What of the memo a script used is told to the server when the script ends, as a file is told."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, db.target], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [entry.hits for entry in db._store.find(MemoEntries())] == [2]
