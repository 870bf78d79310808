"""``scidb recover``: what can be read of a damaged file, in a new one."""

from __future__ import annotations

from typing import Annotated

import typer

from scidb.cli.context import JsonOption, settings_of
from scidb.cli.jsonlines import print_json_lines
from scidb.cli.tables import Column, conditions_text, note, print_table, short_id

__all__ = ["recover"]


def recover(
    ctx: typer.Context,
    damaged: Annotated[str, typer.Argument(metavar="DAMAGED", help="The file; it is only read.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Where the new file goes; nothing may be there.")],
    as_json: JsonOption = False,
) -> None:
    """Get everything that can be read out of a damaged database file into a new one, and list what is lost.

    Every value in the new file is verified against its hash. A backup, where there is one, has all of it.
    """
    from scidb.maintenance.recovering import recover as run

    report = run(damaged, new)
    if settings_of(ctx, None, as_json).as_json:
        print_json_lines([report.to_dict()])
        return
    if len(report):
        columns = [
            Column("lost", too_wide="keep"),
            Column("variable"),
            Column("where"),
            Column("record", too_wide="keep"),
            Column("what"),
        ]
        rows = [
            (one.kind, one.variable or "", conditions_text(one.schema), short_id(one.record_id or ""), one.what)
            for one in report
        ]
        print_table(columns, rows)
    for text in report.notes:
        note(text)
    note(report.title)
