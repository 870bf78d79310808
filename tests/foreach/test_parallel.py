"""for_each with workers: everything comes out as it does in one process."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
import threading
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.foreach import parallel_steps as steps
from tests.net.serving import where

import scidb
from scidb import BaseVariable, DatabaseManager, PathInput, exceptions, for_each, thunk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Raw(BaseVariable):
    pass


class Out(BaseVariable):
    pass


class Other(BaseVariable):
    pass


@pytest.fixture(scope="module")
def spawned() -> Iterator[Executor]:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.fixture(scope="module")
def threads() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


WAYS = ["serial", "threads", "thread pool", "loky", pytest.param("spawned", marks=pytest.mark.slow)]


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> dict[str, Any]:
    """How the calls run: the arguments of for_each."""
    match request.param:
        case "serial":
            return {"n_jobs": 1}
        case "threads":
            return {"n_jobs": 2, "prefer": "threads"}
        case "thread pool":
            return {"executor": request.getfixturevalue("threads")}
        case "loky":
            pytest.importorskip("loky")
            return {"n_jobs": 2}
        case _:
            return {"executor": request.getfixturevalue("spawned")}


@pytest.fixture(params=["memory", "http"])
def study(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DatabaseManager]:
    """Hold six subjects, of which 5 and 6 have equal data."""
    with scidb.open(where(request, tmp_path), {"subject": int}) as db, db.as_current():
        Raw.save_many([(float(min(n, 5)), {"subject": n}) for n in range(1, 7)])
        yield db


def run(function: Callable[..., Any], way: dict[str, Any], **options: Any) -> scidb.ForEachReport:
    return for_each(function, {"x": Raw}, [Out], subject=[], **way, **options)


def saved() -> dict[Any, Any]:
    return {item.schema["subject"]: item.data for item in Out.load_all()}


# ---------------------------------------------------------------- the same everywhere


def test_every_way_gives_the_same(study: DatabaseManager, way: dict[str, Any]) -> None:
    """R7, M6a: records, ids, and the order of the report are those of a run in one process; twins run once."""
    report = run(steps.double, way)

    assert report.to_pandas()["subject"].tolist() == [1, 2, 3, 4, 5, 6]
    assert (report.completed, report.recalled, report.failed) == (5, 1, 0)
    assert saved() == {1: 2.0, 2: 4.0, 3: 6.0, 4: 8.0, 5: 10.0, 6: 10.0}
    ids = [item.record_id for item in Out.load_all()]
    with scidb.open("memory:", {"subject": int}) as other, other.as_current():
        Raw.save_many([(float(min(n, 5)), {"subject": n}) for n in range(1, 7)])
        run(steps.double, {"n_jobs": 1})
        assert [item.record_id for item in Out.load_all()] == ids
    again = run(steps.double, way)
    assert (again.completed, again.up_to_date) == (0, 6)
    assert [(one.total, one.completed, one.recalled, one.interrupted) for one in study.runs()][-1:] == [
        (6, 5, 1, False)
    ]


def test_a_failure_is_one_combination_with_its_traceback(study: DatabaseManager, way: dict[str, Any]) -> None:
    """R2: an exception that cannot be sent fails its combination in every way, with type, message and traceback."""
    report = run(steps.fails_at_three, way)

    assert (report.completed, report.failed) == (4, 1)
    assert report.failures[0].combination == {"subject": 3}
    assert "in fails_at_three" in report.failures[0].traceback
    assert "OddError" in report.failures[0].traceback
    assert "three is too much" in str(report.failures[0].error)
    assert "three is too much" in study.failures()[0].message
    assert sorted(saved()) == [1, 2, 4, 5, 6]


def test_raise_stops_and_keeps_what_is_done(study: DatabaseManager, way: dict[str, Any]) -> None:
    """on_error="raise" raises the first error; what came back before is saved, and the run ends as interrupted."""
    with pytest.raises(Exception, match="three is too much"):
        run(steps.fails_at_three, way, on_error="raise")

    assert 3 not in saved()
    assert study.runs()[0].interrupted
    assert run(steps.fails_at_three, way).failed == 1


def test_a_result_that_cannot_be_sent_fails_alone(study: DatabaseManager, way: dict[str, Any]) -> None:
    """A result that cannot be kept or sent fails its own combination, not the ones beside it."""
    report = run(steps.unsendable_at_three, way)

    assert [failure.combination["subject"] for failure in report.failures] == [3]
    assert sorted(saved()) == [1, 2, 4, 5, 6]


def test_values_only(study: DatabaseManager, way: dict[str, Any]) -> None:
    """save=False returns the values in the order of combinations, and stores nothing."""
    report = run(steps.double, way, save=False)

    assert report.values == [(2.0,), (4.0,), (6.0,), (8.0,), (10.0,), (10.0,)]
    assert not study.runs()


def test_whole_variables_travel(study: DatabaseManager, way: dict[str, Any]) -> None:
    """unwrap=False gives the function variables with their keys, in every way."""
    run(thunk(unwrap=False)(steps.whole), way)

    assert saved()[3] == "3 3.0"


def test_files_as_inputs(study: DatabaseManager, tmp_path: Path, way: dict[str, Any]) -> None:
    """M10: workers read files; one that changes while the run is under way fails its combination."""
    for subject in (1, 2, 3):
        (tmp_path / f"{subject}.txt").write_text(f"{subject}")
    files = {"path": PathInput("{subject}.txt", root_folder=tmp_path)}

    report = for_each(steps.read_and_spoil, files, [Out], subject=[1, 2, 3], **way)

    assert [failure.combination["subject"] for failure in report.failures] == [2]
    assert "changed while this run was under way" in str(report.failures[0].error)
    assert saved() == {1: "1", 3: "3"}


def test_generated_files(study: DatabaseManager, tmp_path: Path, way: dict[str, Any]) -> None:
    """A function that writes files is not repeated, whoever ran it."""
    inputs = {"x": Raw, "folder": str(tmp_path)}

    first = for_each(steps.write_file, inputs, [], subject=[], **way)
    again = for_each(steps.write_file, inputs, [], subject=[], **way)

    assert (first.completed, again.completed, again.up_to_date) == (6, 0, 6)
    assert (tmp_path / "3.txt").read_text() == "3.0"


def test_many_short_calls_travel_together(way: dict[str, Any]) -> None:
    """Two thousand short calls come back complete, in order, and in few transactions."""
    with scidb.open("memory:", {"subject": int}) as db, db.as_current():
        report = for_each(steps.identity, {}, [Out], subject=range(2_000), pass_metadata=True, **way)

        assert report.completed == 2_000
        assert list(saved().items()) == [(n, n) for n in range(2_000)]


# ---------------------------------------------------------------- what is sent, and how it is kept bounded


class Watched(Executor):
    """Threads of which the number of calls that come together, and of journeys under way, are noted."""

    def __init__(self, workers: int) -> None:
        self._max_workers = workers
        self._threads = ThreadPoolExecutor(workers)
        self._under_way: set[Future[Any]] = set()
        self.sizes: list[int] = []
        self.most = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.sizes.append(len(args[1]))
        future = self._threads.submit(fn, *args, **kwargs)
        self._under_way = {other for other in self._under_way if not other.done()} | {future}
        self.most = max(self.most, len(self._under_way))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._threads.shutdown(wait, cancel_futures=cancel_futures)


@pytest.fixture
def watched() -> Iterator[Watched]:
    with Watched(2) as executor:
        yield executor


def test_short_calls_go_together_and_long_ones_alone(study: DatabaseManager, watched: Watched) -> None:
    """The number of calls that travel together follows from how long they take; few are under way."""
    for_each(steps.identity, {}, [Out], subject=range(1_000), pass_metadata=True, executor=watched)
    assert watched.sizes[0] == 1
    assert max(watched.sizes) > 20
    assert watched.most <= 4

    watched.sizes.clear()
    for_each(steps.slow, {"x": 1.0}, [Out], subject=range(24), executor=watched, force=True)
    assert max(watched.sizes) <= 5


def test_a_worker_returns_what_it_has_when_time_is_up() -> None:
    """Calls that take longer than foreseen come back one by one, and the rest is sent again."""
    with scidb.open("memory:", {"subject": int}) as db, db.as_current():
        report = for_each(
            steps.slow_after_hundred, {}, [Out], subject=range(108), pass_metadata=True, n_jobs=2, prefer="threads"
        )
        assert report.completed == 108


@pytest.mark.slow
def test_large_inputs_are_not_all_loaded() -> None:
    """Memory is bounded: inputs are taken from the database as workers need them."""
    with scidb.open("memory:", {"subject": int}) as db, db.as_current():
        Raw.save_many([(np.zeros(1 << 20), {"subject": n}) for n in range(24)])
        loaded: list[int] = []
        real = db.values

        def values(wanted: Any, **options: Any) -> Any:
            loaded.append(len(wanted))
            return real(wanted, **options)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("scidb.foreach.run._WINDOW_BYTES", 32 << 20)
            patch.setattr(db, "values", values)
            report = run(steps.length, {"n_jobs": 2, "prefer": "threads"})
        assert report.completed == 1  # equal data
        assert max(loaded) <= 4


class Fussy(Watched):
    """Refuses what has a three in it, as clusters that pickle at once do."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if any(call["subject"] == 3 for call in args[1]):
            raise TypeError("cannot pickle a three")
        return super().submit(fn, *args, **kwargs)


