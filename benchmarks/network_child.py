"""A server in a process of its own: ``python -m benchmarks.network_child KIND FILE``; prints its port once it answers.

``scidb`` serves the file as `scidb-server` does. ``bare`` answers every request with nothing. ``flight`` is written by
hand with Arrow Flight over DuckDB, for the table whose definition comes on standard input: a put is one Arrow insert
that adds the numbers of record and row, a get is one query. ``memory`` keeps what it is given and stores nothing.
``hand`` is bare uvicorn that stores a number in the rows in which SciDB does, and finds it by the number of its record.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
import uvicorn
from pyarrow import flight

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["main"]


class Memory(flight.FlightServerBase):  # type: ignore[misc]
    """A server that keeps tables in memory."""

    def __init__(self) -> None:
        super().__init__("grpc://127.0.0.1:0")
        self._kept: dict[bytes, pa.Table] = {}

    def do_put(self, _: Any, descriptor: Any, reader: Any, __: Any) -> None:
        """Keep a table."""
        self._kept = {descriptor.path[0]: reader.read_all()}

    def do_get(self, _: Any, ticket: Any) -> Any:
        """Give a table back."""
        return flight.RecordBatchStream(self._kept[ticket.ticket])


class Stored(flight.FlightServerBase):  # type: ignore[misc]
    """A server that stores into and reads from DuckDB."""

    def __init__(self, path: str, definition: str, name: str) -> None:
        super().__init__("grpc://127.0.0.1:0")
        self._connection = duckdb.connect(path, config={"checkpoint_threshold": "64MB"})
        self._connection.execute(definition)
        self._name = name

    def do_put(self, _: Any, descriptor: Any, reader: Any, __: Any) -> None:
        """Insert a table and commit."""
        incoming = reader.to_reader()
        fields = [pa.field("record_no", pa.int64()), pa.field("row", pa.int64()), *incoming.schema]
        schema = pa.schema(fields)
        rows = pa.RecordBatchReader.from_batches(schema, _numbered(incoming, int(descriptor.path[0]), schema))
        cursor = self._connection.cursor()
        cursor.execute("BEGIN")
        cursor.register("rows_by_hand", rows)
        cursor.execute(f'INSERT INTO "{self._name}" SELECT * FROM rows_by_hand').fetchall()
        cursor.unregister("rows_by_hand")
        cursor.execute("COMMIT")
        cursor.close()

    def do_get(self, _: Any, ticket: Any) -> Any:
        """Fetch the rows of one record, and send its value."""
        query = f'SELECT * FROM "{self._name}" WHERE record_no = {int(ticket.ticket)}'
        rows = self._connection.cursor().sql(query).to_arrow_reader(122_880)
        columns = rows.schema.names[2:]
        schema = pa.schema([rows.schema.field(name) for name in columns])
        values = (batch.select(columns) for batch in rows)
        return flight.RecordBatchStream(pa.RecordBatchReader.from_batches(schema, values))


def _numbered(batches: Any, record: int, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    at = 0
    for batch in batches:
        rows = np.arange(at, at + len(batch))
        at += len(batch)
        numbers = pa.array(np.full(len(batch), record)), pa.array(rows)
        yield pa.RecordBatch.from_arrays([*numbers, *batch.columns], schema=schema)


class Small:
    """One number a request: the digests and the rows of a save in a transaction, or a query, in a thread."""

    def __init__(self, path: str, tables: list[str]) -> None:
        self._connection = duckdb.connect(path)
        self._rows = {name: self._connection.sql(f'SELECT * FROM "{name}" LIMIT 1').fetchall()[0] for name in tables}
        self._query = f'SELECT * FROM "{tables[-1]}" WHERE record_no = ?'
        self._threads = ThreadPoolExecutor(1)

    async def __call__(self, _: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        body, has_more = b"", True
        while has_more:
            message = await receive()
            body, has_more = body + message.get("body", b""), message.get("more_body", False)
        text = await asyncio.get_running_loop().run_in_executor(self._threads, self._answer, body)
        headers = [(b"content-length", str(len(text)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": text})

    def _answer(self, body: bytes) -> bytes:
        asked = json.loads(body)
        number, cursor = asked["number"], self._connection.cursor()
        if "value" not in asked:
            return json.dumps(cursor.execute(self._query, [number]).fetchall()).encode()
        cursor.execute("BEGIN")
        # What came, the value, its record, and the line of the log.
        came, *_, record_id = (hashlib.sha256(b"%d %s" % (n, body)).hexdigest() for n in range(4))
        for name, (first, *others) in self._rows.items():
            key = number if isinstance(first, int) else record_id
            cursor.execute(f'INSERT INTO "{name}" VALUES (?{", ?" * len(others)})', [key, *others])
        key_row = ["", asked["key"], came, record_id[:27]]
        cursor.execute('INSERT INTO "_requests" VALUES (?, ?, ?, ?)', key_row)
        cursor.execute("COMMIT")
        cursor.close()
        return json.dumps({"count": 1}).encode()


async def nothing(_: Any, receive: Any, send: Any) -> None:
    """Answer a request, whose body is read, with nothing."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def main(kind: str, path: str) -> None:
    """Serve until somebody ends the process."""
    if kind in {"memory", "flight"}:
        wanted = json.load(sys.stdin)
        server = Memory() if kind == "memory" else Stored(path, **wanted)
        _say(server.port)
        server.serve()
        return
    if kind == "bare":
        app: Any = nothing
    elif kind == "hand":
        app = Small(path, json.load(sys.stdin))
    else:
        from scidbnet.server import create_app

        app = create_app(path, {"subject": int})
    config = uvicorn.Config(app, port=0, log_level="error", access_log=False, lifespan="off")
    sock = config.bind_socket()
    _say(sock.getsockname()[1])
    uvicorn.Server(config).run(sockets=[sock])


def _say(port: int) -> None:
    print(port, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
