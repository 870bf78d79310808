"""`scidb recover`: all that can be read of a damaged file, verified, in a new one; and what is lost, by record."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from tests.maintenance.conftest import (
    BLOCK,
    BLOCKS,
    Emg,
    Mean,
    Note,
    Step,
    Table,
    ask,
    change,
    flip,
    some,
    value_bytes,
)

import scidb
from scidb import canonical_hash
from scidb.exceptions import CorruptDatabaseError, DatabaseLockedError, StorageError
from scidb.maintenance.checking import check_file
from scidb.maintenance.recovering import RecoverReport, recover
from scidb.store.duck.connection import Connection
from scidb.store.duck.creating import create_file
from scidb.store.duck.recovering import extracting, note_removal, settle
from scidb.store.duck.recovering.blocks import seal
from scidb.store.duck.recovering.copying import Copying

if TYPE_CHECKING:
    from pathlib import Path

    from scidb import DatabaseManager
    from scidb.store.model import Problem


def _all(path: Path) -> dict[str, Any]:
    """Return every record of a file by its id: place, time, value and link of the chain."""
    with scidb.open(path, read_only=True) as db:
        return _all_of(db)


def _all_of(db: DatabaseManager) -> dict[str, Any]:
    query = "SELECT record_id, max_by(chain, timestamp) AS chain FROM _record_metadata GROUP BY ALL"
    links = {row["record_id"]: row["chain"] for row in db.query(query).to_arrow().to_pylist()}
    return {
        str(one.record_id): (one.metadata, one.timestamp, canonical_hash(one.data), links[one.record_id])
        for variable in (Emg, Step, Note, Table, Mean)
        for one in db.load_all(variable)
    }


def _check_recovered(path: Path, new: Path, whole: dict[str, Any], unknown: int = 0) -> RecoverReport:
    """Recover; the damaged file is as it was, the new one passes, and has what is not listed as lost, as it was."""
    before = path.read_bytes()
    report = recover(path, new, progress=False)

    assert path.read_bytes() == before
    assert [one.name for one in new.parent.iterdir() if one.name.startswith(".")] == []
    assert check_file(new, deep=True, progress=False).ok
    kept = _all(new)
    assert len(whole.keys() - kept.keys() - set(report.record_ids)) <= unknown
    for record_id, parts in kept.items():
        assert parts == whole[record_id]
    with scidb.open(new) as db:  # and is a database like any other
        Step.save(9.5, subject=9, trial=9, db=db)
        assert db.admin.check().ok
    return report


def _garble(path: Path, start: int, size: int) -> None:
    """Write something else over a part of a file."""
    with path.open("r+b") as file:
        file.seek(start)
        file.write(bytes(some(start).randrange(256) for _ in range(size)))


def _block_of(path: Path, table: str, column: str) -> int:
    """Return where the block begins that holds a column of a table."""
    query = f"SELECT block_id FROM pragma_storage_info('{table}') WHERE column_name = '{column}' AND block_id >= 0"
    return BLOCKS + int(ask(path, query)[0][0]) * BLOCK


def _catalogue(path: Path) -> int:
    """Return where the block begins that holds the names of the tables."""
    data = path.read_bytes()
    found = [start for start in range(BLOCKS, len(data), BLOCK) if b"duckdb_version" in data[start : start + BLOCK]]
    return found[-1]


@pytest.mark.slow
def test_nothing_is_lost_of_a_sound_file(whole: Path, tmp_path: Path) -> None:
    """What can be read as it is comes over as it is, with its log, lineage, flags and tags."""
    report = _check_recovered(whole, tmp_path / "new.duckdb", _all(whole))
    assert (report.ok, len(report), report.lost) == (True, 0, ())
    assert "every block is as it was written" in report.notes[0]
    assert "nothing is lost" in repr(report)
    # Numbers of computations are those of one file.
    said = {"_computations": "* EXCLUDE (computation_no)"}
    for table in ("_calls", "_call_inputs", "_computations", "_flags", "_tags", "_exports", "_failures", "_sources"):
        query = f"SELECT {said.get(table, '*')} FROM {table} ORDER BY ALL"
        assert ask(whole, query) == ask(tmp_path / "new.duckdb", query)


def test_one_flipped_byte_is_mended(study: Path, tmp_path: Path) -> None:
    """Where the checksum of a block tells which byte is wrong, nothing is lost."""
    [(first, _, _), *_] = value_bytes(study)
    whole = _all(study)
    flip(study, (first + 80_000) // 8 * 8 + 1, 3)
    report = _check_recovered(study, tmp_path / "new.duckdb", whole)
    assert report.ok
    assert "were mended" in report.notes[1]


@pytest.mark.slow
def test_a_bad_block_of_values(study: Path, tmp_path: Path) -> None:
    """Of the records in a block that was overwritten those are lost that it hit; they are named with their place."""
    [(first, _, records), *_] = value_bytes(study)
    whole = _all(study)
    _garble(study, first + 80_000, 64)
    report = _check_recovered(study, tmp_path / "new.duckdb", whole)

    assert 1 <= len(report.record_ids) <= 2
    assert set(report.record_ids) <= records
    assert {one.variable for one in report} <= {"Emg", None}, report  # None: rows that DuckDB could not read at all
    assert all(one["schema"].keys() == {"subject", "trial"} for one in report.to_dicts() if one["record_id"])
    assert "1 blocks damaged" in report.notes[0]


@pytest.mark.slow
@pytest.mark.parametrize("table", ["_record_metadata", "_records"])
def test_a_bad_block_of_a_table(study: Path, tmp_path: Path, table: str) -> None:
    """What hangs on rows that are lost is taken out or named; the rest is there, and the new file passes."""
    _check_bad_table(study, tmp_path, table)


@pytest.mark.slow
@pytest.mark.parametrize("table", ["_calls", "_call_inputs", "_computations", "_sources", "_variables", "_schema"])
def test_a_bad_block_of_any_table(study: Path, tmp_path: Path, table: str) -> None:
    """The same for the others."""
    _check_bad_table(study, tmp_path, table)


def _check_bad_table(study: Path, tmp_path: Path, table: str) -> None:
    columns = [one for (one,) in ask(study, f"SELECT DISTINCT column_name FROM pragma_storage_info('{table}')")]
    whole = _all(study)
    start = _block_of(study, table, min(columns, key=lambda one: one != "content_hash"))
    _garble(study, start + 64, 512)
    said = _recovered_or_refused(study, tmp_path / "new.duckdb", whole)
    # All of a small table lies in one place.
    assert said is None or (table in ("_record_metadata", "_records", "_schema") and "no line is left" in said)


@pytest.mark.slow
def test_a_garbled_catalogue(study: Path, tmp_path: Path) -> None:
    """Where the names of tables cannot be read, an earlier state of the file is, or it is said that nothing can be."""
    whole = _all(study)
    change(study, "CREATE TABLE later (i INTEGER)")  # another checkpoint
    _garble(study, _catalogue(study) + 64, 4_000)
    said = _recovered_or_refused(study, tmp_path / "new.duckdb", whole)
    assert said is None or "Nothing can be read" in said


@pytest.mark.slow
@pytest.mark.parametrize("header", [0, 1, 2])
def test_damaged_headers(study: Path, tmp_path: Path, header: int) -> None:
    """A header is mended, or taken from elsewhere; nothing is lost that is in the file."""
    whole = _all(study)
    flip(study, header * 4_096 + 12, 1)
    with pytest.raises(CorruptDatabaseError):
        scidb.open(study)
    assert not check_file(study).ok
    assert _check_recovered(study, tmp_path / "new.duckdb", whole).ok


@pytest.mark.slow
@pytest.mark.parametrize("part", [0.95, 0.6])
def test_a_truncated_file(study: Path, tmp_path: Path, part: float) -> None:
    """Of a file that lost its end, what was in front of that is got out, or it is said that nothing can be."""
    whole = _all(study)
    with study.open("r+b") as file:
        file.truncate(int(study.stat().st_size * part))
    said = _recovered_or_refused(study, tmp_path / "new.duckdb", whole)
    assert said is None or ("bytes missing at the end" in said and "Restore a backup" in said)


def _recovered_or_refused(study: Path, new: Path, whole: dict[str, Any]) -> str | None:
    """Recover with losses, or return what is said when nothing can be read."""
    try:
        _check_recovered(study, new, whole)
    except CorruptDatabaseError as error:
        assert not new.exists()
        return str(error)
    return None


@pytest.mark.slow
def test_a_log_that_cannot_be_replayed(study: Path, tmp_path: Path) -> None:
    """Of writes that are in DuckDB's log alone, those in front of the damage are recovered."""
    whole = _all(study)
    later = tmp_path / "later" / "study.duckdb"
    later.parent.mkdir()
    with scidb.open(study) as db:
        for trial in range(100, 103):
            Emg.save(some(trial).random(), subject=1, trial=trial, db=db)
        shutil.copyfile(study, later)
        shutil.copyfile(f"{study}.wal", f"{later}.wal")
        whole |= _all_of(db)
    log = later.with_name("study.duckdb.wal")
    flip(log, int(log.stat().st_size * 0.9))

    with pytest.raises((CorruptDatabaseError, StorageError)):
        scidb.open(later)
    assert "scidb recover" in check_file(later).problems[0].what
    before = log.read_bytes()
    report = _check_recovered(later, later.with_name("new.duckdb"), whole, unknown=2)
    assert log.read_bytes() == before
    assert any("the newest writes" in note for note in report.notes)
    assert 112 <= report.counts["records"] < 115


