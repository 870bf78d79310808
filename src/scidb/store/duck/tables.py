"""The tables of a database file: their columns, and how each is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import duckdb

from scidb._version import __version__
from scidb.exceptions import SchemaKeyError
from scidb.store.duck.sql import literal, quote
from scidb.store.names import RESERVED_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scidb.store.model import SchemaKey

__all__ = ["FORMAT_VERSION", "TABLES", "Table", "add_key_column", "check_new_key", "create_all"]

FORMAT_VERSION: Final = 4


@dataclass(frozen=True, slots=True)
class Table:
    """A table of our own: its columns in order, with their DuckDB types."""

    name: str
    columns: tuple[tuple[str, str], ...]
    primary_key: str | None = None

    @property
    def names(self) -> list[str]:
        """The column names, in order."""
        return [name for name, _ in self.columns]

    def ddl(self) -> str:
        """Return the statement that makes the table."""
        parts = [f"{quote(name)} {kind}" for name, kind in self.columns]
        if self.primary_key:
            parts.append(f"PRIMARY KEY ({self.primary_key})")
        return f"CREATE TABLE {quote(self.name)} ({', '.join(parts)})"


def _table(name: str, columns: str, primary_key: str | None = None) -> Table:
    pairs = [column.split() for column in columns.split(",")]
    return Table(name, tuple((pair[0], pair[1]) for pair in pairs), primary_key)


TABLES: Final = {
    table.name: table
    for table in (
        _table("_format", "format_version INTEGER, creator VARCHAR, duckdb_version VARCHAR"),
        _table("_schema", "schema_id BIGINT, schema_level VARCHAR", "schema_id"),
        _table("_schema_keys", "key VARCHAR, position INTEGER, value_type VARCHAR", "key"),
        _table(
            "_registered_types",
            "type_name VARCHAR, table_name VARCHAR, schema_version INTEGER, registered_at VARCHAR, "
            "identity_name VARCHAR",
            "type_name",
        ),
        _table(
            "_variables",
            "variable_name VARCHAR, schema_level VARCHAR, dtype VARCHAR, created_at VARCHAR, description VARCHAR, "
            "units VARCHAR, display VARCHAR",
            "variable_name",
        ),
        _table("_variable_groups", "group_name VARCHAR, variable_name VARCHAR", "group_name, variable_name"),
        _table("_tags", "tag VARCHAR, timestamp VARCHAR, user_id VARCHAR", "tag"),
        _table(
            "_records",
            "record_id VARCHAR, record_no BIGINT, variable_name VARCHAR, content_hash VARCHAR, "
            "schema_version INTEGER, layout VARCHAR, encoding VARCHAR, nbytes BIGINT",
            "record_id",
        ),
        _table(
            "_record_metadata",
            "record_id VARCHAR, timestamp VARCHAR, variable_name VARCHAR, schema_id BIGINT, version_keys VARCHAR, "
            "content_hash VARCHAR, lineage_id VARCHAR, schema_version INTEGER, user_id VARCHAR, seq INTEGER, "
            "record_no BIGINT, call_id VARCHAR, output_num INTEGER, piece INTEGER, pieces INTEGER, chain VARCHAR, "
            "computation_no BIGINT",
            "record_id, timestamp, seq",
        ),
        _table(
            "_lineage",
            "source VARCHAR, target VARCHAR, function_name VARCHAR, function_hash VARCHAR, timestamp VARCHAR",
            "source, function_name, target, timestamp",
        ),
        _table(
            "_computations",
            "lineage_id VARCHAR, function_name VARCHAR, function_hash VARCHAR, inputs_hash VARCHAR, "
            "outputs VARCHAR, kind VARCHAR, computation_no BIGINT",
            "lineage_id",
        ),
        _table(
            "_calls",
            "call_id VARCHAR, lineage_id VARCHAR, run_id VARCHAR, user_id VARCHAR, environment_id VARCHAR, "
            "seconds DOUBLE, recalled_from VARCHAR, timestamp VARCHAR, seq INTEGER, function_ref VARCHAR",
            "call_id",
        ),
        _table(
            "_call_inputs",
            "call_id VARCHAR, position INTEGER, name VARCHAR, kind VARCHAR, record_id VARCHAR, "
            "input_call_id VARCHAR, output_num INTEGER, type_name VARCHAR, content_hash VARCHAR, "
            "value_repr VARCHAR, root VARCHAR, literal VARCHAR, code_hash VARCHAR, is_default BOOLEAN, "
            "key VARCHAR, record_no BIGINT",
        ),
        _table("_hits", "lineage_id VARCHAR, hits BIGINT, timestamp VARCHAR, user_id VARCHAR"),
        _table(
            "_invalidations",
            "function_name VARCHAR, function_hash VARCHAR, lineage_id VARCHAR, reason VARCHAR, timestamp VARCHAR, "
            "user_id VARCHAR",
        ),
        _table(
            "_accepted",
            "function_name VARCHAR, old_hash VARCHAR, new_hash VARCHAR, reason VARCHAR, timestamp VARCHAR, "
            "user_id VARCHAR",
        ),
        _table(
            "_flags",
            "record_id VARCHAR, kind VARCHAR, reason VARCHAR, timestamp VARCHAR, user_id VARCHAR, lifted BOOLEAN, "
            "seq INTEGER",
        ),
        _table(
            "_functions",
            "function_hash VARCHAR, function_ref VARCHAR, function_name VARCHAR, manifest VARCHAR, sources VARCHAR",
            "function_hash, function_ref",
        ),
        _table("_sources", "source_hash VARCHAR, source VARCHAR", "source_hash"),
        _table("_environments", "environment_id VARCHAR, description VARCHAR", "environment_id"),
        _table(
            "_runs",
            "run_id VARCHAR, function_name VARCHAR, function_hash VARCHAR, total BIGINT, user_id VARCHAR, "
            "started VARCHAR, ended VARCHAR, completed BIGINT, recalled BIGINT, up_to_date BIGINT, "
            "skipped BIGINT, failed BIGINT, interrupted BOOLEAN, seq INTEGER, configuration VARCHAR",
            "run_id",
        ),
        _table(
            "_failures",
            "run_id VARCHAR, schema VARCHAR, version_keys VARCHAR, error VARCHAR, message VARCHAR, "
            "traceback VARCHAR, seconds DOUBLE, lineage_id VARCHAR, timestamp VARCHAR, seq INTEGER, inputs VARCHAR",
        ),
        _table(
            "_exports",
            "path VARCHAR, sha256 VARCHAR, timestamp VARCHAR, user_id VARCHAR, record_ids VARCHAR[]",
        ),
        _table(
            "_requests",
            "token_name VARCHAR, request_key VARCHAR, body_sha256 VARCHAR, timestamp VARCHAR",
            "token_name, request_key",
        ),
        _table("_erased", "timestamp VARCHAR, seq INTEGER, line VARCHAR, chain VARCHAR, removal_id VARCHAR"),
        _table(
            "_removals",
            "removal_id VARCHAR, kind VARCHAR, reason VARCHAR, entries BIGINT, records BIGINT, nbytes BIGINT, "
            "last_record_no BIGINT, timestamp VARCHAR, user_id VARCHAR, rewritten BOOLEAN",
            "removal_id",
        ),
        # Lines of the log that were pruned: all that they said, so that nothing older is taken for them.
        _table(
            "_pruned",
            "record_id VARCHAR, timestamp VARCHAR, variable_name VARCHAR, schema_id BIGINT, version_keys VARCHAR, "
            "content_hash VARCHAR, lineage_id VARCHAR, schema_version INTEGER, user_id VARCHAR, seq INTEGER, "
            "record_no BIGINT, call_id VARCHAR, output_num INTEGER, piece INTEGER, pieces INTEGER, "
            "encoding VARCHAR, nbytes BIGINT, removal_id VARCHAR",
        ),
        _table(
            "_backups",
            "path VARCHAR, timestamp VARCHAR, nbytes BIGINT, written BIGINT, user_id VARCHAR",
        ),
    )
}


def create_all(keys: Sequence[SchemaKey]) -> list[str]:
    """Return the statements that make an empty database with these schema keys."""
    statements = [table.ddl() for table in TABLES.values()]
    statements += [add_key_column(key.name) for key in keys]
    statements += [
        f"INSERT INTO _schema_keys VALUES ({_text(key.name)}, {position}, {_text(key.value_type)})"
        for position, key in enumerate(keys)
    ]
    # The location without any key, such as that of a group mean.
    statements.append("INSERT INTO _schema (schema_id) VALUES (0)")
    statements.append(
        f"INSERT INTO _format VALUES ({FORMAT_VERSION}, {_text(f'scidb {__version__}')}, {_text(duckdb.__version__)})"
    )
    return statements


def add_key_column(name: str) -> str:
    """Return the statement that gives locations another key."""
    return f"ALTER TABLE _schema ADD COLUMN {quote(name)} VARCHAR"


def _text(value: str | None) -> str:
    return "NULL" if value is None else literal(value)


def check_new_key(name: str) -> None:
    """Refuse a schema key whose column ``_schema`` or the views have for themselves.

    Raises
    ------
    SchemaKeyError
        When the name is taken, or empty.

    """
    taken = {*TABLES["_schema"].names, *RESERVED_COLUMNS}
    if not name or "\0" in name or name.casefold() in taken:
        raise SchemaKeyError(
            f"A schema key cannot be named {name!r}; SciDB uses {', '.join(sorted(taken))} itself. "
            "Choose another name.",
            name=name,
        )
