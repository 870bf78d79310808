"""Erasing a participant: everything of theirs goes, from the file as well, and nothing of anybody else."""

from __future__ import annotations

import secrets
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pytest

import scidb
from scidb import BaseVariable, for_each, thunk
from scidb.exceptions import InterruptedErasureWarning, NotFoundError, SchemaKeyError, SciDBError, StorageError
from scidb.hashing.ids import chain_link
from scidb.store.duck import store as duck_store
from scidb.store.duck.checking.repairing import copy_beside
from scidb.store.duck.keeping import keep_copy
from scidb.store.duck.store import DuckStore
from scidb.store.model import Calls, Entries, Failures, Latest, Match, MemoEntries, Pruned, Runs

if TYPE_CHECKING:
    from pathlib import Path

    from scidb import DatabaseManager

pytestmark = pytest.mark.above_stores


class Emg(BaseVariable):
    """Muscle activity."""


class Peak(BaseVariable):
    """Its largest value."""


class Group(BaseVariable):
    """Over all subjects."""


class Remark(BaseVariable):
    """What somebody wrote."""


class Report(BaseVariable):
    """A file."""


def peak(emg: list[float], gain: float = 1.0) -> float:
    return gain * max(emg)


def group(peak: list[float]) -> float:
    return sum(peak)


def run(db: DatabaseManager, **options: Any) -> None:
    """Compute peaks and the group's."""
    for_each(peak, {"emg": Emg}, [Peak], db=db, progress=False, subject=[], **options)
    for_each(group, {"peak": Peak}, [Group], db=db, progress=False)


def test_everything_of_a_participant_goes(db: DatabaseManager) -> None:
    """Every version of every variable, deeper levels, and what was made of it elsewhere; the others stay."""
    for gain in (1.0, 2.0):
        for subject in (1, 12):
            Emg.save([gain, 3.0 + subject + gain], subject=subject)
        run(db)
    Remark.save("tired", subject=12, trial=3)
    Remark.save("fine", subject=1, trial=3)
    others = {one.record_id for one in db.log() if one.schema.get("subject") == 1}

    plan = db.admin.erase(subject=12, dry_run=True)
    assert not plan.done
    assert {one.variable: one.records for one in plan.here} == {"Emg": 2, "Peak": 2, "Remark": 1}
    assert {one.variable: one.records for one in plan.derived} == {"Group": 2}
    assert len(db.log(subject=12)) == 5
    assert db.admin.erase({"subject": "12"}, reason="withdrew").done

    assert db.log(subject=12) == []
    assert db.distinct_schema_values("subject") == [1]
    assert {one.record_id for one in db.log()} == others
    assert not list(Group.load_all())
    [proof] = db.admin.removals()
    assert (proof.kind, proof.records, proof.reason, proof.is_rewritten) == ("erase", plan.records, "withdrew", True)
    run(db)
    assert Group.load_one().data == 6.0


def test_equal_data_of_somebody_else_stays(db: DatabaseManager) -> None:
    """Two subjects with equal data share a computation and no call: the other's result and memo stay (M6a)."""
    for subject in (12, 1):
        Emg.save([1.0, 5.0], subject=subject)
        for_each(peak, {"emg": Emg}, [Peak], db=db, progress=False, subject=[subject])
    shared = {one.lineage_id for one in db.log(Peak)}
    assert len(shared) == 1
    db.admin.erase(subject=12)

    [left] = Peak.load_all()
    story = db.get_provenance(left)
    assert story is not None
    assert [one["metadata"] for one in story["inputs"]] == [{"subject": 1}]
    assert story["recalled_from"].startswith("removed:")
    Emg.save([1.0, 5.0], subject=3)
    again = for_each(peak, {"emg": Emg}, [Peak], db=db, progress=False, subject=[3])
    assert (again.recalled, again.completed) == (1, 0)

    db.admin.erase(subject=1)
    db.admin.erase(subject=3)
    assert db._store.find(MemoEntries()) == []
    Emg.save([1.0, 5.0], subject=4)
    assert for_each(peak, {"emg": Emg}, [Peak], db=db, progress=False, subject=[4]).completed == 1


