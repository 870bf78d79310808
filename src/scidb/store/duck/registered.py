"""Variable types in the file: what their classes declare, and what is counted of them."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from scidb.store.duck.state import layout_table
from scidb.store.model import TypeInfo

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scidb.store.duck.connection import Connection

__all__ = ["add_type", "find_types", "update_type"]

# By table: the column of the variable's name, texts, and a number. Joined, they take twice as long, most of it to plan,
# and this is asked on opening; so it is not counted what is distinct in the log, which would take longer than the rest.
_PARTS: Final[Mapping[str, tuple[str, tuple[str, ...], str]]] = {
    "_variables": (
        "variable_name", ("schema_level", "dtype", "created_at", "description", "units", "display"), "NULL::BIGINT"
    ),
    "_registered_types": ("type_name", ("identity_name",), "schema_version"),
    "_variable_groups": ("variable_name", ("group_name",), "NULL"),
    "_records": ("variable_name", (), "count(*)"),
    "_record_metadata": ("variable_name", ("max(timestamp)",), "count(*)"),
}  # fmt: skip
_TEXTS: Final = 6


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
    parameters = [] if name is None else [name] * len(_PARTS)
    query = " UNION ALL ".join(_part(table, is_one=name is not None) for table in _PARTS)
    found: dict[str, dict[str, list[tuple[Any, ...]]]] = {table: defaultdict(list) for table in _PARTS}
    for table, variable, *row in connection.rows(query, parameters):
        found[table][variable].append(tuple(row))
    types = []
    for variable in sorted(found["_variables"].keys() & found["_registered_types"].keys()):
        [(level, dtype, created, description, units, display, _)] = found["_variables"][variable]
        [(identity, *_, version)] = found["_registered_types"][variable]
        groups = sorted(group for group, *_ in found["_variable_groups"][variable])
        [(*_, records)] = found["_records"][variable] or [(0,)]
        [(last_change, *_, entries)] = found["_record_metadata"][variable] or [(None, 0)]
        types.append(
            _type_info(
                variable, version, description, units, display, identity, level, dtype, created, groups, records,
                entries, last_change,
            )
        )  # fmt: skip
    return types


def _part(table: str, *, is_one: bool) -> str:
    name, texts, number = _PARTS[table]
    columns = ", ".join([*texts, *["NULL"] * (_TEXTS - len(texts))])
    where = f" WHERE {name} = ?" if is_one else ""
    grouped = f" GROUP BY {name}" if number == "count(*)" else ""
    return f"SELECT '{table}', {name}, {columns}, {number} FROM {table}{where}{grouped}"


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
