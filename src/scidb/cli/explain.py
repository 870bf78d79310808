"""``scidb explain``: why one result is in its state, down to the root cause. Exit code 3 when it is not up to date."""

from __future__ import annotations

import typer

from scidb.cli.arguments import RecordWords, is_of_files, meant_by, one_record
from scidb.cli.context import AsOfOption, DatabaseOption, JsonOption, open_for_reading, settings_of
from scidb.cli.importing import ImportOption, import_named
from scidb.cli.jsonlines import print_json_lines
from scidb.cli.status import STALE, RootOption
from scidb.cli.tables import note

__all__ = ["explain"]


def explain(
    ctx: typer.Context,
    words: RecordWords,
    imports: ImportOption = None,
    root: RootOption = None,
    as_of: AsOfOption = None,
    db: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say why a record is up to date or not, with what differs in the code. Exit code 3 when it is not.

    The record is compared with the code that --import names.
    """
    settings = settings_of(ctx, db, as_json)
    import_named(imports)
    with open_for_reading(settings) as database:
        if is_of_files(database, words[0]):
            name, keys = meant_by(database, words)
            found = database.explain(name, as_of=as_of, root_folder=root, **keys)
        else:
            found = database.explain(one_record(database, words, as_of), as_of=as_of, root_folder=root)
    if settings.as_json:
        print_json_lines([found.to_dict()])
    else:
        print(found)
        if found.record.state == "code not checked":
            note("Name your code to have it checked: scidb explain --import FILE|MODULE ...")
    if not found.is_green:
        raise typer.Exit(STALE)
