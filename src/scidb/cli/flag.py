"""``scidb flag`` and ``scidb impact``: what is wrong with records, and everything that was made from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from scidb.cli.arguments import RecordWords, meant_by
from scidb.cli.context import DatabaseOption, JsonOption, open_for_reading, open_for_writing, settings_of
from scidb.cli.jsonlines import print_json_lines
from scidb.cli.tables import Column, conditions_text, note, print_table, short_id, time_heading, time_text

if TYPE_CHECKING:
    from scidb.database.flagging import FlagList
    from scidb.provenance.impact import Affected

__all__ = ["flag", "impact"]


def flag(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID|VARIABLE KEY=VALUE]",
            help="The beginning of a record's id, or which values of a variable; without it, all flags are listed.",
        ),
    ] = None,
    reason: Annotated[
        str | None, typer.Option("-r", "--reason", help="What is wrong, in a few words; the name of the flag.")
    ] = None,
    pin: Annotated[
        bool, typer.Option("--pin", help="No complaint: a reason to keep it when results are pruned.")
    ] = False,
    off: Annotated[
        bool, typer.Option("--off", help="Take it back: the flag of that reason, or all without one.")
    ] = False,
    db: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is wrong with records, take that back, or list what was said."""
    settings = settings_of(ctx, db, as_json)
    if words and not (reason or off):
        raise typer.BadParameter(
            "Say what is wrong: scidb flag ID --reason 'electrode 7 bad', or take it back by --off."
        )
    if not words:
        if reason or off or pin:
            raise typer.BadParameter("Say which record: scidb flag ID --reason 'electrode 7 bad'")
        with open_for_reading(settings) as database:
            _print_flags(database.flags(), as_json=settings.as_json)
        return
    with open_for_writing(settings) as database:
        record, keys = meant_by(database, words)
        if off:
            taken = database.unflag(record, reason, pin, **keys)
            left = database.flags(record, **keys)
        else:
            left = database.flag(record, reason or "", pin, **keys)
            taken = None
        affected = len(database.impact(record, **keys))
    _print_flags(left, as_json=settings.as_json)
    if taken is not None:
        note(f"Taken back: {taken.title}.")
    if affected and not pin:
        note(f"\n{affected:,} results and files were made from this; `scidb impact {' '.join(words)}` lists them.")


def impact(
    ctx: typer.Context,
    words: RecordWords,
    db: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List everything that was made from records, down to exported files."""
    settings = settings_of(ctx, db, as_json)
    with open_for_reading(settings) as database:
        record, keys = meant_by(database, words)
        found = database.impact(record, **keys)
    if settings.as_json:
        print_json_lines(found.to_dicts())
        return
    if found:
        are_flagged = any(row.flags for row in found)
        columns = [
            Column("what"),
            Column("where"),
            Column("record", too_wide="keep"),
            Column("made by"),
            Column(time_heading("when"), too_wide="keep"),
            Column("now"),
            *([Column("flags")] if are_flagged else []),
        ]
        print_table(columns, [_impact_row(row, are_flagged=are_flagged) for row in found])
        note("")
    note(found.title)


def _impact_row(row: Affected, *, are_flagged: bool) -> tuple[str, ...]:
    return (
        row.name if row.kind == "record" else f"{row.kind} {row.name}",
        conditions_text(dict(row.metadata)),
        short_id(row.record_id or ""),
        f"{row.function}()" if row.function else "",
        time_text(row.timestamp),
        "" if row.is_latest is None else "latest" if row.is_latest else "superseded",
        *(["; ".join(row.flags)] if are_flagged else []),
    )


def _print_flags(flags: FlagList, *, as_json: bool) -> None:
    rows = flags.to_dicts()
    if as_json:
        print_json_lines(rows)
        return
    if not rows:
        note("No flags. `scidb flag ID --reason 'electrode 7 bad'` says what is wrong with a record.")
        return
    columns = [
        Column("flag"),
        Column("variable", too_wide="keep"),
        Column("where"),
        Column("record", too_wide="keep"),
        Column("by"),
        Column(time_heading("when"), too_wide="keep"),
    ]
    print_table(columns, map(_flag_row, rows))


def _flag_row(one: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"{one['reason']}{' (pinned)' if one['pin'] else ''}",
        one["variable"] or "",
        conditions_text(one["metadata"]),
        short_id(one["record_id"]),
        one["user_id"] or "",
        time_text(one["timestamp"]),
    )
