"""All checks of a file, one after the other, and the repairs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scidb.exceptions import CorruptDatabaseError, StorageError
from scidb.store.duck.checking.chain import check_chain
from scidb.store.duck.checking.findings import Findings
from scidb.store.duck.checking.layouts import check_layouts, data_tables, records_in_the_dark
from scidb.store.duck.checking.numbers import check_numbers
from scidb.store.duck.checking.references import check_references
from scidb.store.duck.checking.removals import check_removals
from scidb.store.duck.checking.repairing import copy_beside, repair_all
from scidb.store.duck.checking.shown import check_shown
from scidb.store.duck.checking.tables import check_keys, check_tables
from scidb.store.duck.connection import Connection
from scidb.store.model import Checked, Problem

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["check_connection", "check_path"]


def check_connection(connection: Connection, *, repair: bool = False, head: str | None = None) -> Checked:
    """Check an open file, whatever state it is in; with `repair`, put right what follows from the rest.

    Before anything is changed, the file is copied beside itself. `head` is a link that the chain must still hold.
    """
    noted = head
    found, head = _look(connection, noted)
    problems = found.named()
    if not repair or not any(one.repair for one in problems):
        return Checked(tuple(problems), found.counts, tuple(found.notes), head)
    with connection.writer:  # nothing may change between the copy and the repair
        copy = copy_beside(connection)
        repair_all(connection, found)
        found, head = _look(connection, noted)
    left = found.named()
    still = {(one.kind, one.what) for one in left}
    mended = [replace(one, repaired=True) for one in problems if one.repair and (one.kind, one.what) not in still]
    return Checked((*left, *mended), found.counts, tuple(found.notes), head, str(copy))


def _look(connection: Connection, noted: str | None) -> tuple[Findings, str | None]:
    found = Findings(connection)
    check_tables(found)
    check_keys(found)
    check_layouts(found)
    check_references(found)
    check_removals(found)
    check_numbers(found)
    head = check_chain(found, noted)
    check_shown(found)
    if found.has("_records"):
        found.counts["records"] = sum(n for (n,) in found.ask("_records", "SELECT count(*) FROM _records"))
    _name_records(found)
    return found, head


def _name_records(found: Findings) -> None:
    """Say which records lie in the parts that cannot be read."""
    if found.has("_records"):
        for table in sorted(found.damaged & set(data_tables(found))):
            rows = [(one, "The value cannot be read.") for one in records_in_the_dark(found, table)]
            found.add_each("unreadable", rows, table)


def check_path(path: Path, *, repair: bool = False, head: str | None = None, lock_timeout: float = 10.0) -> Checked:
    """Check a file that cannot be opened as a store, as far as DuckDB opens it."""
    try:
        connection = Connection.open(path, read_only=not repair, lock_timeout=lock_timeout)
    except (CorruptDatabaseError, StorageError) as error:
        what = f"The file cannot be opened: {error} `scidb recover {path} NEW` gets out what can be read."
        return Checked((Problem("unreadable", what),))
    try:
        return check_connection(connection, repair=repair, head=head)
    finally:
        connection.close()
