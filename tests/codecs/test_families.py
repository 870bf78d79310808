"""Every family of values comes back from a file, in a fresh process (V1-V10).

Set SCIDB_OTHER_PYTHON to an interpreter with other versions of DuckDB or pandas to read the files there as
well; the command is in CONTRIBUTING.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, given, settings

import scidb
from scidb import BaseVariable
from scidb.testing import strategies
from scidb.testing.looks import look

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import SearchStrategy

FAMILIES: Final[dict[str, Callable[[], SearchStrategy[Any]]]] = {
    "scalars": strategies.scalars,
    "nested": strategies.nested,
    "containers": strategies.containers,
    "arrays": strategies.arrays,
    "structured_arrays": strategies.structured_arrays,
    "masked_arrays": strategies.masked_arrays,
    "object_arrays": strategies.object_arrays,
    "series": strategies.series,
    "indexes": strategies.indexes,
    "frames": strategies.frames,
    "arrow_tables": strategies.arrow_tables,
    "polars_frames": strategies.polars_frames,
    "polars_series": strategies.polars_series,
    "data_arrays": strategies.data_arrays,
    "datasets": strategies.datasets,
}
_READER: Final = Path(__file__).parent / "read_in_fresh_process.py"
_BATCH: Final = 500


class Anything(BaseVariable):
    """Values of every family."""


def drawn(family: str, count: int) -> list[Any]:
    """Return values as Hypothesis draws them."""
    found: list[Any] = []

    @settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(FAMILIES[family]())
    def collect(value: Any) -> None:
        found.append(value)

    collect()
    return found


def check(folder: Path, families: list[str], count: int) -> None:
    """Save what was drawn, and compare with what fresh processes load."""
    values = [value for family in families for value in drawn(family, count)]
    looks: dict[str, Any] = {}
    for start in range(0, len(values), _BATCH):
        batch = values[start : start + _BATCH]
        with scidb.open(folder / f"{start}.duckdb", {"place": int}) as db:
            ids = Anything.save_many([(value, {"place": number}) for number, value in enumerate(batch)], db=db)
        for record_id, value in zip(ids, batch, strict=True):
            # Of values that are one record, the first is what was stored.
            looks.setdefault(f"{start} {record_id}", look(value))
    # Hashes alone for another version of pandas, which may lack a dtype.
    readers = [(sys.executable, looks)]
    if other := os.environ.get("SCIDB_OTHER_PYTHON"):
        readers.append((other, {key: content for key, (_, content) in looks.items()}))
    for python, expected in readers:
        found = read(python, folder, "looks" if expected is looks else "hashes")
        assert found.keys() == expected.keys()
        for key, seen in expected.items():
            assert found[key] == seen, key


def read(python: str, folder: Path, what: str) -> dict[str, Any]:
    """Load every record in a fresh process, and return what it says of each."""
    source = str(Path(scidb.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": source, "PYTHONWARNINGS": "error"}
    done = subprocess.run(
        [python, str(_READER), str(folder), what], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(line) for line in done.stdout.splitlines())


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_each_family_in_a_fresh_process(tmp_path: Path) -> None:
    """Values of all families come back from a file with everything that can be seen of them (V1-V10)."""
    check(tmp_path, list(FAMILIES), 20)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("family", FAMILIES)
def test_family_at_length(tmp_path: Path, family: str) -> None:
    """Ten thousand values of a family come back from a file (V1-V10)."""
    check(tmp_path, [family], 10_000)
