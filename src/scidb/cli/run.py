"""``scidb run``: plan and run the steps of a script, where they are out of date."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scidb.cli.context import DatabaseOption, JsonOption, settings_of
from scidb.cli.jsonlines import print_json_lines
from scidb.cli.reports import report_rows
from scidb.cli.script import collected
from scidb.cli.status import STALE
from scidb.cli.tables import note
from scidb.exceptions import PipelineError, SciDBError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scidb.pipeline import Pipeline, PipelinePlan, PipelineReport

__all__ = ["run"]


def run(
    ctx: typer.Context,
    script: Annotated[str, typer.Argument(metavar="SCRIPT", help="Your Python script.")],
    plan: Annotated[bool, typer.Option("--plan", help="Run nothing; say what would run, and why.")] = False,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="VARIABLE", help="Only what makes this variable, and what it needs."),
    ] = None,
    n_jobs: Annotated[
        int | None, typer.Option("--n-jobs", metavar="N", help="How many calls at a time, as in for_each.")
    ] = None,
    db: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the for_each calls of a script, in the order of their variables, where they are out of date.

    A script with a function pipeline(db), or pipeline(), is imported, and that function called. Any other runs from
    beginning to end, with its for_each calls collected; it must not need their results. The script says which
    database, or --db does.

    Exit code 1 if something fails; with --plan, 3 if something is out of date.
    """
    settings = settings_of(ctx, db, as_json)
    if plan:
        with collected(Path(script), settings) as pipeline:
            planned = pipeline.plan(until)
        _print_plan(planned, as_json=settings.as_json)
        return
    with collected(Path(script), settings) as pipeline:
        report = _ran(pipeline, until, {} if n_jobs is None else {"n_jobs": n_jobs})
    if settings.as_json:
        print_json_lines(row for one in report.reports.values() for row in report_rows(one))
    else:
        print(report)
    if report.failed or report.interrupted:
        raise typer.Exit(1)


def _ran(pipeline: Pipeline, until: str | None, options: Mapping[str, Any]) -> PipelineReport:
    """Run a pipeline; what a step raises that should is an error of ours, and an interrupt ends it cleanly."""
    from scidb.pipeline import PipelineReport

    try:
        return pipeline.run(until, **options)
    except KeyboardInterrupt as error:
        note("Interrupted. What was done is saved; run again to go on.")
        if isinstance(report := getattr(error, "report", None), PipelineReport):
            return report
        raise
    except SciDBError:
        raise
    except Exception as error:
        trace = "".join(traceback.format_exception(error)).rstrip()
        raise PipelineError(f"A step failed that stops the pipeline (on_error='raise'):\n{trace}") from error


def _print_plan(planned: PipelinePlan, *, as_json: bool) -> None:
    if as_json:
        print_json_lines(_plan_rows(planned))
    else:
        print(planned)
    if planned.problems:
        note(f"These steps cannot run as they are: {', '.join(step.name for step in planned.problems)}.")
        raise typer.Exit(1)
    if not planned.is_up_to_date:
        raise typer.Exit(STALE)


def _plan_rows(planned: PipelinePlan) -> Iterator[dict[str, Any]]:
    for step in planned.steps:
        estimate = step.report.estimate if step.report else None
        yield {
            "step": step.name,
            "inputs": list(step.inputs),
            "outputs": list(step.outputs),
            "completed": step.completed,
            "recalled": step.recalled,
            "up_to_date": step.up_to_date,
            "skipped": step.skipped,
            "depends_on": list(step.depends_on),
            "missing": list(step.missing),
            "problem": step.problem,
            "seconds": estimate.seconds if estimate else None,
            "why": step.why,
        }
