"""``scidb compact``: write the database file anew, so that the space of what was removed is free again."""

from __future__ import annotations

import dataclasses
import warnings

import typer

from scidb.cli.context import DatabaseOption, JsonOption, open_for_writing, settings_of
from scidb.cli.jsonlines import print_json_lines
from scidb.cli.tables import bytes_text
from scidb.exceptions import InterruptedErasureWarning

__all__ = ["compact"]


def compact(ctx: typer.Context, db: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """Write the file anew: the space of what was removed is given back.

    Nothing in the database changes. It takes room beside the file, and killed at any moment it leaves one whole file.
    """
    settings = settings_of(ctx, db, as_json)
    with warnings.catch_warnings():
        # Here it is completed.
        warnings.simplefilter("ignore", InterruptedErasureWarning)
        database = open_for_writing(settings)
    with database:
        done = database.admin.compact()
        target = database.target
    if settings.as_json:
        print_json_lines([dataclasses.asdict(done)])
        return
    typer.echo(f"{target}: {bytes_text(done.before)} before, {bytes_text(done.after)} after")
