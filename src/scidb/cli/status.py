"""``scidb status``: whether results are up to date, and why not. Exit code 3 unless all are known to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import typer

from scidb.cli.arguments import conditions
from scidb.cli.context import AsOfOption, DatabaseOption, JsonOption, open_for_reading, settings_of
from scidb.cli.importing import ImportOption, import_named
from scidb.cli.jsonlines import print_json_lines
from scidb.cli.tables import Column, conditions_text, is_terminal, note, print_table, short_id

if TYPE_CHECKING:
    from scidb.provenance import RecordStatus, Status

__all__ = ["STALE", "RootOption", "status"]

STALE: Final = 3
"""The exit code when something is not known to be up to date."""

ON_A_TERMINAL: Final = 100

RootOption: TypeAlias = Annotated[
    str | None, typer.Option("--root", metavar="FOLDER", help="Where the files of path inputs are, if moved.")
]


def status(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="VARIABLE... KEY=VALUE", help="Whose results, and which; everything if left out."),
    ] = None,
    imports: ImportOption = None,
    root: RootOption = None,
    as_of: AsOfOption = None,
    db: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say which results are up to date, and why others are not. Exit code 3 unless all are known to be.

    Results are compared with the code that --import names; without it, their state is "code not checked".
    """
    settings = settings_of(ctx, db, as_json)
    names = [word for word in words or () if "=" not in word]
    given = [word for word in words or () if "=" in word]
    import_named(imports)
    with open_for_reading(settings) as database:
        keys = conditions(database, given)
        found = database.status(names or None, as_of=as_of, root_folder=root, **keys)
    if settings.as_json:
        print_json_lines(one.to_dict() for one in found.records)
    else:
        _print(found)
    if not found.is_green:
        raise typer.Exit(STALE)


def _print(found: Status) -> None:
    if not found.records:
        note("There is nothing there yet.")
        return
    columns = [Column("variable", too_wide="keep"), Column("made by"), Column("state"), Column("records", right=True)]
    rows = [
        (one.variable, f"{one.function_name}()" if one.function_name else "by hand", state, str(count))
        for one in found.roll_up()
        for state, count in one.counts.items()
    ]
    print_table(columns, rows)
    bad = found.not_green
    if not bad:
        return
    shown = bad[:ON_A_TERMINAL] if is_terminal() else bad
    print()
    columns = [Column("variable", too_wide="keep"), Column("place"), Column("state"), Column("record"), Column("why")]
    print_table(columns, [_row(one) for one in shown])
    note(f"\n{len(bad)} of {len(found)} are not known to be up to date.")
    if len(shown) < len(bad):
        note(f"The first {len(shown)} only; --json lists all.")
    if "code not checked" in found.counts:
        note("Name your code to have it checked: scidb status --import FILE|MODULE")


def _row(one: RecordStatus) -> tuple[str, ...]:
    place = conditions_text({**one.schema, **one.version_keys})
    return one.variable or "?", place, one.state, short_id(one.record_id or ""), one.reason
