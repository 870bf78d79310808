"""Graphs are walked level by level, whatever their width: statements are counted, not timed."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from scidb.provenance import derived_from, lineage_graph
from scidb.provenance.impact import impact_of
from scidb.store.duck import DuckStore
from scidb.store.duck.connection import Connection
from scidb.store.model import Batch, Flagged, Latest, Marks, Match, TypeInfo
from scidb.testing.store_suite.samples import KEYS, call, record, scalars, used

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from scidb.store.model import Record

_LEVELS = 4


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[Callable[[int], tuple[DuckStore, Record, Record]]]:
    """Return what makes a store with a graph of some width, its first record and its last."""
    opened: list[DuckStore] = []

    def make(width: int) -> tuple[DuckStore, Record, Record]:
        store = DuckStore.open(tmp_path / f"{width}.duckdb", KEYS)
        opened.append(store)
        store.register(TypeInfo("Force"))
        made = _level(store, 0, width, [])
        first = made[0]
        for level in range(1, _LEVELS):
            made = _level(store, level, width, made)
        [last] = _level(store, _LEVELS, 1, made)
        return store, first, last

    yield make
    for store in opened:
        with closing(store):
            pass


def _level(store: DuckStore, level: int, width: int, before: list[Record]) -> list[Record]:
    """Save a level of the graph: each record comes from two of the level before, a single one from all of them."""
    calls, records = [], []
    for n in range(width):
        inputs = before if width == 1 else [before[n], before[(n + 1) % width]] if before else []
        made = [call(f"c{level}-{n}", *(used(one) for one in inputs))] if inputs else []
        calls += made
        records.append(
            record(
                "Force",
                level * 1000 + n,
                {"subject": n, "trial": level},
                seq=n,
                call_id=made[0].call_id if made else None,
            )
        )
    return store.write(Batch(chunks=(scalars(records, [0.0] * width, pa.float64()),), calls=tuple(calls)))


def test_as_many_statements_for_a_wide_graph_as_for_a_narrow_one(
    open_store: Callable[[int], tuple[DuckStore, Record, Record]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Graph, impact, marks and what was derived take a number of statements per level, none per record."""
    said: list[str] = []
    original = Connection._run

    def run(self: Connection, query: str, ask: Any) -> Any:
        said.append(query)
        return original(self, query, ask)

    monkeypatch.setattr(Connection, "_run", run)
    counts: list[list[int]] = []
    sizes: list[int] = []
    for width in (3, 300):
        store, first, last = open_store(width)
        store.write(Batch(events=(Flagged((first.record_id,), "bad"),)))
        counts.append([])
        questions: list[Callable[[], Any]] = [
            lambda: lineage_graph(store, [last], has_flags=True),  # noqa: B023 - asked within the loop
            lambda: lineage_graph(store, [first], "down"),  # noqa: B023
            lambda: impact_of(store, [first], has_flags=True),  # noqa: B023
            lambda: derived_from(store, first),  # noqa: B023
            lambda: store.find(Marks()),  # noqa: B023
            lambda: store.find(Latest(Match(exclude=True))),  # noqa: B023
        ]
        for question in questions:
            said.clear()
            answer = question()
            counts[-1].append(len(said))
            sizes.append(len(answer.nodes) if hasattr(answer, "nodes") else len(answer))
        said.clear()
        assert store.find(Marks())
        assert said == []  # remembered until a write touches it
    assert counts[0] == counts[1]
    up, down, impact, derived, marks, exclude = counts[1]
    assert (marks, exclude) == (0, 1)
    assert up <= 2 * _LEVELS + 4
    assert max(down, impact, derived) <= 3 * _LEVELS + 8
    assert sizes[6] > 10 * sizes[0]
