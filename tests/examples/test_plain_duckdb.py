"""A DuckDB client that has never heard of SciDB reads the databases of the examples."""

from __future__ import annotations

import importlib.util
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

import scidb
from scidb.cli.demo import demo

if TYPE_CHECKING:
    from types import ModuleType

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the database of the demo, or of the gait example on recordings of one person."""
    if request.param == "demo":
        demo(tmp_path / "demo")
        [path] = (tmp_path / "demo").glob("*.duckdb")
        return path
    monkeypatch.syspath_prepend(str(EXAMPLES))
    gait, steps = _module("gait"), _module("gait_steps")
    for trial in (1, 2):
        steps.write_example_recording(tmp_path, 3, trial, steps=12)
    path = tmp_path / "gait.duckdb"
    with scidb.open(path, gait.KEYS) as db, db.as_current():
        gait.run(tmp_path)
    return path


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("database", ["demo", "gait"], indirect=True)
def test_every_view_is_read(database: Path) -> None:
    """Both views of every variable have as many records there as SciDB says."""
    with scidb.open(database, read_only=True) as db:
        counts = {info.name: len(db.load_all(info.name, as_df=True)) for info in db.types()}
    assert counts

    with closing(duckdb.connect(database, read_only=True)) as connection:
        for name, count in counts.items():
            rows: list[Any] = connection.execute(f'SELECT * FROM "{name}"').fetchall()
            assert len(rows) == count
            samples = connection.execute(f'SELECT count(DISTINCT record_id) FROM "{name}__rows"').fetchone()
            assert samples == (count,)
