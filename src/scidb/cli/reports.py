"""How the command line prints what calls of for_each did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scidb.cli.jsonlines import print_json_lines
from scidb.cli.tables import note

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scidb.foreach import ForEachReport

__all__ = ["print_report", "report_rows"]


def print_report(report: ForEachReport, *, as_json: bool) -> None:
    """Print a report on one screen, or as one object for each combination."""
    if as_json:
        print_json_lines(report_rows(report))
    elif report.combinations:
        print(repr(report))
    else:
        note(f"Nothing failed in this run of {report.function_name}().")


def report_rows(report: ForEachReport) -> Iterator[dict[str, Any]]:
    """Yield what became of each combination as plain data."""
    for item in report.combinations:
        yield {
            "function_name": report.function_name,
            "run_id": report.run_id,
            "schema": dict(item.combination),
            "state": item.state,
            "reason": item.reason,
            "seconds": item.seconds,
        }