def test_a_result_that_came_out_equal_without_them_stays(db: DatabaseManager) -> None:
    """A value that another call made, too, from other records, keeps its line and its data; theirs go."""

    @thunk
    def most(emg: list[float]) -> float:
        return max(emg)

    for subject, values in ((12, [1.0, 5.0]), (1, [2.0, 5.0])):
        Group.save(most(Emg.load_one(version=Emg.save(values, subject=subject))))
    [first, second] = db.log(Group)
    assert first.record_id == second.record_id
    db.admin.erase(subject=12)
    [left] = db.log(Group)
    assert left.call_id == first.call_id
    assert Group.load_one().data == 5.0


def test_a_pipeline_that_hands_on_unsaved_results(db: DatabaseManager) -> None:
    """What was made of a result that was handed on unsaved goes with the subject as which it was saved."""

    @thunk
    def read(path: str) -> list[float]:
        return [float(len(path)), 2.0]

    @thunk
    def total(values: list[float]) -> float:
        return sum(values)

    for subject in (1, 12):
        values = read(f"raw/{subject}.csv")
        summed = total(values)  # of what is not saved yet
        Emg.save(values, subject=subject)
        Group.save(summed, of=f"s{subject}")
    db.admin.erase(subject=12)
    assert [one.version_keys for one in db._store.find(Latest(Match(("Group",))))] == ['{"of":"s1"}']
    inputs = [one for call in db._store.find(Calls(tuple(e.call_id or "" for e in db.log()))) for one in call.inputs]
    assert not any("12.csv" in (one.value_repr or "") for one in inputs)


def test_what_tells_of_them_goes_as_well(db: DatabaseManager) -> None:
    """Failures at their place or of their data, and settings of runs that name them, are forgotten."""

    def fail(emg: list[float]) -> float:
        raise ValueError(emg)

    for subject in (1, 12):
        Emg.save([1.0, 5.0 + subject], subject=subject)
    for_each(fail, {"emg": Emg}, [Peak], db=db, progress=False, subject=[])
    for_each(fail, {"emg": Emg}, [Group], db=db, progress=False)
    fixed = scidb.Fixed(Emg, subject=12)
    for_each(peak, {"emg": fixed}, [Peak], db=db, progress=False, subject=[1])
    for_each(peak, {"emg": Emg}, [Peak], db=db, progress=False, subject=[1], where=scidb.schema_key("subject") != 12)
    plan = db.admin.erase(subject=12, dry_run=True)
    assert plan.failures == 2
    assert plan.runs == 2
    assert plan.mentions == ("Peak",)
    db.admin.erase(subject=12)
    assert [one.schema for one in db._store.find(Failures())] == [{"subject": 1}]
    assert sum(one.configuration is None for one in db._store.find(Runs())) == 2
    assert [one.version_keys.count("Fixed") for one in db.log(Peak)] == [0]


def test_files_are_listed_and_not_touched(db: DatabaseManager, tmp_path: Path) -> None:
    """Exports that hold them, and files that functions wrote of them, are named; what is noted of them goes."""

    @thunk(generates_file=True)
    def plot(emg: list[float], path: Path) -> None:
        path.write_text(str(emg))

    for subject in (1, 12):
        Emg.save([1.0 * subject], subject=subject)
    db.export_to_csv(Emg, tmp_path / "both.csv")
    db.export_to_csv(Emg, tmp_path / "theirs.csv", subject=12)
    for subject in (1, 12):
        Report.save(plot(Emg.load_one(subject=subject), tmp_path / f"{subject}.txt"), subject=subject)
    plan = db.admin.erase(subject=12)
    assert [path.rsplit("/", 1)[-1] for path in plan.exports] == ["both.csv", "theirs.csv"]
    assert [path.rsplit("/", 1)[-1] for path in plan.generated] == ["12.txt"]
    assert all((tmp_path / name).exists() for name in ("both.csv", "theirs.csv", "12.txt", "1.txt"))
    assert [row.name.rsplit("/", 1)[-1] for row in db.impact(Emg, subject=1) if row.kind == "export"] == ["both.csv"]
    assert db.get_provenance_by_schema(subject=12) == []


