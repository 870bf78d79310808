"""Tables, times and names for people: by rich on a terminal, as plain aligned text elsewhere."""

from __future__ import annotations

import datetime as dt
import decimal
import shlex
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import Console

__all__ = [
    "Column",
    "bytes_text",
    "conditions_text",
    "is_terminal",
    "note",
    "print_fields",
    "print_table",
    "seconds_text",
    "short_id",
    "time_heading",
    "time_text",
    "value_text",
    "word",
]

_LEAST: Final = 12  # of a column that is cut; an id still names its record


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table, and what becomes of a cell that is too wide for a terminal."""

    heading: str
    right: bool = False
    too_wide: Literal["fold", "cut", "keep"] = "fold"


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    """Print rows of texts under their headings."""
    console = _terminal()
    rows = list(rows)
    if console is None:
        print("\n".join(_aligned(columns, rows)))
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column, width in zip(columns, _fitted(columns, rows, console.width), strict=True):
        table.add_column(
            column.heading,
            justify="right" if column.right else "left",
            no_wrap=column.too_wide != "fold",
            overflow="fold" if column.too_wide == "fold" else "ellipsis",
            min_width=min(width, 8) if column.too_wide == "fold" else width,
            max_width=width,
        )
    for row in rows:
        table.add_row(*row)
    console.print(table)


def print_fields(title: str, fields: Iterable[tuple[str, str]]) -> None:
    """Print a title and named texts below it; a text may have several lines."""
    fields = list(fields)
    width = max(len(name) for name, _ in fields)
    print(title)
    for name, text in fields:
        first, *further = text.splitlines() or [""]
        print(f"  {name:<{width}}  {first}".rstrip())
        for line in further:
            print(f"  {'':<{width}}  {line}".rstrip())


def note(text: str) -> None:
    """Say something about the output beside it, so that what reads the output never meets it."""
    print(text, file=sys.stderr)


def is_terminal() -> bool:
    """Say whether a person is reading along."""
    return _terminal() is not None


def _terminal() -> Console | None:
    from rich.console import Console

    # What was saved may look like markup, and is none.
    console = Console(highlight=False, markup=False, emoji=False)
    return console if console.is_terminal else None


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[int]:
    from rich.cells import cell_len

    lines = [[column.heading for column in columns], *rows]
    return [max(cell_len(line[number]) for line in lines) for number in range(len(columns))]


def _fitted(columns: Sequence[Column], rows: Sequence[Sequence[str]], available: int) -> list[int]:
    """Return a width per column; what may be cut gives way first, the widest of it before the others."""
    widths = _widths(columns, rows)
    cut = [number for number, column in enumerate(columns) if column.too_wide == "cut"]
    excess = sum(widths) + 2 * (len(widths) - 1) - available
    while excess > 0 and (widest := max(cut, key=widths.__getitem__, default=None)) is not None:
        if widths[widest] <= _LEAST:
            break
        widths[widest] -= 1
        excess -= 1
    return widths


def _aligned(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[str]:
    from rich.cells import cell_len

    widths = _widths(columns, rows)
    aligned = []
    for line in ([column.heading for column in columns], *rows):
        cells = []
        for column, cell, width in zip(columns, line, widths, strict=True):
            gap = " " * (width - cell_len(cell))
            cells.append(gap + cell if column.right else cell + gap)
        aligned.append("  ".join(cells).rstrip())
    return aligned


# ------------------------------------------------------------------ words


def short_id(record_id: str) -> str:
    """Return as much of an id as people need; every verb takes it."""
    return record_id[: record_id.find(":") + 13]  # twelve, behind a prefix such as "generated:"


def conditions_text(keys: Mapping[str, Any]) -> str:
    """Describe keys as the words that a verb takes back: ``subject=1 side=L``.

    Examples
    --------
    >>> conditions_text({"subject": 1, "group": "control, old"})
    "subject=1 'group=control, old'"

    """
    return " ".join(shlex.quote(f"{key}={word(value)}") for key, value in keys.items())


def word(value: Any) -> str:
    """Return a key's value as it is typed: a text without the quotes of Python."""
    if isinstance(value, str):
        return value if value.isprintable() else ascii(value)[1:-1]
    if isinstance(value, dt.date):
        return value.isoformat()
    from scidb.hashing.inputs import preview

    return preview(value)


def value_text(value: Any, width: int = 40) -> str:
    """Describe a value in a few words, floats to six digits."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return str(value)
    from scidb.hashing.inputs import preview

    return preview(value, width)


def bytes_text(count: int) -> str:
    """Return a size for people.

    Examples
    --------
    >>> bytes_text(8), bytes_text(80_000)
    ('8 bytes', '80.0 kB')

    """
    size = float(count)
    if count < 1000:
        return f"{count} bytes"
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 1000:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} TB"


def seconds_text(seconds: float) -> str:
    """Return a duration for people.

    Examples
    --------
    >>> seconds_text(0.0001), seconds_text(0.25), seconds_text(12.34)
    ('under 1 ms', '250 ms', '12.3 s')

    """
    if seconds < 0.001:
        return "under 1 ms"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def time_heading(what: str) -> str:
    """Return a heading for `time_text`: which clock the times are of."""
    return f"{what} (UTC)" if dt.datetime.now().astimezone().tzname() == "UTC" else what


def time_text(stamp: str | None, *, exact: bool = False) -> str:
    """Return a stored moment by the clock on the wall; `exact` adds seconds and the zone."""
    if not stamp:
        return ""
    moment = dt.datetime.fromisoformat(stamp).astimezone()
    if not exact:
        return moment.strftime("%Y-%m-%d %H:%M")
    zone = "UTC" if moment.tzname() == "UTC" else moment.strftime("%z")
    return f"{moment:%Y-%m-%d %H:%M:%S} {zone}"