def test_an_executor_that_refuses_an_input(study: DatabaseManager) -> None:
    """What cannot be sent fails alone, also where it was to travel with others."""
    with Fussy(2) as executor:
        report = for_each(steps.identity, {}, [Out], subject=[*range(4, 60), 3], pass_metadata=True, executor=executor)

    assert (report.completed, report.failed) == (56, 1)
    assert "cannot pickle a three" in str(report.failures[0].error)


# ---------------------------------------------------------------- what cannot be sent


@pytest.mark.parametrize(
    ("function", "words"),
    [(lambda x: x, "lambda"), (steps.double, "constant 'x'")],
)
def test_what_cannot_be_sent_is_refused_before_anything_runs(
    study: DatabaseManager, spawned: Executor, function: Callable[..., Any], words: str
) -> None:
    """A lambda, or a lock as a constant, for a standard pool: the error names it and the executors that can."""
    inputs = {"x": Raw} if "lambda" in words else {"x": threading.Lock()}
    with (
        pytest.warns(exceptions.UncacheableWarning) if "constant" in words else pytest.MonkeyPatch.context(),
        pytest.raises(exceptions.PipelineError, match=rf"cannot send.*{words}.*loky"),
    ):
        for_each(function, inputs, [Out], subject=[], executor=spawned)
    assert not study.runs()


