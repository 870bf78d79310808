"""What the store remembers of results and answers never outlives what is saved or set aside."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from scidb.store.duck import store as duck_store
from scidb.store.duck.answers import Answers
from scidb.store.duck.store import DuckStore
from scidb.store.model import (
    Batch,
    Chunk,
    KeyAdded,
    Latest,
    Locations,
    Match,
    Renamed,
    Results,
    SchemaKey,
    TypeInfo,
)
from scidb.testing.store_suite.samples import call, record, save

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckStore]:
    """Return a store with forty records, so that answers are large enough to be remembered."""
    store = DuckStore.open(tmp_path / "study.duckdb", [SchemaKey("subject", "int")])
    store.register(TypeInfo("Force"))
    store.register(TypeInfo("Emg"))
    entries = tuple(record("Force", float(n), {"subject": n}, seq=n) for n in range(40))
    store.write(Batch(chunks=(Chunk(entries, pa.table({"value": [float(n) for n in range(40)]})),)))
    yield store
    store.close()


_QUERIES: dict[str, Callable[[], Any]] = {
    "everything": Latest,
    "a variable": lambda: Latest(Match(("Force",))),
    "places": lambda: Locations(("subject",)),
}


@pytest.mark.parametrize("kind", _QUERIES)
def test_a_large_answer_is_given_anew_after_a_save(store: DuckStore, kind: str) -> None:
    """Whoever saves, the next answer has it; the answers before are not changed."""
    query = _QUERIES[kind]()
    first = store.find(query)
    assert store.find(query) == first
    store.find(query).clear()  # what is handed out is nobody else's
    save(store, "Force", 99.0, subject=99)
    assert (len(first), len(store.find(query))) == (40, 41)


def test_a_large_answer_is_given_anew_after_a_change_of_names(store: DuckStore) -> None:
    """A renaming or another schema key is seen in what was asked before."""
    assert len(store.find(Latest(Match(("Force",))))) == 40
    store.write(Batch(events=(Renamed("Force", "Push"),)))
    assert store.find(Latest(Match(("Force",)))) == []
    assert {one.variable for one in store.find(Latest())} == {"Push"}
    store.write(Batch(events=(KeyAdded(SchemaKey("day", "int"), "subject"),)))
    save(store, "Push", 1.0, subject=1, day=1)
    assert len(store.find(Latest())) == 41


def test_questions_that_differ_are_told_apart(store: DuckStore) -> None:
    """Every part of a question counts."""
    matches = [
        Match(),
        Match(("Force",)),
        Match(schema={"subject": tuple(range(35))}),
        Match(schema={"subject": tuple(map(float, range(35)))}),
        Match(schema={"subject": (True, *range(2, 36))}),
        Match(version_keys={"Force": ("other",)}),
        Match(version={"gain": ("1",)}),
        Match(lineage_ids=("none",)),
    ]
    for _ in range(2):
        assert [len(store.find(Latest(match))) for match in matches] == [40, 40, 35, 0, 34, 0, 0, 0]
    assert len(store.find(Latest(limit=33))) == 33


def test_answers_are_bounded() -> None:
    """The oldest answers give way; one that is too large is not remembered at all."""
    answers = Answers()
    queries = [Latest(Match((f"V{n}",))) for n in range(6)]
    for query in queries:
        answers.put(query, [object()] * 10_000)
    assert [answers.get(query) is not None for query in queries] == [False, True, True, True, True, True]
    answers.put(Latest(), [object()] * 50_001)
    assert answers.get(Latest()) is None


@pytest.mark.parametrize("looked_up", ["look_up", "find_rows"])
def test_what_changes_during_a_look_up_is_not_remembered(
    store: DuckStore, monkeypatch: pytest.MonkeyPatch, looked_up: str
) -> None:
    """A look-up that began before a change may give what was; the next one must not."""
    made = call("c1")
    lineage_id = made.computation.lineage_id
    save(store, "Emg", 1.0, calls=[made], lineage_id=lineage_id, call_id="c1", output_num=0, subject=1)
    store._state.memory.results.clear()
    original = getattr(duck_store, looked_up)

    def slow(*args: Any) -> Any:
        found = original(*args)
        monkeypatch.setattr(duck_store, looked_up, original)
        entry = record("Emg", 2.0, {"subject": 2}, lineage_id=lineage_id, call_id="c1", output_num=0)
        batch = Batch(chunks=(Chunk((entry,), pa.table({"value": [2.0]})),))
        writer = threading.Thread(target=store.write, args=(batch,))
        writer.start()
        writer.join()
        return found

    monkeypatch.setattr(duck_store, looked_up, slow)
    query: Any = Results((lineage_id,)) if looked_up == "look_up" else Latest()
    sizes = [sum(len(getattr(one, "records", "x")) for one in store.find(query)) for _ in range(2)]
    assert sizes == ([1, 2] if looked_up == "look_up" else [41, 42])
