"""``scidb retry``: run the failed combinations of a for_each call again."""

from __future__ import annotations

from typing import Annotated

import typer

from scidb.cli.context import DatabaseOption, JsonOption, open_for_writing, settings_of
from scidb.cli.importing import ImportOption, import_named
from scidb.cli.reports import print_report

__all__ = ["retry"]


def retry(
    ctx: typer.Context,
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="Which one; the newest that has failures if left out.")
    ] = None,
    imports: ImportOption = None,
    db: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run what failed in one for_each call again, and only that. Exit code 1 if something fails again.

    The function and its variables are those that --import names; what else the call was given is stored.
    """
    settings = settings_of(ctx, db, as_json)
    import_named(imports)
    with open_for_writing(settings) as database, database.as_current():
        report = database.retry(run)
    print_report(report, as_json=settings.as_json)
    if report.failed:
        raise typer.Exit(1)
