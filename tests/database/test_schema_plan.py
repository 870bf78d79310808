"""The end-to-end checks of the plan of the schema: its list "Verification", by number."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pytest

import scidb
from scidb import BaseVariable, configure_database, for_each

if TYPE_CHECKING:
    from pathlib import Path

    from scidb import DatabaseManager

pytestmark = pytest.mark.above_stores


class Raw(BaseVariable):
    """What was measured."""


class Smooth(BaseVariable):
    """What was made of it."""


class Total(BaseVariable):
    """What was made of that."""


def smooth(raw: float, smoothing: float) -> float:
    return raw * smoothing


@pytest.fixture
def raw(db: DatabaseManager) -> DatabaseManager:
    db.save_many(Raw, [(float(subject), {"subject": subject, "trial": 1}) for subject in (1, 2)])
    return db


def stored(db: DatabaseManager, variable: type[BaseVariable]) -> tuple[int, int]:
    """Return how many records and how many entries there are."""
    info = next(info for info in db.types() if info.name == variable.__name__)
    return info.records, info.entries


def test_verification_1(tmp_path: Path) -> None:
    """Verification 1: a database needs a path and keys, and no second file for lineage."""
    with configure_database(tmp_path / "test.duckdb", ["subject", "trial"]) as db:
        assert db.schema_keys == ("subject", "trial")
        Raw.save(1.0, subject=1, trial=1)
        for_each(smooth, {"raw": Raw, "smoothing": 0.5}, [Smooth], subject=[], trial=[])
        assert db.get_provenance(Smooth) is not None
    assert [path.name for path in tmp_path.iterdir()] == ["test.duckdb"]
    assert inspect.signature(configure_database).parameters["pipeline_db_path"].default is None


def test_verification_2_and_3(raw: DatabaseManager) -> None:
    """Verification 2, 3: what was saved by hand and by for_each under several settings is found by its version keys."""
    Smooth.save(-1.0, subject=1, trial=1, smoothing=0.2)
    Smooth.save(-2.0, subject=1, trial=1, smoothing=0.2, window="hann")
    for smoothing in (0.3, 0.5):
        for_each(smooth, {"raw": Raw, "smoothing": smoothing}, [Smooth], subject=[], trial=[])

    assert Smooth.load(smoothing=0.2, window=None).data == -1.0
    assert Smooth.load(smoothing=0.2, window="hann").data == -2.0
    assert [one.data for one in Smooth.load(smoothing=0.3)] == [0.3, 0.6]
    assert Smooth.load(smoothing=0.5, subject=2).version_keys == {"smoothing": 0.5}
    assert len(Smooth.load(subject=1)) == 4
    with pytest.raises(scidb.exceptions.NotFoundError):
        Smooth.load(smoothing=0.7)


def test_verification_5(raw: DatabaseManager) -> None:
    """Verification 5, A5: a parameter that goes 0.2, 0.3, 0.2 has the same record again and computes nothing anew."""
    reports = [
        for_each(smooth, {"raw": Raw, "smoothing": smoothing}, [Smooth], subject=[], trial=[])
        for smoothing in (0.2, 0.3, 0.2)
    ]
    assert [report.completed for report in reports] == [2, 2, 0]
    assert Smooth.load_one(subject=2, smoothing=0.2).data == 0.4

    # By hand, under one set of version keys: the reverted value is the same record at a new time.
    first = Smooth.save(0.2, subject=3)
    Smooth.save(0.3, subject=3)
    before = Smooth.load_one(subject=3).timestamp or ""
    assert Smooth.save(0.2, subject=3) == first
    latest = Smooth.load_one(subject=3)
    assert (latest.record_id, latest.data) == (first, 0.2)
    assert (latest.timestamp or "") > before


def test_a4_save_a_b_a(db: DatabaseManager) -> None:
    """A4: after A, B, A at one place the latest is A; the log has three lines, and two records are stored."""
    a = Raw.save(1.0, subject=1)
    b = Raw.save(2.0, subject=1)
    assert Raw.save(1.0, subject=1) == a

    assert Raw.load_one(subject=1).record_id == a
    assert [entry["record_id"] for entry in Raw.list_versions(subject=1)] == [a, b, a]
    assert stored(db, Raw) == (2, 3)
    assert sorted(one.data for one in Raw.load_all(version_id="all")) == [1.0, 2.0]


def test_a4_in_the_file(tmp_path: Path) -> None:
    """A4: the data table has two rows for three lines of the log."""
    with scidb.open(tmp_path / "test.duckdb", ["subject"]) as db:
        for value in (1.0, 2.0, 1.0):
            db.save(Raw, value, subject=1)
        count = "SELECT (SELECT count(*) FROM Raw_data) AS data, (SELECT count(*) FROM _record_metadata) AS log"
        assert db.query(count).to_arrow().to_pylist() == [{"data": 2, "log": 3}]
        assert db.query("SELECT value FROM Raw").to_arrow().to_pylist() == [{"value": 1.0}]


def test_a5_code_a_b_a(raw: DatabaseManager) -> None:
    """A5: code that goes A, B, A ends with A's number as the latest, the same record, and nothing computed again."""

    def step(factor: float) -> None:
        def change(raw: float) -> float:
            return raw * factor

        report = for_each(change, {"raw": Raw}, [Smooth], subject=[], trial=[])
        reports.append((report.completed, report.recalled, report.up_to_date))

    reports: list[tuple[int, int, int]] = []
    step(2.0)
    first = Smooth.load_one(subject=1)
    step(3.0)
    assert Smooth.load_one(subject=1).data == 3.0
    step(2.0)

    latest = Smooth.load_one(subject=1)
    assert reports == [(2, 0, 0), (2, 0, 0), (0, 2, 0)]
    assert (latest.record_id, latest.data) == (first.record_id, 2.0)
    assert (latest.timestamp or "") > (first.timestamp or "")


