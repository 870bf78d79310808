"""One record at a time, and all of a few: saving and loading, against the same rows inserted and fetched by hand."""

from __future__ import annotations

import math
import shutil
from typing import TYPE_CHECKING, Any, Final

import duckdb
import numpy as np

import scidb
from benchmarks.harness import Amounts, Comparison, measure
from benchmarks.saving import name_rows, rows_of
from scidb import BaseVariable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from scidb import DatabaseManager

__all__ = ["run"]

_KEYS: Final = {"subject": int}
_TIMES: Final = 100
_STORED: Final = 10_000
_BY_HAND: Final = "the same inserts in a transaction by hand"
_ASKED: Final = f"{_BY_HAND}, their digests, and asking whether value and place are there"
_FETCHED: Final = "the bare query of the same entries with their places and values, as Arrow"
_VALUES: Final = "the bare query of the values alone, as Arrow"
_NUMBERED: Final = "a SELECT of the value by record_no"
_ENTRY: Final = "a SELECT of the entry by its place, with its record and its value"
# All that an instance shows of itself is in the log, the record and the place.
_ALL: Final = (
    "FROM _record_metadata m JOIN _schema s ON s.schema_id = m.schema_id JOIN _records r ON r.record_no = m.record_no"
)


class BenchOne(BaseVariable):
    """A number."""


class BenchSignal(BaseVariable):
    """An array of 10,000 samples."""


def run(folder: Path, rounds: int) -> list[Comparison | Amounts]:
    """Measure S1e, S2 each, S4, S4a, and what S9 says of arrays."""
    rng = np.random.default_rng(0)
    arrays = [rng.random(10_000) for _ in range(500)]
    return [
        *_each("S1e: save a scalar", BenchOne, [float(n) for n in range(_TIMES)], folder, rounds),
        *_each("S2: save an array of 10,000", BenchSignal, arrays[:_TIMES], folder, rounds),
        *_load_one(folder, rounds),
        *_load_all("S4a: load_all of 2,000 scalars", BenchOne, [float(n) for n in range(2_000)], 3.0, folder, rounds),
        *_load_all("S4a: load_all of 500 arrays of 10,000", BenchSignal, arrays, 1.5, folder, rounds),
        _size("S9: file of 500 arrays of 10,000", arrays, 1.05, folder),
        _size("S9: file of 500 arrays of rounded sensor data", [_sensor(rng) for _ in range(500)], 0.4, folder),
        _size_of_one(folder),
    ]


def _sensor(rng: Any) -> Any:
    return np.round(np.cumsum(rng.normal(0, 0.01, 10_000)), 3)


def _filled(path: Path, variable: type[BaseVariable], values: list[Any]) -> Path:
    path.unlink(missing_ok=True)
    with scidb.open(path, _KEYS) as db:
        variable.save_many([(value, {"subject": number}) for number, value in enumerate(values)], db=db)
    return path


# ------------------------------------------------------------------ saving


def _each(work: str, variable: type[BaseVariable], values: list[Any], folder: Path, rounds: int) -> list[Comparison]:
    written, definitions = rows_of(_filled(folder / "each.duckdb", variable, values), variable)
    each = [_part(written, number) for number in range(len(values))]

    def ours(limit: str) -> Callable[[int], Callable[[], Any]]:
        own = folder / f"{variable.__name__}_{limit == _ASKED}"  # of which nothing is remembered
        own.mkdir()

        def prepare(number: int) -> Callable[[], Any]:
            db = scidb.open(own / f"each_{number}.duckdb", _KEYS)
            variable.save(values[0], subject=-1, db=db)
            return lambda: [variable.save(value, subject=n, db=db) for n, value in enumerate(values)]

        return prepare

    def hand(limit: str) -> Callable[[int], Callable[[], Any]]:
        def prepare(number: int) -> Callable[[], Any]:
            connection = duckdb.connect(folder / f"{variable.__name__}_{limit == _ASKED}" / f"hand_{number}.duckdb")
            for definition in definitions.values():
                connection.execute(definition)

            def work() -> None:
                for value, rows in zip(values, each, strict=True):
                    if limit == _ASKED:
                        name_rows(variable.__name__, [value])
                        _ask(connection, rows)
                    _insert(connection, rows)

            return work

        return prepare

    floor = "two questions of every save, and the digests that name it: with them, by hand, is the row below"
    return [
        measure(Comparison(f"{work}, {len(values)} times", limit, most, floor=floor), ours(limit), hand(limit), rounds)
        for limit, most in ((_BY_HAND, 1.5), (_ASKED, 2.0))
    ]


def _part(written: dict[str, dict[str, Any]], number: int) -> dict[str, Any]:
    """Return what belongs to one record, as tables of Arrow where it is long and rows where it is short."""
    found: dict[str, Any] = {}
    for name, columns in written.items():
        table = columns["__table__"]
        own = "record_no" if "record_no" in table.column_names else "schema_id"
        keys = table.column(own).to_numpy()
        wanted = np.unique(keys)[number + (name == "_schema")]
        first, last = np.searchsorted(keys, [wanted, wanted + 1])
        found[name] = table.slice(first, last - first).combine_chunks()
    return found


def _ask(connection: duckdb.DuckDBPyConnection, rows: dict[str, Any]) -> None:
    """Ask for the record and for the place, of which neither is there yet."""
    record_id, subject = rows["_records"]["record_id"][0].as_py(), rows["_schema"]["subject"][0].as_py()
    connection.execute("SELECT * FROM _records WHERE record_id = ?", [record_id]).fetchall()
    connection.execute("SELECT * FROM _schema WHERE subject = ?", [subject]).fetchall()