# ------------------------------------------------------------------ each protection by itself


def _settled(study: Path) -> list[Problem]:
    with closing(Connection.open(study, read_only=False, lock_timeout=0)) as connection:
        note_removal(connection, "r", "recovered", {"entries": 0, "records": 0, "nbytes": 0, "user_id": None})
        return settle(connection, "r")


def test_a_link_alone_is_mended(study: Path) -> None:
    """A link of the log that is damaged follows from the lines around it, so that no line is given up."""
    before = ask(study, "SELECT timestamp, seq, chain FROM _record_metadata ORDER BY ALL")
    stamp, seq, _ = before[len(before) // 2]
    change(study, f"UPDATE _record_metadata SET chain = repeat('0', 64) WHERE timestamp = '{stamp}' AND seq = {seq}")
    assert not check_file(study).ok
    assert _settled(study) == []
    assert ask(study, "SELECT timestamp, seq, chain FROM _record_metadata ORDER BY ALL") == before
    assert check_file(study).ok


def test_a_record_without_its_rows_is_given_up(study: Path) -> None:
    """A record whose value is not there goes with its lines, and is named."""
    [(number, record_id)] = ask(
        study, "SELECT record_no, record_id FROM _records WHERE variable_name = 'Note' ORDER BY ALL LIMIT 1"
    )
    change(study, f'DELETE FROM "Note_data" WHERE record_no = {number}')
    assert record_id in {one.record_id for one in _settled(study)}
    assert ask(study, f"SELECT count(*) FROM _records WHERE record_id = '{record_id}'") == [(0,)]
    assert check_file(study).ok


def test_a_first_header_is_taken_from_a_sound_file(study: Path, tmp_path: Path) -> None:
    """Of the header that says how to read the file, any other file of this DuckDB has the same."""
    create_file(tmp_path / "sound.duckdb", ["CREATE TABLE nothing (i INTEGER)"])
    count = ask(study, "SELECT count(*) FROM _records")
    _garble(study, 0, 1_000)
    seal(study, tmp_path / "sound.duckdb")
    assert ask(study, "SELECT count(*) FROM _records") == count


@pytest.mark.parametrize(
    ("failures", "said"),
    [
        pytest.param(
            2,
            "at the checkpoint before the last one",
            marks=pytest.mark.skipif(duckdb.__version__ < "2", reason="DuckDB 1.x reads no such state of this file"),
        ),
        (3, "since the last checkpoint could not be read"),
    ],
)
def test_other_ways_to_read_it(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failures: int, said: str
) -> None:
    """What cannot be read as it is may be read as it was at an earlier checkpoint, or without the newest writes."""
    change(study, "CREATE TABLE later (i INTEGER)")
    flip(study, 12, 1)
    study.with_name(f"{study.name}.wal").write_bytes(b"nothing of DuckDB's")
    run = extracting._Attempts._run
    calls: list[bool] = []

    def fail(self: Any) -> dict[str, Any]:
        calls.append(self._log.exists())
        return {"error": "no"} if len(calls) <= failures else run(self)

    monkeypatch.setattr(extracting._Attempts, "_run", fail)
    extracted = extracting.extract(study, tmp_path / "new.duckdb", lock_timeout=0)
    assert said in extracted.notes[-1]
    assert calls[-1] is False
    assert ("later" in extracted.unread) is (failures == 3)


@pytest.mark.slow
def test_a_value_that_is_another_is_given_up(study: Path, tmp_path: Path) -> None:
    """A value that can be read, and is not what was saved, is found by its hash, and taken out."""
    whole = _all(study)
    [(number, record_id)] = ask(
        study, "SELECT record_no, record_id FROM _records WHERE variable_name = 'Step' ORDER BY ALL LIMIT 1"
    )
    change(study, f'UPDATE "Step_data" SET value = value + 1 WHERE record_no = {number}')
    assert record_id in _check_recovered(study, tmp_path / "new.duckdb", whole).record_ids


def test_a_connection_that_refuses_everything_is_made_anew(study: Path, tmp_path: Path) -> None:
    """After damage that DuckDB does not get over, both files are opened again, and what follows is read."""
    create_file(tmp_path / "new.duckdb", ["CREATE TABLE nothing (i INTEGER)"])
    copying = Copying(study, tmp_path / "new.duckdb")
    copying._connect()
    copying._close()
    copying._again()
    [(count,)] = copying._rows("SELECT count(*) FROM old._records")
    copying._close()
    assert count > 0


def test_what_was_erased_is_not_in_the_new_file(study: Path) -> None:
    """An erasure that was interrupted is completed by a recovery, which takes over rows alone."""
    change(study, "INSERT INTO _removals (removal_id, kind, rewritten) VALUES ('e', 'erase', FALSE)")
    assert [one.kind for one in check_file(study)] == ["erased"]
    with closing(Connection.open(study, read_only=False, lock_timeout=0)) as connection:
        note_removal(connection, "r", "recovered", {"entries": 0, "records": 0, "nbytes": 0, "user_id": None})
    assert check_file(study).ok


def test_what_is_refused(whole: Path, tmp_path: Path) -> None:
    """Nothing is written over, and what is no database is said to be none."""
    with pytest.raises(StorageError, match="is there already"):
        recover(whole, whole)
    with pytest.raises(StorageError, match="no file"):
        recover(tmp_path / "nowhere.duckdb", tmp_path / "new.duckdb")
    none = tmp_path / "none.duckdb"
    none.write_bytes(b"none" * 20_000)
    with pytest.raises(CorruptDatabaseError, match="Nothing can be read") as refused:
        recover(none, tmp_path / "new.duckdb")
    assert "Restore a backup" in str(refused.value)
    assert [one.name for one in tmp_path.iterdir()] == ["none.duckdb"]


def test_a_file_in_use_is_not_damaged(study: Path, tmp_path: Path) -> None:
    """What another process has open is refused, as everywhere."""
    command = [sys.executable, "-c", _HOLD, str(study)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(DatabaseLockedError):
            recover(study, tmp_path / "new.duckdb", lock_timeout=0)
        other.communicate(b"end")


_HOLD = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('here', flush=True); sys.stdin.read()"
