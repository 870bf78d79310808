"""A server, over loopback: large values against Arrow Flight written by hand, small ones against an empty request.

By hand means a server that stores into and reads from DuckDB in the same layout and does nothing else: no hash, no
checks, no record of what was saved, no Python value at the end. It is sent the columns of values alone and adds the
numbers of record and row itself. Servers run in processes of their own, all at once; only one works at a time.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import uuid
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb
import httpx
import urllib3
from pyarrow import flight

import scidb
from benchmarks.harness import Comparison, measure
from benchmarks.values import BenchFrame, BenchLargeArray, large_array, large_frame
from scidb import BaseVariable
from scidb.hashing.ids import content_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from scidb.database import DatabaseManager

__all__ = ["run"]

_QUICK: Final = 3
_KEYS: Final = {"subject": int}
_MANY: Final = 10_000
_REPEATS: Final = 100
_SERVED: Final = "small_served.duckdb"


class BenchRemote(BaseVariable):
    """A number."""


def run(folder: Path, rounds: int) -> list[Comparison]:
    """Measure S10 and S10s."""
    part = 10 if rounds <= _QUICK else 1
    results = []
    with ExitStack() as stack:
        address = stack.enter_context(_server("scidb", folder / "served.duckdb"))
        remote = stack.enter_context(scidb.open(f"http://127.0.0.1:{address}"))
        array, frame = large_array(12_500_000 // part), large_frame(1_000_000)
        results += _large(remote, BenchLargeArray, array, f"{array.nbytes / 1e6:g} MB array", folder, rounds)
        results += _large(remote, BenchFrame, frame, "DataFrame 1,000,000 x 10", folder, rounds)
        bare = stack.enter_context(_server("bare", folder))
        client = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{bare}"))
        results += _small(remote, client, folder, rounds)
        results += _floors(remote, folder, rounds)
    return results


# ------------------------------------------------------------------ large values


def _large(
    remote: DatabaseManager, variable: type[BaseVariable], value: Any, what: str, folder: Path, rounds: int
) -> list[Comparison]:
    columns, described = _by_hand(variable, value, folder)
    limit = "Arrow Flight over DuckDB, written by hand"
    floor = "the limit neither checks a hash nor makes the value; a hash, and a load with a value, are rows beside"
    saving, loading = (
        Comparison(f"S10: over HTTP, {verb} a {what}", limit, 1.5, floor=floor) for verb in ("save", "load")
    )
    beside = [Comparison(f"beside: Flight in memory, {verb} a {what}", limit) for verb in ("put", "get")]
    hashing = Comparison(f"beside: the hash of a {what}, of which a save takes two", limit)
    making = Comparison(f"beside: over HTTP, load a {what}", f"{limit}, and pandas from its columns")
    with (
        _flight("flight", folder / f"{variable.__name__}_hand.duckdb", described) as hand,
        _flight("memory", folder, described) as memory,
    ):

        def ours(number: int) -> Callable[[], Any]:
            return lambda: variable.save(value, subject=number, db=remote)

        def load(number: int) -> Callable[[], Any]:
            return lambda: _loaded(variable, remote, number)

        return [
            measure(saving, ours, lambda number: lambda: _put(hand, number, columns), rounds),
            measure(loading, load, lambda number: lambda: _get(hand, number), rounds),
            measure(
                beside[0],
                lambda number: lambda: _put(memory, number, columns),
                lambda number: lambda: _put(hand, rounds + 1 + number, columns),
                rounds,
            ),
            measure(
                beside[1], lambda _: lambda: _get(memory, rounds), lambda number: lambda: _get(hand, number), rounds
            ),
            measure(
                hashing,
                lambda _: lambda: [content_hash(value)],
                lambda number: lambda: _put(hand, 2 * rounds + 2 + number, columns),
                rounds,
            ),
            measure(making, load, lambda number: lambda: _get(hand, number).to_pandas(), rounds),
        ]


def _loaded(variable: type[BaseVariable], db: DatabaseManager, subject: int) -> None:
    assert variable.load(subject=subject, db=db).data is not None


def _put(client: flight.FlightClient, number: int, columns: pa.Table) -> None:
    writer, _ = client.do_put(flight.FlightDescriptor.for_path(str(number)), columns.schema)
    with writer:
        writer.write_table(columns, max_chunksize=122_880)


def _get(client: flight.FlightClient, number: int) -> pa.Table:
    found = client.do_get(flight.Ticket(str(number))).read_all()
    assert found.num_rows
    return found


def _by_hand(variable: type[BaseVariable], value: Any, folder: Path) -> tuple[pa.Table, dict[str, str]]:
    """Return the columns that a value is stored in, and the table that holds them."""
    template = folder / f"{variable.__name__}.duckdb"
    with scidb.open(template, _KEYS) as db:
        variable.save(value, subject=1, db=db)
    table = variable.table_name()
    with duckdb.connect(template, read_only=True) as connection:
        rows = connection.sql(f'SELECT * EXCLUDE (record_no, "row") FROM "{table}"').to_arrow_table().combine_chunks()
        described = connection.execute(f'DESCRIBE "{table}"').fetchall()
    template.unlink()
    columns = ", ".join(f'"{name}" {kind}' for name, kind, *_ in described)
    return rows, {"definition": f'CREATE TABLE "{table}" ({columns})', "name": table}


# ------------------------------------------------------------------ small ones


def _small(remote: DatabaseManager, bare: httpx.Client, folder: Path, rounds: int) -> list[Comparison]:
    path, copy = folder / "small.duckdb", folder / "small_hand.duckdb"
    with scidb.open(path, _KEYS) as local:
        for db in (local, remote):
            db.save_many(BenchRemote, [(float(n), {"subject": n}) for n in range(_MANY)])
    shutil.copy(path, copy)
    shutil.copy(path, folder / _SERVED)
    with scidb.open(path) as local, duckdb.connect(copy) as hand:
        rows = {name: hand.sql(f'SELECT * FROM "{name}" LIMIT 1').fetchall()[0] for name in _written()}
        query = f'SELECT * FROM "{BenchRemote.table_name()}" WHERE record_no = ?'

        def save(number: int) -> Callable[[], Any]:
            return lambda: [BenchRemote.save(0.5, subject=n, db=remote) for n in _new(number)]

        def insert(number: int) -> Callable[[], Any]:
            def work() -> None:
                for n in _new(number):
                    bare.post("/", content=b"{}")
                    _insert(hand, rows, n)

            return work

        def load(number: int) -> Callable[[], Any]:
            return lambda: [BenchRemote.load(subject=n, db=remote) for n in _known(number)]

        def select(number: int) -> Callable[[], Any]:
            def work() -> None:
                for n in _known(number):
                    bare.post("/", content=b"{}")
                    hand.execute(query, [n]).fetchall()

            return work

        # Comes first: it is of as many records on both sides.
        every = Comparison(f"S10s: over HTTP, load_all of {_MANY:,} scalars", "the same from a local file", 1.5)
        measure(every, lambda _: lambda: _all(remote), lambda _: lambda: _all(local), rounds)
        return [
            measure(_single("save", "the same rows in a transaction"), save, insert, rounds),
            measure(_single("load", "a SELECT by record_no"), load, select, rounds),
            every,
        ]


def _single(verb: str, by_hand: str) -> Comparison:
    work = f"S10s: over HTTP, {verb} a small record, {_REPEATS} times"
    floor = "a server by hand that digests what it stores, with the key of a write, is a row beside"
    return Comparison(work, f"an empty request to bare uvicorn, and {by_hand}", 2.0, floor=floor)


def _floors(remote: DatabaseManager, folder: Path, rounds: int) -> list[Comparison]:
    """Measure what a server costs that does only what cannot be left out; comes after the small ones."""
    told = json.dumps(_written())
    with _server("hand", folder / _SERVED, told) as port, urllib3.PoolManager() as pool:

        def ask(**asked: Any) -> Any:
            return pool.request("POST", f"http://127.0.0.1:{port}/", body=json.dumps(asked)).json()

        def save(number: int) -> Callable[[], Any]:
            numbers = _new(number + rounds + 1)  # of which the first rounds are there
            return lambda: [BenchRemote.save(0.5, subject=n, db=remote) for n in numbers]

        def save_by_hand(number: int) -> Callable[[], Any]:
            return lambda: [ask(number=_MANY * _MANY + n, value=0.5, key=uuid.uuid4().hex) for n in _new(number)]

        def load(number: int) -> Callable[[], Any]:
            return lambda: [BenchRemote.load(subject=n, db=remote) for n in _known(number)]

        def load_by_hand(number: int) -> Callable[[], Any]:
            return lambda: [ask(number=n) for n in _known(number)]

        return [
            measure(_floor("save", "digests, rows, and that of a key"), save, save_by_hand, rounds),
            measure(_floor("load", "a SELECT by record_no"), load, load_by_hand, rounds),
        ]


def _floor(verb: str, work: str) -> Comparison:
    return Comparison(
        f"beside: {verb} a small record, {_REPEATS} times", f"a server by hand (uvicorn, urllib3): {work}"
    )


def _new(number: int) -> range:
    return range(_MANY + number * _REPEATS, _MANY + (number + 1) * _REPEATS)


def _known(number: int) -> range:
    return range(number * _REPEATS, (number + 1) * _REPEATS)


def _all(db: DatabaseManager) -> None:
    assert sum(1 for _ in db.load_all(BenchRemote)) == _MANY


def _written() -> tuple[str, ...]:
    return "_schema", "_records", "_record_metadata", BenchRemote.table_name()


def _insert(connection: duckdb.DuckDBPyConnection, rows: dict[str, tuple[Any, ...]], number: int) -> None:
    connection.execute("BEGIN")
    for name, (first, *others) in rows.items():
        key = _MANY * _MANY + number if isinstance(first, int) else f"{number:064}"
        connection.execute(f'INSERT INTO "{name}" VALUES (?{", ?" * len(others)})', [key, *others])
    connection.execute("COMMIT")


# ------------------------------------------------------------------ servers


@contextmanager
def _server(kind: str, path: Path, told: str = "") -> Iterator[int]:
    """Start a server and give its port."""
    command = [sys.executable, "-m", "benchmarks.network_child", kind, str(path)]
    root = Path(__file__).resolve().parent.parent
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(told)
            process.stdin.close()
            yield int(process.stdout.readline())
        finally:
            process.kill()


@contextmanager
def _flight(kind: str, path: Path, described: dict[str, str]) -> Iterator[flight.FlightClient]:
    with _server(kind, path, json.dumps(described)) as port, flight.connect(f"grpc://127.0.0.1:{port}") as client:
        yield client
