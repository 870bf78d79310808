"""Hits, statistics, what is kept in memory, and threads."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

import scidb
from scidb import BaseVariable, DatabaseManager, Thunk, exceptions, for_each, thunk
from scidb.memo import Values
from scidb.store.memory import MemoryStore
from scidb.store.model import MemoEntries, SchemaKey

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scidb.store.model import Batch, Record


class Raw(BaseVariable):
    pass


class Out(BaseVariable):
    pass


class Other(BaseVariable):
    pass


@thunk
def scale(x: Any, k: float = 2.0) -> Any:
    return x * k


@thunk(n_outputs=2)
def extremes(x: Any) -> Any:
    return x.min(), x.max()


@thunk(unpack_output=True)
def parts(x: Any) -> Any:
    return list(x)


def _hits(db: DatabaseManager) -> int:
    """Return the hits that are written."""
    return sum(entry.hits for entry in db._store.find(MemoEntries()))


class _Counting:
    """A store that notes what is written to it."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.batches: list[Batch] = []

    def write(self, batch: Batch) -> list[Record]:
        self.batches.append(batch)
        return self._store.write(batch)  # type: ignore[no-any-return]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


# ------------------------------------------------------------------ hits and statistics


def test_hits_are_never_written_one_by_one() -> None:
    """Hits wait for the next write or the end, whichever comes first."""
    store = _Counting(MemoryStore([SchemaKey("subject")]))
    with DatabaseManager(store) as db, db.as_current():
        Out.save(scale(2.0), subject=1)
        before = len(store.batches)
        for _ in range(50):
            assert scale(2.0).was_cached
        assert len(store.batches) == before
        Raw.save(1.0, subject=1)
        assert len(store.batches) == before + 1
        assert _hits(db) == 50
        scale(2.0)
        assert len(store.batches) == before + 1
    assert [(event.hits,) for event in store.batches[-1].events] == [(1,)]  # type: ignore[union-attr]


def test_hits_are_there_after_closing(tmp_path: Path) -> None:
    """What was counted until the database closed is written then, and read by the next process."""
    path = tmp_path / "study.duckdb"
    with scidb.open(path, ["subject"]) as db, db.as_current():
        Out.save(scale(2.0), subject=1)
        scale(2.0)
        scale(2.0)
    with scidb.open(path) as db:
        assert db.get_cache_stats()["total_hits"] == 2


@pytest.mark.slow
def test_hits_of_a_script_that_does_not_close(tmp_path: Path) -> None:
    """What was counted is written when the process ends, too."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import scidb

            class Out(scidb.BaseVariable):
                pass

            @scidb.thunk
            def scale(x):
                return 2 * x

            scidb.configure_database("study.duckdb", ["subject"])
            Out.save(scale(2.0), subject=1)
            assert scale(2.0).was_cached
            """
        )
    )
    subprocess.run([sys.executable, str(script)], check=True, cwd=tmp_path)
    with scidb.open(tmp_path / "study.duckdb") as db:
        assert _hits(db) == 1


