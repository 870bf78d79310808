"""Comparing the database with what it was."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from scidb.database.diff import Diff, row_of
from scidb.database.differing import difference
from scidb.database.labelling import Labelling
from scidb.exceptions import SciDBError
from scidb.records import telling_configuration, values_of
from scidb.store.model import Changes, Match, Records
from scidb.variable import BaseVariable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from scidb.database.core import VariableLike
    from scidb.database.diff import DiffRow
    from scidb.database.differing import Amount
    from scidb.store.model import Change

__all__ = ["Comparing"]


class Comparing(Labelling):
    """diff."""

    def diff(
        self,
        a: Any,
        b: Any = None,
        /,
        variable: VariableLike | Iterable[VariableLike] | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        **metadata: Any,
    ) -> Diff:
        """Return which values were added, changed or reverted between two instants, and by how much.

        For each variable, location and set of version keys, the latest record at `a` is compared with the latest
        at `b`. Saving an equal value again is no change.

        Parameters
        ----------
        a, b
            Tags, timestamp texts or datetimes, the earlier one first; without `b`, until now.
        variable
            A class, a name, or several; all if left out.
        params, **metadata
            Narrow the places and variants as in `load`.

        Raises
        ------
        SciDBError
            When a moment is neither a tag nor a timestamp, or `a` is later than `b`.
        NotRegisteredError
            When the database does not know a variable.

        """
        since, until = self._instant(a), self._instant(b)
        if since is None:
            raise SciDBError("diff needs the instant to compare with: db.diff('submitted'), or db.diff(a, b).")
        if until is not None and since > until:
            raise SciDBError(f"{a} ({since}) is later than {b} ({until}). Give the earlier one first: db.diff(b, a).")
        names = None if variable is None else self._names(variable)
        match = self._match_all(names, metadata, params, until)
        changes = self._store.find(Changes(since, match))
        for instant in (since, until):
            self._say_what_was_pruned(replace(match, as_of=instant))
        records = [record for change in changes if (record := change.after or change.before)]
        hidden = telling_configuration(
            [record.version_keys for record in records],
            lambda: [(record.variable, *record.schema.items()) for record in records],
        )
        span = f"since {_moment(a, since)}" if until is None else f"from {_moment(a, since)} to {_moment(b, until)}"
        return Diff(span, changes, lambda window: self._differences(window, hidden))

    def _differences(self, changes: Sequence[Change], hidden: Sequence[str]) -> list[DiffRow]:
        """Return changes with their differences, with what made the new values, and `hidden` keys of for_each."""
        amounts = self._amounts(changes)
        functions = iter(self.functions_of([change.after for change in changes if change.after]))
        return [
            row_of(change, amounts.get(number, (None, "")), next(functions) if change.after else None, hidden)
            for number, change in enumerate(changes)
        ]

    def _amounts(self, changes: Sequence[Change]) -> dict[int, Amount]:
        """Return by how much values changed, by the position of their change."""
        amounts: dict[int, Amount] = {}
        comparable: dict[int, tuple[str, str]] = {}
        for number, change in enumerate(changes):
            old, new = change.before, change.after
            if old is None or new is None:
                continue
            if old.schema_version != new.schema_version:
                # The numbers may mean something else.
                amounts[number] = None, f"schema_version was {old.schema_version}, is {new.schema_version}"
            else:
                comparable[number] = old.record_id, new.record_id
        values = self._stored_values({record_id for pair in comparable.values() for record_id in pair})
        for number, (before, after) in comparable.items():
            amounts[number] = difference(values[before], values[after])
        return amounts

    def _stored_values(self, record_ids: set[str]) -> dict[str, Any]:
        """Load values as they are stored, which needs no class and runs no code of one."""
        found: dict[str, Any] = {}
        query = Records(Match(record_ids=tuple(sorted(record_ids))))
        for chunk in self._store.fetch(query) if record_ids else ():
            ids = (record.record_id for record in chunk.records)
            found.update(zip(ids, values_of(chunk, BaseVariable), strict=True))
        return found


def _moment(given: Any, instant: str) -> str:
    """Return a moment as it was given, with its instant if it has another name."""
    return f"{given} ({instant})" if str(given) != instant else instant