def test_flags_and_what_was_pruned_before_go_as_well(db: DatabaseManager) -> None:
    """A flag says something of them; and a line that was pruned still named them."""
    for value in (1.0, 2.0):
        Emg.save([value], subject=12)
        Emg.save([value], subject=1)
        run(db)
    db.flag(Emg, "left early", subject=12)
    db.flag(Emg, "fine", subject=1, pin=True)
    db.admin.prune(superseded=True)
    db.admin.erase(subject=12)
    assert [flag.reason for flag in db.flags()] == ["fine"]
    assert {line.record.schema.get("subject") for line in db._store.find(Pruned())} == {1}
    assert db.admin.check(deep=True).problems == ()


def test_what_cannot_be_meant_is_refused(db: DatabaseManager) -> None:
    """Nobody, a key that is none, a value that is none, and somebody of whom nothing is known."""
    Emg.save([1.0], subject=1)
    with pytest.raises(SciDBError, match="subject=12"):
        db.admin.erase()
    with pytest.raises(SchemaKeyError, match="Did you mean"):
        db.admin.erase(subjects=12)
    with pytest.raises(SchemaKeyError):
        db.admin.erase(subject="twelve")
    with pytest.raises(NotFoundError, match="subject=1"):
        db.admin.erase(subject=12)


# ------------------------------------------------------------------ the file


def _bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir() if not path.name.endswith(".lock"))


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Return the path of a file in a folder of its own."""
    folder = tmp_path / "study"
    folder.mkdir()
    return folder / "study.duckdb"


def _numbers(seed: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return numbers of which no two bits can be guessed, so that no compression takes them apart."""
    made = np.random.default_rng(seed).integers(-(2**63), 2**63 - 1, 3_000, dtype=np.int64).view(np.float64)
    return made[np.isfinite(made)]