def test_hits_survive_a_write_that_fails(db: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be written with one save is written with the next."""
    Out.save(scale(2.0), subject=1)
    scale(2.0)

    def broken(_batch: object) -> Any:
        raise exceptions.StorageError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(db._store, "write", broken)
        with pytest.raises(exceptions.StorageError):
            Out.save(1.0, subject=2)
    Out.save(1.0, subject=2)
    assert _hits(db) == 1


def test_a_read_only_database_counts_nothing(tmp_path: Path) -> None:
    """Recalling from a read-only database works and leaves no trace."""
    path = tmp_path / "study.duckdb"
    with scidb.open(path, ["subject"]) as db, db.as_current():
        Out.save(scale(2.0), subject=1)
    with scidb.open(path, read_only=True) as db, db.as_current():
        assert scale(2.0).was_cached
    with scidb.open(path, read_only=True) as db:
        assert _hits(db) == 0


def test_statistics(db: DatabaseManager) -> None:
    """Entries, hits and functions, hits that are not written yet included; what is set aside is left out."""
    assert db.get_cache_stats() == {"total_entries": 0, "total_hits": 0, "total_bytes": 0, "top_functions": []}
    for subject in (1, 2, 3):
        Raw.save(float(subject), subject=subject)
        Out.save(scale(Raw.load_one(subject=subject)), subject=subject)
    Other.save(Thunk(abs)(-1.0), subject=1)
    for subject in (1, 1, 2):
        assert scale(Raw.load_one(subject=subject)).was_cached

    stats = db.get_cache_stats()

    assert (stats["total_entries"], stats["total_hits"], stats["total_bytes"]) == (4, 3, 32)
    assert stats["top_functions"] == [
        {"name": "scale", "entries": 3, "hits": 3, "nbytes": 24},
        {"name": "abs", "entries": 1, "hits": 0, "nbytes": 8},
    ]
    db.invalidate_cache("scale")
    assert db.get_cache_stats()["total_entries"] == 1


def test_recalls_of_for_each_are_hits(db: DatabaseManager) -> None:
    """Recalled combinations count, each; those that are up to date need no memo."""
    run: dict[str, Any] = {"fn": scale, "inputs": {"x": Raw, "k": 3.0}, "outputs": [Out], "subject": []}
    for value in (1.0, 2.0, 1.0, 1.0):
        Raw.save(value, subject=1)
        for_each(**run)

    assert db.get_cache_stats()["total_hits"] == 1


# ------------------------------------------------------------------ questions


def test_get_cached_computation(db: DatabaseManager) -> None:
    """Known is a computation whose outputs were all saved; the answer names their records in order."""
    low, high = extremes(np.array([2.0, 1.0]))
    lineage_id = low.pipeline_thunk.lineage_id
    first = Out.save(high, subject=1)
    assert db.get_cached_computation(lineage_id) is None
    second = Out.save(low, subject=2)

    found = db.get_cached_computation(lineage_id)

    assert found is not None
    assert [output["record_id"] for output in found["outputs"]] == [second, first]
    assert (found["output_vhash"], found["output_type"], found["lineage_id"]) == (second, "Out", lineage_id)
    assert found["outputs"][1] == {"record_id": first, "vhash": first, "type": "Out", "metadata": {"subject": 1}}
    assert db.get_cached_computation("0" * 64) is None
    db.invalidate_cache("extremes")
    assert db.get_cached_computation(lineage_id) is None


def test_find_by_lineage(db: DatabaseManager) -> None:
    """M1, M2: values in the order of outputs, or None; an output or its call says which computation is meant."""
    low, high = extremes(np.array([2.0, 1.0]))
    Out.save(high, subject=1)
    assert db.find_by_lineage(low.pipeline_thunk) is None
    Out.save(low, subject=2)

    assert db.find_by_lineage(low.pipeline_thunk) == [1.0, 2.0]
    assert db.find_by_lineage(high) == [1.0, 2.0]


def test_outputs_of_two_executions_are_never_mixed(db: DatabaseManager) -> None:
    """M2: of a function that is not deterministic, outputs are recalled that belong together."""
    numbers = iter(range(100))

    @thunk(n_outputs=2, version="1")
    def draw(x: float) -> Any:
        number = next(numbers)
        return (number, -number)

    one, minus_one = draw(0.0)
    Out.save(one, subject=1)
    Other.save(minus_one, subject=1)
    two, _ = draw(0.0, force=True)
    Out.save(two, subject=1)

    assert [output.data for output in draw(0.0)] == [0, 0]
    three, minus_three = draw(0.0, force=True)
    Other.save(minus_three, subject=1)
    Out.save(three, subject=1)
    assert [output.data for output in draw(0.0)] == [2, -2]


def test_for_each_recalls_an_unpacked_result_whole(db: DatabaseManager) -> None:
    """M2: a result of three items is never recalled as one of two."""
    Raw.save(np.arange(3.0), subject=1)
    for trial, output in enumerate(parts(Raw.load_one(subject=1))):
        Out.save(output, subject=1, trial=trial)

    report = for_each(parts, {"x": Raw}, [Out, Other], subject=1)

    assert (report.recalled, report.failed) == (0, 1)


# ------------------------------------------------------------------ failures


def test_for_each_computes_when_the_memo_fails(db: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """M12: a look-up that fails is a warning, and the run goes on."""
    for value in (1.0, 2.0):
        Raw.save(value, subject=1)
        for_each(scale, {"x": Raw, "k": 2.0}, [Out], subject=1)
    Raw.save(1.0, subject=1)

    def broken(*_: object) -> Any:
        raise exceptions.StorageError("disk on fire")

    monkeypatch.setattr(db._memo, "known", broken)

    with pytest.warns(exceptions.SciDBWarning, match="disk on fire"):
        report = for_each(scale, {"x": Raw, "k": 2.0}, [Out], subject=1)
    assert (report.completed, report.recalled) == (1, 0)


def test_for_each_computes_what_cannot_be_loaded(db: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """M12: a result that is known and cannot be read is computed."""
    Raw.save(1.0, subject=1)
    Raw.save(1.0, subject=2)
    for_each(scale, {"x": Raw, "k": 2.0}, [Out], subject=1)

    def broken(*_: object) -> Any:
        raise exceptions.StorageError("disk on fire")

    monkeypatch.setattr(db._memo.cache, "load", broken)

    with pytest.warns(exceptions.SciDBWarning, match="disk on fire"):
        report = for_each(scale, {"x": Raw, "k": 2.0}, [Out], subject=2)
    assert (report.completed, report.recalled) == (1, 0)
    assert Out.load_one(subject=2).data == 2.0


# ------------------------------------------------------------------ what is kept in memory


_CHANGES: dict[str, tuple[Callable[[], Any], Callable[[Any], None]]] = {
    "array": (lambda: np.arange(3.0), lambda value: value.__setitem__(0, 99.0)),
    "list": (lambda: [1, [2, 3]], lambda value: value[1].append(4)),
    "dict": (lambda: {"a": [1]}, lambda value: value["a"].append(2)),
    "frame": (lambda: pd.DataFrame({"a": [1.0, 2.0]}), lambda value: value.__setitem__("a", 0.0)),
    "frame cell": (lambda: pd.DataFrame({"a": [1.0, 2.0]}), lambda value: value.iloc.__setitem__((0, 0), 5.0)),
    "series": (lambda: pd.Series([1.0, 2.0], name="s"), lambda value: value.iloc.__setitem__(0, 5.0)),
    "strings": (lambda: np.array(["a", "b"]), lambda value: value.__setitem__(0, "c")),
    "many axes": (lambda: np.zeros((3, 40, 2)), lambda value: value.__setitem__((0, 0, 0), 5.0)),
}


@pytest.mark.parametrize("kind", _CHANGES)
@pytest.mark.above_stores
def test_what_is_recalled_is_a_copy(db: DatabaseManager, kind: str) -> None:
    """Whatever somebody does to a recalled value in place, the next one who recalls it gets it as it was saved."""
    make, change = _CHANGES[kind]
    produce = Thunk(lambda seed: make(), version="1")
    Out.save(produce(1), subject=1)
    whole = scidb.canonical_hash(make())
    for _ in range(3):
        recalled = produce(1)
        assert recalled.was_cached
        assert scidb.canonical_hash(recalled.data) == whole
        change(recalled.data)


def test_memory_is_bounded_in_bytes(tmp_path: Path) -> None:
    """Values are kept up to a number of bytes, those asked for lately; a larger one is not kept at all."""
    with scidb.open(tmp_path / "study.duckdb", ["subject"]) as db:
        for subject in range(6):
            Raw.save(np.full(5_000, float(subject)), subject=subject, db=db)
        Raw.save(np.zeros(50_000), subject=9, db=db)
        records = [Raw.load_one(subject=subject, db=db)._record for subject in (*range(6), 9)]
        values = Values(db._store, limit=200_000)
        sizes = []
        for record in records:
            assert record is not None
            values.load([record])
            sizes.append(values.nbytes)
        assert 40_000 < sizes[0] < sizes[1] <= 200_000
        assert all(size <= 200_000 for size in sizes)
        assert sizes[-1] == sizes[-2]


def test_a_class_restores_each_recall(db: DatabaseManager) -> None:
    """M13: what is kept is what is stored, so that from_db runs for every recall, as the class has it now."""
    calls = []

    class Counted(BaseVariable):
        def to_db(self) -> pd.DataFrame:
            return pd.DataFrame({"v": [self.data]})

        @classmethod
        def from_db(cls, df: pd.DataFrame) -> Any:
            calls.append(1)
            return float(df["v"].iloc[0])

    Counted.save(scale(2.0), subject=1)
    before = len(calls)

    assert [scale(2.0).data for _ in range(3)] == [4.0] * 3
    assert len(calls) == before + 3


def test_results_do_not_outlive_their_last_use() -> None:
    """A result and its call are no circle, so that a large value goes with the last name for it."""
    import gc
    import weakref

    gc.disable()
    try:
        result = scale(np.zeros(3))
        value = weakref.ref(result.data)
        assert result.pipeline_thunk.outputs == (result,)
        del result
        assert value() is None
    finally:
        gc.enable()


# ------------------------------------------------------------------ threads


@pytest.mark.slow
def test_eight_threads_on_one_database(db: DatabaseManager) -> None:
    """R5: eight threads call and save with the same and with different arguments; nothing is lost or mixed up."""
    barrier = threading.Barrier(8)
    runs: list[float] = []

    @thunk(ignore=["runs"])
    def square(x: float) -> float:
        runs.append(x)
        return x * x

    def work(worker: int) -> list[tuple[float, float]]:
        barrier.wait()
        found = []
        with db.as_current():
            for number in range(6):
                shared, own = float(number), 100.0 + worker
                for x, key in ((shared, 0), (own, worker + 1)):
                    result = square(x)
                    Out.save(result, subject=key, trial=int(x))
                    found.append((x, result.data))
        return found

    with ThreadPoolExecutor(8) as pool:
        answers = [pair for found in pool.map(work, range(8)) for pair in found]

    assert all(answer == x * x for x, answer in answers)
    assert all(runs.count(100.0 + worker) == 1 for worker in range(8))
    assert all(1 <= runs.count(float(number)) <= 8 for number in range(6))
    assert {record.data for record in Out.load_all(subject=0)} == {float(n * n) for n in range(6)}
    assert db.get_cache_stats()["total_entries"] == 14
    assert all(square(x).was_cached for x, _ in answers)
    saved = len(answers)
    assert len(db.log(Out)) == saved


def test_thunks_inside_thunks_share_what_is_known(db: DatabaseManager) -> None:
    """A thunk that calls another one gets what that saved before, and its own result is one of plain values."""
    inner_runs = []

    @thunk(ignore=["inner_runs"])
    def inner(x: float) -> float:
        inner_runs.append(x)
        return x + 1

    @thunk
    def outer(x: float) -> dict[str, float]:
        return {"value": inner(x).data, "raw": inner(x)}

    Out.save(inner(1.0), subject=1)
    result = outer(1.0)
    assert (result.data, inner_runs) == ({"value": 2.0, "raw": 2.0}, [1.0])
    Other.save(result, subject=1)
    assert outer(1.0).was_cached


def test_library_functions_are_recalled(db: DatabaseManager) -> None:
    """A function out of a library is wrapped as it is; the items of its tuple are recalled together."""
    histogram = Thunk(np.histogram, unpack_output=True)
    Raw.save(np.array([1.0, 2.0, 2.0, 4.0]), subject=1)
    counts, edges = histogram(Raw.load_one(subject=1), bins=3)
    Out.save(counts, subject=1)
    assert not histogram(Raw.load_one(subject=1), bins=3)[0].was_cached
    Other.save(edges, subject=1)

    again = histogram(Raw.load_one(subject=1), bins=3)

    assert all(output.was_cached for output in again)
    assert [output.data.tolist() for output in again] == [[1, 2, 1], [1.0, 2.0, 3.0, 4.0]]
    report = for_each(Thunk(np.mean), {"a": Raw}, [Other], subject=1)
    assert (report.completed, report.failed) == (1, 0)
    assert for_each(Thunk(np.mean), {"a": Raw}, [Other], subject=1).up_to_date == 1


def test_generators_are_refused(db: DatabaseManager) -> None:
    """What can be read once has no value to keep, whether a thunk returns it or a function of for_each."""

    def count(x: float) -> Any:
        yield x

    with pytest.raises(exceptions.UnsupportedValueError, match="generator"):
        Thunk(count)(1.0)
    Raw.save(1.0, subject=1)
    assert for_each(count, {"x": Raw}, [Out], subject=1).failed == 1
    assert for_each(Thunk(count), {"x": Raw}, [Out], subject=1).failed == 1
