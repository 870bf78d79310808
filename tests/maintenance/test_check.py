"""`db.admin.check` and what it finds: every kind of disorder, by record; and nothing where all is well."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.maintenance.conftest import Emg, Note, Step, ask, change, flip, flipped, some, value_bytes
from tests.maintenance.harm import HARM, REPAIRED

import scidb
from scidb.exceptions import CorruptDatabaseError, SciDBError, StorageError
from scidb.foreach import progress
from scidb.maintenance.checking import check_file
from scidb.store.duck.checking import check_connection, check_path
from scidb.store.duck.connection import Connection
from scidb.store.memory import MemoryStore
from scidb.store.model import Batch, Checked, Flagged
from scidb.store.wrap import ReadOnly

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scidb.store.model import Problem


class _Undo(Exception):
    """Ends a transaction without a commit."""


@pytest.fixture(scope="module")
def connection(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """Return a connection to a copy of the file, in which all harm is undone."""
    copy = tmp_path_factory.mktemp("check") / "study.duckdb"
    copy.write_bytes(whole.read_bytes())
    connection = Connection.open(copy, read_only=False, lock_timeout=0)
    yield connection
    connection.close()


def _checked_after(connection: Connection, *statements: str) -> Checked:
    """Return what a check says after some harm, which is undone then."""
    found: list[Checked] = []

    def harm() -> None:
        for statement in statements:
            connection.execute(statement)
        found.append(check_connection(connection))
        raise _Undo

    with pytest.raises(_Undo):
        connection.transaction(harm)
    return found[0]


# ------------------------------------------------------------------ nothing wrong


def test_nothing_is_wrong(whole: Path) -> None:
    """A database that only SciDB has written has no problems, and the report says what was looked at."""
    with scidb.open(whole, read_only=True) as db:
        report = db.admin.check(deep=True)

    assert report.ok
    assert (len(report), report.problems, report.record_ids, report.copy) == (0, (), (), None)
    records = 24 + 61 + 2 + 1 + 24
    assert [report.counts[name] for name in ("records", "entries", "verified")] == [records] * 3
    assert report.head == ask(whole, "SELECT chain FROM _record_metadata ORDER BY timestamp DESC, seq DESC")[0][0]
    assert "no problems" in repr(report)
    assert "every value read" in report._repr_html_()
    assert report.to_pandas().empty


def test_nothing_is_wrong_after_changes(study: Path) -> None:
    """A new key, a new name and new shapes of values leave nothing behind that a check would find; the chain holds."""
    with scidb.open(study) as db:
        before = db.admin.check().head
        db.admin.add_schema_key("session", after="subject", value_type=str)
        db.admin.rename_variable("Step", "StepLength")
        Emg.save(np.array([1, 2], np.int8), subject=3, trial=1, session="a", db=db)
        Emg.save("text", subject=3, trial=1, session="b", db=db)
        report = db.admin.check(deep=True, head=before)
    assert report.ok, report


def test_a_store_without_file() -> None:
    """In memory only references and values can be wrong; what refers to nothing is found."""
    with scidb.open("memory:", {"subject": int}) as db:
        record_id = Step.save(1.0, subject=1, db=db)
        assert db.admin.check(deep=True).counts == {"records": 1, "entries": 1, "verified": 1}
        store = db._store
        assert isinstance(store, MemoryStore)
        store.write(Batch(events=(Flagged(("0" * 64,), "of nothing"),)))
        [flag] = db.admin.check()
        assert (flag.kind, flag.record_id) == ("reference", "0" * 64)
        payload = store._state.payloads[record_id]
        store._state.payloads["1" * 64] = payload
        del store._state.payloads[record_id]
        assert {(one.kind, one.record_id) for one in db.admin.check()} >= {
            ("reference", record_id),
            ("reference", "1" * 64),
        }


# ------------------------------------------------------------------ every kind of disorder

# A question to a view that does not run ends a transaction, so that these are done to a file.
ALONE = {"lost key column", "broken view"}
# What does not get in the way of one another is looked at together; the slow run has each alone.
TOGETHER = (
    (
        "same number", "lost run", "lost environment", "lost text", "recalled from nothing", "input of nothing",
        "flag on nothing", "group of nothing", "failure of nothing", "hit of nothing", "export of nothing",
        "erased by nobody", "stray key column", "lost primary key", "other columns", "table of nobody", "lost view",
        "one number", "stale type", "stale level", "stale table", "number of another", "row of nobody", "same place",
        "no row", "the last row",
    ),
    ("no format", "lost call", "lost line", "used nothing", "a row twice", "lost place", "text of a place"),
    ("lost record", "level of a place", "lost computation", "lost variable", "bad list of texts"),
    ("format", "no table", "other computation in the log", "lost table", "lost column"),
)  # fmt: skip


def _misses(found: Checked, harm: str) -> bool:
    _, kind, words, record = HARM[harm]
    return not any(
        one.kind == kind
        and words in one.what
        and (one.repair is not None) == (harm in REPAIRED)
        and (record is None or (one.record_id is not None and record in ("?", one.variable)))
        for one in found.problems
    )


@pytest.mark.parametrize("harms", TOGETHER, ids=range(len(TOGETHER)))
def test_disorder_is_found(connection: Connection, harms: tuple[str, ...]) -> None:
    """What is out of order is reported, by record where it is one, and as repairable where nothing is guessed."""
    found = _checked_after(connection, *(statement for harm in harms for statement in HARM[harm][0]))
    assert not [harm for harm in harms if _misses(found, harm)], found.problems


@pytest.mark.slow
@pytest.mark.parametrize("harm", HARM)
def test_every_disorder_is_found(connection: Connection, whole: Path, tmp_path: Path, harm: str) -> None:
    """The same for each kind of disorder alone; all that is said of it is right."""
    statements, kind, words, record = HARM[harm]
    if harm in ALONE:
        copy = tmp_path / "study.duckdb"
        copy.write_bytes(whole.read_bytes())
        change(copy, *statements)
        found = check_path(copy)
    else:
        found = _checked_after(connection, *statements)

    meant = [one for one in found.problems if one.kind == kind and words in one.what]
    assert meant, found.problems
    assert all((one.repair is not None) == (harm in REPAIRED) for one in meant)
    if record is not None:
        assert all(one.record_id for one in meant)
        assert record == "?" or {one.variable for one in meant} == {record}


def test_the_harm_was_undone(connection: Connection) -> None:
    """The test above tests something: without harm the same connection finds nothing."""
    assert check_connection(connection).problems == ()


def test_strange_tables_are_left_alone(connection: Connection) -> None:
    """Tables of others are no problem; that they are there is said."""
    found = _checked_after(connection, "CREATE TABLE own_notes (t VARCHAR)", "CREATE TABLE _mine (t VARCHAR)")
    assert not found.problems
    assert {note.split()[0] for note in found.notes} == {"own_notes", "_mine"}


def test_what_was_removed_on_purpose_is_no_problem(connection: Connection) -> None:
    """Where something was removed and noted, references to it are counted and not complained about; others are."""
    removal = "INSERT INTO _removals (removal_id, kind) VALUES ('r', 'prune')"
    noted = "INSERT INTO _pruned (record_id, removal_id) VALUES ('x', 'r')"
    changes = ("UPDATE _flags SET record_id = 'x'", "UPDATE _exports SET record_ids = ['x']")
    found = _checked_after(connection, removal, noted, *changes)
    assert not found.problems
    assert found.notes == ("2 references are to what was removed.",)
    assert {one.table for one in _checked_after(connection, removal, *changes).problems} == {"_flags", "_exports"}
    # What was lost to a damage is known nowhere.
    assert not _checked_after(connection, removal.replace("prune", "recover"), *changes).problems


# ------------------------------------------------------------------ values


def _problems(path: Path) -> tuple[Problem, ...]:
    return check_file(path, deep=True, progress=False).problems


def test_a_changed_value_is_named(study: Path) -> None:
    """A value that was changed through SQL, which DuckDB does not notice, is found by its hash alone; deep."""
    [(number, record_id)] = ask(study, "SELECT record_no, record_id FROM _records WHERE variable_name = 'Step' LIMIT 1")
    change(study, f'UPDATE "Step_data" SET value = value + 1e-12 WHERE record_no = {number}')

    assert check_file(study).ok
    [problem] = _problems(study)
    assert (problem.kind, problem.record_id, problem.variable) == ("content", record_id, "Step")
    assert problem.schema.keys() == {"subject", "trial"}
    assert "not what was saved" in problem.what


PLACE = "(SELECT schema_id FROM _record_metadata WHERE record_id = ?)"


@pytest.mark.parametrize(
    ("harm", "kind"),
    [
        ("UPDATE _records SET encoding = '{\"codec\":\"scalar\",\"type\":\"json\"}' WHERE record_id = ?", "content"),
        ("UPDATE _records SET encoding = '{\"codec\":\"unheard\"}' WHERE record_id = ?", "unchecked"),
        (f"UPDATE _schema SET trial = '77' WHERE schema_id = {PLACE}", "identity"),
        ("UPDATE _record_metadata SET version_keys = '{\"gain\":2}' WHERE record_id = ?", "identity"),
        ("UPDATE _record_metadata SET version_keys = 'x' WHERE record_id = ?", "identity"),
    ],
)  # fmt: skip
def test_what_belongs_to_a_value_is_checked(study: Path, harm: str, kind: str) -> None:
    """Also how it is restored, and where it stands: its id follows from all of that."""
    query = (
        "SELECT record_id FROM _record_metadata WHERE variable_name = 'Step' ORDER BY timestamp, seq LIMIT 1 OFFSET 9"
    )
    [(record_id,)] = ask(study, query)
    change(study, harm.replace("?", f"'{record_id}'"))
    assert (kind, record_id) in {(one.kind, one.record_id) for one in _problems(study)}


def _harmed(whole: Path, path: Path, position: int, bit: int) -> Path:
    path.write_bytes(whole.read_bytes())
    flip(path, position, bit)
    return path


def _check_flip_in_a_value(whole: Path, path: Path, seed: int) -> None:
    """Turn over a bit of a number, and compare the records that are named with those in its block."""
    generator = some(seed)
    first, last, records = generator.choice(value_bytes(whole))
    _harmed(whole, path, generator.randrange(first, last + 1), generator.randrange(8))

    found = {one.record_id for one in _problems(path)}
    assert found >= records
    assert len(found - records) <= 2  # DuckDB reads 2,048 rows at once, be they in two blocks
    with scidb.open(path, read_only=True) as db:
        for record_id in filter(None, found):
            with pytest.raises(CorruptDatabaseError, match="scidb fsck"):
                db.load_by_record_id(record_id)


def _check_flip_anywhere(whole: Path, path: Path, seed: int, values: dict[str, Any]) -> bool:
    """Turn over a bit anywhere; what the deep check does not name must load as it was. Return whether it was found."""
    generator = some(seed)
    _harmed(whole, path, generator.randrange(whole.stat().st_size), generator.randrange(8))
    report = check_file(path, deep=True, progress=False)
    try:
        db = scidb.open(path, read_only=True)
    except SciDBError:
        assert not report.ok
        return True
    with db:
        for record_id, value in generator.sample(list(values.items()), 12):
            try:
                loaded = db.load_by_record_id(record_id).data
            except SciDBError:
                assert not report.ok
            else:
                np.testing.assert_equal(loaded, value)
    return not report.ok


def _values(whole: Path) -> dict[str, Any]:
    with scidb.open(whole, read_only=True) as db:
        return {str(one.record_id): one.data for variable in (Emg, Step, Note) for one in db.load_all(variable)}


def _check_flip_through_sql(path: Path, seed: int) -> None:
    """Turn over a bit of one number through SQL: DuckDB's checksum is right then, and the hash is not."""
    generator = some(seed)
    table = generator.choice(["Emg_data", "Step_data"])
    [(number, rowid, value)] = ask(
        path, f"SELECT record_no, rowid, value FROM {table} LIMIT 1 OFFSET {generator.randrange(40)}"
    )
    turned = flipped(value, generator.randrange(64))
    change(path, f"UPDATE {table} SET value = CAST('{turned!r}' AS DOUBLE) WHERE rowid = {rowid}")
    [(record_id,)] = ask(path, f"SELECT record_id FROM _records WHERE record_no = {number}")

    assert {(one.kind, one.record_id) for one in _problems(path)} == {("content", record_id)}
    # As text: DuckDB reads a number with a point as a DECIMAL first, which need not become the same number.
    change(path, f"UPDATE {table} SET value = CAST('{value!r}' AS DOUBLE) WHERE rowid = {rowid}")