def _found(numbers: np.ndarray[Any, np.dtype[np.float64]], data: bytes) -> int:
    """Return how many of these numbers stand somewhere in the data, at whatever byte they begin."""
    wanted = np.unique(numbers.view(np.uint64))
    found = [np.intersect1d(np.frombuffer(data, np.uint64, (len(data) - at) // 8, at), wanted) for at in range(8)]
    return len(np.unique(np.concatenate(found)))


def test_no_byte_of_the_values_stays_in_the_file(study: Path) -> None:
    """Numbers, texts, documents, previews and messages are found in the file before, and nowhere after."""

    def fail(remark: str) -> str:
        raise ValueError(f"cannot read {remark}")

    numbers = {subject: _numbers(subject) for subject in (1, 12)}
    texts = {subject: secrets.token_hex(24) for subject in (1, 12)}
    with scidb.open(study, ["subject", "trial"]) as db, db.as_current():
        for subject in (1, 12):
            Emg.save(numbers[subject], subject=subject)
            Remark.save(texts[subject], subject=subject)
            Remark.save({"words": [texts[subject], {"n": [1, texts[subject][::-1]]}]}, subject=subject, trial=1)
        for_each(fail, {"remark": Remark}, [Report], db=db, progress=False, subject=[])
        for_each(_first, {"emg": Emg}, [Peak], db=db, progress=False, subject=[])
    before = _bytes(study.parent)
    for subject in (1, 12):
        assert _found(numbers[subject], before) == len(numbers[subject])
        assert texts[subject].encode() in before
    assert b"cannot read " + texts[12].encode() in before

    with scidb.open(study) as db:
        db.admin.erase(subject=12)
        after = _bytes(study.parent)  # while the handle is open
        assert Peak.load_one(subject=1, db=db).data == numbers[1][0]
    for data in (after, _bytes(study.parent)):
        assert _found(numbers[12], data) == 0
        for text in (texts[12], texts[12][::-1]):
            assert not any(text[at : at + 12].encode() in data for at in range(len(text) - 12))
        assert texts[1].encode() in data
        assert _found(numbers[1], data) == len(numbers[1])


def _first(emg: Any) -> float:
    return float(emg[0])


def test_copies_beside_the_file_are_named(study: Path) -> None:
    """Copies from before a migration or a repair hold them still, as do backups: the plan names them, and they stay."""
    text = secrets.token_hex(24)
    with scidb.open(study, ["subject"]) as db:
        Remark.save(text, subject=12, db=db)
        assert db.admin.erase(subject=12, dry_run=True).copies == ()
        store: Any = db._store
        with pytest.raises(StorageError, match="would lack what is in the log"):
            keep_copy(store._store._connection, "format", "2")
        repaired = copy_beside(store._store._connection)
        made = keep_copy(store._store._connection, "format", "2")
        draft = study.with_name(".study.duckdb.format-2.part")  # of a process that was killed
        draft.write_text(text)
        study.with_name("study.duckdb.notes").write_text("mine")
        study.with_name("other.duckdb.format-2").write_text("of another database")
        backup = db.admin.backup(study.parent / "backups").path
        plan = db.admin.erase(subject=12)
    assert plan.copies == tuple(sorted(map(str, (made, repaired, draft))))
    assert plan.backups == (backup,)
    assert {"copies", "backups"} <= plan.to_dict().keys()
    assert text.encode() not in study.read_bytes()
    for copy in (made, repaired):
        assert text.encode() in copy.read_bytes()


def test_an_erasure_that_could_not_rewrite_the_file_says_so(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without room for the new file nothing is erased; when that fails later, it is said, and compact completes it."""
    text = secrets.token_hex(24)
    with scidb.open(study, ["subject"]) as db:
        Remark.save(text, subject=12, db=db)
        monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1_000))
        with pytest.raises(StorageError, match=r"1,000 bytes are free\. Nothing was written"):
            db.admin.erase(subject=12)
        assert len(db.log()) == 1
        monkeypatch.undo()

        def fail(*_: object) -> None:
            raise StorageError("The disk is full.")

        monkeypatch.setattr(duck_store, "compact", fail)
        with pytest.raises(StorageError, match=r"still in the file: The disk is full. Then run `scidb compact`"):
            db.admin.erase(subject=12)
        assert db.log() == []
        assert [one.is_rewritten for one in db.admin.removals()] == [False]
        monkeypatch.undo()
        assert [one.kind for one in db.admin.check()] == ["erased"]
    with scidb.open(study, read_only=True) as db:
        assert not db.admin.check().ok
    with pytest.warns(InterruptedErasureWarning, match="Run `scidb compact`"):
        db = scidb.open(study)
    with db:
        assert text.encode() in _bytes(study.parent)
        db.admin.erase(subject=12)  # nothing is left in the log
        assert [one.is_rewritten for one in db.admin.removals()] == [True]
        assert text.encode() not in _bytes(study.parent)
        assert db.admin.check().ok
    scidb.open(study).close()


def test_the_chain_still_verifies(study: Path) -> None:
    """Every link follows from the one before, with the digests of what was pruned and erased in place of its lines."""
    with scidb.open(study, ["subject"]) as db, db.as_current():
        for value in (1.0, 2.0, 3.0):
            for subject in (1, 12):
                Emg.save([value], subject=subject)
            run(db)
        db.admin.prune(superseded=True, variable=Emg)
        db.admin.erase(subject=12)
        Emg.save([4.0], subject=1)
        digests = {(one.timestamp, one.seq) for one in db._store.find(Entries())}
    with duckdb.connect(study) as connection:
        erased = connection.execute("SELECT timestamp, seq, line, chain FROM _erased").fetchall()
        stored = connection.execute("SELECT timestamp, seq, NULL, chain FROM _record_metadata").fetchall()
        for table, key in (("_computations", "lineage_id"), ("_call_inputs", "call_id")):
            lost = f"SELECT count(*) FROM {table} WHERE {key} NOT IN (SELECT {key} FROM _calls)"
            assert connection.execute(lost).fetchall() == [(0,)]
    lines = sorted([*erased, *stored])
    assert len(erased) > 4
    assert {(stamp, seq) for stamp, seq, line, _ in lines if line is None} == digests
    previous, checked = "", 0
    for _, _, line, chain in lines:
        if line is not None:
            assert chain_link(previous, line) == chain
            checked += 1
        previous = chain
    assert checked == len(erased)


def test_the_proof_names_nobody(study: Path) -> None:
    """What stays says how much, when, by whom and why; neither records nor values of keys."""
    with scidb.open(study, {"subject": str}) as db:
        Remark.save("x", subject="P-0012-k", db=db)
        record_id = Remark.save("y", subject="P-0012-k", db=db)
        db.admin.erase(subject="P-0012-k")
        assert isinstance(db._store._store, DuckStore)  # type: ignore[attr-defined]
    data = study.read_bytes()
    assert b"P-0012-k" not in data
    assert record_id.encode() not in data
