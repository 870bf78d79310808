"""``scidb log``: what was saved, newest first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scidb.cli.arguments import conditions
from scidb.cli.context import AsOfOption, DatabaseOption, JsonOption, open_for_reading, settings_of
from scidb.cli.jsonlines import print_json_lines
from scidb.cli.tables import Column, conditions_text, note, print_table, short_id, time_heading, time_text

if TYPE_CHECKING:
    from scidb.store.model import Record

__all__ = ["log"]


def log(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="VARIABLE KEY=VALUE", help="Of this variable alone, and where; either may be left out."),
    ] = None,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="How many entries.")] = 20,
    as_of: AsOfOption = None,
    db: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what was saved, newest first."""
    settings = settings_of(ctx, db, as_json)
    with open_for_reading(settings) as database:
        rest = words or []
        variable = None if not rest or "=" in rest[0] else rest[0]
        where = conditions(database, rest if variable is None else rest[1:])
        entries = database.log(variable, limit=limit, as_of=as_of, **where)
        functions = database.functions_of(entries)
    if settings.as_json:
        print_json_lines(map(_json, entries, functions))
        return
    if not entries:
        there = " there" if where else ""
        note(f"Nothing was saved{there} yet." if as_of is None else f"Nothing had been saved{there} as of {as_of}.")
        return
    columns = [
        Column(time_heading("saved"), too_wide="keep"),
        Column("user"),
        Column("variable", too_wide="keep"),
        Column("where"),
        Column("record", too_wide="keep"),
        Column("made by"),
    ]
    print_table(columns, map(_row, entries, functions))


def _keys(entry: Record) -> dict[str, Any]:
    return {name: value for name, value in json.loads(entry.version_keys).items() if not name.startswith("__")}


def _maker(function: str | None) -> str:
    if function is None:
        return "by hand"
    return f"{function}()"


def _row(entry: Record, function: str | None) -> tuple[str, ...]:
    return (
        time_text(entry.timestamp),
        entry.user_id or "",
        entry.variable,
        conditions_text({**entry.schema, **_keys(entry)}),
        short_id(entry.record_id),
        _maker(function),
    )


def _json(entry: Record, function: str | None) -> dict[str, Any]:
    return {
        "timestamp": entry.timestamp,
        "user_id": entry.user_id,
        "variable": entry.variable,
        "schema": entry.schema,
        "version_keys": _keys(entry),
        "record_id": entry.record_id,
        "function_name": function or None,
        "by_hand": function is None,
        "lineage_id": entry.lineage_id,
        "nbytes": entry.nbytes,
    }