def test_a_flipped_byte_in_a_value_names_its_records(whole: Path, tmp_path: Path) -> None:
    """DuckDB refuses the whole block; the records in it are named, and no others."""
    _check_flip_in_a_value(whole, tmp_path / "study.duckdb", seed=1)


def test_a_flipped_byte_anywhere_is_found_or_without_harm(whole: Path, tmp_path: Path) -> None:
    """Wherever in the file a bit turns over, no value loads as another one after a deep check."""
    _check_flip_anywhere(whole, tmp_path / "study.duckdb", seed=3, values=_values(whole))


def test_a_flip_that_duckdb_does_not_notice_is_named(study: Path) -> None:
    """A bit turned over with a checksum that fits is found by the hash."""
    _check_flip_through_sql(study, seed=5)


@pytest.mark.slow
def test_hundreds_of_flips(whole: Path, tmp_path: Path) -> None:
    """Of a hundred flips in values every one is found and its records named; the same through SQL; none is silent."""
    path = tmp_path / "study.duckdb"
    for seed in range(100):
        _check_flip_in_a_value(whole, path, seed)
    values = _values(whole)
    found = sum(_check_flip_anywhere(whole, path, 1_000 + seed, values) for seed in range(100))
    assert 10 < found < 100  # in a file that grew there is room that nobody uses
    path.write_bytes(whole.read_bytes())
    for seed in range(100):
        _check_flip_through_sql(path, seed)


