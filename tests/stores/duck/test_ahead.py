"""A first look-up of a result costs few statements, and those stored next to it none; what is read ahead counts."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pytest

import scidb
from scidb import BaseVariable, Thunk
from scidb.store.duck import DuckStore, window
from scidb.store.duck.window import Window
from scidb.store.model import Batch, CallInput, Chunk, Invalidated, Renamed, Results, SchemaKey, Stored, TypeInfo
from scidb.testing.store_suite.samples import LIST, call, record, save

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from scidb.store.model import Call

COUNT: Final = 400
_LOOK_UP: Final = 3  # its computation, those next to it, the entries of all
_PAYLOAD: Final = 1


class AheadValue(BaseVariable):
    """A number."""


def double(x: float) -> float:
    """Return twice the number."""
    return 2 * x


def _calls(count: int) -> list[Call]:
    return [call(f"c{n}", CallInput("x", "constant", content_hash=str(n), value_repr=str(n))) for n in range(count)]


@contextmanager
def _filled(path: Path, count: int = COUNT, *, lists: bool = False) -> Iterator[tuple[DuckStore, list[str]]]:
    """Open a file that has the results of so many computations, none of which is remembered; and their ids."""
    calls = _calls(count)
    ids = [one.computation.lineage_id for one in calls]
    data: Any = [[float(n), -0.0, float("nan")] for n in range(count)] if lists else [float(n) for n in range(count)]
    entries = tuple(
        record("Force", data[n], {"subject": n}, seq=n, lineage_id=ids[n], call_id=f"c{n}", output_num=0)
        if not lists
        else record("Force", n, {"subject": n}, seq=n, lineage_id=ids[n], call_id=f"c{n}", output_num=0, encoding=LIST)
        for n in range(count)
    )
    with closing(DuckStore.open(path, [SchemaKey("subject", "int")])) as store:
        store.register(TypeInfo("Force"))
        store.write(Batch(chunks=(Chunk(entries, pa.table({"value": pa.array(data)})),), calls=tuple(calls)))
    with closing(DuckStore.open(path)) as store:
        yield store, ids


def _recalled(store: DuckStore, lineage_id: str) -> list[Any]:
    """Return the values of a computation, as a thunk asks for them."""
    values = []
    for result in store.find(Results((lineage_id,))):
        for chunk in store.fetch(Stored(tuple(one.record_id for one in result.records))):
            assert chunk.table is not None
            values += chunk.table.column(0).to_pylist()
    return values


def test_a_first_look_up(tmp_path: Path, statements: list[str]) -> None:
    """The first result that a handle looks up costs four statements, its value included; again, none."""
    with _filled(tmp_path / "study.duckdb") as (store, ids):
        statements.clear()
        assert _recalled(store, ids[5]) == [5.0]
        assert len(statements) == _LOOK_UP + _PAYLOAD
        statements.clear()
        assert [result.records[0].schema["subject"] for result in store.find(Results((ids[5],)))] == [5]
        assert statements == []


def test_a_look_up_of_what_is_not_known(tmp_path: Path, statements: list[str]) -> None:
    """What was never computed is found not to be by one statement, every time."""
    with _filled(tmp_path / "study.duckdb") as (store, _):
        statements.clear()
        for number in range(5):
            assert store.find(Results((f"unknown {number}",))) == []
        assert len(statements) == 5


@pytest.mark.parametrize("lists", [False, True])
@pytest.mark.parametrize("order", ["forwards", "backwards"])
def test_what_lies_next_to_it_costs_nothing(tmp_path: Path, statements: list[str], order: str, *, lists: bool) -> None:
    """Four hundred results, one after the other, are looked up and read in fewer than thirty statements."""
    with _filled(tmp_path / "study.duckdb", lists=lists) as (store, ids):
        statements.clear()
        numbers = range(COUNT) if order == "forwards" else range(COUNT)[::-1]
        for number in numbers:
            wanted = [[float(number), -0.0, float("nan")]] if lists else [float(number)]
            assert repr(_recalled(store, ids[number])) == repr(wanted)
        assert len(statements) < 30


def test_in_any_order_all_is_found(tmp_path: Path) -> None:
    """In whichever order results are asked for, each is the one that was saved."""
    with _filled(tmp_path / "study.duckdb", 1_500) as (store, ids):
        numbers = list(range(1_500))
        random.Random(0).shuffle(numbers)
        assert all(_recalled(store, ids[number]) == [float(number)] for number in numbers[:60])


def test_what_lies_far_apart_brings_nothing_along(tmp_path: Path, statements: list[str]) -> None:
    """Where what was read ahead is of no use, the next look-up elsewhere reads what is asked for alone."""
    with _filled(tmp_path / "study.duckdb", 1_000) as (store, ids):
        _recalled(store, ids[10])
        statements.clear()
        assert _recalled(store, ids[700]) == [700.0]
        assert len(statements) == _LOOK_UP - 1 + _PAYLOAD
        assert ids[701] not in store._state.memory.results


def test_what_was_read_ahead_does_not_outlive_an_invalidation(tmp_path: Path) -> None:
    """Set aside after it was read ahead, a result is not found; one that is saved anew is."""
    with _filled(tmp_path / "study.duckdb") as (store, ids):
        assert _recalled(store, ids[5]) == [5.0]
        store.write(Batch(events=(Invalidated(lineage_ids=(ids[6],)),)))
        assert [_recalled(store, ids[n]) for n in (5, 6, 7)] == [[5.0], [], [7.0]]
        store.write(Batch(events=(Invalidated("f"),)))
        assert [_recalled(store, ids[n]) for n in (5, 6, 7)] == [[], [], []]
        save(store, "Force", 60.0, lineage_id=ids[6], call_id="c6", output_num=0, subject=6)
        assert [_recalled(store, ids[n]) for n in (5, 6, 7)] == [[], [60.0], []]


def test_what_was_set_aside_before_is_not_read_ahead(tmp_path: Path, statements: list[str]) -> None:
    """What was set aside is told by the same statement that finds the computations."""
    path = tmp_path / "study.duckdb"
    with _filled(path) as (store, ids):
        store.write(Batch(events=(Invalidated(lineage_ids=(ids[6],)),)))
    with closing(DuckStore.open(path)) as store:
        statements.clear()
        assert [_recalled(store, ids[n]) for n in (5, 7)] == [[5.0], [7.0]]
        assert len(statements) == _LOOK_UP + _PAYLOAD
        assert _recalled(store, ids[6]) == []


def test_a_result_read_ahead_is_whole(tmp_path: Path) -> None:
    """A computation that gave something else elsewhere, later, is read ahead with all that it gave."""
    path = tmp_path / "study.duckdb"
    with _filled(path) as (store, ids):
        save(store, "Force", 99.0, lineage_id=ids[6], call_id="again", output_num=0, subject=300)
    with closing(DuckStore.open(path)) as store:
        assert _recalled(store, ids[5]) == [5.0]
        assert ids[6] in store._state.memory.results
        assert sorted(_recalled(store, ids[6])) == [6.0, 99.0]


def test_a_save_meanwhile_is_seen(tmp_path: Path) -> None:
    """What was read ahead and is saved again answers with the new entry."""
    with _filled(tmp_path / "study.duckdb") as (store, ids):
        _recalled(store, ids[5])
        entry = save(store, "Force", 6.5, lineage_id=ids[6], call_id="again", output_num=0, subject=6)
        [result] = store.find(Results((ids[6],)))
        assert result.records[0] == entry
        assert sorted(_recalled(store, ids[6])) == [6.0, 6.5]


def test_a_renaming_meanwhile_is_seen(tmp_path: Path) -> None:
    """After a renaming, payloads are found under the new name."""
    with _filled(tmp_path / "study.duckdb") as (store, ids):
        _recalled(store, ids[5])
        store.write(Batch(events=(Renamed("Force", "Push"),)))
        [result] = store.find(Results((ids[6],)))
        assert (result.records[0].variable, _recalled(store, ids[6])) == ("Push", [6.0])


def test_payloads_that_wait_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statements: list[str]) -> None:
    """Of what is read ahead only so many bytes wait, and large payloads come alone."""
    monkeypatch.setattr(window, "_BROUGHT_BYTES", 80)
    with _filled(tmp_path / "study.duckdb") as (store, ids):
        statements.clear()
        assert [_recalled(store, ids[n]) for n in range(12)] == [[float(n)] for n in range(12)]
        assert len(statements) == _LOOK_UP + 2 * _PAYLOAD
        assert len(store._state.memory.window._waiting) == 8


def test_windows_grow_while_they_are_of_use() -> None:
    """A window is four times the last when half of that was asked for; then it begins anew, or not at all."""

    def asked(window: Window, used: float) -> None:
        window.bring([f"c{n}" for n in range(100)], [])
        for number in range(int(100 * used)):
            window.used(f"c{number}")

    window = Window()
    sizes = []
    for used in (0.5, 1.0, 0.9, 0.7, 0.6, 0.1):
        found = window.around(1_000)
        assert found is not None
        sizes.append(found[1] - found[0])
        asked(window, used)
    assert sizes == [32, 128, 512, 2048, 4096, 4096]
    assert window.around(1_010) == (1_010, 1_042)
    assert window.around(1_000) == (968, 1_000)
    assert window.around(9_000) is None


@pytest.mark.slow
def test_eight_threads_on_one_handle(tmp_path: Path) -> None:
    """R5: eight threads that look up the same and different results, while one saves others, get what was saved."""
    with _filled(tmp_path / "study.duckdb", 120) as (store, ids):

        def look_up(worker: int) -> Sequence[list[Any]]:
            if worker == 7:
                for number in range(10):
                    save(store, "Force", 1e6 + number, subject=number)
                return [[float(n)] for n in range(120)]
            return [_recalled(store, lineage_id) for lineage_id in ids]

        with ThreadPoolExecutor(8) as pool:
            for found in pool.map(look_up, range(8)):
                assert found == [[float(n)] for n in range(120)]


def test_thunks_recall_what_was_read_ahead(tmp_path: Path, statements: list[str]) -> None:
    """S5: two hundred first hits in a new handle make fewer than twenty statements, and none when repeated."""
    path = tmp_path / "study.duckdb"
    thunk = Thunk(double, version="1")
    with scidb.open(path, ["subject"]) as db, db.as_current():
        AheadValue.save_many([(thunk(float(n)), {"subject": n}) for n in range(200)])
    with scidb.open(path) as db, db.as_current():
        statements.clear()
        results = [thunk(float(n)) for n in range(200)]
        assert len(statements) < 20
        assert all(result.was_cached for result in results)
        assert np.array_equal([result.data for result in results], 2.0 * np.arange(200))
        statements.clear()
        assert all(thunk(float(n)).was_cached for n in range(200))
        assert statements == []
        db.invalidate_cache("double")
        assert not any(thunk(float(n)).was_cached for n in range(5))
