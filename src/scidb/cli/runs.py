"""``scidb runs``: the for_each calls, and what failed in one of them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from scidb.cli.context import DatabaseOption, JsonOption, open_for_reading, settings_of
from scidb.cli.jsonlines import print_json_lines
from scidb.cli.tables import Column, conditions_text, note, print_table, short_id, time_heading, time_text
from scidb.exceptions import AmbiguousVersionError, NotFoundError

if TYPE_CHECKING:
    from scidb.database import DatabaseManager
    from scidb.store.model import Failure, Run

__all__ = ["runs"]


def runs(
    ctx: typer.Context,
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="Show what failed in this one.")] = None,
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
            failures = database.failures(_run_id(database, run))
            _print_failures(failures, as_json=settings.as_json)


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


def _print_failures(failures: list[Failure], *, as_json: bool) -> None:
    if as_json:
        print_json_lines(dataclasses.asdict(failure) for failure in failures)
        return
    if not failures:
        note("Nothing failed in this run.")
        return
    columns = [Column("where"), Column("error"), Column("message")]
    rows = [(conditions_text(f.schema), f.error, f.message.partition("\n")[0]) for f in failures]
    print_table(columns, rows)


def _run_id(database: DatabaseManager, prefix: str) -> str:
    found = [run.run_id for run in database.runs() if run.run_id.startswith(prefix)]
    if not found:
        raise NotFoundError(f"No run has an id that begins with {prefix!r}; `scidb runs` lists them.", run_id=prefix)
    if len(found) > 1:
        shown = ", ".join(map(short_id, found[:10]))
        raise AmbiguousVersionError(f"{len(found)} runs have ids that begin with {prefix!r}: {shown}.", run_ids=found)
    return found[0]