# ------------------------------------------------------------------ the chain of the log


def _chain(found: Checked) -> list[str]:
    return [one.what for one in found.problems if one.kind == "chain"]


NTH = "(SELECT record_id FROM _record_metadata ORDER BY timestamp, seq LIMIT 1 OFFSET 5)"


LINE = f"FROM _record_metadata WHERE record_id = {NTH}"


@pytest.mark.parametrize(
    ("harm", "broken"),
    [
        (f"UPDATE _record_metadata SET user_id = 'somebody else' WHERE record_id = {NTH}", 5),
        (f"UPDATE _record_metadata SET version_keys = '{{\"a\":1}}' WHERE record_id = {NTH}", 5),
        (f"UPDATE _record_metadata SET chain = 'x' WHERE record_id = {NTH}", 5),
        (f"DELETE FROM _record_metadata WHERE record_id = {NTH}", 6),
        ("UPDATE _record_metadata SET seq = CASE seq WHEN 5 THEN 7 WHEN 7 THEN 5 ELSE seq END", 5),
        (f"INSERT INTO _record_metadata SELECT * REPLACE ('2000' AS timestamp) {LINE}", 0),
    ],
)  # fmt: skip
def test_a_tampered_log_is_broken_from_there(connection: Connection, harm: str, broken: int) -> None:
    """A line that was changed, removed, moved or added is where the chain breaks, and the line is named."""
    order = connection.rows("SELECT timestamp, seq, record_id FROM _record_metadata ORDER BY timestamp, seq")
    found = _checked_after(connection, harm)

    [first, *_] = [one for one in found.problems if one.kind == "chain"]
    assert "broken from here on" in first.what
    stamp, seq, record_id = order[broken]
    if harm.startswith("INSERT"):
        stamp, seq, record_id = "2000", order[5][1], order[5][2]
    elif "CASE" in harm:
        record_id = order[7][2]
    assert (first.timestamp, first.record_id) == (stamp, record_id)
    assert f"number {seq} " in first.what


