"""Finding: which record a caller means, and what the log says; never a payload."""

from __future__ import annotations

import json
import re
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from scidb.database.marking import Marking
from scidb.exceptions import NotFoundError, SciDBError, SciDBWarning, did_you_mean
from scidb.hashing.inputs import preview
from scidb.records import ambiguous, ambiguous_prefix, place, version_keys_of
from scidb.store.model import Entries, Latest, Match, Pruned, Record, Records, TraceQuery

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scidb.database.core import VariableLike
    from scidb.filters import Filter
    from scidb.store.model import PrunedLine
    from scidb.variable import BaseVariable

__all__ = ["Finding", "RecordLike"]

RecordLike: TypeAlias = "VariableLike | BaseVariable | Record"
"""A record as a caller names it: a value, an id, or a variable beside keys."""

_ID: Final = re.compile(r"[0-9a-f]+|[a-z]+:.*")
_LOOKED_AT: Final = 1_000
"""Records at most, of those at a place where nothing matched, to see what there is instead."""


class Finding(Marking):
    """find_record, log and their kin."""

    def find_record(
        self,
        variable: VariableLike,
        /,
        version: str = "latest",
        *,
        where: Filter | None = None,
        as_of: Any = None,
        exclude: Any = (),
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
        match = self._match(name, metadata, params, as_of, None if latest else version, self._resolved(where, as_of))
        match = replace(match, exclude=self.excluded(exclude))
        found = self._store.find(Latest(match) if latest else Records(match))
        found = self._chosen(found, where) if latest else found
        if not found:
            raise self._not_found(name, metadata, params, version, match, where, as_of)
        if len(found) > 1:
            raise ambiguous(name, found) if latest else ambiguous_prefix(name, version, found)
        return found[0]

    def find_record_by_id(self, record_id: str, *, as_of: Any = None) -> Record:
        """Find a record by its id, or by a unique prefix of it, as its newest entry (until `as_of`) has it.

        Raises
        ------
        NotFoundError, AmbiguousVersionError
            When not exactly one record has such an id.

        """
        found = self._store.find(Records(Match(record_prefix=record_id, as_of=self._instant(as_of))))
        if not found:
            self._check_not_pruned(Match(record_prefix=record_id))
            then = "" if as_of is None else f" as of {as_of}"
            raise NotFoundError(f"No record has an id that begins with {record_id!r}{then}.", record_id=record_id)
        if len(found) > 1:
            raise ambiguous_prefix("this database", record_id, found)
        return found[0]

    def find_meant(
        self,
        record: RecordLike,
        /,
        version: str | None = None,
        *,
        where: Filter | None = None,
        as_of: Any = None,
        params: Mapping[str, Any] | None = None,
        **metadata: Any,
    ) -> list[Record]:
        """Find the records that a caller means: by a value, an id or the beginning of one, or by variable and keys.

        A value stands for the entry that it was loaded from or saved as. A variable stands for the latest of all
        records that match.

        Raises
        ------
        NotFoundError
            When there is none.
        SciDBError
            When a value was never saved, or keys are given beside a value or an id.

        """
        if isinstance(record, type) or (isinstance(record, str) and self._known(record) is not None):
            if version not in (None, "latest"):
                return [self.find_record(record, version, where=where, as_of=as_of, params=params, **metadata)]
            name, _ = self._stored(record)
            match = self._match(name, metadata, params, as_of, where=self._resolved(where, as_of))
            found = self._chosen(self._store.find(Latest(match)), where)
            if not found:
                raise self._not_found(name, metadata, params, match=match, where=where, as_of=as_of)
            return found
        if metadata or params or version is not None or where is not None:
            what = (
                f"{record!r} is no variable of this database" if isinstance(record, str) else f"{record!r} is a value"
            )
            raise SciDBError(
                f"{what}, and keys were given beside it. Give a variable and keys, or a value or an id alone."
                f"{did_you_mean(record, self._types) if isinstance(record, str) else ''}"
            )
        if isinstance(record, str):
            if not _ID.fullmatch(record):
                self._registered(record)  # says what was probably meant
            return [self.find_record_by_id(record, as_of=as_of)]
        return [self._entry_of(record)]

    def find_one_meant(self, record: RecordLike, /, version: str | None = None, **request: Any) -> Record:
        """Find the one record that a caller means, as `find_meant` does.

        Raises
        ------
        NotFoundError, AmbiguousVersionError
            When it is not exactly one.

        """
        found = self.find_meant(record, version, **request)
        if len(found) > 1:
            raise ambiguous(found[0].variable, found)
        return found[0]

    def _entry_of(self, value: BaseVariable | Record) -> Record:
        """Return the entry that a value was loaded from or saved as, which must be one of this database."""
        entry = value if isinstance(value, Record) else getattr(value, "_record", None)
        if not isinstance(entry, Record):
            raise SciDBError(
                f"{preview(value)} was never saved, so the database knows nothing of it. Give one that was saved or "
                "loaded, a record_id, or a variable and keys."
            )
        at = Match(record_ids=(entry.record_id,), as_of=entry.timestamp)
        for found in self._store.find(Entries(at, limit=1)):
            return found
        raise NotFoundError(
            f"This database has no record {entry.record_id[:12]} ({entry.variable} at {place(entry.schema)}). Was the "
            "value loaded from another one?",
            record_id=entry.record_id,
        )

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
        """Return the lines of the log, newest first: of one variable, or of all; until `as_of`."""
        if variable is None:
            return self._store.find(Entries(self._match_all(None, metadata, params, as_of), limit))
        name, _ = self._stored(variable)
        return self._store.find(Entries(self._match(name, metadata, params, as_of), limit))

    def functions_of(self, records: Sequence[Record]) -> list[str | None]:
        """Return per entry the name of the function that made it; None where it was saved by hand."""
        made = tuple(dict.fromkeys(record.call_id for record in records if record.call_id))
        calls = self._store.trace(TraceQuery(call_ids=made, depth=1)).calls if made else ()
        names = {call.call_id: call.computation.function_name for call in calls}
        return [names.get(record.call_id, "") if record.call_id else None for record in records]

    def _left_out(self, name: str, match: Match, version: str) -> NotFoundError | None:
        """Return the error for what is there, and is left out because of flags."""
        flagged = replace(match, exclude=False)
        found = self._store.find(Latest(flagged) if version == "latest" else Records(flagged))
        why = self.flagged_among(found, match.exclude)
        near = "; ".join(f"at {place(one.schema)}: {why[one.record_id]}" for one in found[:3] if one.record_id in why)
        if not near:
            return None
        return NotFoundError(
            f"exclude= leaves nothing of the {len(found):,} {name} that match otherwise: {near}"
            f"{'; ...' if len(found) > 3 else ''}. Load without exclude= to see what is left out.",
            variable=name,
            excluded=match.exclude,
        )

    def _without_filter(self, match: Match, version: str) -> list[Record]:
        everywhere = replace(match, where=None, exclude=False)
        return self._store.find(Latest(everywhere) if version == "latest" else Records(everywhere))

    def _not_found(
        self,
        name: str,
        metadata: Mapping[str, Any],
        params: Mapping[str, Any] | None,
        version: str = "latest",
        match: Match | None = None,
        where: Filter | None = None,
        as_of: Any = None,
    ) -> NotFoundError:
        if match is not None and match.exclude is not False and (error := self._left_out(name, match, version)):
            return error
        if match is not None and where is not None and (without := self._without_filter(match, version)):
            return _left_nothing(name, where, without)
        if version != "latest":
            self._check_not_pruned(self._match(name, metadata, params, record_prefix=version))
        elif match is not None:
            self._check_not_pruned(match, standing=True)
        wanted = place({**metadata, **(params or {})})
        which = "" if version == "latest" else f" with a record id that begins with {version!r}"
        if as_of is not None:
            prefix = None if version == "latest" else version
            later = self._store.find(Entries(self._match(name, metadata, params, record_prefix=prefix)))
            first = later[-1].timestamp if later else ""
            if first > (self._instant(as_of) or ""):
                return NotFoundError(
                    f"No {name} at {wanted}{which} as of {as_of}. It was first saved there at {first}.",
                    variable=name,
                    first=first,
                )
        near = self._closest(name)
        known = "; ".join(place({**record.schema, **version_keys_of(record)}) for record in near)
        hint = f" The database has {name} at {known}{', ...' if len(near) == 5 else ''}." if near else ""
        unknown = self._unknown_keys(name, metadata, params) or self._look_alikes(name, metadata, params)
        return NotFoundError(f"No {name} at {wanted}{which}.{unknown}{hint}", variable=name)

    def _pruned(self, match: Match, *, standing: bool = False) -> list[PrunedLine]:
        return self._store.find(Pruned(match, standing)) if self._info.has_pruned else []

    def _check_not_pruned(self, match: Match, *, standing: bool = False) -> None:
        """Refuse what was there and has been pruned."""
        if standing and match.as_of is None:  # what is the latest now never is
            return
        for line in self._pruned(match, standing=standing):
            one = line.record
            why = f" ({line.reason})" if line.reason else ""
            raise NotFoundError(
                f"Record {one.record_id[:12]} of {one.variable} at {place({**one.schema, **version_keys_of(one)})} was "
                f"removed by prune on {line.removed[:10]} by {line.user_id}{why}. If it can be computed, run that "
                "again; a backup of before has it, too.",
                record_id=one.record_id,
                removed=line.removed,
            )

    def _say_what_was_pruned(self, match: Match) -> None:
        """Warn when a look at the past leaves out what was pruned since."""
        lines = self._pruned(match, standing=True) if match.as_of is not None else []
        if lines:
            first = lines[0]
            what = f"{first.record.variable} at {place(first.record.schema)}"
            others = f" and {len(lines) - 1:,} more" if len(lines) > 1 else ""
            warnings.warn(
                f"As of {match.as_of} there were values that have been removed by prune since, and count as not there: "
                f"{what} (on {first.removed[:10]} by {first.user_id}){others}.",
                SciDBWarning,
                stacklevel=4,
            )

    def _say_if_misspelt(self, name: str, metadata: Mapping[str, Any], params: Mapping[str, Any] | None) -> None:
        """Warn when nothing matched because a key is none of this variable at all, or its value only looks alike."""
        if why := self._unknown_keys(name, metadata, params) or self._look_alikes(name, metadata, params):
            warnings.warn(f"No {name} matches.{why}", SciDBWarning, stacklevel=3)

    def _look_alikes(self, name: str, metadata: Mapping[str, Any], params: Mapping[str, Any] | None) -> str:
        """Say which version keys were asked for by a value that reads like a stored one, but is another."""
        asked = {key: value for key, value in {**metadata, **(params or {})}.items() if key not in self.schema_keys}
        if not asked:
            return ""
        located = replace(self._match(name, metadata, params), version={})
        stored = [json.loads(record.version_keys) for record in self._store.find(Latest(located, limit=_LOOKED_AT))]
        return "".join(
            _look_alike(key, value, [version[key] for version in stored if key in version])
            for key, value in asked.items()
        )

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


def _look_alike(key: str, asked: object, stored: Sequence[Any]) -> str:
    for one in stored:
        if isinstance(asked, list | tuple) and one in asked:
            return f" {key}={asked!r} is one value, a list; for any of several, write {key}=any_of(...)."
        if type(one) is not type(asked) and (one == asked or str(one) == str(asked)):
            return (
                f" {key}={asked!r} was asked for ({type(asked).__name__}), and {key}={one!r} is there "
                f"({type(one).__name__}): version keys match exactly."
            )
    return ""


def _left_nothing(name: str, where: Filter, without: Sequence[Record]) -> NotFoundError:
    """Say that there is something, of which the filter leaves nothing."""
    one = len(without) == 1
    count = "the one value" if one else f"the {len(without):,} values"
    near = "; ".join(dict.fromkeys(place({**record.schema, **version_keys_of(record)}) for record in without[:5]))
    under_another = any('"__where"' in record.version_keys for record in without)
    hint = " What for_each made under another filter counts as nothing here." if under_another else ""
    return NotFoundError(
        f"The filter {where.to_key()} leaves nothing of {count} of {name} that {'matches' if one else 'match'} "
        f"otherwise, at {near}{', ...' if len(without) > 5 else ''}.{hint}",
        variable=name,
        filter=where.to_key(),
    )
