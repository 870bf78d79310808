"""One run in a process of its own: ``python -m benchmarks.parallel_child WHAT SIZE FILE``.

Prints the seconds that one combination of so many takes with ``for_each``, or ``by-hand``: the same rows read and
written by hand-written statements; or ``identified``: that, with the digests that name them; or those of ``select-1``.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb
import pyarrow as pa

import scidb
from scidb import BaseVariable, for_each
from scidb.hashing import ids

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scidb.database import DatabaseManager
    from scidb.foreach import ForEachReport

_CHUNK: Final = 500


class BenchRaw(BaseVariable):
    """What goes in."""


class BenchDone(BaseVariable):
    """What comes out."""


def add_one(x: float) -> float:
    """Do next to nothing."""
    return x + 1


def busy(subject: int, seconds: float) -> int:
    """Keep a core busy for a while."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass
    return subject


# ------------------------------------------------------------------ with for_each


def with_for_each(size: int, file: Path) -> float:
    """Return the seconds of one combination."""
    with _prepared(size, file) as db:
        started = time.perf_counter()
        report = _add_ones(db, range(size))
        passed = time.perf_counter() - started
        assert report.completed == size
    return passed / size


def _prepared(size: int, file: Path) -> DatabaseManager:
    """Return a database with the inputs; the first call of a process prepares what all later ones use."""
    db = scidb.open(file, {"subject": int})
    db.save_many(BenchRaw, [(float(n), {"subject": n}) for n in range(-10, size)])
    _add_ones(db, range(-10, 0))
    return db


def _add_ones(db: DatabaseManager, subjects: range) -> ForEachReport:
    return for_each(add_one, {"x": BenchRaw}, [BenchDone], subject=list(subjects), db=db)


# ------------------------------------------------------------------ by hand


def by_hand(size: int, file: Path, name: Callable[[Sequence[float]], object] = len) -> float:
    """Return the seconds of one combination that is read, computed and written by hand, in the same layout.

    The rows are finished Python lists, written in chunks of as many as for_each has in a transaction. Nothing is
    planned, checked or looked up, and nothing hashed unless `name` does it to the results of a chunk.
    """
    _prepared(size, file).close()
    before = file.with_suffix(".before")
    shutil.copy(file, before)
    with scidb.open(file) as db:
        _add_ones(db, range(size))
    rows = _rows_since(before, file)
    with duckdb.connect(before, config={"checkpoint_threshold": "64MB"}) as connection:
        started = time.perf_counter()
        inputs = _load(connection)
        for first in range(0, size, _CHUNK):
            name([add_one(x) for x in inputs[first : first + _CHUNK]])
            _write(connection, rows, first)
        passed = time.perf_counter() - started
    return passed / size


def identified(size: int, file: Path) -> float:
    """Return the same with the digests of each result: content, record, computation, inputs, line and link."""
    return by_hand(size, file, _names)


def _names(values: Sequence[float]) -> str:
    records = ids.RecordIds("BenchDone", 1, {"__fn": "add_one"})
    chain = ""
    for value in values:
        content = ids.content_hash(value)
        record = records.of(content, {"subject": value})
        computation, inputs = ids.computation_ids("0" * 64, {"x": ids.value_form(content)}, 1)
        line = [
            record,
            "",
            "BenchDone",
            {"subject": value},
            "{}",
            content,
            computation,
            1,
            "",
            0,
            inputs,
            0,
            None,
            None,
        ]
        chain = ids.chain_link(chain, ids.line_digest(line))
    return chain


def _rows_since(before: Path, after: Path) -> dict[str, tuple[pa.Schema, list[list[Any]]]]:
    """Return by table, and there by column, the rows that came since."""
    found = {}
    with duckdb.connect(before) as old, duckdb.connect(after) as new:
        for (name,) in new.execute("SELECT table_name FROM duckdb_tables() ORDER BY table_oid").fetchall():
            known = old.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = ?", [name]).fetchall()[0][0]
            assert known, f"{name} was made by the run itself"
            [(count,)] = old.execute(f'SELECT count(*) FROM "{name}"').fetchall()
            table = new.sql(f'SELECT * FROM "{name}" WHERE rowid >= {count} ORDER BY rowid').to_arrow_table()
            if table.num_rows:
                found[name] = (table.schema, [column.to_pylist() for column in table.columns])
    return found


def _load(connection: duckdb.DuckDBPyConnection) -> list[float]:
    """Return the inputs: entries, locations and values, as one query that has to be asked in any case."""
    loaded = connection.sql(
        "SELECT m.record_id, m.content_hash, m.version_keys, m.timestamp, r.encoding, s.subject, d.value "
        "FROM _record_metadata m JOIN _records r USING (record_no) JOIN _schema s USING (schema_id) "
        "JOIN \"BenchRaw_data\" d USING (record_no) WHERE m.variable_name = 'BenchRaw' "
        "AND s.subject::BIGINT >= 0 ORDER BY s.subject::BIGINT"
    ).to_arrow_table()
    values: list[float] = loaded.column("value").to_pylist()
    return values


def _write(
    connection: duckdb.DuckDBPyConnection, rows: dict[str, tuple[pa.Schema, list[list[Any]]]], first: int
) -> None:
    """Write the chunk of rows of every table that begins there, in one transaction."""
    connection.execute("BEGIN").fetchall()
    for name, (schema, columns) in rows.items():
        chunk = [column[first : first + _CHUNK] for column in columns]
        if chunk[0]:
            arrays = [pa.array(cells, field.type) for cells, field in zip(chunk, schema, strict=True)]
            connection.from_arrow(pa.table(arrays, schema=schema)).insert_into(f'"{name}"')
    connection.execute("COMMIT").fetchall()


# ------------------------------------------------------------------ the unit


def select_1(_: int, __: Path) -> float:
    """Return the seconds of ``SELECT 1``."""
    connection = duckdb.connect()
    seconds = []
    for _round in range(500):
        started = time.perf_counter()
        connection.execute("SELECT 1").fetchall()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


_WORK: Final = {"for_each": with_for_each, "by-hand": by_hand, "identified": identified, "select-1": select_1}

if __name__ == "__main__":
    sys.stdout.write(f"{_WORK[sys.argv[1]](int(sys.argv[2]), Path(sys.argv[3]))}\n")
