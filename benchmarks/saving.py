"""Saving, against the same rows inserted into DuckDB by hand: the same tables, columns and transaction.

The hand-written side starts from finished Python lists, in one Arrow insert per table. It does not hash,
check or look anything up; that work is what the promised ratio has room for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import duckdb
import numpy as np
import pyarrow as pa

import scidb
from benchmarks.harness import Comparison, measure
from scidb import BaseVariable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["rows_of", "run"]

_TABLES: Final = ("_schema", "_records", "_record_metadata")


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
        _compare("S1: save 2,000 scalars in one save_many", BenchScalar, scalars, 2.0, folder, rounds),
        _compare("S2: save 500 arrays of 10,000 in one save_many", BenchArray, arrays, 1.5, folder, rounds),
    ]


def _compare(
    work: str, variable: type[BaseVariable], values: list[Any], promised: float, folder: Path, rounds: int
) -> Comparison:
    template = folder / f"{variable.__name__}.duckdb"
    with scidb.open(template, {"subject": int}) as db:
        variable.save_many(_items(values), db=db)
    written, definitions = rows_of(template, variable)

    def ours(number: int) -> Callable[[], Any]:
        db = scidb.open(folder / f"{variable.__name__}_ours_{number}.duckdb", {"subject": int})
        variable.save(values[0], subject=-1, db=db)  # registers the variable and makes its table

        def work() -> None:
            variable.save_many(_items(values), db=db)
            db.close()

        return work

    def by_hand(number: int) -> Callable[[], Any]:
        connection = duckdb.connect(folder / f"{variable.__name__}_hand_{number}.duckdb")
        for definition in definitions:
            connection.execute(definition)
        return lambda: _insert_by_hand(connection, written)

    return measure(Comparison(work, "the same rows, one Arrow insert per table", promised), ours, by_hand, rounds)


def _items(values: list[Any]) -> list[tuple[Any, dict[str, int]]]:
    return [(value, {"subject": number}) for number, value in enumerate(values)]


def rows_of(path: Path, variable: type[BaseVariable]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return what SciDB wrote, as plain lists (arrays for samples), and bare definitions of its tables."""
    with duckdb.connect(path, read_only=True) as connection:
        written, definitions = {}, []
        for name in (*_TABLES, variable.table_name()):
            table = connection.sql(f'SELECT * FROM "{name}"').to_arrow_table()
            described = connection.execute(f'DESCRIBE "{name}"').fetchall()
            columns = ", ".join(f'"{column[0]}" {column[1]}' for column in described)
            definitions.append(f'CREATE TABLE "{name}" ({columns})')
            samples = table.num_rows > 100_000
            written[name] = {
                column: table[column].to_numpy() if samples else table[column].to_pylist()
                for column in table.column_names
            }
            written[name]["__schema__"] = table.schema
            written[name]["__table__"] = table
    return written, definitions


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
