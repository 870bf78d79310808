"""Large values: time against the same rows moved by hand, peak memory against their size, file against Parquet.

By hand means one Arrow insert of finished columns into a table of the same layout, and one query that fetches
the same columns as Arrow: no hash, no checks, no Python value at the end.

Peak memory is what one call adds to a process of its own. For a save, the start is just before it, with the
value already there; for a load, just before it with nothing loaded, so that the result counts. DuckDB's
memory_limit is 1 GB, and what it caches counts too. Linux alone tells such a peak.
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

import scidb
from benchmarks.harness import Amounts, Comparison, measure
from scidb import BaseVariable

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["large_array", "large_frame", "load_peak", "run", "save_peak"]

_QUICK: Final = 3  # in so many rounds or fewer, arrays and what is weighed have a tenth of their size
_KEYS: Final = {"subject": int}
_LIMIT: Final = "the value's size in memory, start not counted"


class BenchLargeArray(BaseVariable):
    """An array of float64."""


class BenchFrame(BaseVariable):
    """A table of ten columns, as from an experiment."""


def run(folder: Path, rounds: int) -> list[Comparison | Amounts]:
    """Measure S3, S9 and S12."""
    part = 10 if rounds <= _QUICK else 1
    # A shorter table would measure what any table costs.
    samples, rows = 12_500_000 // part, 1_000_000
    array, frame = large_array(samples), large_frame(rows)
    size = f"{array.nbytes / 1e6:g} MB array"
    shape = f"DataFrame {rows:,} x {frame.shape[1]}"
    by_hand = "the same columns, one Arrow insert, committed and closed"
    fetched = "the same columns of its rows fetched as Arrow"
    made = "it is checked, and put together in memory of its own; made a frame by hand, unchecked, is the row below"
    hashed = "the hash of its value is made beside the insert: S7 says what it takes"
    return [
        _saving(Comparison(f"S3: save a {size}", by_hand, 1.5, floor=hashed), BenchLargeArray, array, folder, rounds),
        _loading(Comparison(f"S3: load a {size}", fetched, 1.5), BenchLargeArray, folder, rounds),
        _saving(Comparison(f"S3: save a {shape}", by_hand, 1.5, floor=hashed), BenchFrame, frame, folder, rounds),
        _loading(Comparison(f"S3: load a {shape}", fetched, 1.5, floor=made), BenchFrame, folder, rounds),
        _loading(Comparison(f"S3: load a {shape}", f"{fetched}, to_pandas()"), BenchFrame, folder, rounds),
        _against_parquet(
            Comparison(f"beside: load a {shape}", "pq.read_table(zstd).to_pandas()"), frame, folder, rounds
        ),
        _file_size(Amounts(f"S9: file of a {shape}", "its Parquet file, zstd", 1.1), frame, folder),
        *_peaks("array", 134_217_728 // part, folder),
        *_peaks("frame", 10_000_000 // part, folder),
    ]


def large_array(samples: int) -> Any:
    """Return random samples."""
    return np.random.default_rng(0).random(samples)


def large_frame(rows: int) -> pd.DataFrame:
    """Return a table of ten columns of different kinds."""
    rng = np.random.default_rng(0)
    scores = pd.array(rng.integers(0, 1_000, rows), dtype="Int64")
    scores[rng.random(rows) < 0.05] = pd.NA
    names = np.char.add("sample-", rng.permutation(rows).astype("U"))
    return pd.DataFrame(
        {
            "trial": np.arange(rows) // 100,
            "count": rng.integers(0, 100_000, rows),
            "force": np.round(np.cumsum(rng.normal(0, 0.01, rows)), 3),
            "noise": rng.normal(size=rows),
            "valid": rng.random(rows) < 0.9,
            "condition": pd.Series(rng.choice([f"condition {n}" for n in range(12)], rows).astype(object)),
            "name": pd.Series(names.astype(object)),
            "side": pd.Categorical.from_codes(rng.integers(0, 2, rows), ["left", "right"]),
            "time": pd.Timestamp("2024-03-01") + pd.to_timedelta(np.arange(rows) * 10, unit="ms"),
            "score": scores,
        }
    )


# ------------------------------------------------------------------ time


def _stored(folder: Path, variable: type[BaseVariable]) -> Path:
    return folder / f"{variable.__name__}.duckdb"


def _saving(comparison: Comparison, variable: type[BaseVariable], value: Any, folder: Path, rounds: int) -> Comparison:
    template = _stored(folder, variable)
    with scidb.open(template, _KEYS) as db:
        variable.save(value, subject=1, db=db)
    table = variable.table_name()
    with duckdb.connect(template, read_only=True) as connection:
        rows = connection.sql(f'SELECT * FROM "{table}"').to_arrow_table().combine_chunks()
        described = connection.execute(f'DESCRIBE "{table}"').fetchall()
    columns = ", ".join(f'"{name}" {kind}' for name, kind, *_ in described)
    definition = f'CREATE TABLE "{table}" ({columns})'

    def ours(number: int) -> Callable[[], Any]:
        path = folder / "ours.duckdb"
        _remove(path)
        db = scidb.open(path, _KEYS)
        variable.save(value[:2], subject=-number - 1, db=db)  # registers the variable and makes its table

        def work() -> None:
            variable.save(value, subject=1, db=db)
            db.close()

        return work

    def hand(_: int) -> Callable[[], Any]:
        path = folder / "hand.duckdb"
        _remove(path)
        connection = duckdb.connect(path)
        connection.execute(definition)

        def work() -> None:
            connection.execute("BEGIN")
            connection.register("rows_by_hand", rows)
            connection.execute(f'INSERT INTO "{table}" SELECT * FROM rows_by_hand')
            connection.unregister("rows_by_hand")
            connection.execute("COMMIT")
            connection.close()

        return work

    return measure(comparison, ours, hand, rounds)


def _loading(comparison: Comparison, variable: type[BaseVariable], folder: Path, rounds: int) -> Comparison:
    path = _stored(folder, variable)
    query = f'SELECT * FROM "{variable.table_name()}" WHERE record_no = 0'

    def hand(_: int) -> Callable[[], Any]:
        connection = duckdb.connect(path, read_only=True)

        def work() -> None:
            found = connection.sql(query).to_arrow_table()
            if comparison.limit.endswith("to_pandas()"):
                found.to_pandas()
            connection.close()

        return work

    return measure(comparison, partial(_load, variable, path), hand, rounds)


def _load(variable: type[BaseVariable], path: Path, _: int) -> Callable[[], Any]:
    db = scidb.open(path, read_only=True)

    def work() -> None:
        assert variable.load(subject=1, db=db).data is not None
        db.close()

    return work


def _against_parquet(comparison: Comparison, frame: pd.DataFrame, folder: Path, rounds: int) -> Comparison:
    parquet = _parquet(frame, folder)
    ours = partial(_load, BenchFrame, _stored(folder, BenchFrame))
    return measure(comparison, ours, lambda _: lambda: pq.read_table(parquet).to_pandas(), rounds)


# ------------------------------------------------------------------ the file


def _file_size(amounts: Amounts, frame: pd.DataFrame, folder: Path) -> Amounts:
    empty = folder / "empty.duckdb"
    scidb.open(empty, _KEYS).close()
    amounts.ours = _stored(folder, BenchFrame).stat().st_size - empty.stat().st_size
    amounts.theirs = _parquet(frame, folder).stat().st_size
    return amounts


def _parquet(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "frame.parquet"
    if not path.exists():
        pq.write_table(pa.Table.from_pandas(frame), path, compression="zstd")
    return path


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.with_name(f"{path.name}.wal").unlink(missing_ok=True)


# ------------------------------------------------------------------ peak memory


def _peaks(kind: str, length: int, folder: Path) -> list[Amounts]:
    path = folder / f"peak_{kind}.duckdb"
    what = f"{length:,} float64" if kind == "array" else f"{length:,} rows x 10"
    results = []
    for verb in ("save", "load"):
        amounts = Amounts(f"S12: peak memory, {verb} {what}", _LIMIT, 2.5)
        code = f"from benchmarks.values import {verb}_peak; {verb}_peak({kind!r}, {length}, {str(path)!r})"
        command = [sys.executable, "-c", code]
        root = Path(__file__).resolve().parent.parent
        said = subprocess.run(command, check=True, capture_output=True, text=True, cwd=root).stdout.split()
        amounts.ours, amounts.theirs = map(int, said[-2:])
        results.append(amounts)
    path.unlink()
    return results


def save_peak(kind: str, length: int, path: str) -> None:
    """Print the peak of saving and the size of the value, in bytes."""
    _limit_memory()
    variable, value = _peak_value(kind, length)
    with scidb.open(path, _KEYS) as db:
        peak = _peak(lambda: variable.save(value, subject=1, db=db))
    print(peak, _size(value))


def load_peak(kind: str, length: int, path: str) -> None:
    """Print the peak of loading and the size of the value, in bytes."""
    _limit_memory()
    variable, _ = _peak_value(kind, 10)  # imports what a save has imported
    del length
    loaded: list[Any] = []
    with scidb.open(path, read_only=True) as db:
        peak = _peak(lambda: loaded.append(variable.load(subject=1, db=db).data))
    print(peak, _size(loaded[0]))


def _peak_value(kind: str, length: int) -> tuple[type[BaseVariable], Any]:
    return (BenchLargeArray, large_array(length)) if kind == "array" else (BenchFrame, large_frame(length))


def _size(value: Any) -> int:
    return int(value.nbytes if isinstance(value, np.ndarray) else value.memory_usage(deep=True).sum())


def _peak(call: Callable[[], Any]) -> int:
    """Return by how much a call raised what the process has in memory, at most."""
    pa.default_memory_pool().release_unused()
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    start = _status("VmRSS")
    call()
    return _status("VmHWM") - start


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _limit_memory() -> None:
    """Give DuckDB one gigabyte in this process, whoever opens a file."""
    connect = duckdb.connect

    def limited(path: Any, *, read_only: bool = False, config: dict[str, Any] | None = None) -> Any:
        return connect(path, read_only=read_only, config={**(config or {}), "memory_limit": "1GB"})

    duckdb.connect = limited  # type: ignore[assignment]
