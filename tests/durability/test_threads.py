"""One handle, many threads: whoever reads sees whole writes, and the end of the handle is the end for all (R5)."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pandas as pd
import pytest

import scidb
from scidb import BaseVariable, for_each
from scidb.exceptions import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from scidb.database import DatabaseManager

THREADS = 8
TOGETHER = 20


class ThreadNumber(BaseVariable):
    """A number."""


class ThreadArray(BaseVariable):
    """An array."""


class ThreadFrame(BaseVariable):
    """A frame."""


class ThreadTogether(BaseVariable):
    """Numbers that are saved together."""


class ThreadSum(BaseVariable):
    """What one function made."""


class ThreadHalf(BaseVariable):
    """What another function made."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the database is."""
    return tmp_path / "study.duckdb"


@pytest.fixture
def db(path: Path) -> Iterator[DatabaseManager]:
    """Return a database with two keys."""
    with scidb.open(path, {"subject": int, "trial": int}) as db:
        yield db


def together(*works: Callable[[], None], within: float = 300) -> list[BaseException]:
    """Do all of this at once, each in a thread, and return the errors; it may take so many seconds."""
    errors: list[BaseException] = []
    start = threading.Barrier(len(works))

    def run(work: Callable[[], None]) -> None:
        start.wait()
        try:
            work()
        except BaseException as error:  # noqa: BLE001  # for the test to see
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(within)
        assert not thread.is_alive()
    return errors


def array(subject: int, trial: int) -> np.ndarray[Any, Any]:
    """Return what belongs to a place."""
    return np.random.default_rng((subject, trial)).random(5_000)


def frame(subject: int, trial: int) -> pd.DataFrame:
    """Return what belongs to a place."""
    return pd.DataFrame({"x": array(subject, trial)[:50], "text": [f"{subject}/{trial}"] * 50})


def mixed(db: DatabaseManager, subject: int, calls: int) -> None:
    """Save and load in turn, and see in between and in the end what was saved here."""
    chance = random.Random(subject)
    saved: dict[str, list[int]] = {"number": [], "array": [], "frame": []}
    for trial in range(calls):
        match chance.choice(["number", "array", "frame", "many", "load", "load_all", "query", "versions"]):
            case "number":
                ThreadNumber.save(subject + trial / 4, subject=subject, trial=trial, db=db)
                saved["number"].append(trial)
            case "array":
                ThreadArray.save(array(subject, trial), subject=subject, trial=trial, db=db)
                saved["array"].append(trial)
            case "frame":
                ThreadFrame.save(frame(subject, trial), subject=subject, trial=trial, db=db)
                saved["frame"].append(trial)
            case "many":
                together = [(float(trial), {"subject": subject, "trial": n}) for n in range(TOGETHER)]
                ThreadTogether.save_many(together, db=db)
                assert {one.data for one in db.load_all(ThreadTogether, subject=subject)} == {float(trial)}
            case "load" if saved["array"]:
                last = saved["array"][-1]
                found = ThreadArray.load(subject=subject, trial=last, db=db).data
                assert found.tobytes() == array(subject, last).tobytes()
            case "load_all" if saved["frame"]:
                frames = list(db.load_all(ThreadFrame, subject=subject))
                assert [one.metadata["trial"] for one in frames] == saved["frame"]
            case "query" if saved["number"]:
                asked = "SELECT count(*) AS n FROM ThreadNumber WHERE subject = ?"
                assert db.query(asked, [subject]).to_pandas()["n"].tolist() == [len(saved["number"])]
            case "versions" if saved["number"]:
                assert len(db.list_versions(ThreadNumber, subject=subject)) == len(saved["number"])
    see(db, subject, saved)


def see(db: DatabaseManager, subject: int, saved: dict[str, list[int]]) -> None:
    """See that everything is as it was saved."""
    for one in db.load_all(ThreadNumber, subject=subject) if saved["number"] else ():
        assert one.data == subject + one.metadata["trial"] / 4
    for one in db.load_all(ThreadArray, subject=subject) if saved["array"] else ():
        assert one.data.tobytes() == array(subject, one.metadata["trial"]).tobytes()
    for one in db.load_all(ThreadFrame, subject=subject) if saved["frame"] else ():
        pd.testing.assert_frame_equal(one.data, frame(subject, one.metadata["trial"]))


@pytest.mark.parametrize("calls", [12, pytest.param(400, marks=[pytest.mark.slow, pytest.mark.timeout(1_800)])])
def test_eight_threads(db: DatabaseManager, path: Path, calls: int) -> None:
    """Eight threads that save and load in every way each find what they saved, and nothing else (R5)."""
    works = [lambda subject=subject: mixed(db, subject, calls) for subject in range(THREADS)]

    assert together(*works, within=1_500) == []
    records = {info.name: info.records for info in db.types()}
    db.close()
    with scidb.open(path) as again:
        assert {info.name: info.records for info in again.types()} == records


