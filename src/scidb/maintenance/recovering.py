"""Everything that can be read out of a damaged file, into a new one in which every value is what was saved."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from scidb.exceptions import SciDBError
from scidb.listing import Listing
from scidb.maintenance.checking import check_file
from scidb.maintenance.report import problem_cells, problem_dicts
from scidb.settings import user_name
from scidb.store.model import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike

    from scidb.maintenance.report import CheckReport

__all__ = ["RecoverReport", "recover"]

_ROUNDS: Final = 5
_OF_A_VALUE: Final = ("content", "identity", "unreadable", "unchecked")


class RecoverReport(Listing[Problem]):
    """What could not be got out of a damaged file; what `recover` returns.

    A sequence of what is lost: each with `what`, and where it is a record with `record_id`, `variable`, `schema`.
    """

    def __init__(
        self, source: str, target: str, lost: Sequence[Problem], notes: Sequence[str], checked: CheckReport
    ) -> None:
        super().__init__(lost)
        self._source, self._target, self._notes, self._checked = source, target, tuple(notes), checked

    @property
    def ok(self) -> bool:
        """Whether nothing is lost."""
        return not len(self)

    @property
    def lost(self) -> tuple[Problem, ...]:
        """What is lost."""
        return tuple(self)

    @property
    def record_ids(self) -> tuple[str, ...]:
        """The records that are lost, as far as they are known."""
        return tuple(dict.fromkeys(one.record_id for one in self if one.record_id))

    @property
    def notes(self) -> tuple[str, ...]:
        """What was wrong with the file, and how it was read."""
        return self._notes

    @property
    def counts(self) -> Mapping[str, int]:
        """What the new file holds."""
        return self._checked.counts

    @property
    def checked(self) -> CheckReport:
        """The deep check of the new file."""
        return self._checked

    @property
    def title(self) -> str:
        """What was recovered, in one line."""
        records = self.counts.get("records", 0)
        lost = f"{len(self):,} losses" if len(self) else "nothing is lost"
        return f"{self._source} -> {self._target}: {records:,} records recovered, every value verified; {lost}"

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        return problem_cells(self)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return one dict of plain data per loss."""
        return problem_dicts(self)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        return {
            "source": self._source,
            "target": self._target,
            "ok": self.ok,
            "counts": dict(self.counts),
            "notes": list(self.notes),
            "lost": self.to_dicts(),
        }


def recover(
    damaged: str | PathLike[str],
    new: str | PathLike[str],
    *,
    lock_timeout: float = 10.0,
    progress: bool | None = None,
) -> RecoverReport:
    """Get everything that can be read out of a damaged database file into a new one; the damaged one is only read.

    Records keep their ids and times, and the log its chain where it is readable. What the new file holds was verified:
    every value against its hash, every record against its id.

    Parameters
    ----------
    damaged
        The file; its ``.wal``, where there is one, must be beside it.
    new
        Where the new file goes; nothing may be there.
    lock_timeout
        How many seconds to wait for another process to close the file.
    progress
        Show a bar while values are verified; None: on a terminal and in a notebook.

    Raises
    ------
    CorruptDatabaseError
        When nothing can be read, saying what to do.
    DatabaseLockedError
        When another process has the file open: then it is not damaged.
    StorageError
        When there is no such file, or something is at `new`.

    """
    from scidb.store.duck.connection import Connection
    from scidb.store.duck.recovering import drop_records, extract, note_removal, settle

    source, target = Path(damaged).absolute(), Path(new).absolute()
    extracted = extract(source, target, lock_timeout=lock_timeout)
    removal = uuid4().hex
    lost = [
        Problem("rows", f"{count:,} rows of {table} could not be read.", table=table)
        for table, count in extracted.rows.items()
    ]
    lost += [Problem("table", f"Nothing of {table} could be read.", table=table) for table in extracted.unread]

    def change(work: Any) -> None:
        with closing(Connection.open(target, read_only=False, lock_timeout=lock_timeout)) as connection:
            work(connection)

    def note() -> None:
        names = {one.record_id for one in lost if one.record_id}
        said = {"entries": 0, "records": len(names), "nbytes": 0, "user_id": user_name()}
        change(lambda connection: note_removal(connection, removal, f"recovered from {source.name}", said))

    change(lambda connection: lost.extend(settle(connection, removal)))
    note()
    for _ in range(_ROUNDS):
        report = check_file(target, deep=True, lock_timeout=lock_timeout, progress=progress)
        bad = [one for one in report if one.kind in _OF_A_VALUE and one.record_id]
        if not bad:
            break
        lost += [replace(one, kind="value", what=f"The value is lost: {one.what}") for one in bad]
        ids = [one.record_id for one in bad if one.record_id]
        change(lambda connection, ids=ids: connection.transaction(lambda: drop_records(connection, ids, removal)))
        note()
    if not report.ok:
        raise SciDBError(
            f"What was recovered from {source} is in {target}, but not all is in order: {report.title}. Look at it "
            f"with `scidb fsck --db {target} --deep` before you use it.",
            problems=[one.what for one in report][:20],
        )
    return RecoverReport(str(source), str(target), lost, extracted.notes, report)
