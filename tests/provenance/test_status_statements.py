"""What finding out costs: the same few statements for any number of results, and none more per level."""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING, Any

import scidb
from scidb import BaseVariable, PathInput, for_each, thunk
from scidb.store.duck.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from scidb import DatabaseManager


class Level0(BaseVariable):
    pass


class Level1(BaseVariable):
    pass


class Level2(BaseVariable):
    pass


class Level3(BaseVariable):
    pass


LEVELS: tuple[type[BaseVariable], ...] = (Level0, Level1, Level2, Level3)


def step(x: float) -> float:
    return x + 1


@thunk(generates_file=True)
def write(x: float, path: Path) -> None:
    path.write_text(str(x))


def pipeline(path: Path, subjects: int, levels: int) -> DatabaseManager:
    """Make a chain of so many levels for so many subjects."""
    db = scidb.open(path, {"subject": int})
    db.save_many(Level0, [(float(n), {"subject": n}) for n in range(subjects)])
    for source, output in itertools.pairwise(LEVELS[: levels + 1]):
        for_each(step, {"x": source}, [output], subject=[], db=db, progress=False)
    return db


def statements(monkeypatch: pytest.MonkeyPatch, ask: Callable[[], Any]) -> list[str]:
    """Return the statements that a question takes."""
    said: list[str] = []
    original = Connection._run

    def run(self: Connection, query: str, call: Any) -> Any:
        said.append(query)
        return original(self, query, call)

    with monkeypatch.context() as patch:
        patch.setattr(Connection, "_run", run)
        ask()
    return said


def test_as_many_for_few_as_for_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of statements depends neither on how many results there are, nor on how many are stale."""
    counts = []
    for subjects in (2, 300):
        with pipeline(tmp_path / f"{subjects}.duckdb", subjects, 2) as db:
            assert db.status().is_green
            green = len(statements(monkeypatch, db.status))
            db.save_many(Level0, [(-1.0, {"subject": n}) for n in range(subjects)])
            stale = len(statements(monkeypatch, db.status))
            counts.append((green, stale, len(statements(monkeypatch, lambda: db.status(Level2)))))

    few, many = counts
    assert all(more <= less for less, more in zip(few, many, strict=True)), counts  # large answers are remembered
    assert max(few) <= 15


def test_no_more_for_another_level(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deeper graph takes no more statements: fewer than one per level."""
    counts = []
    for levels in (1, 3):
        with pipeline(tmp_path / f"{levels}.duckdb", 3, levels) as db:
            last = LEVELS[levels]
            asked = (db.status, partial(db.status, last), partial(db.explain, last, subject=1))
            counts.append([len(statements(monkeypatch, ask)) for ask in asked])

    assert counts[0] == counts[1]


def test_no_more_for_files_that_functions_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are judged together, however many were written."""
    counts = []
    for subjects in (2, 60):
        with scidb.open(tmp_path / f"{subjects}.duckdb", {"subject": int}) as db:
            db.save_many(Level0, [(float(n), {"subject": n}) for n in range(subjects)])
            path = PathInput(f"{subjects}_{{subject}}.txt", root_folder=tmp_path)
            for_each(write, {"x": Level0, "path": path}, [], subject=[], db=db, progress=False, pass_metadata=False)
            assert db.status().counts == {"saved by hand": subjects, "up to date": subjects}
            db.save_many(Level0, [(-1.0, {"subject": n}) for n in range(subjects)])
            counts.append(len(statements(monkeypatch, db.status)))

    assert counts[0] >= counts[1]
