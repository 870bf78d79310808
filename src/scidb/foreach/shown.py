"""How people see a report: one line, one screen of text, or a table with foldable tracebacks in a notebook."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any, Final

from scidb.foreach.values import said_by

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scidb.foreach.report import FailedCombination, ForEachReport

__all__ = ["failed_text", "failure_html", "keys_text", "line", "page", "screen", "table_html"]

_FAILURES: Final = 5  # on a screen; a page folds them, and has room for more
_FAILURES_OF_A_PAGE: Final = 20
_WIDTH: Final = 110


def keys_text(combination: Mapping[str, Any]) -> str:
    """Describe a combination in a few words."""
    return ", ".join(f"{key}={value!r}" for key, value in combination.items()) or "the whole dataset"


def failed_text(failure: FailedCombination) -> str:
    """Say in a few words which combination failed, and with which of the alternatives."""
    return keys_text({**failure.combination, **failure.alternative})


def line(report: ForEachReport) -> str:
    """Return a report in one line."""
    if report.is_collected:
        return f"{report.function_name}: collected by a pipeline, not run yet"
    counts = ", ".join(f"{count} {what}" for what, count in _counts(report)) or "no combination matched"
    return f"{report.function_name}: {counts} ({report.seconds:.2f} s)"


def screen(report: ForEachReport) -> str:
    """Return a report on one screen: the line, and the first of what went wrong."""
    return "\n".join(_lines(report))


def _counts(report: ForEachReport) -> list[tuple[str, int]]:
    words = ("would compute", "would recall") if report.dry_run else ("computed", "recalled")
    counts = [
        (words[0], report.completed),
        (words[1], report.recalled),
        ("up to date", report.up_to_date),
        ("skipped: an input is missing", report.skipped - report.excluded),
        ("skipped: an input is flagged", report.excluded),
        ("failed", report.failed),
        ("not run", report.count("not_run")),
        ("left out by the filter", report.left_out),
    ]
    return [(what, count) for what, count in counts if count]


def _loud(report: ForEachReport) -> str:
    """Return what must not be missed; nothing for a run that did what it should."""
    total = len(report.combinations)
    if report.is_collected:
        return ""
    if not total:
        what = (
            f"The filter left out ALL {report.left_out} combinations" if report.left_out else "No combination matched"
        )
        return f"{what}, so nothing {'would be' if report.dry_run else 'was'} done."
    if report.failed == total:
        return f"ALL {total} combinations {'would fail' if report.dry_run else 'failed'}."
    if report.skipped == total:
        return f"ALL {total} combinations {'would be' if report.dry_run else 'were'} skipped: inputs are missing."
    return ""


def _lines(report: ForEachReport) -> Iterator[str]:
    yield line(report)
    if report.estimate is not None and report.completed:
        yield f"  estimate: {report.estimate}"
    if loud := _loud(report):
        yield f"  {loud}"
    for failure in report.failures[:_FAILURES]:
        yield f"  {failed_text(failure)}: {_cut(_error(failure))}"
    if len(report.failures) > _FAILURES:
        yield f"  ... and {len(report.failures) - _FAILURES} further failed; report.failures has all, with tracebacks"
    for reason in _reasons(report):
        yield f"  {reason}"


def _reasons(report: ForEachReport) -> list[str]:
    """Return why combinations were passed over: the first, and how many there are, of each state."""
    found = []
    for state in ("skipped", "failed", "not_run"):
        known = [item.reason for item in report.combinations if item.state == state and item.reason]
        if known and not (state == "failed" and report.failures):
            found.append(_cut(known[0]) + (f" (and {len(known) - 1} more)" if len(known) > 1 else ""))
    return found


def _error(failure: FailedCombination) -> str:
    return f"{type(failure.error).__name__}: {said_by(failure.error)}"


def _cut(text: str) -> str:
    first = text.partition("\n")[0]
    return first if len(first) <= _WIDTH else f"{first[: _WIDTH - 3]}..."


# ------------------------------------------------------------------ HTML


def page(report: ForEachReport) -> str:
    """Return a report as HTML: a table of states, and the failures with their tracebacks folded."""
    parts = [f"<p><b>{html.escape(line(report))}</b></p>"]
    if loud := _loud(report):
        parts.append(f"<p><b>&#9888; {html.escape(loud)}</b></p>")
    if counts := _counts(report):
        parts.append(table_html(("state", "combinations"), [(what, str(count)) for what, count in counts]))
    if report.estimate is not None and report.completed:
        parts.append(f"<p>estimate: {html.escape(str(report.estimate))}</p>")
    parts += [f"<p>{html.escape(reason)}</p>" for reason in _reasons(report)]
    if report.failures:
        parts.append("<p><b>Failures</b></p>")
        parts += [failure_html(failure) for failure in report.failures[:_FAILURES_OF_A_PAGE]]
    if len(report.failures) > _FAILURES_OF_A_PAGE:
        parts.append(f"<p>... and {len(report.failures) - _FAILURES_OF_A_PAGE} more in report.failures</p>")
    return "".join(parts)


def failure_html(failure: FailedCombination, step: str = "") -> str:
    """Return one failure as HTML: where and what, and the traceback when it is unfolded."""
    place, said = html.escape(f"{step}{failed_text(failure)}"), html.escape(_cut(_error(failure)))
    return (
        f"<details><summary>{place}: <code>{said}</code></summary><pre>{html.escape(failure.traceback)}</pre></details>"
    )


def table_html(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return texts as an HTML table."""
    head = "".join(f"<th>{html.escape(one)}</th>" for one in headings)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