def _insert(connection: duckdb.DuckDBPyConnection, rows: dict[str, Any]) -> None:
    connection.execute("BEGIN")
    for name, table in rows.items():
        if table.num_rows > 1:
            connection.from_arrow(table).insert_into(name)
            continue
        cells = [column[0].as_py() for column in table.columns]
        connection.execute(f'INSERT INTO "{name}" VALUES ({", ".join("?" * len(cells))})', cells)
    connection.execute("COMMIT")


# ------------------------------------------------------------------ loading


def _load_one(folder: Path, rounds: int) -> list[Comparison]:
    path = _filled(folder / "load.duckdb", BenchOne, [float(n) for n in range(_STORED)])
    copy = shutil.copy(path, folder / "load_hand.duckdb")
    table = BenchOne.table_name()
    by_number = f'SELECT * FROM "{table}" WHERE record_no = ?'
    by_place = (
        f'SELECT m.*, r.encoding, r.nbytes, r.layout, s.subject, d.value {_ALL} JOIN "{table}" d '
        f"ON d.record_no = m.record_no WHERE m.variable_name = '{BenchOne.__name__}' AND s.subject = ?"
    )

    def ours(name: str, numbers: Callable[[int], Sequence[int]]) -> Callable[[int], Callable[[], Any]]:
        own = shutil.copy(path, folder / f"load_{name}.duckdb")  # of which nothing is remembered

        def prepare(number: int) -> Callable[[], Any]:
            db = scidb.open(own)
            BenchOne.load(subject=_STORED - 1, db=db)
            return lambda: [BenchOne.load(subject=n, db=db) for n in numbers(number)]

        return prepare

    def hand(query: str, numbers: Callable[[int], Sequence[int]], kind: type) -> Callable[[int], Callable[[], Any]]:
        def prepare(number: int) -> Callable[[], Any]:
            connection = duckdb.connect(copy, read_only=True)
            return lambda: [connection.execute(query, [kind(n)]).fetchall() for n in numbers(number)]

        return prepare

    work = f"S4: load one of {_STORED:,} by all keys, {_TIMES} times"
    one, far = f"{work}, in order", f"{work}, far apart"
    joined = "place, entry, record and value are four tables: one SELECT of them all, by hand, is the row below"
    return [
        measure(Comparison(one, _NUMBERED, 2.0), ours("near", _some), hand(by_number, _some, int), rounds),
        measure(Comparison(far, _NUMBERED, 2.0, floor=joined), ours("far", _far), hand(by_number, _far, int), rounds),
        measure(Comparison(far, _ENTRY, 2.0), ours("again", _far), hand(by_place, _far, str), rounds),
    ]


def _some(number: int) -> Sequence[int]:
    return range(number * _TIMES, (number + 1) * _TIMES)


def _far(number: int) -> Sequence[int]:
    """Return as many numbers, in no order that anybody could foresee."""
    return [(n * 3_701) % _STORED for n in _some(number)]


def _load_all(
    work: str, variable: type[BaseVariable], values: list[Any], promised: float, folder: Path, rounds: int
) -> list[Comparison]:
    path = _filled(folder / f"all_{variable.__name__}.duckdb", variable, values)
    copy = shutil.copy(path, folder / f"all_{variable.__name__}_hand.duckdb")
    bare = f'SELECT * FROM "{variable.table_name()}"'
    is_flat = not isinstance(values[0], np.ndarray)
    entries = f"SELECT m.*, r.encoding, r.nbytes, r.layout, s.subject {_ALL}"
    joined = f"SELECT e.*, d.value FROM ({entries}) e JOIN ({bare}) d ON d.record_no = e.record_no"
    # Of arrays each value is many rows, to which nobody would join the entry.
    queries = {_FETCHED: [joined] if is_flat else [entries, bare], _VALUES: [bare]}

    def every(db: DatabaseManager) -> None:
        assert sum(1 for _ in variable.load_all(db=db)) == len(values)

    def ours(_: int) -> Callable[[], Any]:
        db = scidb.open(path)
        return lambda: every(db)

    def hand(limit: str) -> Callable[[int], Callable[[], Any]]:
        def prepare(_: int) -> Callable[[], Any]:
            connection = duckdb.connect(copy, read_only=True)
            return lambda: [connection.sql(query).to_arrow_table() for query in queries[limit]]

        return prepare

    limits = {_FETCHED: promised, _VALUES: math.inf}
    return [measure(Comparison(work, limit, most), ours, hand(limit), rounds) for limit, most in limits.items()]


# ------------------------------------------------------------------ the file


def _size(work: str, arrays: list[Any], promised: float, folder: Path) -> Amounts:
    path = _filled(folder / "size.duckdb", BenchSignal, arrays)
    ours = path.stat().st_size - _empty(folder).stat().st_size
    return Amounts(work, "the bytes of the values", promised, ours, sum(array.nbytes for array in arrays))


def _size_of_one(folder: Path) -> Amounts:
    """Weigh what the first record costs whatever it holds: a block for each table, and for each primary key."""
    path = _filled(folder / "size.duckdb", BenchOne, [1.0])
    return Amounts(
        "beside: file of a single number",
        "an empty database",
        math.inf,
        path.stat().st_size,
        _empty(folder).stat().st_size,
    )


def _empty(folder: Path) -> Path:
    empty = folder / "empty.duckdb"
    if not empty.exists():
        scidb.open(empty, _KEYS).close()
    return empty
