"""``scidb tag``: give this moment, or an earlier one, a name; or list the names."""

from __future__ import annotations

from typing import Annotated

import typer

from scidb.cli.context import DatabaseOption, JsonOption, open_for_reading, open_for_writing, settings_of
from scidb.cli.jsonlines import print_json_lines
from scidb.cli.tables import Column, note, print_table, time_text

__all__ = ["tag"]


def tag(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="The new tag; list all without one.")] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME|TAG", help="An earlier moment; without a zone it is UTC.")
    ] = None,
    wants_list: Annotated[bool, typer.Option("--list", "-l", help="List the tags.")] = False,
    db: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Name this moment, so that --as-of and diff can go back to it; or list such names."""
    settings = settings_of(ctx, db, as_json)
    if name is None and at is not None:
        raise typer.BadParameter("--at needs the name of the new tag: scidb tag NAME --at TIME")
    if name is not None and wants_list:
        raise typer.BadParameter("Give a new tag or --list, not both.")
    if name is None:
        with open_for_reading(settings) as database:
            found = database.tags()
    else:
        with open_for_writing(settings) as database:
            found = {name: database.tag(name, at)}
    if settings.as_json:
        print_json_lines({"tag": one, "timestamp": instant} for one, instant in found.items())
        return
    if not found:
        note("No tags yet. `scidb tag NAME` names this moment.")
        return
    columns = [Column("tag"), Column("moment", too_wide="keep"), Column("instant", too_wide="keep")]
    print_table(columns, [(one, time_text(instant, exact=True), instant) for one, instant in found.items()])
