"""What a call of for_each asks of the database: the same few questions for any number of combinations, and chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import scidb
from scidb import BaseVariable, Fixed, for_each
from scidb.store.duck.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest


class Raw(BaseVariable):
    pass


class Weight(BaseVariable):
    pass


class Out(BaseVariable):
    pass


def divide(x: float, first: float, weight: float) -> float:
    return (x - first) / weight


def counts(path: Path, subjects: int, monkeypatch: pytest.MonkeyPatch, **options: Any) -> dict[str, tuple[int, int]]:
    """Return how often each kind of run looked something up, and wrote; chunks are those of the default sizes."""
    found: dict[str, tuple[int, int]] = {}
    with scidb.open(path, {"subject": int, "trial": int}) as db, db.as_current():
        Weight.save_many([(2.0, {"subject": n}) for n in range(subjects)])
        Raw.save_many([(float(n + t), {"subject": n, "trial": t}) for n in range(subjects) for t in (1, 2)])
        inputs = {"x": Raw, "first": Fixed(Raw, trial=1), "weight": Weight}

        def run(**more: Any) -> None:
            for_each(divide, inputs, [Out], subject=[], trial=[], **options, **more)

        for kind, call in {
            "first": run,
            "again": run,
            "forced": lambda: run(force=True),
            "plan": lambda: run(dry_run=True, force=True),
        }.items():
            found[kind] = statements(monkeypatch, call)
    return found


def statements(monkeypatch: pytest.MonkeyPatch, call: Callable[[], None]) -> tuple[int, int]:
    said: list[str] = []
    original = Connection._run

    def run(self: Connection, query: str, work: Any) -> Any:
        said.append(query.lstrip().split(maxsplit=1)[0].upper())
        return original(self, query, work)

    with monkeypatch.context() as patch:
        patch.setattr(Connection, "_run", run)
        call()
    return len(said), said.count("BEGIN")


def test_questions_do_not_grow_with_combinations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """R4: 80 and 240 combinations take the same statements, as one chunk; 600 take more for their chunks alone."""
    monkeypatch.setattr("scidb.foreach.results._BATCH_SECONDS", 60.0)  # batches by number, whatever the machine does
    monkeypatch.setattr("scidb.foreach.results._LATE_SECONDS", 60.0)
    few = counts(tmp_path / "few.duckdb", 40, monkeypatch)
    many = counts(tmp_path / "many.duckdb", 120, monkeypatch)
    chunks = counts(tmp_path / "chunks.duckdb", 300, monkeypatch, n_jobs=2, prefer="threads")

    assert many == few
    assert chunks["again"] == few["again"]
    assert chunks["plan"] == few["plan"]
    # One more batch of results is written.
    for kind in ("first", "forced"):
        (before, writes), (after, more_writes) = few[kind], chunks[kind]
        assert more_writes == writes + 1
        assert after - before <= 2 * before
