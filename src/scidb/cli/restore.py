"""``scidb restore``: make a database file of a backup."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from scidb.cli.context import JsonOption, settings_of
from scidb.cli.jsonlines import print_json_lines
from scidb.cli.tables import Column, bytes_text, note, print_table, time_text

if TYPE_CHECKING:
    from scidb.maintenance.backups import Manifest

__all__ = ["restore"]


def restore(
    ctx: typer.Context,
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="The folder that `scidb backup` wrote.")],
    target: Annotated[str | None, typer.Argument(metavar="[TARGET]", help="The database file to make.")] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="The newest backup of then or before, or of a day; in UTC."),
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="List the points in time that FOLDER has.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Put it in the place of a file that is there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a database file, TARGET, of a backup; every block is compared, and the file is opened and checked.

    Nothing is overwritten without --force, and nothing at all while TARGET is in use.
    """
    from scidb.maintenance.backups import restore as restore_backup
    from scidb.maintenance.backups import snapshots

    settings = settings_of(ctx, None, as_json)
    if show:
        _print(snapshots(folder), as_json=settings.as_json)
        return
    if target is None:
        raise typer.BadParameter("Say which file to make: scidb restore FOLDER TARGET. (--list shows what there is.)")
    made = restore_backup(folder, target, at=at, force=force)
    if settings.as_json:
        print_json_lines([dataclasses.asdict(made)])
        return
    print(f"{made.path}: as of {time_text(made.taken)}")
    entries = made.counts.get("_record_metadata", 0)
    note(f"{bytes_text(made.nbytes)}, {entries} entries; opened and checked in {made.seconds:.1f} s.")
    if made.problems:
        note(f"It has {len(made.problems)} problems, which it had when it was backed up: see `scidb fsck --db`.")


def _print(found: list[Manifest], *, as_json: bool) -> None:
    if as_json:
        kept = ("taken", "target", "nbytes", "format_version", "scidb_version", "duckdb_version")
        print_json_lines({name: getattr(one, name) for name in kept} | {"blocks": len(one.blocks)} for one in found)
        return
    if not found:
        note("No backup in this folder yet.")
        return
    columns = [
        Column("taken", too_wide="keep"),
        Column("size", right=True),
        Column("entries", right=True),
        Column("of"),
    ]
    rows = [
        (one.taken, bytes_text(one.nbytes), str(one.counts.get("_record_metadata", 0)), one.target) for one in found
    ]
    print_table(columns, rows)
