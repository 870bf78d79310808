"""What reproducing a record found: per record whether it is equal, and per column by how much it is not."""

from __future__ import annotations

import html
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from scidb.records import place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

    from scidb.provenance.reproduction.agreement import ColumnAgreement
    from scidb.provenance.reproduction.planning import StoredCode

__all__ = ["EnvironmentChange", "Outcome", "ReproducedRecord", "Reproduction"]

Outcome: TypeAlias = Literal["equal", "within tolerance", "not reproduced", "different"]

_ORDER: Final = ("equal", "within tolerance", "not reproduced", "different")
_INEXACT: Final = ("within tolerance", "different")
_TOLD: Final = 3  # records one by one, where there is the same to say of all
_CODE: Final = {
    "installed": "with the code that is installed",
    "this session": "with the code of this session",
    "stored": "with the stored code",
}


@dataclass(frozen=True, slots=True)
class ReproducedRecord:
    """One record that was computed again, or why it was not.

    `record_id` is None for a result that was never saved, of which only the hash is known. `code` says whether the
    ``installed`` code ran, that of ``this session``, or the ``stored`` one.
    """

    record_id: str | None
    variable: str
    metadata: Mapping[str, Any]
    function: str
    outcome: Outcome
    reason: str = ""
    traceback: str = ""
    code: str = ""
    columns: tuple[ColumnAgreement, ...] = ()
    seconds: float | None = None
    remarks: tuple[str, ...] = ()

    @property
    def told_alike(self) -> tuple[object, ...]:
        """What it has in common with records that can be told of together."""
        return self.variable, self.function, self.outcome, self.code, self.reason, self.remarks

    def __str__(self) -> str:
        return self.in_words(place(dict(self.metadata)) if self.record_id else "never saved")

    def in_words(self, where: str) -> str:
        """Return what became of it, and of others that are told of with it."""
        how = f", {_CODE[self.code]}" if self.code else ""
        lines = [f"{self.variable} ({where}), by {self.function}(): {self.outcome}{how}"]
        lines += [f"  {line}" for line in (self.reason, *self.remarks) if line]
        if self.outcome in _INEXACT:
            lines += [f"  {column}" for column in self.columns if column.state != "equal"]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class EnvironmentChange:
    """Something about the environment that is not what it was; None: not there, or not recorded."""

    name: str
    then: str | None
    now: str | None

    def __str__(self) -> str:
        return f"{self.name}: {self.then or 'not there'} then, {self.now or 'not there'} now"


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What became of a record and of those behind it when they were computed again in a fresh process.

    Parameters
    ----------
    records
        Those behind the record first, the record itself last.
    environment
        What is not as it was when they were made: Python, the machine, versions of packages.
    stored_code
        Code that is not here as it was recorded, with its text. It ran only if that was agreed to.

    """

    records: tuple[ReproducedRecord, ...]
    environment: tuple[EnvironmentChange, ...] = ()
    stored_code: tuple[StoredCode, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """The worst outcome of all records; a difference counts most."""
        return max((one.outcome for one in self.records), key=_ORDER.index, default="not reproduced")

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per column of each record, and one for a record without any."""
        import pandas as pd

        rows = [
            {
                "variable": one.variable,
                "record_id": one.record_id,
                "function": one.function,
                "outcome": one.outcome,
                "column": column.name if column else None,
                "state": column.state if column else None,
                "largest_absolute": column.largest_absolute if column else None,
                "largest_relative": column.largest_relative if column else None,
                "note": column.note if column else one.reason,
                "code": one.code or None,
            }
            for one in self.records
            for column in one.columns or (None,)
        ]
        return pd.DataFrame(rows)

    def __str__(self) -> str:
        lines = list(self._record_lines())
        if self.environment:
            lines += ["", "Not as it was then:", *(f"  {change}" for change in self.environment)]
        count = len(self.records)
        lines += ["", f"{'The record is' if count == 1 else f'Of {count} records, the worst is'} {self.outcome}."]
        return "\n".join(lines)

    def _record_lines(self) -> Iterator[str]:
        """Yield what became of the records: together, where there is the same to say of many of one variable."""
        alike: dict[tuple[object, ...], list[ReproducedRecord]] = defaultdict(list)
        for one in self.records[:-1]:
            alike[one.told_alike].append(one)
        for group in alike.values():
            more = len(group) - _TOLD
            if more <= 0:
                yield from map(str, group)
            elif group[0].outcome in _INEXACT:
                yield from map(str, group[:_TOLD])
                yield f"and {more:,} more of {group[0].variable} that are {group[0].outcome}"
            else:
                yield group[0].in_words(f"{len(group):,} records")
        yield from map(str, self.records[-1:])

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"