def test_verification_8_for_plain_saves(db: DatabaseManager) -> None:
    """Verification 8: saving the same again adds a line to the log and stores no data again."""
    for repeat in (1, 2, 3):
        Raw.save(1.0, subject=1)
        assert stored(db, Raw) == (1, repeat)


def test_verification_8_for_runs(raw: DatabaseManager) -> None:
    """Verification 8: with skip_computed=False a second run logs everything again; otherwise it writes no entry."""

    def run(*, skip_computed: bool = True, force: bool = False) -> tuple[int, int]:
        inputs = {"raw": Raw, "smoothing": 0.5}
        for_each(smooth, inputs, [Smooth], subject=[], trial=[], skip_computed=skip_computed, force=force)
        return stored(raw, Smooth)

    assert run() == (2, 2)
    assert run() == (2, 2)
    assert run(skip_computed=False) == (2, 4)
    assert run(force=True) == (2, 6)
    assert len(raw.log()) == 2 + 6


def test_verification_7(raw: DatabaseManager) -> None:
    """Verification 7: get_provenance traces the computation graph, step by step, down to what was measured."""

    def total(smooth: list[float]) -> float:
        return sum(smooth)

    for_each(smooth, {"raw": Raw, "smoothing": 0.5}, [Smooth], subject=[], trial=[])
    for_each(total, {"smooth": Smooth}, [Total], subject=[])
    at: list[tuple[str, str]] = []
    ids = [raw.find_record(Total, subject=2).record_id]
    while ids:
        made = raw.get_provenance(ids[0])
        at.append((ids[0], made["function_name"] if made else "by hand"))
        ids = [one["record_id"] for one in made["inputs"]] if made else []
    assert [name for _, name in at] == ["total", "smooth", "by hand"]
    assert at[-1][0] == raw.find_record(Raw, subject=2).record_id
    graph = raw.get_lineage_graph(Total, subject=2)
    assert {node.id for node in graph.nodes if node.kind == "record"} == {record_id for record_id, _ in at}


def edge_sets(db: DatabaseManager) -> list[tuple[str, str, str, int]]:
    """Return the sets of edges in the file: target, function, sources, and how often there is such a set."""
    query = (
        "SELECT target, function_name, sources, count(*) AS sets FROM (SELECT target, function_name, timestamp, "
        "string_agg(source, ' ' ORDER BY source) AS sources FROM _lineage GROUP BY ALL) GROUP BY ALL ORDER BY ALL"
    )
    return [tuple(row.values()) for row in db.query(query).to_arrow().to_pylist()]


def test_verification_9(tmp_path: Path) -> None:
    """Verification 9: _lineage has one set of edges per for_each call, blind to keys; the newest is the current one."""
    with configure_database(tmp_path / "test.duckdb", ["subject", "trial"]) as db:
        Raw.save_many([(float(subject), {"subject": subject, "trial": 1}) for subject in (1, 2, 3)])
        inputs = {"raw": Raw, "smoothing": 0.5}
        for_each(smooth, inputs, [Smooth], subject=[], trial=[])
        assert edge_sets(db) == [("Smooth", "smooth", "0.5 Raw", 1)]
        for_each(smooth, inputs, [Smooth], subject=[1], trial=[])  # up to date
        for_each(smooth, inputs, [Smooth], subject=[2], trial=[], force=True)
        assert edge_sets(db) == [("Smooth", "smooth", "0.5 Raw", 3)]
        for_each(smooth, inputs, [Smooth], subject=[], trial=[], dry_run=True)
        for_each(smooth, inputs, [Smooth], subject=[], trial=[], save=False)
        assert edge_sets(db) == [("Smooth", "smooth", "0.5 Raw", 3)]
        for_each(smooth, {"raw": Smooth, "smoothing": 0.5}, [Total], subject=[], trial=[])
        current = db.get_pipeline_structure()
        assert [(one["source"], one["target"]) for one in current] == [
            ("0.5", "Smooth"),
            ("Raw", "Smooth"),
            ("0.5", "Total"),
            ("Smooth", "Total"),
        ]
        newest = db.query("SELECT max(timestamp) AS t FROM _lineage WHERE target = 'Smooth'").to_arrow().to_pylist()
        assert {one["timestamp"] for one in current if one["target"] == "Smooth"} == {newest[0]["t"]}


def test_the_current_pipeline_follows_the_inputs(raw: DatabaseManager) -> None:
    """The current edges of a target and function are those of the newest call: an input that it lost is gone."""
    for_each(smooth, {"raw": Raw, "smoothing": 0.5}, [Smooth], subject=[], trial=[])
    Total.save_many([(float(subject), {"subject": subject, "trial": 1}) for subject in (1, 2)])
    for_each(smooth, {"raw": Total, "smoothing": 0.5}, [Smooth], subject=[], trial=[])
    current = raw.get_pipeline_structure()
    assert [(one["source"], one["target"], one["function_name"]) for one in current] == [
        ("0.5", "Smooth", "smooth"),
        ("Total", "Smooth", "smooth"),
    ]
    assert current[0].keys() == {"source", "target", "function_name", "function_hash", "timestamp"}
