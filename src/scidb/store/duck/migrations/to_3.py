"""Format 3: what is removed, and what was backed up, is noted in the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scidb.store.duck.migrations.step import Step

if TYPE_CHECKING:
    from scidb.store.duck.connection import Connection

__all__ = ["TO_3"]

_TABLES: Final = (
    "CREATE TABLE _erased (timestamp VARCHAR, seq INTEGER, line VARCHAR, chain VARCHAR, removal_id VARCHAR)",
    (
        "CREATE TABLE _removals (removal_id VARCHAR, kind VARCHAR, reason VARCHAR, entries BIGINT, records BIGINT, "
        "nbytes BIGINT, last_record_no BIGINT, timestamp VARCHAR, user_id VARCHAR, rewritten BOOLEAN, "
        "PRIMARY KEY (removal_id))"
    ),
    (
        "CREATE TABLE _pruned (record_id VARCHAR, timestamp VARCHAR, variable_name VARCHAR, schema_id BIGINT, "
        "version_keys VARCHAR, content_hash VARCHAR, lineage_id VARCHAR, schema_version INTEGER, user_id VARCHAR, "
        "seq INTEGER, record_no BIGINT, call_id VARCHAR, output_num INTEGER, piece INTEGER, pieces INTEGER, "
        "encoding VARCHAR, nbytes BIGINT, removal_id VARCHAR)"
    ),
    "CREATE TABLE _backups (path VARCHAR, timestamp VARCHAR, nbytes BIGINT, written BIGINT, user_id VARCHAR)",
)


def _add_tables(connection: Connection) -> None:
    for statement in _TABLES:
        connection.execute(statement)


TO_3: Final = Step(
    3, "adds the empty tables _erased, _removals, _pruned and _backups; no value and no id changes", _add_tables
)
