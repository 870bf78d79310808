from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import scidb

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

EXAMPLES = Path(__file__).parents[2] / "examples"
SUBJECTS, TRIALS, STEPS = (1, 2), (1, 2), 8  # steps of each foot


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where gait.py finds its neighbour
    spec.loader.exec_module(module)
    return module


gait_steps: Any = load("gait_steps")
gait: Any = load("gait")

# Of each for_each call: its function, and its combinations with the generated recordings.
CALLS = {
    "read_trial": 4,
    "read_sensor": 12,
    "find_steps": 8,
    "count_steps": 4,
    "compare_feet": 4,
    "count_bounces": 4,
    "summarise": 2,
    "agree": 1,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write recordings of two people, two trials each."""
    path = tmp_path / "recordings"
    path.mkdir()
    for subject in SUBJECTS:
        for trial in TRIALS:
            gait_steps.write_example_recording(path, subject, trial, steps=STEPS)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "gait.duckdb"


def run(folder: Path, file: Path, **workers: Any) -> list[scidb.ForEachReport]:
    with scidb.open(file, gait.KEYS) as db, db.as_current():
        reports: list[scidb.ForEachReport] = gait.run(folder, **workers)
    return reports


def record_ids(file: Path) -> dict[str, list[str | None]]:
    with scidb.open(file) as db:
        return {info.name: [item.record_id for item in db.load_all(info.name)] for info in db.types()}


def computed(reports: Sequence[scidb.ForEachReport]) -> dict[str, int]:
    return {report.function_name: report.completed for report in reports if report.completed}


def settled(reports: Sequence[scidb.ForEachReport]) -> dict[str, int]:
    return {report.function_name: report.up_to_date for report in reports if report.up_to_date}


def sources(db: scidb.DatabaseManager, variable: type[scidb.BaseVariable], **place: Any) -> set[str]:
    return {node.label for node in db.get_lineage_graph(variable, **place).nodes if node.kind == "file"}


# ---------------------------------------------------------------- generated recordings


def test_everything_is_computed_once(folder: Path, file: Path) -> None:
    """The first run computes every combination, the second one none and saves nothing."""
    first = run(folder, file)
    assert computed(first) == CALLS
    assert not any(report.failed or report.skipped for report in first)
    with scidb.open(file) as db:
        before = {info.name: info for info in db.types()}
    second = run(folder, file)
    assert computed(second) == {}
    assert settled(second) == CALLS
    with scidb.open(file) as db:
        assert {info.name: info for info in db.types()} == before


def test_each_level_has_its_variables(folder: Path, file: Path) -> None:
    """Tables and arrays stand at the sensor, numbers at the trial, summaries at the subject and at none."""
    run(folder, file)
    with scidb.open(file) as db, db.as_current():
        recording = gait.Recording.load_one(subject=1, trial=2, sensor="lb").data
        assert list(recording.columns) == ["Time", *gait_steps.COLUMNS]
        steps = gait.Steps.load_one(subject=1, trial=2, sensor="rf").data
        assert (steps.shape, steps.dtype.kind) == ((STEPS, 2), "i")
        assert gait.Trial.load_one(subject=1, trial=2).data["Filename"] == "1-2"
        for subject in SUBJECTS:
            for trial in TRIALS:
                place = {"subject": subject, "trial": trial}
                assert gait.StepCount.load_one(**place).data == 2 * STEPS
                assert gait.HandCheckedStepCount.load_one(**place).data == 2 * STEPS
                assert gait.StepCountError.load_one(**place).data == 0
                assert abs(gait.SymmetryIndex.load_one(**place).data) < 10
            summary = gait.SubjectSummary.load_one(subject=subject).data
            assert (summary["trials"], summary["steps"], summary["checked"]) == (2, 4 * STEPS, 4 * STEPS)
            assert summary["cadence"] == pytest.approx(120 / summary["stride_time"], rel=0.05)
        agreement = gait.Agreement.load_one().data
    assert agreement == {"trials": 4, "steps": 64, "checked": 64, "median_error": 0, "total_error": 0}


def test_a_subjects_number_shows_every_file_it_came_from(folder: Path, file: Path) -> None:
    """The lineage of a summary ends at all files of that person, and at no other's."""
    run(folder, file)
    with scidb.open(file) as db:
        for subject in SUBJECTS:
            expected = {path.name for path in folder.glob(f"{subject}-*")}
            assert len(expected) == 4 * len(TRIALS)
            assert sources(db, gait.SubjectSummary, subject=subject) == expected


def test_a_change_goes_as_far_as_it_has_an_effect(folder: Path, file: Path) -> None:
    """A file that lost its last row is read and searched again; the steps are the same, so nothing else is."""
    run(folder, file)
    path = folder / "2-1_lf.txt"
    path.write_text(path.read_text(encoding="utf-8").rstrip("\n").rpartition("\n")[0] + "\n", encoding="utf-8")
    again = run(folder, file)
    assert computed(again) == {"read_sensor": 1, "find_steps": 1}
    assert settled(again) == CALLS | {"read_sensor": 11, "find_steps": 7}


@pytest.mark.slow
def test_a_change_of_the_signal_processing_is_seen(folder: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A constant that a helper's helper in the other file reads belongs to the code of a step (M4)."""
    run(folder, file)
    monkeypatch.setattr(gait_steps, "GRAVITY", 9.80665)
    assert computed(run(folder, file)) == {"find_steps": 8}


@pytest.mark.slow
def test_a_damaged_file_costs_its_own_results(
    folder: Path, file: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be read is named, the rest is computed, and the command says that a part failed."""
    (folder / "1-2_lf.txt").write_text("Acquisition frequency: 100 Hz\nnothing else\n", encoding="utf-8")
    assert gait.main([str(folder), "--db", str(file)]) == 1
    assert "read_sensor: 11 computed, 1 failed" in capsys.readouterr().out
    assert "1-2_lf.txt" in caplog.text
    with scidb.open(file) as db, db.as_current():
        assert len(list(gait.StepCount.load_all())) == 3
        assert gait.SubjectSummary.load_one(subject=1).data["trials"] == 1
        assert gait.SubjectSummary.load_one(subject=2).data["trials"] == 2
        [failure] = db.failures()
    assert failure.schema == {"subject": 1, "trial": 2, "sensor": "lf"}


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers find the modules of the examples where this process has found them."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))


@pytest.mark.slow
@pytest.mark.usefixtures("importable")
def test_workers_give_the_same_records(folder: Path, tmp_path: Path) -> None:
    """R7: with two processes every record has the id that it has with one; Dask below."""
    pytest.importorskip("loky")
    run(folder, tmp_path / "one.duckdb")
    assert not any(report.failed for report in run(folder, tmp_path / "two.duckdb", n_jobs=2))

    assert record_ids(tmp_path / "two.duckdb") == record_ids(tmp_path / "one.duckdb")


@pytest.mark.slow
@pytest.mark.usefixtures("importable")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_dask_gives_the_same_records(folder: Path, tmp_path: Path) -> None:
    """R7: also a cluster of Dask gives the ids of one process; with the real recordings where there are some."""
    distributed = pytest.importorskip("distributed")
    recordings = Path(os.environ.get("SCIDB_GAIT", folder))
    run(recordings, tmp_path / "one.duckdb")
    run(recordings, tmp_path / "two.duckdb", n_jobs=2)
    with (
        distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        reports = run(recordings, tmp_path / "dask.duckdb", executor=client.get_executor(pure=False))

    assert not any(report.failed for report in reports)
    expected = record_ids(tmp_path / "one.duckdb")
    assert record_ids(tmp_path / "two.duckdb") == expected
    assert record_ids(tmp_path / "dask.duckdb") == expected


# ---------------------------------------------------------------- the command


@pytest.mark.slow
def test_the_script_and_the_module_are_one_analysis(folder: Path, tmp_path: Path) -> None:
    """The script writes gait.duckdb where it is run, and prints a row per subject; imported, it has nothing to do."""
    command = [sys.executable, str(EXAMPLES / "gait.py"), str(folder)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=100)
    assert done.stderr == ""
    rows = [line.split() for line in done.stdout.splitlines() if line[:8].strip().isdecimal()]
    assert [row[:4] for row in rows] == [["1", "2", "32", "32"], ["2", "2", "32", "32"]]
    assert "64 steps in 4 trials, and 64 marked by hand." in done.stdout
    assert "0.0 % in the median trial, +0.0 % in total." in done.stdout
    assert computed(run(folder, tmp_path / "gait.duckdb")) == {}


@pytest.mark.parametrize("what", ["archive", "empty", "missing"])
def test_what_is_no_folder_of_recordings_is_refused(
    tmp_path: Path, file: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An archive, an empty folder and no folder are told apart from recordings before a database is made."""
    path = tmp_path / what
    if what == "archive":
        path.write_bytes(b"\xfd7zXZ\x00")
    elif what == "empty":
        path.mkdir()
    with pytest.raises(SystemExit) as caught:
        gait.main([str(path), "--db", str(file)])
    assert caught.value.code == 2
    message = capsys.readouterr().err
    assert (f"tar -xf {path}" if what == "archive" else f"{path} is no folder of recordings") in message
    assert not file.exists()


def test_a_file_that_is_no_database_is_kept(folder: Path, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file of another kind under --db is refused in one line and left as it is."""
    file.write_text("my notes", encoding="utf-8")
    with pytest.raises(SystemExit) as caught:
        gait.main([str(folder), "--db", str(file)])
    assert caught.value.code == 1
    message = capsys.readouterr().err
    assert file.name in message
    assert "Traceback" not in message
    assert file.read_text(encoding="utf-8") == "my notes"


# ---------------------------------------------------------------- the real recordings


@pytest.mark.skipif("SCIDB_GAIT" not in os.environ, reason="SCIDB_GAIT does not name the folder of the recordings")
def test_the_real_recordings(file: Path) -> None:
    """All 86: found and hand-checked steps differ by 5 % at most, and a second run computes nothing."""
    folder = Path(os.environ["SCIDB_GAIT"])
    first = run(folder, file)
    assert not any(report.failed or report.skipped for report in first)
    assert computed(first)["count_steps"] == 86
    second = run(folder, file)
    assert computed(second) == {}
    assert settled(second) == computed(first)
    with scidb.open(file) as db, db.as_current():
        agreement = gait.Agreement.load_one().data
        assert agreement["median_error"] <= 5
        assert abs(agreement["total_error"]) <= 5
        summaries = {summary.schema["subject"]: summary.data for summary in gait.SubjectSummary.load_all()}
        assert len(summaries) == 15
        for subject, summary in summaries.items():
            assert summary["cadence"] == pytest.approx(120 / summary["stride_time"], rel=0.1)
            assert sources(db, gait.SubjectSummary, subject=subject) == {p.name for p in folder.glob(f"{subject}-*")}
