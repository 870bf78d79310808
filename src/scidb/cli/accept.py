"""``scidb accept``: vouch that a change of code does not alter results, and keep those that are there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from scidb.cli.context import DatabaseOption, JsonOption, open_for_writing, settings_of
from scidb.cli.importing import ImportOption, import_named
from scidb.cli.jsonlines import print_json_lines
from scidb.cli.tables import note, short_id

if TYPE_CHECKING:
    from scidb.store.model import Acceptance

__all__ = ["accept"]


def accept(
    ctx: typer.Context,
    function: Annotated[str, typer.Argument(metavar="FUNCTION", help="The name of the function that was changed.")],
    reason: Annotated[str, typer.Option("--reason", "-m", help="Why the change alters no result; it is kept.")],
    verify: Annotated[
        int, typer.Option("--verify", min=0, metavar="N", help="First compute N of the results again and compare.")
    ] = 0,
    imports: ImportOption = None,
    db: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Vouch that a function still gives the results that it gave, so that they count as up to date.

    Today's code is what --import names.
    """
    settings = settings_of(ctx, db, as_json)
    import_named(imports)
    with open_for_writing(settings) as database:
        accepted = database.accept(function, reason, verify=verify)
    if settings.as_json:
        print_json_lines(_json(one) for one in accepted)
        return
    for one in accepted:
        print(f"{one.function_name}()  {short_id(one.old_hash)} -> {short_id(one.new_hash)}  {one.reason}")
    if not accepted:
        note(f"There is nothing to accept: the code of {function}() is what it was, or was accepted before.")


def _json(one: Acceptance) -> dict[str, Any]:
    return {
        "function_name": one.function_name,
        "old_hash": one.old_hash,
        "new_hash": one.new_hash,
        "reason": one.reason,
        "timestamp": one.timestamp,
        "user_id": one.user_id,
    }
