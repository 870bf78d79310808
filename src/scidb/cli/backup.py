"""``scidb backup``: copy the database into a backup folder, while others work with it."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from scidb.cli.context import DatabaseOption, JsonOption, open_for_writing, settings_of
from scidb.cli.jsonlines import print_json_lines
from scidb.cli.tables import bytes_text, note, time_text

__all__ = ["backup"]


def backup(
    ctx: typer.Context,
    target: Annotated[str, typer.Argument(metavar="FOLDER", help="A folder for the backups of this database.")],
    keep: Annotated[
        int | None, typer.Option("--keep", metavar="N", min=1, help="Keep the newest N backups; older ones go.")
    ] = None,
    no_verify: Annotated[
        bool, typer.Option("--no-verify", help="Do not make a database of it to see whether that works.")
    ] = False,
    db: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Back up the database, as it is at one instant, into FOLDER; only what is new is written.

    FOLDER is made where it is not there. It keeps a point in time for each backup; `scidb restore FOLDER TARGET` makes
    a file of one. With --db URL the database of a server is backed up to this machine, while everybody works on.
    """
    settings = settings_of(ctx, db, as_json)
    with open_for_writing(settings) as database:
        made = database.admin.backup(target, keep=keep, verify=not no_verify)
    if settings.as_json:
        print_json_lines([dataclasses.asdict(made)])
        return
    print(f"{made.path}: {time_text(made.taken)}")
    tried = "opened and checked" if made.is_verified else "not tried out"
    gone = f"; {len(made.removed)} older removed" if made.removed else ""
    note(
        f"{bytes_text(made.nbytes)} backed up, of which {bytes_text(made.written)} were new and were written, in "
        f"{made.seconds:.1f} s; {tried}{gone}."
    )
    if made.problems:
        note(f"The database has {len(made.problems)} problems, which are in the backup, too: see `scidb fsck`.")
