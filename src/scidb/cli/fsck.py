"""``scidb fsck``: whether a database is what it must be. Exit code 1 when it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from scidb.cli.context import DatabaseOption, JsonOption, find_database, settings_of
from scidb.cli.jsonlines import print_json_lines
from scidb.cli.tables import Column, conditions_text, is_terminal, note, print_table, short_id
from scidb.store import is_remote

if TYPE_CHECKING:
    from scidb.maintenance.report import CheckReport

__all__ = ["ON_A_TERMINAL", "fsck", "print_report"]

ON_A_TERMINAL: Final = 100
_PATIENCE: Final = 3_600.0


def fsck(
    ctx: typer.Context,
    deep: Annotated[bool, typer.Option("--deep", help="Read every value and compute its hash again.")] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Put right what can be without guessing; the file is copied first.")
    ] = False,
    head: Annotated[
        str | None, typer.Option("--head", metavar="LINK", help="A link noted earlier that the log must still hold.")
    ] = None,
    db: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check the database: its tables, what refers to what, counts, the chain of the log; with --deep every value.

    Problems are listed by record. Exit code 1 when there are any that were not repaired.
    """
    settings = settings_of(ctx, db, as_json)
    target = find_database(settings.database)
    if is_remote(target):
        from scidb.session import open_database

        # What takes the server long has no pieces that would come in between.
        with open_database(target, timeout=_PATIENCE) as database:
            report = database.admin.check(deep=deep, repair=repair, head=head)
    else:
        from scidb.maintenance.checking import check_file

        report = check_file(target, deep=deep, repair=repair, head=head)
    if settings.as_json:
        print_json_lines([report.to_dict()])
    else:
        print_report(report)
    if not report.ok:
        raise typer.Exit(1)


def print_report(report: CheckReport) -> None:
    """Print what a check has found, for people."""
    if len(report):
        columns = [
            Column("kind", too_wide="keep"),
            Column("variable"),
            Column("where"),
            Column("record", too_wide="keep"),
            Column("what"),
            Column("repair"),
        ]
        shown = report[:ON_A_TERMINAL] if is_terminal() else report.problems
        rows = [
            (
                one.kind,
                one.variable or "",
                conditions_text(one.schema),
                short_id(one.record_id or ""),
                one.what,
                "repaired" if one.repaired else one.repair or "",
            )
            for one in shown
        ]
        print_table(columns, rows)
        if len(shown) < len(report):
            note(f"The first {len(shown)} only; --json lists all.")
    note(report.title)
    for text in report.notes:
        note(text)
    if report.copy:
        note(f"Before the repair the file was copied to {report.copy}.")
    if report.head:
        note(f"The last link of the log is {report.head}; `scidb fsck --head LINK` tells later if it holds.")
    if any(one.repair and not one.repaired for one in report):
        note("`scidb fsck --repair` puts right what has a word under repair.")
    if any(one.kind == "unreadable" for one in report):
        note("`scidb recover` gets what can be read out into a new file; a backup has all of it.")
