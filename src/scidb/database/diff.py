"""What changed between two instants: counted at once, and by how much as it is looked at."""

from __future__ import annotations

import html
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from scidb.records import as_column, configuration_of, place, version_keys_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pandas as pd

    from scidb.store.model import Change, Record

__all__ = ["Diff", "DiffRow", "Kind", "amount_text", "kind_of", "row_of"]

Kind: TypeAlias = Literal["added", "changed", "reverted", "removed"]
_KINDS: Final[tuple[Kind, ...]] = ("added", "changed", "reverted", "removed")

# So much is read at once.
_WINDOW: Final = 1_000
_WINDOW_BYTES: Final = 64 * 2**20
# So much is read to be shown at a prompt.
_SHOWN: Final = 10
_SHOWN_BYTES: Final = 2**20
_OWN: Final = ("variable", "change", "difference", "note", "before", "after", "function", "timestamp")


@dataclass(frozen=True, slots=True)
class DiffRow:
    """One place and variant of a variable at which another value is the latest than before.

    Attributes
    ----------
    variable, schema, version_keys
        Which value it is. Where two values of one place differ in for_each's own keys alone, those are among them.
    change
        ``"added"``: there was none; ``"changed"``; ``"reverted"``: changed to a value that had been there before;
        ``"removed"``: a result was split into fewer pieces.
    difference
        New number minus old number; for arrays and tables of one shape, the largest absolute difference.
    note
        Why there is no difference, or what else is to be known about it.
    before, after
        The record ids.
    function, timestamp
        What made the new value (None: saved by hand), and when it was saved.

    """

    variable: str
    schema: Mapping[str, Any]
    version_keys: Mapping[str, Any]
    change: Kind
    difference: int | float | complex | None
    note: str
    before: str | None
    after: str | None
    function: str | None
    timestamp: str | None


