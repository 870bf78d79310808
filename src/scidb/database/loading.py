"""Loading: what matches, in natural order, as instances or tables."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, overload

from scidb.database.marking import reasons_text
from scidb.database.querying import Querying
from scidb.database.selecting import select_rows
from scidb.exceptions import NotFoundError, SciDBError
from scidb.records import instances, records_table, values_of
from scidb.store.columns import column_of
from scidb.store.model import Chunk, Latest, Locations, Records, Stored
from scidb.variable import BaseVariable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pandas as pd

    from scidb.database.core import VariableLike
    from scidb.filters import Filter
    from scidb.store.model import Record

__all__ = ["Loading"]


class Loading(Querying):
    """load, load_one, load_all, list_versions."""

    def load(
        self,
        variable: VariableLike,
        /,
        *,
        version: str = "latest",
        loc: Any = None,
        iloc: Any = None,
        as_table: bool = False,
        where: Filter | None = None,
        as_of: Any = None,
        exclude: Any = (),
        params: Mapping[str, Any] | None = None,
        **metadata: Any,
    ) -> Any:
        """Load what matches: one instance for one match, a list for several, or a table.

        Takes what ``BaseVariable.load`` takes.

        Raises
        ------
        NotFoundError
            When nothing matches.

        """
        found = self._found(variable, version, metadata, params, as_of, where, exclude)
        found = [select_rows(instance, loc, iloc) for instance in found]
        if as_table:
            return self._as_table(variable, found, as_of)
        return found[0] if len(found) == 1 else found

    def load_one(
        self,
        variable: VariableLike,
        /,
        *,
        version: str = "latest",
        loc: Any = None,
        iloc: Any = None,
        where: Filter | None = None,
        as_of: Any = None,
        exclude: Any = (),
        params: Mapping[str, Any] | None = None,
        **metadata: Any,
    ) -> BaseVariable:
        """Load exactly one value.

        Raises
        ------
        NotFoundError
            When nothing matches.
        AmbiguousVersionError
            When several records match.

        """
        record = self.find_record(
            variable, version, where=where, as_of=as_of, exclude=exclude, params=params, **metadata
        )
        return select_rows(self._load_record(record, as_of), loc, iloc)

    @overload
    def load_all(self, variable: VariableLike, /, *, as_df: Literal[True], **request: Any) -> pd.DataFrame: ...

    @overload
    def load_all(
        self, variable: VariableLike, /, *, as_df: Literal[False] = ..., **request: Any
    ) -> Iterator[BaseVariable]: ...

    def load_all(
        self,
        variable: VariableLike,
        /,
        *,
        as_df: bool = False,
        include_record_id: bool = False,
        version_id: Literal["latest", "all"] = "latest",
        where: Filter | None = None,
        as_of: Any = None,
        exclude: Any = (),
        params: Mapping[str, Any] | None = None,
        **metadata: Any,
    ) -> Iterator[BaseVariable] | pd.DataFrame:
        """Load everything that matches, lazily, or as a DataFrame.

        Takes what ``BaseVariable.load_all`` takes. Nothing that matches is no error here.
        """
        name, cls = self._stored(variable)
        if version_id not in ("latest", "all"):
            raise SciDBError(f"version_id={version_id!r}: use 'latest' or 'all'.")
        match = self._match(name, metadata, params, as_of, where=self._resolved(where, as_of))
        match = replace(match, exclude=self.excluded(exclude))
        query = Latest(match) if version_id == "latest" else Records(match)
        self._say_what_was_pruned(match)
        if not as_df:
            chunks = self._chosen_chunks(self._store.fetch(query), where)
            return self._each(chunks, cls, match.as_of, lambda: self._say_if_misspelt(name, metadata, params))
        table = self._frame(name, cls, query, where, record_ids=include_record_id)
        if table.empty:
            self._say_if_misspelt(name, metadata, params)
        return table

    def head(
        self,
        variable: VariableLike,
        /,
        n: int = 5,
        *,
        as_of: Any = None,
        exclude: Any = (),
        params: Mapping[str, Any] | None = None,
        **metadata: Any,
    ) -> pd.DataFrame:
        """Return the first `n` latest values in natural order as a DataFrame; no others are loaded."""
        name, cls = self._stored(variable)
        if type(n) is not int or n < 0:
            raise SciDBError(f"n={n!r}: say how many values head shall show, for example 5.")
        match = replace(self._match(name, metadata, params, as_of), exclude=self.excluded(exclude))
        table = self._frame(name, cls, Latest(match, limit=n))
        if n and table.empty:
            self._say_if_misspelt(name, metadata, params)
        return table

    def load_by_record_id(self, record_id: str) -> BaseVariable:
        """Load a record by its id, or by a unique prefix of it."""
        return self._load_record(self.find_record_by_id(record_id))

    load_by_vhash = load_by_record_id

    def list_versions(
        self,
        variable: VariableLike,
        /,
        *,
        as_of: Any = None,
        params: Mapping[str, Any] | None = None,
        **metadata: Any,
    ) -> list[dict[str, Any]]:
        """Return one dict per log entry, newest first."""
        entries = self.log(variable, as_of=as_of, params=params, **metadata)
        if not entries:
            self._say_if_misspelt(self._named(variable)[0], metadata, params)
        return [_version(entry) for entry in entries]

    def distinct_schema_values(self, key: str, *, as_of: Any = None) -> list[Any]:
        """Return the values of a schema key that occur in the database (until `as_of`), in natural order."""
        return self._values_of(key, self._instant(as_of))

    def distinct_schema_combinations(self, keys: Sequence[str], *, as_of: Any = None) -> list[dict[str, Any]]:
        """Return the combinations of these schema keys that occur in the database (until `as_of`), in natural order."""
        return [dict(found.schema) for found in self._store.find(Locations(tuple(keys), self._instant(as_of)))]

    # -------------------------------------------------------------- how a match is made

    def _found(
        self,
        variable: VariableLike,
        version: str,
        metadata: Mapping[str, Any],
        params: Mapping[str, Any] | None,
        as_of: Any,
        where: Filter | None,
        exclude: Any,
    ) -> list[BaseVariable]:
        name, cls = self._stored(variable)
        if version != "latest":
            record = self.find_record(
                variable, version, where=where, as_of=as_of, exclude=exclude, params=params, **metadata
            )
            return [self._load_record(record, as_of)]
        match = self._match(name, metadata, params, as_of, where=self._resolved(where, as_of))
        match = replace(match, exclude=self.excluded(exclude))
        chunks = self._chosen_chunks(self._store.fetch(Latest(match)), where)
        found = [instance for chunk in chunks for instance in self._instances(chunk, cls, match.as_of)]
        if not found:
            raise self._not_found(name, metadata, params, match=match, where=where, as_of=as_of)
        self._say_what_was_pruned(match)
        return found

    def _each(
        self, chunks: Iterator[Chunk], cls: type[BaseVariable], as_of: str | None, when_empty: Callable[[], None]
    ) -> Iterator[BaseVariable]:
        chunk = None
        for chunk in chunks:
            yield from self._instances(chunk, cls, as_of)
        if chunk is None:
            when_empty()

    def _frame(
        self,
        name: str,
        cls: type[BaseVariable],
        query: Latest | Records,
        where: Filter | None = None,
        *,
        record_ids: bool = False,
    ) -> pd.DataFrame:
        """Return keys and values as a table, straight from what is stored."""
        parts: list[Sequence[Record]] = []
        values: list[Any] = []
        for chunk in self._chosen_chunks(self._store.fetch(query), where):
            parts.append(chunk.records)
            values += values_of(chunk, cls)
        table = records_table(name, self.schema_keys, parts, values, record_ids=record_ids)
        return self._with_flags(table, parts, query.match.as_of)

    def _load_record(self, record: Record, as_of: Any = None) -> BaseVariable:
        _, cls = self._named(record.variable)
        for chunk in self._store.fetch(Stored((record.record_id,))):
            # The value is the same at all its entries, and this one is meant.
            meant = Chunk((record,), chunk.table, given=chunk.given)
            return self._instances(meant, cls, self._instant(as_of))[0]
        raise NotFoundError(f"The record {record.record_id} is gone.", record_id=record.record_id)

    def _instances(self, chunk: Chunk, cls: type[BaseVariable], as_of: str | None = None) -> list[BaseVariable]:
        found = instances(chunk, cls)
        marks = self.marks_on(column_of(chunk.records, "record_id"), as_of) if self._info.has_flags else {}
        for instance in found if marks else ():
            instance.note_flags(mark.reason for mark in marks.get(instance.record_id or "", ()))
        if cls is BaseVariable:  # no class says what the units are, so the database does
            for instance, version in zip(found, column_of(chunk.records, "schema_version"), strict=True):
                known = self._known(instance.type_name)
                # What is known are the units of the last version alone.
                instance.units = known.units if known and known.schema_version == version else None
        return found

    def _as_table(self, variable: VariableLike, found: Sequence[BaseVariable], as_of: Any) -> pd.DataFrame:
        name, _ = self._named(variable)
        records = [instance._record for instance in found]  # noqa: SLF001 - loaded instances have one
        values = [instance.data for instance in found]
        known = [record for record in records if record]
        return self._with_flags(records_table(name, self.schema_keys, [known], values), [known], self._instant(as_of))

    def _with_flags(self, table: pd.DataFrame, parts: Sequence[Sequence[Record]], as_of: str | None) -> pd.DataFrame:
        """Add a column of reasons where any of the records is flagged."""
        if not self._info.has_flags:
            return table
        ids = [record_id for records in parts for record_id in column_of(records, "record_id")]
        marks = self.marks_on(ids, as_of)
        if marks:
            reasons = [reasons_text(marks.get(record_id, ())) for record_id in ids]
            table["flags" if "flags" not in table else "flagged_as"] = reasons
        return table


def _version(entry: Record) -> dict[str, Any]:
    version = {k: v for k, v in json.loads(entry.version_keys).items() if not k.startswith("__")}
    return {
        "record_id": entry.record_id,
        "vhash": entry.record_id,
        "schema": dict(entry.schema),
        "version_keys": version,
        "version": version,
        "timestamp": entry.timestamp,
        "user_id": entry.user_id,
    }
