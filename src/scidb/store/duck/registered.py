"""Variable types in the file: what their classes declare, and what is counted of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from scidb.store.duck.state import layout_table
from scidb.store.model import TypeInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scidb.store.duck.connection import Connection

__all__ = ["add_type", "find_types", "update_type"]


def add_type(connection: Connection, info: TypeInfo, stamp: str) -> TypeInfo:
    """Store a new type, and return it as it is stored: of a new one everything is known without counting."""
    name, units, display = info.name, _units_text(info), _display_text(info)
    connection.execute(
        "INSERT INTO _registered_types VALUES (?, ?, ?, ?, ?)",
        [name, layout_table(name, 1), info.schema_version, stamp, name],
    )
    connection.execute(
        "INSERT INTO _variables VALUES (?, NULL, '', ?, ?, ?, ?)", [name, stamp, info.description, units, display]
    )
    return _type_info(
        name, info.schema_version, info.description, units, display, name, None, "", stamp, (), 0, 0, None
    )


def update_type(connection: Connection, info: TypeInfo) -> None:
    """Store what a type declares now."""
    connection.execute(
        "UPDATE _registered_types SET schema_version = ? WHERE type_name = ?", [info.schema_version, info.name]
    )
    connection.execute(
        "UPDATE _variables SET description = ?, units = ?, display = ? WHERE variable_name = ?",
        [info.description, _units_text(info), _display_text(info), info.name],
    )


def find_types(connection: Connection, name: str | None = None) -> list[TypeInfo]:
    """Return every registered type by name, or the one of this name, with counts and last change."""
    where, parameters = ("", []) if name is None else ("WHERE variable_name = ?", [name])
    rows = connection.rows(
        "SELECT v.variable_name, t.schema_version, v.description, v.units, v.display, t.identity_name, "
        "v.schema_level, v.dtype, v.created_at, coalesce(g.groups, []), coalesce(r.records, 0), "
        f"coalesce(c.entries, 0), c.last_change FROM (SELECT * FROM _variables {where}) v "
        "JOIN _registered_types t ON t.type_name = v.variable_name "
        "LEFT JOIN (SELECT variable_name, list(group_name ORDER BY group_name) AS groups FROM _variable_groups "
        "GROUP BY ALL) g USING (variable_name) "
        # Asked on opening: to count what is distinct in the log would take longer than all the rest of it.
        f"LEFT JOIN (SELECT variable_name, count(*) AS records FROM _records {where} GROUP BY ALL) r "
        "USING (variable_name) LEFT JOIN (SELECT variable_name, count(*) AS entries, max(timestamp) AS last_change "
        f"FROM _record_metadata {where} GROUP BY ALL) c USING (variable_name) ORDER BY v.variable_name",
        parameters * 3,
    )
    return [_type_info(*row) for row in rows]


def _units_text(info: TypeInfo) -> str | None:
    return None if info.units is None else json.dumps(info.units, ensure_ascii=False, default=dict)


def _display_text(info: TypeInfo) -> str | None:
    return json.dumps(info.display, ensure_ascii=False, default=dict) if info.display else None


def _type_info(
    name: str, schema_version: int, description: str, units: str | None, display: str | None, identity_name: str,
    level: str | None, dtype: str, created_at: str, groups: Sequence[str], records: int, entries: int,
    last_change: str | None,
) -> TypeInfo:  # fmt: skip
    return TypeInfo(
        name, schema_version, description, None if units is None else json.loads(units),
        {} if display is None else json.loads(display), identity_name, level, dtype, created_at, tuple(groups),
        records, entries, last_change,
    )  # fmt: skip