def test_lambdas_travel_by_value(study: DatabaseManager) -> None:
    """Loky sends lambdas and functions within functions; what they enclose counts."""
    pytest.importorskip("loky")
    factor = 3.0

    assert run(lambda x: factor * x, {"n_jobs": 2}).completed == 5
    assert saved()[2] == 6.0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_jobs": 0}, "n_jobs=0"),
        ({"n_jobs": 1.5}, r"n_jobs=1\.5"),
        ({"n_jobs": True}, "n_jobs=True"),
        ({"n_jobs": 2, "prefer": "cores"}, "'cores'"),
        ({"executor": "threads"}, "expected a concurrent.futures.Executor"),
        ({"executor": ThreadPoolExecutor}, "expected a concurrent.futures.Executor"),
        ({"executor": Watched(1), "n_jobs": 2}, "not both"),
    ],
)
def test_what_cannot_be_meant_is_refused(study: DatabaseManager, options: dict[str, Any], words: str) -> None:
    """Arguments that make no sense are errors before anything runs, also of a dry run."""
    for dry_run in (True, False):
        with pytest.raises(exceptions.PipelineError, match=words):
            run(steps.double, options, dry_run=dry_run)
    assert not study.runs()


def test_n_jobs_counts_as_in_joblib(monkeypatch: pytest.MonkeyPatch) -> None:
    """-1 means all cores, -2 all but one, and never fewer than one."""
    monkeypatch.setattr("scidb.executors._cores", lambda: 4)
    found = [scidb.executors.pool_for(None, n, "threads") for n in (-1, -2, 3, 1, -4, -9)]

    assert [pool.workers if pool else 1 for pool in found] == [4, 3, 3, 1, 1, 1]


