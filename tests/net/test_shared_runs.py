"""Several processes share the work of one call: each computes what nobody else does, and nobody waits in vain."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scidb import BaseVariable, for_each
from scidb.database import DatabaseManager
from scidb.exceptions import NetworkError, SciDBWarning
from scidb.foreach import claims
from scidb.store.memory import MemoryStore
from scidb.store.model import Entries, SchemaKey
from scidbnet.server.routes.claims import Claiming

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scidb.foreach.report import ForEachReport


class Raw(BaseVariable):
    """What is given."""


class Twice(BaseVariable):
    """Twice as much."""


class Noting(Claiming):
    """A store that notes what is asked of its claims."""

    def __init__(self) -> None:
        super().__init__(MemoryStore([SchemaKey("subject", "int")]))
        self.asked: list[tuple[str, Any]] = []

    def claim(self, lineage_ids: Sequence[str], owner: str, seconds: float = 60, *, most: int | None = None) -> Any:
        obtained = super().claim(lineage_ids, owner, seconds, most=most)
        self.asked.append(("claim", obtained))
        return obtained

    def renew(self, lineage_ids: Sequence[str], owner: str, seconds: float = 60) -> Any:
        self.asked.append(("renew", list(lineage_ids)))
        return super().renew(lineage_ids, owner, seconds)

    def release(self, lineage_ids: Sequence[str], owner: str) -> None:
        self.asked.append(("release", list(lineage_ids)))
        super().release(lineage_ids, owner)


COUNT = 40


@pytest.fixture
def store() -> Noting:
    """Return a store with claims, and something to compute with."""
    store = Noting()
    db = DatabaseManager(store)
    Raw.save_many([(float(subject), {"subject": subject}) for subject in range(COUNT)], db=db)
    return store


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let portions be small and waits short, so that little work shows what much of it does."""
    monkeypatch.setattr(claims, "_PORTION_SECONDS", 0.01)
    monkeypatch.setattr(claims, "_LONGEST_WAIT", 0.05)


def run(store: Claiming, function: Callable[..., Any], **options: Any) -> ForEachReport:
    """Run a function over all subjects, as a process of its own would."""
    db = DatabaseManager(store)
    return for_each(function, {"raw": Raw}, [Twice], subject=[], db=db, progress=False, **options)


def run_together(store: Claiming, functions: Sequence[Callable[..., Any]], **options: Any) -> list[ForEachReport]:
    """Run several at the same time."""
    reports: dict[int, ForEachReport] = {}

    def work(number: int) -> None:
        reports[number] = run(store, functions[number], **options)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return [reports[number] for number in range(len(functions))]


def saved(store: Claiming) -> list[int]:
    """Return for which subjects there is a result, once for each line of the log."""
    return sorted(int(str(entry.schema["subject"])) for entry in store.find(Entries()) if entry.variable == "Twice")


notes = ""
"""The file in which every call of a function is noted; no list, which a function would change that reads it."""


def note(raw: float) -> None:
    """Note that something is computed."""
    with Path(notes).open("a", encoding="utf-8") as file:
        file.write(f"{raw}\n")


def computed() -> list[float]:
    """Return what was computed, by whomever."""
    return [float(line) for line in Path(notes).read_text(encoding="utf-8").split()]


def double(raw: float) -> float:
    """Take a while to double a number."""
    note(raw)
    time.sleep(0.002)
    return 2 * raw


@pytest.fixture(autouse=True)
def own_notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with nothing computed."""
    monkeypatch.setattr(sys.modules[__name__], "notes", str(tmp_path / "notes"))
    Path(notes).touch()


@pytest.mark.parametrize("options", [{}, {"n_jobs": 2, "prefer": "threads"}], ids=["here", "threads"])
def test_each_combination_once(store: Noting, options: dict[str, Any]) -> None:
    """Three runs at the same time compute every combination once, log it once, and each reports all of them."""
    reports = run_together(store, [double] * 3, **options)

    assert sorted(computed()) == [float(subject) for subject in range(COUNT)]
    assert saved(store) == list(range(COUNT))
    assert [one.completed + one.up_to_date for one in reports] == [COUNT] * 3
    assert sum(one.completed for one in reports) == COUNT
    assert all(one.completed for one in reports)
    assert not store._held


def test_a_run_alone(store: Noting) -> None:
    """One process gets everything; its claims end with its results, and there is nothing to give back."""
    report = run(store, double)

    assert (report.completed, report.failed) == (COUNT, 0)
    assert {what for what, _ in store.asked} == {"claim"}
    assert len(store.asked) < COUNT
    assert not store._held
    store.asked.clear()
    assert run(store, double).up_to_date == COUNT
    assert store.asked == []


def test_portions_grow_with_speed(store: Noting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short computations are claimed together; the first one, of which nothing is known, alone."""
    monkeypatch.setattr(claims, "_PORTION_SECONDS", 1.0)
    run(store, double)
    sizes = [len(obtained) for _, obtained in store.asked]
    assert sizes == [1, COUNT - 1]


