"""``scidb erase``: remove a participant, or another place, and everything that was made from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scidb.cli.context import DatabaseOption, JsonOption, open_for_reading, open_for_writing, settings_of
from scidb.cli.jsonlines import print_json_lines
from scidb.cli.tables import Column, bytes_text, note, print_table

if TYPE_CHECKING:
    from scidb.maintenance.plans import Erasing

__all__ = ["erase"]

_FILES = {
    "generated": "Files that functions wrote of it",
    "exports": "Files that it was exported to",
    "backups": "Backups",
    "copies": "Copies of the database file from before a migration or a repair",
}


def erase(
    ctx: typer.Context,
    words: Annotated[list[str], typer.Argument(metavar="KEY=VALUE...", help="Whose: subject=12")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept, so name nobody.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, the plan is shown.")] = False,
    db: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove all data of a participant (or of another place), and everything that was made from them, for good.

    The file is written anew, so that no byte of the values stays in it. Files outside of it are listed, not touched.
    """
    settings = settings_of(ctx, db, as_json)
    place = _place(words)
    with (open_for_writing if yes else open_for_reading)(settings) as database:
        found = database.admin.erase(place, reason=reason, dry_run=not yes)
    if settings.as_json:
        print_json_lines([found.to_dict()])
        return
    _print_plan(found)
    what = f"{found.records:,} records of {' '.join(words)}"
    if found.done:
        note(f"{what} are gone, from the file as well. A proof without content stays.")
    else:
        note(f"Nothing is changed yet. With --yes, {what} are removed for good, and nothing brings them back.")


def _place(words: list[str]) -> dict[str, str]:
    place = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not (name and sign and value):
            raise typer.BadParameter(f"Say whose data as KEY=VALUE, such as subject=12; {word!r} is not.")
        if name in place:
            raise typer.BadParameter(f"{name} is given twice.")
        place[name] = value
    return place


def _print_plan(found: Erasing) -> None:
    columns = [
        Column("variable"),
        Column("what"),
        Column("records", right=True),
        Column("entries", right=True),
        Column("size", right=True),
    ]
    rows = [
        (one.variable, what, f"{one.records:,}", f"{one.entries:,}", bytes_text(one.nbytes))
        for what, some in (("its data", found.here), ("made from it", found.derived))
        for one in some
    ]
    if rows:
        print_table(columns, rows)
    also = [
        f"{number:,} {what}{'' if number == 1 else 's'}"
        for number, what in ((found.failures, "failed combination"), (found.runs, "run's settings"))
        if number
    ]
    if also:
        note(f"Also forgotten: {', '.join(also)}.")
    for name, heading in _FILES.items():
        if paths := getattr(found, name):
            note(f"{heading}, which stay as they are until you see to them:")
            for path in paths:
                note(f"  {path}")
    if found.mentions:
        note(f"Named in version keys of records that stay: {', '.join(found.mentions)}.")
