"""``scidb prune``: remove old versions for good, or set results of the memo aside."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from scidb.cli.context import DatabaseOption, JsonOption, Settings, open_for_reading, open_for_writing, settings_of
from scidb.cli.jsonlines import print_json_lines
from scidb.cli.tables import Column, bytes_text, note, print_table, short_id, time_text

if TYPE_CHECKING:
    from scidb.maintenance.plans import Removing

__all__ = ["prune"]


def prune(
    ctx: typer.Context,
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="TIME", help="Saved before: 90d, 12h, or a date.")
    ] = None,
    superseded: Annotated[bool, typer.Option("--superseded", help="Something newer stands at their place.")] = False,
    unreachable: Annotated[
        bool, typer.Option("--unreachable", help="Results from whose computation no current result comes.")
    ] = False,
    variable: Annotated[
        list[str] | None, typer.Option("--variable", metavar="NAME", help="Of this variable; may be repeated.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept.")] = "",
    memo: Annotated[bool, typer.Option("--memo", help="Remove nothing: let results be computed again.")] = False,
    larger_than: Annotated[
        str | None, typer.Option("--larger-than", metavar="SIZE", help="With --memo, larger than: 100MB, or bytes.")
    ] = None,
    unused_since: Annotated[
        str | None, typer.Option("--unused-since", metavar="TIME", help="With --memo, neither saved nor of use since.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, the plan is shown.")] = False,
    db: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove old versions of values for good, or (--memo) let results no longer be recalled.

    Of several conditions all must hold. The latest of every place and version keys, everything at a tag, everything
    pinned and what it was made from stay. `scidb compact` then gives the space back.
    """
    settings = settings_of(ctx, db, as_json)
    if memo:
        if superseded or unreachable or variable:
            raise typer.BadParameter("--memo goes by --older-than, --larger-than and --unused-since alone.")
        _prune_memo(settings, older_than, larger_than, unused_since, yes=yes)
        return
    if larger_than is not None or unused_since is not None:
        raise typer.BadParameter("--larger-than and --unused-since are conditions of the memo: scidb prune --memo")
    if older_than is None and not superseded and not unreachable and not variable:
        raise typer.BadParameter(
            "Say what to remove: --older-than 90d, --superseded, --unreachable or --variable NAME; or --memo"
        )
    with (open_for_writing if yes else open_for_reading)(settings) as database:
        found = database.admin.prune(
            older_than=older_than,
            superseded=superseded,
            unreachable=unreachable,
            variable=variable or None,
            reason=reason,
            dry_run=not yes,
        )
    if settings.as_json:
        print_json_lines([found.to_dict()])
    else:
        _print_removing(found)


def _print_removing(found: Removing) -> None:
    kept = [f"{number:,} {why}" for why, number in found.kept.items()]
    if not found.variables:
        note(f"Nothing is to be removed; nothing is changed.{_stay(kept)}")
        return
    columns = [
        Column("variable"),
        Column("records", right=True),
        Column("entries", right=True),
        Column("size", right=True),
    ]
    rows = [(one.variable, f"{one.records:,}", f"{one.entries:,}", bytes_text(one.nbytes)) for one in found.variables]
    print_table(columns, rows)
    for one in found.losing:
        note(
            f"{one.records:,} records of {one.variable} stay, and were made from some of these: their lineage says so "
            "from then on, and they cannot be reproduced from the database alone."
        )
    what = f"{found.records:,} records ({bytes_text(found.nbytes)})"
    if found.done:
        note(f"{what} are removed.{_stay(kept)} `scidb compact` gives the space back.")
    else:
        note(f"Nothing is changed yet. With --yes, {what} are removed for good.{_stay(kept)}")


def _stay(kept: list[str]) -> str:
    return f" Kept of what is meant: {', '.join(kept)}." if kept else ""


def _prune_memo(
    settings: Settings, older_than: str | None, larger_than: str | None, unused_since: str | None, *, yes: bool
) -> None:
    """Let results of the memo no longer be recalled."""
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
