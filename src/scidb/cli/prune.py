"""``scidb prune``: set results of the memo aside by age, size or disuse."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from scidb.cli.context import DatabaseOption, JsonOption, open_for_reading, open_for_writing, settings_of
from scidb.cli.jsonlines import print_json_lines
from scidb.cli.tables import Column, bytes_text, note, print_table, short_id, time_text

__all__ = ["prune"]


def prune(
    ctx: typer.Context,
    memo: Annotated[bool, typer.Option("--memo", help="Prune the memo; needed, since it says what.")] = False,
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="TIME", help="Saved before: 90d, 12h, or a date.")
    ] = None,
    larger_than: Annotated[
        str | None, typer.Option("--larger-than", metavar="SIZE", help="Larger than: 100MB, or a number of bytes.")
    ] = None,
    unused_since: Annotated[
        str | None, typer.Option("--unused-since", metavar="TIME", help="Neither saved nor of use since.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, the plan is shown.")] = False,
    db: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let results no longer be recalled, by age, size or disuse; of several conditions all must hold.

    Values and their history stay. What is the latest at its place is computed again by the next run.
    """
    settings = settings_of(ctx, db, as_json)
    if not memo:
        raise typer.BadParameter("Say what to prune: scidb prune --memo")
    if older_than is None and larger_than is None and unused_since is None:
        raise typer.BadParameter("Say which results: --older-than 90d, --larger-than 1MB or --unused-since 2026-01-31")
    with (open_for_writing if yes else open_for_reading)(settings) as database:
        found = database.admin.prune(
            memo=True, older_than=older_than, larger_than=larger_than, unused_since=unused_since, dry_run=not yes
        )
    if settings.as_json:
        print_json_lines({**dataclasses.asdict(one), "done": found.done} for one in found.functions)
        return
    if not found.functions:
        note("No result is meant; nothing is changed.")
        return
    columns = [
        Column("function"),
        Column("code", too_wide="keep"),
        Column("results", right=True),
        Column("latest", right=True),
        Column("size", right=True),
        Column("hits", right=True),
        Column("last used", too_wide="keep"),
    ]
    rows = [
        (
            f"{one.name}()",
            short_id(one.function_hash),
            str(one.computations),
            str(one.latest),
            bytes_text(one.nbytes),
            str(one.hits),
            time_text(one.last_used),
        )
        for one in found.functions
    ]
    print_table(columns, rows)
    count = f"{found.computations} result{'' if found.computations == 1 else 's'}"
    again = f"; the next run computes {found.latest} of them again" if found.latest else ""
    if found.done:
        note(f"{count} will not be recalled any more{again}. All values are still there.")
    else:
        note(f"Nothing is changed yet. With --yes, {count} will not be recalled any more{again}.")
