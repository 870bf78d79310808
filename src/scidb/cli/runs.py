"""``scidb runs``: the for_each calls, and what failed in one of them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from scidb.cli.context import DatabaseOption, JsonOption, open_for_reading, settings_of
from scidb.cli.jsonlines import print_json_lines
from scidb.cli.tables import (
    Column,
    conditions_text,
    note,
    print_fields,
    print_table,
    seconds_text,
    short_id,
    time_heading,
    time_text,
)

if TYPE_CHECKING:
    from scidb.hashing.inputs import CallInput
    from scidb.store.model import Failure, Run

__all__ = ["runs"]


def runs(
    ctx: typer.Context,
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="Show what failed in this one, with tracebacks.")
    ] = None,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="How many runs.")] = 20,
    db: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the for_each calls, or what failed in one."""
    settings = settings_of(ctx, db, as_json)
    with open_for_reading(settings) as database:
        if run is None:
            _print_runs(database.runs(limit), as_json=settings.as_json)
        else:
            found = database.find_run(run)
            _print_run(found, database.failures(found.run_id), as_json=settings.as_json)


def _print_runs(found: list[Run], *, as_json: bool) -> None:
    if as_json:
        print_json_lines(dataclasses.asdict(run) for run in found)
        return
    if not found:
        note("for_each never ran on this database.")
        return
    columns = [
        Column(time_heading("started"), too_wide="keep"),
        Column("run", too_wide="keep"),
        Column("function"),
        Column("combinations", right=True),
        Column("outcome"),
    ]
    print_table(columns, map(_run_row, found))


def _run_row(run: Run) -> tuple[str, ...]:
    counts = {
        "computed": run.completed,
        "recalled": run.recalled,
        "up to date": run.up_to_date,
        "skipped": run.skipped,
        "failed": run.failed,
    }
    outcome = [f"{count} {what}" for what, count in counts.items() if count]
    if run.interrupted:
        outcome.append("interrupted")
    if run.ended is None:
        outcome.append("running, or killed")
    return (
        time_text(run.started),
        short_id(run.run_id),
        f"{run.function_name}()",
        str(run.total),
        ", ".join(outcome),
    )


def _print_run(run: Run, failures: list[Failure], *, as_json: bool) -> None:
    if as_json:
        print_json_lines(dataclasses.asdict(failure) for failure in failures)
        return
    started, _, function, total, outcome = _run_row(run)
    fields = [("started", started), ("combinations", total), ("outcome", outcome), ("user", run.user_id or "")]
    print_fields(f"{function}  {short_id(run.run_id)}", [(name, text) for name, text in fields if text])
    for failure in failures:
        place = conditions_text(failure.schema) or "the whole dataset"
        inputs = ", ".join(map(_input_text, failure.inputs))
        fields = [("error", f"{failure.error}: {failure.message}"), ("after", seconds_text(failure.seconds))]
        fields += [("inputs", inputs)] if inputs else []
        print()
        print_fields(place, [*fields, ("trace", failure.traceback.rstrip())])
    if failures:
        note(f"\nTo run them again: scidb retry {short_id(run.run_id)} --import FILE|MODULE")
    else:
        note("Nothing failed in this run.")


def _input_text(one: CallInput) -> str:
    if one.record_id is not None:
        return f"{one.name} = {one.type_name or 'record'} {short_id(one.record_id)}"
    return f"{one.name} = {one.value_repr or short_id(one.content_hash or '')}"