def test_a_tail_that_was_cut_off_shows_by_a_noted_link(connection: Connection) -> None:
    """The chain cannot tell that its end is gone, and says nothing; a link noted earlier can."""
    head = check_connection(connection).head
    last = "timestamp = (SELECT max(timestamp) FROM _record_metadata)"
    records = f"(SELECT record_id FROM _record_metadata WHERE {last})"
    cut = [f"DELETE FROM _records WHERE record_id IN {records}", f"DELETE FROM _record_metadata WHERE {last}"]

    assert not _chain(_checked_after(connection, *cut))
    found: list[Checked] = []

    def harm() -> None:
        for statement in cut:
            connection.execute(statement)
        found.append(check_connection(connection, head=head))
        raise _Undo

    with pytest.raises(_Undo):
        connection.transaction(harm)
    [what] = _chain(found[0])
    assert "does not hold the link" in what
    assert check_connection(connection, head=head).problems == ()


def test_a_removed_line_leaves_the_chain_whole(connection: Connection) -> None:
    """Of a line that was erased its digest stays, over which the chain goes on; without it, it breaks there."""
    from scidb.hashing.ids import line_digest
    from scidb.store.duck.lines import log_line

    [row] = connection.rows(
        "SELECT m.record_id, timestamp, variable_name, s.subject, s.trial, version_keys, content_hash, lineage_id, "
        "schema_version, user_id, seq, call_id, output_num, piece, pieces, chain FROM _record_metadata m JOIN _schema "
        f"s USING (schema_id) WHERE record_id = {NTH}"
    )
    record_id, stamp, name, subject, trial, *rest, chain = row
    digest = line_digest(log_line(record_id, stamp, name, {"subject": subject, "trial": trial}, *rest))
    erase = f"DELETE FROM _record_metadata WHERE record_id = '{record_id}'"
    keep = f"INSERT INTO _erased VALUES ('{stamp}', {rest[5]}, '{digest}', '{chain}', 'r')"

    assert not _chain(_checked_after(connection, erase, keep))
    assert _chain(_checked_after(connection, erase))
    changed = keep.replace(digest, "0" * 64)
    assert "a removed line" in _chain(_checked_after(connection, erase, changed))[0]


