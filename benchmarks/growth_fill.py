"""Databases of some size, made quickly: a thousand records are saved and computed, and then copied by SQL.

Each copy is other people, later: other places, records, calls and computations, in the order in which a laboratory that
measures and computes in turn would have stored them. Ids are no longer what the content says; nothing here checks that.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

import duckdb

from benchmarks.growth_work import KEPT, KEYS, TRIALS, GrowHalf, GrowOut, GrowRaw, double, half, place, side
from scidb import DatabaseManager, for_each
from scidb.store.duck import DuckStore
from scidb.store.model import SchemaKey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["fill"]

_TEMPLATE: Final = 1_000
_APART: Final = 10  # seconds from one copy to the next; one takes less

_MACROS: Final = (
    "CREATE TEMP MACRO other(id, k) AS CASE WHEN id IS NULL THEN NULL ELSE sha256(id || '-' || k) END",
    (
        "CREATE TEMP MACRO later(stamp, k) AS strftime(CAST(replace(stamp, 'Z', '') AS TIMESTAMP) + "
        f"to_seconds(k * {_APART}), '%Y-%m-%dT%H:%M:%S.%fZ')"
    ),
    # Calls made at one time have ids of one beginning.
    (
        "CREATE TEMP MACRO call(id, k) AS lpad(lower(to_hex(CAST('0x' || id[1:8] AS BIGINT) + "
        f"k * {_APART})), 8, '0') || md5(id || k)[1:24]"
    ),
)
# What differs from copy to copy.
_CHANGED: Final = {
    "_schema": {"schema_id": "schema_id + k * {places}", "subject": "CAST(subject AS BIGINT) + k * {subjects}"},
    "_records": {
        "record_id": "other(record_id, k)",
        "record_no": "record_no + k * {records}",
        "content_hash": "other(content_hash, k)",
    },
    "_record_metadata": {
        "record_id": "other(record_id, k)",
        "timestamp": "later(timestamp, k)",
        "schema_id": "schema_id + k * {places}",
        "content_hash": "other(content_hash, k)",
        "lineage_id": "other(lineage_id, k)",
        "record_no": "record_no + k * {records}",
        "call_id": "call(call_id, k)",
        "computation_no": "computation_no + k * {computations}",
    },
    "_lineage": {"timestamp": "later(timestamp, k)"},
    "_computations": {
        "lineage_id": "other(lineage_id, k)",
        "inputs_hash": "other(inputs_hash, k)",
        "computation_no": "computation_no + k * {computations}",
    },
    "_calls": {
        "call_id": "call(call_id, k)",
        "lineage_id": "other(lineage_id, k)",
        "run_id": "other(run_id, k)",
        "timestamp": "later(timestamp, k)",
    },
    "_call_inputs": {
        "call_id": "call(call_id, k)",
        "record_id": "other(record_id, k)",
        "input_call_id": "call(input_call_id, k)",
        "content_hash": "other(content_hash, k)",
        "record_no": "record_no + k * {records}",
    },
    "_runs": {"run_id": "other(run_id, k)", "started": "later(started, k)", "ended": "later(ended, k)"},
    "GrowRaw_data": {"record_no": "record_no + k * {records}", "value": "value + k"},
    "GrowOut_data": {"record_no": "record_no + k * {records}", "value": "value + k"},
}


def fill(path: Path, count: int, kept: int = KEPT) -> Path:
    """Make a database with so many records, in thousands: one half measured, the other made of it, a call each."""
    clock = _clock()
    store = DuckStore.open(path, [SchemaKey(name, "int") for name in KEYS], clock=lambda: next(clock))
    with DatabaseManager(store) as db:
        for number in range(kept):  # what lies behind all the rest
            GrowHalf.save(half(float(number)), subject=-1 - number, db=db)
        items = [(n * 0.5, {**place(n), "side": side(n)}) for n in range(_TEMPLATE // 2)]
        GrowRaw.save_many(items, db=db)
        for_each(double, {"x": GrowRaw}, [GrowOut], subject=[], trial=[], db=db, progress=False)
    with duckdb.connect(path) as connection:
        _copy(connection, count // _TEMPLATE)
    return path


def _clock() -> Iterator[dt.datetime]:
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    while True:
        yield now
        now += dt.timedelta(microseconds=1)


def _copy(connection: duckdb.DuckDBPyConnection, times: int) -> None:
    for macro in _MACROS:
        connection.execute(macro)
    [(first, started)] = connection.execute(
        "SELECT min(schema_id), min(timestamp) FROM _record_metadata WHERE variable_name = 'GrowRaw'"
    ).fetchall()
    steps = {
        "records": _TEMPLATE,
        "computations": _TEMPLATE // 2,
        "places": _TEMPLATE // 2,
        "subjects": _TEMPLATE // 2 // TRIALS,
    }
    for table, changed in _CHANGED.items():
        names = [name for name, *_ in connection.execute(f'DESCRIBE "{table}"').fetchall()]
        columns = ", ".join(changed.get(name, f'"{name}"').format(**steps) for name in names)
        own = {
            "_schema": f"schema_id >= {first}",
            "_records": "variable_name <> 'GrowHalf'",
            "_record_metadata": "variable_name <> 'GrowHalf'",
            "_computations": "function_name = 'double'",
            "_calls": f"timestamp > '{started}'",
            "_call_inputs": f"call_id IN (SELECT call_id FROM _calls WHERE timestamp > '{started}')",
            "_lineage": "target = 'GrowOut'",
        }.get(table, "TRUE")
        connection.execute(
            f'INSERT INTO "{table}" SELECT {columns} FROM (SELECT *, rowid AS position FROM "{table}" WHERE {own}), '
            f"(SELECT range AS k FROM range(1, {times})) ORDER BY k, position"
        )
    connection.execute("CHECKPOINT")
