"""``scidb ls``: the variables of a database, or the latest records of one."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from scidb.cli.arguments import conditions
from scidb.cli.context import AsOfOption, DatabaseOption, JsonOption, open_for_reading, settings_of
from scidb.cli.jsonlines import print_json_lines
from scidb.cli.tables import (
    Column,
    is_terminal,
    note,
    print_table,
    short_id,
    time_heading,
    time_text,
    value_text,
    word,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scidb.database import DatabaseManager
    from scidb.store.model import TypeInfo
    from scidb.variable import BaseVariable

__all__ = ["ls"]

ON_A_TERMINAL: Final = 100


def ls(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="VARIABLE KEY=VALUE",
            help="Whose records to list, and which; a KEY given twice: any of the values; KEY=2..5: from 2 to 5.",
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("-n", "--limit", min=1, help=f"How many records; {ON_A_TERMINAL} on a terminal.")
    ] = None,
    as_of: AsOfOption = None,
    db: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the variables, or the latest records of one."""
    if as_of and not words:
        raise typer.BadParameter("--as-of shows the records of one variable: scidb ls VARIABLE --as-of TAG")
    settings = settings_of(ctx, db, as_json)
    with open_for_reading(settings) as database:
        if not words:
            _list_variables(database, as_json=settings.as_json)
            return
        name, *rest = words
        found = database.load_all(name, as_of=as_of, **conditions(database, rest))
        if settings.as_json:
            print_json_lines(_record_json(record) for record in islice(found, limit))
        else:
            _list_records(name, found, limit, as_of)


# ------------------------------------------------------------------ variables


def _list_variables(database: DatabaseManager, *, as_json: bool) -> None:
    types = database.types()
    if as_json:
        print_json_lines(_type_json(info) for info in types)
        return
    if not types:
        note(f"{database.target} has no variables yet.")
        return
    are_grouped = any(info.groups for info in types)
    columns = [
        Column("variable", too_wide="keep"),
        Column("records", right=True, too_wide="keep"),
        Column("level"),
        Column("units"),
        Column(time_heading("last change"), too_wide="keep"),
        *([Column("groups")] if are_grouped else []),
        Column("description", too_wide="cut"),
    ]
    print_table(columns, [_type_row(info, are_grouped=are_grouped) for info in types])
    note(f"\n{database.target}: {' > '.join(database.schema_keys) or 'no schema keys'}")


def _type_row(info: TypeInfo, *, are_grouped: bool) -> tuple[str, ...]:
    return (
        info.name,
        str(info.records),
        info.schema_level or ("dataset" if info.records else ""),
        _units_text(info.units),
        time_text(info.last_change),
        *([", ".join(info.groups)] if are_grouped else []),
        info.description.partition("\n")[0],
    )


def _units_text(units: Any) -> str:
    return units if isinstance(units, str) else ", ".join(f"{name} {unit}" for name, unit in (units or {}).items())


def _type_json(info: TypeInfo) -> dict[str, Any]:
    return {
        "variable": info.name,
        "records": info.records,
        "entries": info.entries,
        "level": info.schema_level,
        "units": info.units,
        "schema_version": info.schema_version,
        "last_change": info.last_change,
        "groups": info.groups,
        "description": info.description,
    }


# ------------------------------------------------------------------ records


def _list_records(name: str, found: Iterator[BaseVariable], limit: int | None, as_of: str | None) -> None:
    if limit is None and is_terminal():
        limit = ON_A_TERMINAL
    shown = list(islice(found, limit))
    if not shown:
        then = f" as of {as_of}" if as_of else ""
        note(f"No {name} there{then}. `scidb ls {name}` lists where there is one.")
        return
    keys = list(dict.fromkeys(key for record in shown for key in record.schema))
    versions = _version_keys(shown)
    params = list(dict.fromkeys(key for version in versions for key in version))
    columns = [
        *(Column(key, too_wide="keep") for key in keys),
        *(Column(key) for key in params),
        Column(name, right=all(_is_number(record.data) for record in shown), too_wide="cut"),
        Column("record", too_wide="keep"),
        Column(time_heading("saved"), too_wide="keep"),
    ]
    rows = [_record_row(record, version, keys, params) for record, version in zip(shown, versions, strict=True)]
    if any(record.flags for record in shown):
        columns.append(Column("flags"))
        rows = [(*row, "; ".join(record.flags)) for row, record in zip(rows, shown, strict=True)]
    print_table(columns, rows)
    if limit is not None and next(found, None) is not None:
        note(f"\nThe first {limit} only; -n shows more.")


def _version_keys(shown: list[BaseVariable]) -> list[dict[str, Any]]:
    """Return the version keys of records, with those of for_each's own that alone tell some of them apart."""
    from scidb.records import configuration_of, telling_configuration

    texts = [record._record.version_keys if record._record else "{}" for record in shown]  # noqa: SLF001 - loaded
    hidden = telling_configuration(texts, lambda: [tuple(record.schema.items()) for record in shown])
    return [record.version_keys | configuration_of(text, hidden) for record, text in zip(shown, texts, strict=True)]


def _record_row(record: BaseVariable, version: dict[str, Any], keys: list[str], params: list[str]) -> tuple[str, ...]:
    return (
        *(word(record.schema[key]) if key in record.schema else "" for key in keys),
        *(word(version[key]) if key in version else "" for key in params),
        value_text(record.data),
        short_id(record.record_id or ""),
        time_text(record.timestamp),
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _record_json(record: BaseVariable) -> dict[str, Any]:
    plain = record.data is None or isinstance(record.data, bool | int | float | str)
    return {
        "variable": record.type_name,
        "schema": record.schema,
        "version_keys": record.version_keys,
        "value": record.data if plain else None,
        "preview": value_text(record.data),
        "record_id": record.record_id,
        "timestamp": record.timestamp,
        "flags": record.flags,
    }
