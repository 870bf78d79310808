"""What a check has found, for people and for programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from scidb.listing import Listing
from scidb.records import place
from scidb.store.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from scidb.store.model import Checked

__all__ = ["CheckReport", "problem_cells", "problem_dicts"]


class CheckReport(Listing[Problem]):
    """Everything that a check found wrong; what `db.admin.check` returns.

    A sequence of problems; each has `kind`, `what`, and where it is one of a record, `record_id`, `variable`, `schema`
    and `version_keys`, and says in `repair` what would put it right without guessing.

    Examples
    --------
    >>> import scidb
    >>> with scidb.open("memory:", ["subject"]) as db:
    ...     report = db.admin.check(deep=True)
    >>> report.ok, len(report)
    (True, 0)

    """

    def __init__(self, target: str, checked: Checked, *, deep: bool) -> None:
        super().__init__(sorted(checked.problems, key=_order))
        self._target, self._checked, self._deep = target, checked, deep

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong, or nothing any more."""
        return all(one.repaired for one in self)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong; what was repaired is among it, and marked."""
        return tuple(self)

    @property
    def counts(self) -> Mapping[str, int]:
        """What was looked at: tables, records, entries of the log, rows of values, and values that were hashed."""
        return self._checked.counts

    @property
    def notes(self) -> tuple[str, ...]:
        """What is no problem, and worth knowing."""
        return self._checked.notes

    @property
    def deep(self) -> bool:
        """Whether every value was read and hashed."""
        return self._deep

    @property
    def head(self) -> str | None:
        """The last link of the log's chain: who keeps it elsewhere can tell later that the log still holds it."""
        return self._checked.head

    @property
    def copy(self) -> str | None:
        """The copy of the file that was made before it was repaired."""
        return self._checked.copy

    @property
    def record_ids(self) -> tuple[str, ...]:
        """The records with problems."""
        return tuple(dict.fromkeys(one.record_id for one in self if one.record_id))

    @property
    def title(self) -> str:
        """What was checked, and what became of it, in one line."""
        repaired = sum(one.repaired for one in self)
        wrong = len(self) - repaired
        said = f"{wrong:,} problem{'' if wrong == 1 else 's'}" if wrong else "no problems"
        if repaired:
            said += f", {repaired:,} repaired"
        looked = [f"{self.counts[name]:,} {name}" for name in ("records", "entries", "verified") if name in self.counts]
        how = "every value read" if self._deep else "values not read; deep=True reads them"
        return f"{self._target}: {said} ({', '.join([*looked, how])})"

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        head, rows = problem_cells(self)
        return [*head, "repair"], [[*row, _repair(one)] for row, one in zip(rows, self, strict=True)]

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return one dict of plain data per problem."""
        return problem_dicts(self)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        return {
            "target": self._target,
            "ok": self.ok,
            "deep": self._deep,
            "counts": dict(self.counts),
            "notes": list(self.notes),
            "head": self.head,
            "copy": self.copy,
            "problems": self.to_dicts(),
        }


def problem_cells(problems: Iterable[Problem]) -> tuple[list[str], list[list[str]]]:
    """Return headings and texts of problems, for people."""
    rows = [
        [
            one.kind,
            one.variable or "",
            place({**one.schema, **_own(one.version_keys)}) if one.schema or one.record_id else "",
            (one.record_id or "")[:12],
            one.what,
        ]
        for one in problems
    ]
    return ["kind", "variable", "where", "record", "what"], rows


def problem_dicts(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """Return problems as plain data."""
    return [{**asdict(one), "schema": dict(one.schema), "version_keys": _own(one.version_keys)} for one in problems]


def _repair(one: Problem) -> str:
    return "repaired" if one.repaired else one.repair or ""


def _order(one: Problem) -> tuple[bool, str, str, str]:
    return one.repaired, one.kind, one.variable or "", one.timestamp or ""


def _own(version_keys: str) -> dict[str, Any]:
    """Return version keys as far as they can be read; those of damaged ones are what is looked at here."""
    try:
        return {name: value for name, value in json.loads(version_keys).items() if not name.startswith("__")}
    except (ValueError, AttributeError):
        return {}
