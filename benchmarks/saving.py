"""Saving, against the same rows inserted into DuckDB by hand: the same tables, columns, keys and transaction.

The hand-written side starts from finished Python lists, in one Arrow insert per table. It does not hash,
check or look anything up; that work is what the promised ratio has room for. Of the scalars it is shown, too,
what the digests cost that name the rows (the floor), and what tables without primary keys would save.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import duckdb
import numpy as np
import pyarrow as pa

import scidb
from benchmarks.harness import Comparison, measure
from scidb import BaseVariable
from scidb.hashing import ids

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["name_rows", "rows_of", "run"]

_TABLES: Final = ("_schema", "_records", "_record_metadata")
_ROWS: Final = "the same rows, one Arrow insert per table"
_NAMED: Final = f"{_ROWS}, and the digests that name them"
_KEYLESS: Final = f"{_ROWS}, in tables without keys"
_STAMP: Final = "2026-01-01T00:00:00.000000Z"


class BenchScalar(BaseVariable):
    """A number."""


class BenchArray(BaseVariable):
    """An array of 10,000 samples."""


def run(folder: Path, rounds: int) -> list[Comparison]:
    """Measure both promises."""
    rng = np.random.default_rng(0)
    scalars = [float(value) for value in rng.random(2_000)]
    arrays = [rng.random(10_000) for _ in range(500)]
    return [
        *_compare(
            "S1: save 2,000 scalars in one save_many",
            BenchScalar,
            scalars,
            {_ROWS: 2.0, _NAMED: math.inf, _KEYLESS: math.inf},
            folder,
            rounds,
        ),
        *_compare(
            "S2: save 500 arrays of 10,000 in one save_many",
            BenchArray,
            arrays,
            {_ROWS: 1.5, _NAMED: math.inf},
            folder,
            rounds,
        ),
    ]


def _compare(
    work: str,
    variable: type[BaseVariable],
    values: list[Any],
    limits: dict[str, float],
    folder: Path,
    rounds: int,
) -> list[Comparison]:
    template = folder / f"{variable.__name__}.duckdb"
    with scidb.open(template, {"subject": int}) as db:
        variable.save_many(_items(values), db=db)
    written, definitions = rows_of(template, variable)

    def ours(number: int) -> Callable[[], Any]:
        path = folder / f"{variable.__name__}_ours_{number}.duckdb"
        path.unlink(missing_ok=True)
        db = scidb.open(path, {"subject": int})
        variable.save(values[0], subject=-1, db=db)  # registers the variable and makes its table

        def work() -> None:
            variable.save_many(_items(values), db=db)
            db.close()

        return work

    def by_hand(limit: str) -> Callable[[int], Callable[[], Any]]:
        def prepare(number: int) -> Callable[[], Any]:
            path = folder / f"{variable.__name__}_hand_{number}.duckdb"
            path.unlink(missing_ok=True)
            connection = duckdb.connect(path)
            for name, definition in definitions.items():
                bare = f'CREATE TABLE "{name}" ({_columns(written[name]["__described__"])})'
                connection.execute(bare if limit == _KEYLESS else definition)

            def work() -> None:
                if limit == _NAMED:
                    name_rows(variable.__name__, values)
                _insert_by_hand(connection, written)

            return work

        return prepare

    floor = "these rows and the digests that name them, by hand, are the row below"
    return [
        measure(Comparison(work, limit, most, floor=floor), ours, by_hand(limit), rounds)
        for limit, most in limits.items()
    ]


def name_rows(variable: str, values: list[Any]) -> None:
    """Make the digests of the rows of as many records, and the chain of the log."""
    records, link = ids.RecordIds(variable, 1, {}), ""
    contents = [ids.content_hash(value) for value in values]
    found = [records.of(content, {"subject": number}) for number, content in enumerate(contents)]
    rows = enumerate(zip(found, contents, strict=True))
    lines = [
        [one, _STAMP, variable, {"subject": str(n)}, "{}", content, None, 1, "me", n, None, None, None, None]
        for n, (one, content) in rows
    ]
    for digest in ids.line_digests(lines):
        link = ids.chain_link(link, digest)


def _items(values: list[Any]) -> list[tuple[Any, dict[str, int]]]:
    return [(value, {"subject": number}) for number, value in enumerate(values)]


def rows_of(path: Path, variable: type[BaseVariable]) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Return what SciDB wrote, as plain lists (arrays for samples), and the definitions of its tables."""
    with duckdb.connect(path, read_only=True) as connection:
        written: dict[str, dict[str, Any]] = {}
        definitions = dict(connection.execute("SELECT table_name, sql FROM duckdb_tables()").fetchall())
        definitions = {name: definitions[name] for name in (*_TABLES, variable.table_name())}
        for name in (*_TABLES, variable.table_name()):
            table = connection.sql(f'SELECT * FROM "{name}"').to_arrow_table()
            samples = table.num_rows > 100_000
            written[name] = {
                column: table[column].to_numpy() if samples else table[column].to_pylist()
                for column in table.column_names
            }
            written[name]["__schema__"] = table.schema
            written[name]["__table__"] = table
            written[name]["__described__"] = connection.execute(f'DESCRIBE "{name}"').fetchall()
    return written, definitions


def _columns(described: list[tuple[Any, ...]]) -> str:
    return ", ".join(f'"{column[0]}" {column[1]}' for column in described)


def _insert_by_hand(connection: duckdb.DuckDBPyConnection, written: dict[str, dict[str, Any]]) -> None:
    connection.execute("BEGIN")
    for name, columns in written.items():
        schema = columns["__schema__"]
        arrays = [pa.array(columns[field.name], field.type) for field in schema]
        connection.register("rows_by_hand", pa.table(arrays, schema=schema))
        connection.execute(f'INSERT INTO "{name}" SELECT * FROM rows_by_hand')
        connection.unregister("rows_by_hand")
    connection.execute("COMMIT")
    connection.close()
