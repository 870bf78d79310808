"""Taking records out of a recovered file whose values are lost: the lines of the log leave their digests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from scidb.hashing.ids import line_digest
from scidb.store.duck.insert import insert_rows
from scidb.store.duck.lines import log_line
from scidb.store.duck.sql import quote
from scidb.store.duck.state import load_keys
from scidb.store.duck.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from scidb.store.duck.connection import Connection

__all__ = ["drop_records", "note_removal", "read_lines"]

_SAID: Final = (
    "record_id", "timestamp", "seq", "identity", "version_keys", "content_hash", "lineage_id", "schema_version",
    "user_id", "call_id", "output_num", "piece", "pieces", "chain", "variable", "record_no",
)  # fmt: skip


def drop_records(connection: Connection, record_ids: Iterable[str], removal_id: str) -> None:
    """Take records out, with their lines and their rows."""
    ids = sorted(set(record_ids))
    if not ids:
        return
    wanted = pa.table({"id": pa.array(ids, pa.string())})
    lines = [line for line in read_lines(connection) if line["record_id"] in set(ids)]
    erased = [
        (line["timestamp"], line["seq"], line_digest(line["said"]), line["chain"], removal_id)
        for line in lines
        if line["said"] is not None
    ]
    insert_rows(connection, TABLES["_erased"], erased)
    connection.insert("DELETE FROM _record_metadata WHERE record_id IN (SELECT id FROM wanted)", wanted=wanted)
    for (layout,) in connection.rows("SELECT DISTINCT layout FROM _records WHERE layout IS NOT NULL"):
        connection.insert(
            f"DELETE FROM {quote(layout)} WHERE record_no IN (SELECT record_no FROM _records WHERE record_id IN "
            "(SELECT id FROM wanted))",
            wanted=wanted,
        )
    connection.insert("DELETE FROM _records WHERE record_id IN (SELECT id FROM wanted)", wanted=wanted)


def read_lines(connection: Connection) -> list[dict[str, Any]]:
    """Return the lines of the log in their order: what they say, their texts by key, and what the chain vouches for."""
    keys = [key.name for key in load_keys(connection)]
    given = "".join(f", s.{quote(key)} AS k{number}" for number, key in enumerate(keys))
    found = connection.table(
        "SELECT m.record_id, m.timestamp, m.seq, t.identity_name, m.version_keys, m.content_hash, m.lineage_id, "
        "m.schema_version, m.user_id, m.call_id, m.output_num, m.piece, m.pieces, m.chain, m.variable_name, "
        f"m.record_no, s.schema_id{given} FROM _record_metadata m LEFT JOIN _schema s USING (schema_id) "
        "LEFT JOIN _registered_types t ON t.type_name = m.variable_name ORDER BY m.timestamp, m.seq"
    )
    rows = zip(*(column.to_pylist() for column in found.columns), strict=True)
    return [_line(keys, row) for row in rows]


def _line(keys: Sequence[str], row: tuple[Any, ...]) -> dict[str, Any]:
    line = dict(zip(_SAID, row, strict=False))
    schema_id, *texts = row[len(_SAID) :]
    line["texts"] = {key: text for key, text in zip(keys, texts, strict=True) if text is not None}
    line["said"] = None
    if line["identity"] is not None and schema_id is not None:
        line["said"] = log_line(
            line["record_id"], line["timestamp"], line["identity"], line["texts"], line["version_keys"],
            line["content_hash"], line["lineage_id"], line["schema_version"], line["user_id"], line["seq"],
            line["call_id"], line["output_num"], line["piece"], line["pieces"],
        )  # fmt: skip
    return line


def note_removal(connection: Connection, removal_id: str, reason: str, said: Mapping[str, Any]) -> None:
    """Note that lines and records were lost; said again, it is the newest that counts."""

    def note() -> None:
        [(stamp, number)] = connection.rows(
            "SELECT (SELECT max(timestamp) FROM _record_metadata), (SELECT max(record_no) FROM _records)"
        )
        connection.execute("DELETE FROM _removals WHERE removal_id = ?", [removal_id])
        own = {"removal_id": removal_id, "kind": "recover", "reason": reason, "rewritten": True}
        row = {**own, "timestamp": stamp, "last_record_no": number, **said}
        # Of what was erased from the damaged file, nothing comes into the new one.
        connection.execute("UPDATE _removals SET rewritten = TRUE WHERE NOT rewritten")
        insert_rows(connection, TABLES["_removals"], [tuple(row.get(name) for name in TABLES["_removals"].names)])

    connection.transaction(note)
