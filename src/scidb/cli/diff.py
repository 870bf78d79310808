"""``scidb diff``: which values changed between two moments, and by how much."""

from __future__ import annotations

import dataclasses
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from scidb.cli.arguments import conditions
from scidb.cli.context import DatabaseOption, JsonOption, open_for_reading, settings_of
from scidb.cli.jsonlines import print_json_lines
from scidb.cli.ls import ON_A_TERMINAL
from scidb.cli.tables import Column, conditions_text, is_terminal, note, print_table, short_id, time_heading, time_text

if TYPE_CHECKING:
    from scidb.database import Diff, DiffRow

__all__ = ["diff"]


def diff(
    ctx: typer.Context,
    a: Annotated[str, typer.Argument(metavar="A", help="Since when: a tag or a time; without a zone it is UTC.")],
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[B] [KEY=VALUE ...]", help="Until when, now if not given; and where."),
    ] = None,
    variable: Annotated[
        list[str] | None, typer.Option("--variable", "-v", metavar="VARIABLE", help="Of this one alone; repeatable.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("-n", "--limit", min=1, help=f"How many changes; {ON_A_TERMINAL} on a terminal.")
    ] = None,
    db: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show which values were added, changed or reverted since A, and by how much."""
    settings = settings_of(ctx, db, as_json)
    words = words or []
    b = words[0] if words and "=" not in words[0] else None
    with open_for_reading(settings) as database:
        rest = words if b is None else words[1:]
        found = database.diff(a, b, variable or None, **conditions(database, rest))
        if settings.as_json:
            print_json_lines(dataclasses.asdict(row) for row in islice(found, limit))
        else:
            _print_changes(found, limit)


def _print_changes(found: Diff, limit: int | None) -> None:
    if limit is None and is_terminal():
        limit = ON_A_TERMINAL
    rows = list(islice(found, limit))
    if rows:
        columns = [
            Column("variable", too_wide="keep"),
            Column("where"),
            Column("change", too_wide="keep"),
            Column("difference"),
            Column("record", too_wide="keep"),
            Column("made by"),
            Column(time_heading("saved"), too_wide="keep"),
        ]
        print_table(columns, map(_row, rows))
    note(f"\n{found.title}" if rows else found.title)
    if len(rows) < len(found):
        note(f"The first {len(rows)} only; -n shows more.")


def _row(row: DiffRow) -> tuple[str, ...]:
    from scidb.database.diff import amount_text

    maker = "by hand" if row.function is None else f"{row.function}()"
    return (
        row.variable,
        conditions_text({**row.schema, **row.version_keys}),
        row.change,
        amount_text(row),
        short_id(row.after or row.before or ""),
        maker if row.after else "",
        time_text(row.timestamp),
    )
