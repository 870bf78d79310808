"""What is found while a file is checked, by questions of which each may meet a block that cannot be read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from scidb.exceptions import CorruptDatabaseError, SciDBError, StorageError
from scidb.store.duck.sql import quote
from scidb.store.duck.state import load_keys
from scidb.store.duck.types import key_value
from scidb.store.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scidb.store.duck.connection import Connection
    from scidb.store.model import KeyValue, SchemaKey

__all__ = ["UNREADABLE", "Findings"]

UNREADABLE: Final = (CorruptDatabaseError, StorageError)
"""What a question raises whose answer lies in a part of the file that is damaged."""

MOST: Final = 1_000
"""So many problems of one kind are listed; of others it is said how many there are."""


@dataclass(slots=True)
class Findings:
    """Problems, counts and notes of one check."""

    connection: Connection
    problems: list[Problem] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    columns: dict[str, dict[str, str]] = field(default_factory=dict)  # of each table, with their types
    damaged: set[str] = field(default_factory=set)  # tables of which a part cannot be read
    keys: tuple[SchemaKey, ...] = ()

    def load_keys(self) -> None:
        """Read the schema keys, by which places are named."""
        try:
            self.keys = load_keys(self.connection)
        except UNREADABLE as error:
            self.unreadable("_schema_keys", error)

    def has(self, *tables: str) -> bool:
        """Say whether these tables are there, so that they can be asked."""
        return all(table in self.columns for table in tables)

    def add(self, kind: str, what: str, **details: Any) -> None:
        """Note a problem."""
        self.problems.append(Problem(kind, what, **details))

    def unreadable(self, table: str, error: SciDBError) -> None:
        """Note that a part of a table cannot be read, once for each table."""
        if table not in self.damaged:
            self.damaged.add(table)
            self.add("unreadable", f"A part of {table} cannot be read: {said(error)}.", table=table)

    def ask(self, table: str, query: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of an answer; none where the table cannot be read, which is noted."""
        try:
            return self.connection.rows(query, parameters)
        except UNREADABLE as error:
            self.unreadable(table, error)
            return []

    def add_each(self, kind: str, rows: Sequence[tuple[Any, ...]], table: str, *, repair: str | None = None) -> None:
        """Note a problem for each row of a record_id, which may be None, and a sentence; the first so many of them."""
        for record_id, what in rows[:MOST]:
            self.add(kind, what, record_id=record_id, table=table, repair=repair)
        if len(rows) > MOST:
            self.add(kind, f"{len(rows) - MOST:,} more of this kind in {table}.", table=table, repair=repair)

    def named(self) -> list[Problem]:
        """Return the problems with the variable and the place of each record."""
        ids = {one.record_id for one in self.problems if one.record_id and one.variable is None}
        places = self._places(ids) if ids and self.has("_records", "_record_metadata", "_schema") else {}
        return [
            replace(one, **{**places[one.record_id], **_said_already(one)})
            if one.variable is None and one.record_id in places
            else one
            for one in self.problems
        ]

    def _places(self, record_ids: Iterable[str]) -> dict[str | None, dict[str, Any]]:
        ids = sorted(record_ids)
        try:
            # Not by the log, of which a part may be what is damaged.
            rows = self.connection.rows(
                "SELECT record_id, variable_name FROM _records WHERE record_id IN (SELECT unnest(?))", [ids]
            )
        except UNREADABLE:
            rows = []
        found: dict[str | None, dict[str, Any]] = {record_id: {"variable": variable} for record_id, variable in rows}
        keys = "".join(f", s.{quote(key.name)}" for key in self.keys if key.name in self.columns["_schema"])
        try:
            lines = self.connection.rows(
                f"SELECT m.record_id, m.variable_name, m.timestamp, m.version_keys{keys} FROM _record_metadata m "
                "LEFT JOIN _schema s USING (schema_id) WHERE m.record_id IN (SELECT unnest(?)) "
                "ORDER BY m.timestamp, m.seq",
                [ids],
            )
        except UNREADABLE:
            lines = []
        for record_id, variable, stamp, version_keys, *texts in lines:
            given = {"variable": variable, "timestamp": stamp, "version_keys": version_keys or "{}"}
            found[record_id] = {**given, "schema": self.place(texts)}
        return found

    def place(self, texts: Sequence[str | None]) -> dict[str, KeyValue]:
        """Return a location as records show it; what is no value of its key stays a text."""
        shown: dict[str, KeyValue] = {}
        for key, text in zip(self.keys, texts, strict=False):
            if text is not None:
                try:
                    shown[key.name] = key_value(key.value_type, text)
                except ValueError:
                    shown[key.name] = text
        return shown


def _said_already(one: Problem) -> dict[str, Any]:
    return {} if one.timestamp is None else {"timestamp": one.timestamp}


def said(error: SciDBError) -> str:
    """Return what DuckDB said of a part that it cannot read, without advice."""
    return str(error.details.get("said", error)).rstrip(".")