class Diff:
    """What changed between two instants; what `DatabaseManager.diff` returns.

    Iterating reads the values that changed, a bounded number at a time, for their differences; counting does not.

    Examples
    --------
    >>> import scidb
    >>> class Mass(scidb.BaseVariable):
    ...     \"\"\"Body mass.\"\"\"
    >>> with scidb.open("memory:", ["subject"]) as db:
    ...     _ = db.save_many(Mass, [(70.5, {"subject": 1}), (81.0, {"subject": 2})])
    ...     _ = db.tag("submitted")
    ...     _ = db.save(Mass, 71.0, subject=1)
    ...     diff = db.diff("submitted")
    ...     for row in diff:
    ...         print(row.variable, dict(row.schema), row.change, row.difference)
    Mass {'subject': 1} changed 0.5
    >>> len(diff), diff.counts
    (1, {'added': 0, 'changed': 1, 'reverted': 0, 'removed': 0})

    """

    def __init__(
        self, span: str, changes: Sequence[Change], rows_of: Callable[[Sequence[Change]], list[DiffRow]]
    ) -> None:
        self._span = span
        self._changes = changes
        self._rows_of = rows_of
        shown = changes[:_SHOWN]
        # Now, since the database may be closed when somebody looks.
        self._shown = rows_of(shown) if sum(map(_nbytes, shown)) <= _SHOWN_BYTES else None

    @property
    def counts(self) -> dict[str, int]:
        """How many were added, changed, reverted and removed."""
        counted = Counter(map(kind_of, self._changes))
        return {kind: counted[kind] for kind in _KINDS}

    def __len__(self) -> int:
        return len(self._changes)

    def __iter__(self) -> Iterator[DiffRow]:
        for window in _windows(self._changes):
            yield from self._rows_of(window)

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per change: variable, keys, change, difference, note, record ids, function, timestamp."""
        import pandas as pd

        rows = list(self)
        keys = list(dict.fromkeys(key for row in rows for key in (*row.schema, *row.version_keys)))
        columns: dict[str, Any] = {"variable": [row.variable for row in rows]}
        for key in keys:
            name = f"{key}_key" if key in _OWN else key
            columns[name] = as_column([row.schema.get(key, row.version_keys.get(key)) for row in rows])
        for name in _OWN[1:]:
            cells = [getattr(row, name) for row in rows]
            columns[name] = as_column(cells) if name == "difference" else pd.Series(cells, dtype=object)
        return pd.DataFrame(columns)

    # -------------------------------------------------------------- looks

    @property
    def title(self) -> str:
        """What changed, in one line."""
        counted = ", ".join(f"{count} {kind}" for kind, count in self.counts.items() if count)
        return f"{counted or 'nothing changed'} {self._span}"

    def _table(self) -> tuple[list[list[str]], str]:
        """Return what one screen has room for, and what it has no room for."""
        if len(self) <= _SHOWN and self._shown is not None:
            return [["variable", "where", "change", "difference"], *map(_shown_row, self._shown)], ""
        kinds = [kind for kind in _KINDS if self.counts[kind]]
        counted = Counter((_record(change).variable, kind_of(change)) for change in self._changes)
        names = list(dict.fromkeys(name for name, _ in counted))
        rows = [[name, *(str(counted[name, kind] or "") for kind in kinds)] for name in names[:_SHOWN]]
        more = f"... and {len(names) - _SHOWN} more variables. " if len(names) > _SHOWN else ""
        return [["variable", *kinds], *rows], f"{more}Iterate, or use to_pandas(), for each of them."

    def __repr__(self) -> str:
        if not self._changes:
            return self.title
        table, rest = self._table()
        widths = [max(len(row[number]) for row in table) for number in range(len(table[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table]
        return "\n".join(line.rstrip() for line in [self.title, *(f"  {line}" for line in lines), rest]).rstrip()

    def _repr_html_(self) -> str:
        title = f"<p><b>{html.escape(self.title)}</b></p>"
        if not self._changes:
            return title
        (head, *rows), rest = self._table()
        cells = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
        heading = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
        return f"{title}<table><tr>{heading}</tr>{cells}</table>" + (f"<p>{html.escape(rest)}</p>" if rest else "")


def kind_of(change: Change) -> Kind:
    """Return what kind of change it is."""
    if change.before is None:
        return "added"
    if change.after is None:
        return "removed"
    return "reverted" if change.is_return else "changed"


def row_of(change: Change, amount: tuple[Any, str], function: str | None, hidden: Sequence[str] = ()) -> DiffRow:
    """Return a change with what was found out about it; `hidden` keys of for_each are shown, too."""
    record, after = _record(change), change.after
    return DiffRow(
        variable=record.variable,
        schema=dict(record.schema),
        version_keys=version_keys_of(record) | configuration_of(record.version_keys, hidden),
        change=kind_of(change),
        difference=amount[0],
        note=amount[1],
        before=change.before.record_id if change.before else None,
        after=after.record_id if after else None,
        function=function,
        timestamp=after.timestamp if after else None,
    )


def amount_text(row: DiffRow) -> str:
    """Return difference and note for people."""
    number = row.difference
    text = "" if number is None else str(number) if isinstance(number, int) else f"{number:.6g}"
    return f"{text} ({row.note})" if text and row.note else text or row.note


def _shown_row(row: DiffRow) -> list[str]:
    return [row.variable, place({**row.schema, **row.version_keys}), row.change, amount_text(row)]


def _record(change: Change) -> Record:
    return next(record for record in (change.after, change.before) if record is not None)


def _nbytes(change: Change) -> int:
    return sum(record.nbytes for record in (change.before, change.after) if record)


def _windows(changes: Sequence[Change]) -> Iterator[Sequence[Change]]:
    start = size = 0
    for position, change in enumerate(changes):
        nbytes = _nbytes(change)
        if position > start and (position - start >= _WINDOW or size + nbytes > _WINDOW_BYTES):
            yield changes[start:position]
            start, size = position, 0
        size += nbytes
    yield changes[start:]