def test_references_to_what_was_pruned(study: Path) -> None:
    """References to what was pruned are counted; others to nothing are problems, also where something was pruned."""
    with scidb.open(study) as db:
        for subject in (1, 2):
            Emg.save(np.arange(3.0), subject=subject, trial=9, db=db)
            db.flag(Emg, "odd", subject=subject, trial=9)
            Emg.save(np.arange(4.0), subject=subject, trial=9, db=db)
        assert db.admin.prune(superseded=True, variable=Emg).records == 2
        report = db.admin.check()
    assert report.ok
    assert any("to what was removed" in note for note in report.notes)
    change(study, f"UPDATE _flags SET record_id = '{32 * 'f'}' WHERE timestamp = (SELECT max(timestamp) FROM _flags)")
    assert [one.what for one in check_file(study)] == [f"A flag names a record that is not there: {32 * 'f'}."]


# ------------------------------------------------------------------ repair, views, bad input


def test_repair(study: Path) -> None:
    """What follows from the rest is put right, after a copy was made; what would be a guess stays as it is."""
    statements = [statement for harm in sorted(REPAIRED) for statement in HARM[harm][0]]
    change(study, *statements, 'DELETE FROM "Note_data" WHERE record_no = (SELECT min(record_no) FROM "Note_data")')
    before = study.read_bytes()

    report = check_file(study, repair=True)
    assert not report.ok
    assert {one.kind for one in report if not one.repaired} == {"rows"}
    assert {one.kind for one in report if one.repaired} == {"orphan", "view", "stale", "number"}
    assert report.copy is not None
    copy = Path(report.copy)
    assert copy.read_bytes() == before or not check_file(copy).ok
    assert copy.stat().st_mode & 0o077 == 0
    assert [one.name for one in study.parent.iterdir() if one.suffix == ".duckdb"] == [study.name]
    assert {one.kind for one in check_file(study)} == {"rows"}
    with scidb.open(study, read_only=True) as db:
        assert db.query('SELECT count(*) AS n FROM "Emg"').to_arrow().to_pylist() == [{"n": 24}]