def test_a_missing_library_is_named_with_its_extra(study: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without loky, n_jobs says what to install; threads need nothing."""
    monkeypatch.setitem(sys.modules, "loky", None)
    with pytest.raises(exceptions.UnsupportedOperationError, match=r"scidb\[parallel\]"):
        run(steps.double, {"n_jobs": 3})
    assert run(steps.double, {"n_jobs": 3, "prefer": "threads"}).completed == 5


# ---------------------------------------------------------------- a pool that breaks


@pytest.mark.slow
def test_a_worker_that_dies_loses_only_what_it_had(study: DatabaseManager, caplog: pytest.LogCaptureFixture) -> None:
    """Finished results are kept, the rest is reported with the reason, and the next run does it."""
    pytest.importorskip("loky")
    report = run(steps.dies_at_three, {"n_jobs": 2})

    assert report.failed >= 1
    assert report.completed + report.failed + report.recalled + sum(report.to_pandas()["state"] == "not_run") == 6
    assert 3 not in saved()
    assert saved()
    assert "takes no more work" in caplog.text
    assert "run again to do the rest" in str(report.failures[0].error)
    assert study.runs()[0].interrupted
    assert run(steps.double, {"n_jobs": 2}).failed == 0


def test_an_executor_that_was_shut_down(study: DatabaseManager, caplog: pytest.LogCaptureFixture) -> None:
    """An executor that takes no work leaves all combinations as not run, loudly and with the reason."""
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    report = run(steps.double, {"executor": pool})

    assert report.to_pandas()["state"].unique().tolist() == ["not_run"]
    assert "after shutdown" in report.to_pandas()["reason"][0]
    assert "after shutdown" in caplog.text


def test_ctrl_c_cancels_what_has_not_begun(study: DatabaseManager, way: dict[str, Any]) -> None:
    """KeyboardInterrupt carries the report; what is done is saved, and the next run goes on."""
    calls = []
    real = study.record

    def record(*args: Any) -> Any:
        calls.append(args)
        return real(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scidb.foreach.run.Execution._settle", interrupted_after(2))
        patch.setattr(study, "record", record)
        with pytest.raises(KeyboardInterrupt) as caught:
            run(steps.double, way)

    report = caught.value.report  # type: ignore[attr-defined]
    assert report.completed >= 2
    assert len(saved()) == report.completed + report.recalled
    assert study.runs()[0].interrupted
    assert run(steps.double, way).failed == 0
    assert len(saved()) == 6


def interrupted_after(count: int) -> Callable[..., None]:
    from scidb.foreach.run import Execution

    real, left = Execution._settle, [count]

    def settle(self: Execution, *args: Any) -> None:
        if left[0] == 0:
            left[0] = -1
            raise KeyboardInterrupt
        left[0] -= 1
        real(self, *args)

    return settle


def test_results_are_saved_while_a_call_takes_long(study: DatabaseManager) -> None:
    """What is done is in the database within two seconds, also while the next call goes on."""
    seen: list[float] = []

    def slow_at_two(subject: int) -> int:
        if subject == 2:
            started = time.monotonic()
            while time.monotonic() - started < 5 and not seen:
                time.sleep(0.05)
                if any(info.name == "Out" for info in study.types()):
                    seen.append(time.monotonic() - started)
        return subject

    for_each(thunk(ignore=["seen", "study"])(slow_at_two), {}, [Out], subject=[1, 2], pass_metadata=True)
    assert 0 < seen[0] < 2.5


# ---------------------------------------------------------------- old code


@pytest.mark.slow
def test_a_worker_with_old_code_refuses(
    study: DatabaseManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R6a: a worker that imported a module before it was edited never runs it under the new fingerprint.

    Neither by its name nor where a function that was sent by value calls it. The processes of `n_jobs` start anew.
    """
    loky = pytest.importorskip("loky")
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "edited_steps.py"
    path.write_text("def helper(x):\n    return 2 * x\n\ndef compute(x):\n    return helper(x)\n")
    module = importlib.import_module("edited_steps")

    def by_value(x: float) -> Any:
        return module.compute(x) + 0

    with loky.ProcessPoolExecutor(1) as pool:
        assert run(module.compute, {"executor": pool}).completed == 5
        assert run(by_value, {"executor": pool}).completed == 5
        run(module.compute, {"n_jobs": 2}, force=True)
        path.write_text("def helper(x):\n    return 30 * x\n\ndef compute(x):\n    return helper(x)\n")
        importlib.reload(module)

        for function in (module.compute, by_value):
            report = run(function, {"executor": pool})
            assert (report.completed, report.failed) == (0, 6)
            assert "Restart the workers" in str(report.failures[0].error)
            assert "helper" in str(report.failures[0].error)
        assert saved()[1] == 2.0
    own = run(module.compute, {"n_jobs": 2})
    assert (own.completed, own.failed) == (5, 0)
    assert saved()[1] == 30.0
    del sys.modules["edited_steps"]


@pytest.mark.slow
def test_what_a_worker_could_not_import_is_said(
    study: DatabaseManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module that fails when a worker imports it breaks the pool, and the failure says how that ended."""
    pytest.importorskip("loky")
    monkeypatch.syspath_prepend(str(tmp_path))
    guard = f"import os\nif os.getpid() != {os.getpid()}:\n    raise OSError('only at home')\n"
    (tmp_path / "homely_steps.py").write_text(f"{guard}def compute(x):\n    return x\n")
    report = run(importlib.import_module("homely_steps").compute, {"n_jobs": 2})
    assert report.completed == 0
    assert "OSError: only at home" in str(report.failures[0].error)
    del sys.modules["homely_steps"]
