"""Finding: which record a caller means, and what the log says; never a payload."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from scidb.database.saving import Saving
from scidb.exceptions import NotFoundError, SciDBError, SciDBWarning, did_you_mean
from scidb.records import ambiguous, ambiguous_prefix, place, version_keys_of
from scidb.store.model import Entries, Latest, Match, Records, TraceQuery

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scidb.database.core import VariableLike
    from scidb.store.model import Record

__all__ = ["Finding"]


class Finding(Saving):
    """find_record, log and their kin."""

    def find_record(
        self,
        variable: VariableLike,
        /,
        version: str = "latest",
        *,
        as_of: Any = None,
        params: Mapping[str, Any] | None = None,
        **metadata: Any,
    ) -> Record:
        """Find the one record that a caller means, without loading its value.

        Raises
        ------
        NotFoundError
            When nothing matches.
        AmbiguousVersionError
            When several records match.

        """
        name, _ = self._stored(variable)
        if type(version) is not str or not version:
            raise SciDBError(f"version={version!r}: use 'latest', or a record_id or the beginning of one.")
        latest = version == "latest"
        match = self._match(name, metadata, params, as_of, record_prefix=None if latest else version)
        found = self._store.find(Latest(match) if latest else Records(match))
        if not found:
            raise self._not_found(name, metadata, params, version)
        if len(found) > 1:
            raise ambiguous(name, found) if latest else ambiguous_prefix(name, version, found)
        return found[0]

    def find_record_by_id(self, record_id: str) -> Record:
        """Find a record by its id, or by a unique prefix of it.

        Raises
        ------
        NotFoundError, AmbiguousVersionError
            When not exactly one record has such an id.

        """
        found = self._store.find(Records(Match(record_prefix=record_id)))
        if not found:
            raise NotFoundError(f"No record has an id that begins with {record_id!r}.", record_id=record_id)
        if len(found) > 1:
            raise ambiguous_prefix("this database", record_id, found)
        return found[0]

    def log(
        self,
        variable: VariableLike | None = None,
        /,
        *,
        limit: int | None = None,
        as_of: Any = None,
        params: Mapping[str, Any] | None = None,
        **metadata: Any,
    ) -> list[Record]:
        """Return the lines of the log, newest first: of one variable, or of all."""
        if variable is None:
            return self._store.find(Entries(limit=limit))
        name, _ = self._stored(variable)
        return self._store.find(Entries(self._match(name, metadata, params, as_of), limit))

    def functions_of(self, records: Sequence[Record]) -> list[str | None]:
        """Return per entry the name of the function that made it; None where it was saved by hand."""
        made = tuple(dict.fromkeys(record.call_id for record in records if record.call_id))
        calls = self._store.trace(TraceQuery(call_ids=made, depth=1)).calls if made else ()
        names = {call.call_id: call.computation.function_name for call in calls}
        return [names.get(record.call_id, "") if record.call_id else None for record in records]

    def _not_found(
        self,
        name: str,
        metadata: Mapping[str, Any],
        params: Mapping[str, Any] | None,
        version: str = "latest",
    ) -> NotFoundError:
        wanted = place({**metadata, **(params or {})})
        which = "" if version == "latest" else f" with a record id that begins with {version!r}"
        near = self._closest(name)
        known = "; ".join(place({**record.schema, **version_keys_of(record)}) for record in near)
        hint = f" The database has {name} at {known}{', ...' if len(near) == 5 else ''}." if near else ""
        unknown = self._unknown_keys(name, metadata, params)
        return NotFoundError(f"No {name} at {wanted}{which}.{unknown}{hint}", variable=name)

    def _say_if_misspelt(self, name: str, metadata: Mapping[str, Any], params: Mapping[str, Any] | None) -> None:
        """Warn when nothing can have matched, because a key is none of this variable at all."""
        if unknown := self._unknown_keys(name, metadata, params):
            warnings.warn(f"No {name} matches.{unknown}", SciDBWarning, stacklevel=3)

    def _unknown_keys(self, name: str, metadata: Mapping[str, Any], params: Mapping[str, Any] | None) -> str:
        asked = {**metadata, **(params or {})}
        asked = {key: value for key, value in asked.items() if key not in self.schema_keys and value is not None}
        if not asked:
            return ""
        known = self._known_version_keys(name)
        return "".join(
            f" It was never saved with a key {key!r}: {name} has "
            f"{', '.join(sorted(key for key in known if not key.startswith('__'))) or 'no version keys'}, and the "
            f"schema keys are {', '.join(self.schema_keys)}.{did_you_mean(key, (*self.schema_keys, *known))}"
            for key in asked
            if key not in known
        )