@pytest.mark.slow
def test_readers_see_whole_writes(db: DatabaseManager) -> None:
    """Who reads while values are saved together sees all of one save, never some of one and some of the next."""
    many = [{"subject": 1, "trial": trial} for trial in range(TOGETHER)]
    ThreadTogether.save_many([(0.0, place) for place in many], db=db)
    done = threading.Event()
    seen: set[float] = set()

    def write() -> None:
        try:
            for number in range(1, 25):
                ThreadTogether.save_many([(float(number), place) for place in many], db=db)
        finally:
            done.set()

    def read() -> None:
        while not done.is_set():
            values = [one.data for one in db.load_all(ThreadTogether)]
            assert len(values) == TOGETHER
            assert len(set(values)) == 1
            seen.update(values)

    def ask() -> None:
        while not done.is_set():
            shown = db.query("SELECT min(value) AS low, max(value) AS high, count(*) AS n FROM ThreadTogether")
            [row] = shown.to_pandas().to_dict("records")
            assert row["low"] == row["high"]
            assert row["n"] == TOGETHER

    assert together(write, read, read, read, ask, ask) == []
    assert {one.data for one in db.load_all(ThreadTogether)} == {24.0}


def test_for_each_in_two_threads(db: DatabaseManager) -> None:
    """Two calls of for_each at once on one handle, and a third that does the same, all have their results."""
    ThreadNumber.save_many([(float(n), {"subject": n}) for n in range(40)], db=db)
    reports: dict[str, Any] = {}

    def run(name: str, function: Callable[[float], float], output: type[BaseVariable], **how: Any) -> None:
        reports[name] = for_each(function, {"number": ThreadNumber}, [output], subject=[], db=db, **how)

    def add(number: float) -> float:
        return number + 1

    def halve(number: float) -> float:
        return number / 2

    errors = together(
        lambda: run("add", add, ThreadSum),
        lambda: run("halve", halve, ThreadHalf, n_jobs=2, prefer="threads"),
        lambda: run("add again", add, ThreadSum),
    )

    assert errors == []
    for report in reports.values():
        assert report.failed == report.skipped == 0
        assert report.completed + report.recalled + report.up_to_date == 40
    assert [one.data for one in db.load_all(ThreadSum)] == [n + 1.0 for n in range(40)]
    assert [one.data for one in db.load_all(ThreadHalf)] == [n / 2 for n in range(40)]


@pytest.mark.parametrize("moment", [0.0, 0.05, pytest.param(0.3, marks=pytest.mark.slow)])
def test_closing_while_others_read_and_write(db: DatabaseManager, path: Path, moment: float) -> None:
    """Who is at work when the handle is closed gets a whole answer, or is told; then the file is free and whole."""
    values = [(np.random.default_rng(n).random(150_000), {"subject": n}) for n in range(4)]
    ThreadArray.save_many(values, db=db)
    told: list[str] = []
    saved: list[int] = []

    def until_closed(work: Callable[[], None]) -> Callable[[], None]:
        def again_and_again() -> None:
            try:
                while True:
                    work()
            except StorageError as error:
                told.append(str(error))

        return again_and_again

    def load() -> None:
        found = list(db.load_all(ThreadArray))
        assert [one.data.tobytes() for one in found] == [value.tobytes() for value, _ in values]

    def ask() -> None:
        assert db.query("SELECT count(*) AS n FROM ThreadArray__rows").to_pandas()["n"].tolist() == [600_000]

    def save() -> None:
        ThreadNumber.save(len(saved) + 0.5, subject=len(saved), db=db)
        saved.append(len(saved))

    def close() -> None:
        threading.Event().wait(moment)
        db.close()
        with duckdb.connect(path, config={"threads": "1"}):
            pass  # another configuration, which DuckDB refuses as long as the file is open

    workers = [until_closed(work) for work in (load, load, ask, ask, save)]
    assert together(*workers, close) == []
    assert len(told) == 5
    assert all("closed" in text for text in told)
    with scidb.open(path) as again:
        assert len(list(again.load_all(ThreadArray))) == 4
        there = [one.data for one in again.load_all(ThreadNumber)] if saved else []
        assert there[: len(saved)] == [n + 0.5 for n in saved]


def test_closing_with_idle_threads(db: DatabaseManager, path: Path) -> None:
    """After close the file is free, also when other threads have read and are still there."""
    ThreadNumber.save(0.5, subject=1, db=db)
    ready, done = threading.Event(), threading.Event()

    def read() -> None:
        ThreadNumber.load(subject=1, db=db)
        ready.set()
        done.wait(10)

    thread = threading.Thread(target=read)
    thread.start()
    ready.wait(10)
    db.close()
    with duckdb.connect(path, config={"threads": "1"}):
        pass
    done.set()
    thread.join()
    with pytest.raises(StorageError, match="closed"):
        ThreadNumber.load(subject=1, db=db)