def test_what_fails_is_tried_by_all(store: Noting) -> None:
    """A failure ends a claim, so that whoever waits for it tries for himself; what only failed here succeeds there."""

    def careful(raw: float) -> float:
        note(raw)
        if raw == 3 and threading.current_thread().name == "first":
            raise ValueError("not here")
        return 2 * raw

    barrier = threading.Barrier(2)
    reports: dict[str, ForEachReport] = {}

    def work() -> None:
        barrier.wait()
        reports[threading.current_thread().name] = run(store, careful)

    threads = [threading.Thread(target=work, name=name) for name in ("first", "second")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert reports["second"].failed == 0
    assert saved(store) == list(range(COUNT))
    assert computed().count(3.0) in (1, 2)
    assert not store._held


def test_a_worker_that_is_gone(store: Noting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its claims run out, and whoever waits takes over; its late result is stored, and is no second value."""
    monkeypatch.setattr(claims, "_CLAIM_SECONDS", 0.3)
    lineage_ids = [one for _, one in _lineages(store)]
    assert store.claim(lineage_ids[:5], "gone", 0.3) == lineage_ids[:5]
    started = time.monotonic()
    report = run(store, double)

    assert time.monotonic() - started > 0.2
    assert report.completed == COUNT
    assert saved(store) == list(range(COUNT))


def _lineages(store: Noting) -> list[tuple[int, str]]:
    """Return the computations of a run by subject, as another database has them."""
    other = Noting()
    for subject in range(COUNT):
        Raw.save(float(subject), subject=subject, db=DatabaseManager(other))
    run(other, double)
    Path(notes).write_text("", encoding="utf-8")
    found = {
        int(str(one.schema["subject"])): str(one.lineage_id) for one in other.find(Entries()) if one.variable == "Twice"
    }
    return sorted(found.items())


def test_a_claim_is_kept_while_it_computes(store: Noting, monkeypatch: pytest.MonkeyPatch) -> None:
    """A computation that takes longer than a claim keeps it, and nobody begins it a second time."""
    monkeypatch.setattr(claims, "_CLAIM_SECONDS", 0.2)

    def long(raw: float) -> float:
        note(raw)
        if raw == 0:
            time.sleep(0.6)
        return 2 * raw

    reports = run_together(store, [long] * 2)
    assert computed().count(0.0) == 1
    assert sum(one.completed for one in reports) == COUNT
    assert "renew" in {what for what, _ in store.asked}


def test_an_interrupt_gives_claims_back(store: Noting, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was claimed and not begun is free at once."""
    monkeypatch.setattr(claims, "_PORTION_SECONDS", 10.0)

    def interrupted(raw: float) -> float:
        if raw == 7:
            raise KeyboardInterrupt
        return 2 * raw

    with pytest.raises(KeyboardInterrupt):
        run(store, interrupted)
    assert not store._held
    assert saved(store) == list(range(7))


def test_claims_that_fail(store: Noting) -> None:
    """Without claims the run goes on by itself, and says so once."""

    def broken(*_: Any, **__: Any) -> Any:
        raise NetworkError("It broke.")

    store.claim = broken  # type: ignore[method-assign]
    with pytest.warns(SciDBWarning, match=r"double\(\) goes on without claims.*It broke") as caught:
        report = run(store, double)
    assert (report.completed, len(caught)) == (COUNT, 1)


def test_a_database_of_one_process(store: Noting) -> None:
    """A store without the ability is asked nothing."""
    inner = store._store
    assert DatabaseManager(inner).claims is None
    report = for_each(double, {"raw": Raw}, [Twice], subject=[], db=DatabaseManager(inner), progress=False)
    assert (report.completed, store.asked) == (COUNT, [])


@pytest.mark.parametrize("options", [{"force": True}, {"skip_computed": False}, {"save": False}])
def test_runs_that_share_nothing(store: Noting, options: dict[str, Any]) -> None:
    """Who asks for everything to be computed here gets it."""
    assert run(store, double, **options).completed == COUNT
    assert store.asked == []


def test_equal_combinations(store: Noting) -> None:
    """Combinations with equal inputs are one computation, claimed once and computed once, also when others wait."""
    Raw.save_many([(1.0, {"subject": subject}) for subject in range(COUNT)], db=DatabaseManager(store))
    reports = run_together(store, [double] * 2)

    assert computed() == [1.0]
    assert [one.completed + one.recalled + one.up_to_date for one in reports] == [COUNT] * 2
    latest = list(Twice.load_all(db=DatabaseManager(store)))
    assert [one.data for one in latest] == [2.0] * COUNT
