"""The check of a database: what its store finds out, and, deep, every value hashed again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scidb.exceptions import (
    CorruptDatabaseError,
    SerializationError,
    ServerError,
    StorageError,
)
from scidb.foreach.estimate import Estimate
from scidb.foreach.progress import Progress
from scidb.maintenance.report import CheckReport
from scidb.maintenance.verifying import expected_id, parts, stored_contents
from scidb.store import open_store
from scidb.store.abilities import maintained
from scidb.store.model import Chunk, Match, Problem, Records

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    from scidb.store import Store
    from scidb.store.model import Record

__all__ = ["check", "check_file"]

# What reading a value comes to that lies in a damaged part of a file, here or behind a server.
_DAMAGED: Final = (CorruptDatabaseError, StorageError, SerializationError, ServerError)
_WINDOW: Final = 4_096  # records that are read at once where not all can be


def check(
    store: Store, *, deep: bool = False, repair: bool = False, head: str | None = None, progress: bool | None = None
) -> CheckReport:
    """Check a store; see `scidb.database.admin.Admin.check`."""
    checked = maintained(store).check(repair=repair, head=head)
    if deep:
        values = _Values(store, [one.record_id for one in checked.problems if one.kind == "unreadable"])
        values.check(progress=progress)
        counts = {**checked.counts, "verified": values.verified}
        checked = replace(checked, problems=(*checked.problems, *values.problems), counts=counts)
    return CheckReport(store.describe().target, checked, deep=deep)


def check_file(
    path: str | PathLike[str],
    *,
    deep: bool = False,
    repair: bool = False,
    head: str | None = None,
    lock_timeout: float = 10.0,
    progress: bool | None = None,
) -> CheckReport:
    """Check a database file, also one that cannot be opened as a database any more.

    Raises
    ------
    DatabaseLockedError
        When another process has the file.

    """
    try:
        store = open_store(path, read_only=not repair, lock_timeout=lock_timeout)
    except (CorruptDatabaseError, StorageError) as error:
        if not Path(path).is_file():
            raise
        from scidb.store.duck.checking import check_path

        checked = check_path(Path(path), repair=repair, head=head, lock_timeout=lock_timeout)
        if any(one.repaired for one in checked.problems) and all(one.repaired for one in checked.problems):
            return check_file(path, deep=deep, head=head, lock_timeout=lock_timeout, progress=progress)
        note = f"The values were not read, since the file cannot be opened as a database: {error}"
        return CheckReport(str(path), replace(checked, notes=(*checked.notes, note)), deep=False)
    try:
        return check(store, deep=deep, repair=repair, head=head, progress=progress)
    finally:
        store.close()


@dataclass(slots=True)
class _Values:
    """The deep check: reads every value, computes its hash, and the id that follows."""

    store: Store
    known: Sequence[str | None]  # records of which the store has found that they cannot be read
    problems: list[Problem] = field(default_factory=list)
    verified: int = 0
    identities: dict[str, str] = field(default_factory=dict)

    @property
    def function_name(self) -> str:
        """What is said beside the bar."""
        return "check"

    @property
    def failures(self) -> Sequence[Problem]:
        """What was found so far."""
        return self.problems

    def check(self, *, progress: bool | None) -> None:
        """Read everything, variable by variable."""
        try:
            types = self.store.types()
        except _DAMAGED as error:
            said = error.details.get("said", error)
            what = f"No value was read, since the variables cannot be listed: {said}"
            self.problems.append(Problem("unreadable", what))
            return
        self.identities = {info.name: info.identity_name for info in types}
        total = sum(info.records for info in types)
        with Progress(self, shown=progress, estimate=lambda: Estimate(None)).of(total) as bar:
            for info in types:
                for window in self._windows(info.name):
                    self._check_window(window)
                    bar.advance(len(window))

    def _windows(self, variable: str) -> list[list[Record]]:
        try:
            records = list(self.store.find(Records(Match(variables=(variable,)))))
        except _DAMAGED as error:
            self.problems.append(
                Problem(
                    "unreadable",
                    f"The records of {variable} cannot be listed: {error.details.get('said', error)}",
                    variable=variable,
                )
            )
            return []
        unread = [one for one in records if one.record_id not in self.known]
        return [unread[start : start + _WINDOW] for start in range(0, len(unread), _WINDOW)]

    def _check_window(self, records: Sequence[Record]) -> None:
        """Check these records; where not all can be read, ever fewer, until those are named that cannot."""
        pending = [list(records)]
        while pending:
            some = pending.pop()
            seen: Counter[str] = Counter()
            try:
                for chunk in self.store.fetch(Records(Match(record_ids=tuple(one.record_id for one in some)))):
                    for part in parts(chunk):
                        self._check_chunk(part)
                    seen.update(one.record_id for one in chunk.records)
            except _DAMAGED as error:
                self.store.describe()  # raises when it is the handle that is of no use any more
                rest = [one for one in some if one.record_id not in seen]
                if len(rest) == 1:
                    self._note(rest[0], "unreadable", f"The value cannot be read: {error.details.get('said', error)}")
                else:
                    half = len(rest) // 2
                    pending += [part for part in (rest[half:], rest[:half]) if part]
                continue
            for lost in some:
                if lost.record_id not in seen:
                    self._note(lost, "unreadable", "The value cannot be found.")

    def _check_chunk(self, chunk: Chunk) -> None:
        try:
            found = stored_contents(chunk)
        except SerializationError as error:
            if len(chunk.records) > 1:
                for at, record in enumerate(chunk.records):
                    table = None if chunk.table is None else chunk.table.slice(at, 1)
                    self._check_chunk(Chunk((record,), table, given=True))
            else:
                kind = "unchecked" if error.code == "unknown_encoding" else "content"
                self._note(chunk.records[0], kind, f"The value cannot be restored: {error}")
            return
        for record, content in zip(chunk.records, found, strict=True):
            if content != record.content_hash:
                what = f"The value is not what was saved: its hash is {content[:12]}, not {record.content_hash[:12]}."
                self._note(record, "content", what)
            self._check_id(record)
            self.verified += 1

    def _check_id(self, record: Record) -> None:
        identity = self.identities[record.variable]
        try:
            expected = expected_id(record, identity)
        except SerializationError as error:
            self._note(record, "identity", str(error))
            return
        if expected != record.record_id:
            what = f"Variable, place, version keys and content give the id {expected[:12]}, which it has not."
            self._note(record, "identity", what)

    def _note(self, record: Record, kind: str, what: str) -> None:
        at = (record.record_id, record.variable, record.schema, record.version_keys, record.timestamp)
        self.problems.append(Problem(kind, what, *at))
