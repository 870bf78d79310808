"""Rows that people look at: as text, as HTML, and as a table to compute with. Knows no store."""

from __future__ import annotations

import html
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

__all__ = ["Listing"]

Row = TypeVar("Row")

_SHOWN: Final = 20  # rows at a prompt and in a notebook; to_text() has all


class Listing(ABC, Generic[Row]):
    """Rows in an order, with their views."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = tuple(rows)

    @property
    @abstractmethod
    def title(self) -> str:
        """Say in one line what the rows are."""

    @abstractmethod
    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """Return the headings, and the texts of each row."""

    @abstractmethod
    def to_dicts(self) -> list[dict[str, Any]]:
        """Return one dict of plain data per row."""

    def to_pandas(self) -> pd.DataFrame:
        """Return one row each as a DataFrame."""
        import pandas as pd

        dicts = self.to_dicts()
        names = list(dict.fromkeys(name for one in dicts for name in one))
        return pd.DataFrame({name: pd.Series([one.get(name) for one in dicts], dtype=object) for name in names})

    def to_text(self) -> str:
        """Return all rows as aligned text."""
        return "\n".join(self._lines(len(self._rows)))

    def _lines(self, most: int) -> Iterator[str]:
        yield self.title
        if not self._rows:
            return
        head, rows = self._cells()
        table = [head, *rows[:most]]
        widths = [max(len(row[number]) for row in table) for number in range(len(head))]
        for row in table:
            yield ("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip()
        if len(rows) > most:
            yield f"  ... and {len(rows) - most:,} more: iterate, or use to_pandas() or to_text()"

    def __repr__(self) -> str:
        return "\n".join(self._lines(_SHOWN))

    def _repr_html_(self) -> str:
        title = f"<p><b>{html.escape(self.title)}</b></p>"
        if not self._rows:
            return title
        head, rows = self._cells()
        heading = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
        body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows[:_SHOWN])
        more = f"<p>... and {len(rows) - _SHOWN:,} more</p>" if len(rows) > _SHOWN else ""
        return f"{title}<table><tr>{heading}</tr>{body}</table>{more}"

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    @overload
    def __getitem__(self, at: int) -> Row: ...

    @overload
    def __getitem__(self, at: slice) -> tuple[Row, ...]: ...

    def __getitem__(self, at: int | slice) -> Row | tuple[Row, ...]:
        return self._rows[at]