def test_repair_needs_a_writable_database(whole: Path) -> None:
    """What is open read-only is not repaired, and nothing to repair makes no copy."""
    with scidb.open(whole, read_only=True) as db, pytest.raises(StorageError, match="read-only"):
        db.admin.check(repair=True)
    with pytest.raises(StorageError, match="nothing was repaired"):
        ReadOnly(MemoryStore([])).check(repair=True)


def test_nothing_is_copied_for_nothing(study: Path) -> None:
    """Where nothing is to be repaired, no copy is made."""
    assert check_file(study, repair=True).copy is None
    assert [one.name for one in study.parent.iterdir()] == ["study.duckdb"]


def test_a_report_is_shown(study: Path) -> None:
    """People read a table, programs a DataFrame or plain data."""
    change(
        study,
        'INSERT INTO "Step_data" VALUES (99999, 1.0)',
        "UPDATE \"Note_data\" SET value = replace(value, 'ok', 'ko')",
    )
    report = check_file(study, deep=True)

    assert (report.ok, [one.kind for one in report]) == (False, ["content", "orphan"])
    assert "2 problems (" in report.title
    text = report.to_text()
    assert "Note" in text
    assert "subject=1" in text
    assert "delete the rows of no record" in text
    assert report._repr_html_().count("<tr>") == 3
    assert report.to_pandas()["kind"].tolist() == ["content", "orphan"]
    plain = report.to_dict()
    assert plain["ok"] is False
    assert plain["problems"][0]["schema"] == {"subject": 1}
    assert report.record_ids == (plain["problems"][0]["record_id"],)


def test_a_bar_shows_a_long_check(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deep check that takes long shows how many records it has read."""
    drawn: list[tuple[int, int]] = []

    class Bar:
        def __init__(self, label: str, total: int, _: object) -> None:
            self._total = total
            assert label == "check"

        def draw(self, done: int) -> None:
            drawn.append((done, self._total))

        def close(self) -> None: ...

    monkeypatch.setattr(progress, "_AFTER", 0.0)
    monkeypatch.setattr(progress, "_BETWEEN", 0.0)
    monkeypatch.setattr(progress, "_Line", Bar)
    check_file(whole, deep=True, progress=True)
    assert drawn[-1] == (112, 112)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    """What is no database is said to be none, and is not touched."""
    path = tmp_path / "study.duckdb"
    path.write_bytes(b"not a database" * 1_000)
    [problem] = check_file(path)
    assert problem.kind == "unreadable"
    assert "scidb recover" in problem.what
    assert path.read_bytes() == b"not a database" * 1_000
    with pytest.raises(StorageError, match="no database"):
        check_file(tmp_path / "nowhere.duckdb")
