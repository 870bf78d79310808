"""for_each over the facade: what runs, what is skipped, what is kept."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

import scidb
from scidb import BaseVariable, DatabaseManager, Fixed, ForEachConfig, PathInput, exceptions, for_each, thunk

if TYPE_CHECKING:
    from pathlib import Path


class Raw(BaseVariable):
    pass


class Factor(BaseVariable):
    pass


class Mean(BaseVariable):
    pass


class Spread(BaseVariable):
    pass


class Group(BaseVariable):
    pass


def mean(signal: Any, k: float = 1.0) -> float:
    return float(np.mean(signal) * k)


def total(values: list[float]) -> float:
    return sum(values)


@pytest.fixture
def raw(db: DatabaseManager) -> DatabaseManager:
    """Three subjects with two trials each."""
    Raw.save_many([(np.arange(5.0) + 10 * s + t, {"subject": s, "trial": t}) for s in (1, 2, 10) for t in (1, 2)])
    return db


def counts(report: scidb.ForEachReport) -> tuple[int, int, int, int, int]:
    return report.completed, report.recalled, report.up_to_date, report.skipped, report.failed


def entries(db: DatabaseManager, name: str) -> int:
    return {info.name: info.entries for info in db.types()}.get(name, 0)


def test_every_existing_combination_is_computed(raw: DatabaseManager) -> None:
    """``[]`` visits what exists, in natural order, and saves under the constants."""
    report = for_each(mean, {"signal": Raw, "k": 2.0}, [Mean], subject=[], trial=[])

    assert counts(report) == (6, 0, 0, 0, 0)
    assert list(report.to_pandas()["subject"]) == [1, 1, 2, 2, 10, 10]
    loaded = Mean.load_one(subject=10, trial=1)
    assert loaded.data == 2 * 103.0
    assert loaded.version_keys == {"k": 2.0}


def test_a_second_run_writes_nothing_but_the_run(raw: DatabaseManager) -> None:
    """R4: what is up to date is neither run nor logged again."""
    for_each(mean, {"signal": Raw}, [Mean], subject=[], trial=[])
    before = entries(raw, "Mean")

    report = for_each(mean, {"signal": Raw}, [Mean], subject=[], trial=[])

    assert counts(report) == (0, 0, 6, 0, 0)
    assert entries(raw, "Mean") == before == 6


def test_only_what_changed_is_computed(raw: DatabaseManager) -> None:
    """A changed input recomputes its own combination; an equal intermediate stops the wave."""
    for_each(mean, {"signal": Raw}, [Mean], subject=[], trial=[])
    for_each(total, {"values": Mean}, [Group], subject=[])
    Raw.save(np.arange(5.0) + 11, subject=1, trial=2)

    assert counts(for_each(mean, {"signal": Raw}, [Mean], subject=[], trial=[])) == (0, 1, 5, 0, 0)
    assert counts(for_each(total, {"values": Mean}, [Group], subject=[])) == (1, 0, 2, 0, 0)


def test_a_parameter_and_back(raw: DatabaseManager) -> None:
    """A5: 2.0 -> 3.0 -> 2.0 computes twice, and each variant keeps its own latest."""
    runs = [for_each(mean, {"signal": Raw, "k": k}, [Mean], subject=[1], trial=[1]) for k in (2.0, 3.0, 2.0)]

    assert [counts(run)[:3] for run in runs] == [(1, 0, 0), (1, 0, 0), (0, 0, 1)]
    assert Mean.load_one(subject=1, k=2.0).data == 26.0


def test_code_and_back(raw: DatabaseManager) -> None:
    """A5: code A -> B -> A ends with A's number as the latest and runs nothing twice."""

    def make(offset: float) -> Any:
        def shift(signal: Any) -> float:
            return float(np.mean(signal)) + offset

        return shift

    runs = [for_each(make(offset), {"signal": Raw}, [Mean], subject=[1], trial=[1]) for offset in (0.0, 1.0, 0.0)]

    assert [counts(run)[:3] for run in runs] == [(1, 0, 0), (1, 0, 0), (0, 1, 0)]
    assert Mean.load_one(subject=1).data == 13.0
    assert len(Mean.list_versions(subject=1)) == 3
    assert {info.name: info.records for info in raw.types()}["Mean"] == 2


def test_force_computes_everything(raw: DatabaseManager) -> None:
    """``force=True`` and ``skip_computed=False`` compute and log again."""
    for_each(mean, {"signal": Raw}, [Mean], subject=[1], trial=[1])

    assert counts(for_each(mean, {"signal": Raw}, [Mean], subject=[1], trial=[1], force=True))[0] == 1
    assert counts(for_each(mean, {"signal": Raw}, [Mean], subject=[1], trial=[1], skip_computed=False))[0] == 1
    assert entries(raw, "Mean") == 3


def test_equal_inputs_are_computed_once(raw: DatabaseManager) -> None:
    """M6a: two subjects with equal data share the computation, and each names its own input."""
    Raw.save_many([(np.ones(3), {"subject": s, "trial": 9}) for s in (1, 2)])
    calls: list[int] = []

    def once(signal: Any) -> float:
        calls.append(1)
        return float(np.sum(signal))

    report = for_each(thunk(ignore=["calls"])(once), {"signal": Raw}, [Mean], subject=[1, 2], trial=[9])

    assert counts(report) == (1, 1, 0, 0, 0)
    assert len(calls) == 1
    for subject in (1, 2):
        made = raw.get_provenance(Mean, subject=subject)
        assert made is not None
        assert [item["metadata"]["subject"] for item in made["inputs"]] == [subject]


def test_fewer_keys_mean_aggregation(raw: DatabaseManager) -> None:
    """The function gets the list of all matches, in natural order."""
    for_each(mean, {"signal": Raw}, [Mean], subject=[], trial=[])
    seen: dict[int, list[float]] = {}

    def keep(values: list[float]) -> int:
        seen[len(seen)] = list(values)
        return len(values)

    report = for_each(thunk(ignore=["seen"])(keep), {"values": Mean}, [Group])

    assert counts(report) == (1, 0, 0, 0, 0)
    assert seen == {0: [13.0, 14.0, 23.0, 24.0, 103.0, 104.0]}


def test_as_table_gives_keys_and_values(raw: DatabaseManager) -> None:
    """``as_table`` gives a DataFrame of keys and a column named after the variable."""
    for_each(mean, {"signal": Raw, "k": 2.0}, [Mean], subject=[], trial=[])

    def slope(table: pd.DataFrame) -> dict[str, Any]:
        return {"columns": list(table.columns), "trials": [int(t) for t in table["trial"]]}

    for_each(slope, {"table": Mean}, [Group], subject=[], as_table=True)

    assert Group.load_one(subject=2).data == {"columns": ["subject", "trial", "k", "Mean"], "trials": [1, 2]}


def test_coarser_inputs_serve_every_combination(raw: DatabaseManager) -> None:
    """An input stored per subject is used for all its trials, and cannot be spoilt by one of them."""
    Factor.save_many([([float(s)], {"subject": s}) for s in (1, 2, 10)])

    def scaled(signal: Any, factor: list[float]) -> float:
        factor[0] *= 2
        return float(signal[0] * factor[0])

    for_each(scaled, {"signal": Raw, "factor": Factor}, [Mean], subject=[], trial=[])

    assert [item.data for item in Mean.load_all(subject=2)] == [21 * 4.0, 22 * 4.0]


def test_fixed_keys(raw: DatabaseManager) -> None:
    """A Fixed input comes from one place, whatever the combination says."""

    def difference(signal: Any, baseline: Any) -> float:
        return float(np.mean(signal) - np.mean(baseline))

    inputs = {"signal": Raw, "baseline": Fixed(Raw, trial=1)}
    for_each(difference, inputs, [Mean], subject=[], trial=[])

    assert [item.data for item in Mean.load_all(subject=10)] == [0.0, 1.0]


def test_variants_are_never_mixed(raw: DatabaseManager) -> None:
    """Matches that differ only in version keys are an error that names Fixed as the way out."""
    for k in (2.0, 3.0):
        for_each(mean, {"signal": Raw, "k": k}, [Mean], subject=[], trial=[])

    with pytest.raises(exceptions.AmbiguousVersionError, match=r"Fixed\(Mean, k=3.0\)"):
        for_each(total, {"values": Mean}, [Group], subject=[])
    assert counts(for_each(total, {"values": Fixed(Mean, k=3.0)}, [Group], subject=[])) == (3, 0, 0, 0, 0)


def test_several_outputs(raw: DatabaseManager) -> None:
    """One value per output, each in its own variable."""

    def both(signal: Any) -> tuple[float, float]:
        return float(np.mean(signal)), float(np.ptp(signal))

    for_each(both, {"signal": Raw}, [Mean, Spread], subject=[], trial=[])

    assert (Mean.load_one(subject=1, trial=1).data, Spread.load_one(subject=1, trial=1).data) == (13.0, 4.0)
    again = for_each(both, {"signal": Raw}, [Mean, Spread], subject=[], trial=[])
    assert counts(again) == (0, 0, 6, 0, 0)


@pytest.mark.parametrize(
    ("returned", "message"),
    [(None, "returned None"), ((1,), "returned 1 values"), ((1, 2, 3), "returned 3 values"), (5, "one int")],
)
@pytest.mark.above_stores
def test_a_wrong_number_of_values_fails_that_combination(
    raw: DatabaseManager, caplog: pytest.LogCaptureFixture, returned: Any, message: str
) -> None:
    """R3: a clear error, that combination failed, nothing half-saved."""

    def wrong(signal: Any) -> Any:
        return returned if signal[0] == 11 else (1, 2)

    report = for_each(wrong, {"signal": Raw}, [Mean, Spread], subject=[], trial=[])

    assert counts(report) == (5, 0, 0, 0, 1)
    assert isinstance(report.failures[0].error, exceptions.OutputCountError)
    assert message in str(report.failures[0].error)
    assert (entries(raw, "Mean"), entries(raw, "Spread")) == (5, 5)
    assert "1 of 6 combinations failed" in caplog.text


def test_one_failure_does_not_stop_the_rest(raw: DatabaseManager) -> None:
    """R2: the rest finish; the failure is stored with its traceback; the next run does it alone."""
    broken = [True]

    def fragile(signal: Any) -> float:
        if broken and signal[0] == 21:
            raise ZeroDivisionError("sensor fell off")
        return float(signal[0])

    fragile_thunk = thunk(ignore=["broken"])(fragile)
    report = for_each(fragile_thunk, {"signal": Raw}, [Mean], subject=[], trial=[])

    assert counts(report) == (5, 0, 0, 0, 1)
    assert report.failures[0].combination == {"subject": 2, "trial": 1}
    assert "sensor fell off" in report.failures[0].traceback
    (stored,) = raw.failures(report.run_id)
    assert (stored.error, stored.schema) == ("ZeroDivisionError", {"subject": 2, "trial": 1})
    broken.clear()
    assert counts(for_each(fragile_thunk, {"signal": Raw}, [Mean], subject=[], trial=[])) == (1, 0, 5, 0, 0)


def test_older_results_of_failed_combinations_are_named(raw: DatabaseManager, caplog: pytest.LogCaptureFixture) -> None:
    """A8: when a combination fails that has a result of an earlier run, it is said that later steps use that."""
    for_each(mean, {"signal": Raw}, [Mean], subject=[], trial=[])
    Raw.save(np.array([]), subject=1, trial=1)

    def strict_mean(signal: Any, k: float = 1.0) -> float:
        if not len(signal):
            raise ZeroDivisionError("empty")
        return float(np.mean(signal) * k)

    strict_mean.__qualname__ = "mean"
    report = for_each(strict_mean, {"signal": Raw}, [Mean], subject=[], trial=[])

    assert report.failed == 1
    assert "still have the results of an earlier run" in caplog.text
    assert "subject=1, trial=1" in caplog.text


def test_a_value_that_cannot_be_stored_fails_alone(raw: DatabaseManager) -> None:
    """R3: one result that cannot be stored takes no other with it."""

    def sometimes(signal: Any) -> Any:
        return object() if signal[0] == 11 else float(signal[0])

    report = for_each(sometimes, {"signal": Raw}, [Mean], subject=[], trial=[])

    assert counts(report) == (5, 0, 0, 0, 1)
    assert isinstance(report.failures[0].error, exceptions.UnsupportedValueError)
    assert entries(raw, "Mean") == 5


def test_on_error_raise_saves_what_is_done(raw: DatabaseManager) -> None:
    """``on_error="raise"`` stops at the first failure, and keeps what came before."""

    def fragile(signal: Any) -> float:
        if signal[0] >= 21:
            raise ZeroDivisionError("stop")
        return float(signal[0])

    with pytest.raises(ZeroDivisionError):
        for_each(fragile, {"signal": Raw}, [Mean], subject=[], trial=[], on_error="raise")
    assert entries(raw, "Mean") == 2
    assert raw.runs()[0].interrupted


def test_ctrl_c_saves_what_is_done(raw: DatabaseManager) -> None:
    """An interrupt keeps what is done, ends the run, and carries the report."""

    def tired(signal: Any) -> float:
        if signal[0] >= 21:
            raise KeyboardInterrupt
        return float(signal[0])

    with pytest.raises(KeyboardInterrupt) as caught:
        for_each(tired, {"signal": Raw}, [Mean], subject=[], trial=[])
    report = caught.value.report  # type: ignore[attr-defined]
    assert (report.completed, [item.state for item in report.combinations].count("not_run")) == (2, 4)
    assert entries(raw, "Mean") == 2


def test_everything_failed_is_said_loudly(raw: DatabaseManager, caplog: pytest.LogCaptureFixture) -> None:
    """A8: a run in which every combination fails never looks like success."""

    def broken(signal: Any) -> float:
        raise ZeroDivisionError("always")

    for_each(broken, {"signal": Raw}, [Mean], subject=[], trial=[])

    assert "ALL 6 combinations failed" in caplog.text
    assert caplog.records[0].levelno == logging.WARNING


def test_nothing_matched_is_said_loudly(db: DatabaseManager, caplog: pytest.LogCaptureFixture) -> None:
    """A8: a run that found nothing to do says so."""
    for_each(mean, {"signal": Raw}, [Mean], subject=[], trial=[])
    assert "no combination matched" in caplog.text

    caplog.clear()
    report = for_each(mean, {"signal": Raw}, [Mean], subject=[1, 2])
    assert "ALL 2 combinations were skipped" in caplog.text
    assert report.combinations[0].reason == "no Raw at subject=1"


def test_dry_run_does_nothing(raw: DatabaseManager) -> None:
    """A dry run says what would be done, and leaves no trace."""
    for_each(mean, {"signal": Raw}, [Mean], subject=[1], trial=[1])
    runs = len(raw.runs())

    report = for_each(mean, {"signal": Raw}, [Mean], subject=[], trial=[], dry_run=True)

    assert counts(report) == (5, 0, 1, 0, 0)
    assert "would compute" in str(report)
    assert (entries(raw, "Mean"), len(raw.runs())) == (1, runs)


def test_save_false_only_returns(raw: DatabaseManager) -> None:
    """``save=False`` computes, returns and stores nothing."""
    report = for_each(mean, {"signal": Raw}, [Mean], subject=[1], trial=[], save=False)

    assert report.values == [(13.0,), (14.0,)]
    assert entries(raw, "Mean") == 0


def test_metadata_can_be_passed(raw: DatabaseManager) -> None:
    """``pass_metadata`` gives the function the keys of its combination, which then count as inputs."""

    def label(signal: Any, subject: int, trial: int) -> str:
        return f"{subject}/{trial}"

    for_each(label, {"signal": Raw}, [Mean], subject=[], trial=[], pass_metadata=True)

    assert Mean.load_one(subject=10, trial=2).data == "10/2"


def test_a_function_that_reuses_its_buffer(raw: DatabaseManager) -> None:
    """Each combination keeps what the function returned then, also when it returns one array every time."""
    buffer = np.zeros(1)

    def fill(signal: Any) -> Any:
        buffer[0] = signal[0]
        return buffer

    for_each(thunk(ignore=["buffer"])(fill), {"signal": Raw}, [Mean], subject=[], trial=[])

    assert [item.data[0] for item in Mean.load_all()] == [11, 12, 21, 22, 101, 102]


def test_config_keys_from_the_first_record_on(raw: DatabaseManager) -> None:
    """for_each's own configuration is stored under ``__`` names, and is not shown among the parameters."""
    for_each(mean, {"signal": Fixed(Raw, trial=1), "k": 2.0}, [Mean], subject=[1])

    loaded = Mean.load_one(subject=1)

    assert loaded.version_keys == {"k": 2.0}
    assert loaded._all_version_keys == {
        "k": 2.0,
        "__fn": "mean",
        "__inputs": '{"signal": "Fixed(Raw, trial=1)"}',
    }
    assert ForEachConfig(mean, {"signal": Fixed(Raw)}).to_version_keys()["__inputs"] == '{"signal": "Raw"}'
    keys = ForEachConfig(mean, {"signal": Raw}, as_table=["b", "a"], pass_metadata=True).to_version_keys()
    assert (keys["__as_table"], keys["__pass_metadata"]) == (["a", "b"], True)


def test_edges_once_per_call(raw: DatabaseManager) -> None:
    """A call leaves one full set of type-level edges, also when everything is up to date."""
    for _ in range(2):
        for_each(mean, {"signal": Raw, "k": 2.0}, [Mean], subject=[], trial=[])

    edges = raw.get_pipeline_structure()

    assert {(edge["source"], edge["target"], edge["function_name"]) for edge in edges} == {
        ("Raw", "Mean", "mean"),
        ("2.0", "Mean", "mean"),
    }
    assert len({edge["timestamp"] for edge in edges}) == 1


def test_lineage_of_a_summary_names_everything(raw: DatabaseManager) -> None:
    """The lineage of an aggregated number shows every record that it came from."""
    for_each(mean, {"signal": Raw}, [Mean], subject=[], trial=[])
    for_each(total, {"values": Mean}, [Group])

    graph = raw.get_lineage_graph(Group)

    assert sum(node.label.startswith("Raw (") for node in graph.nodes) == 6
    text = graph.to_text()
    assert "Raw (subject=10, trial=2)" in text
    assert graph.to_mermaid().startswith("flowchart")
    assert graph.to_dot().startswith("digraph")
    downstream = raw.get_lineage_graph(Raw, subject=1, trial=1, direction="down")
    assert [node.label for node in downstream.nodes if node.kind == "call"] == ["mean()", "total()"]


def test_runs_are_kept(raw: DatabaseManager) -> None:
    """Each call leaves a row with its counts."""
    for_each(mean, {"signal": Raw}, [Mean], subject=[], trial=[])

    (run,) = raw.runs()

    assert (run.function_name, run.total, run.completed, run.interrupted) == ("mean", 6, 6, False)


def test_files_as_inputs(db: DatabaseManager, tmp_path: Path) -> None:
    """M10: a file is an input by its content: a changed one is computed again, a moved folder is not."""
    for subject in (1, 2):
        (tmp_path / f"s{subject:02d}.csv").write_text(f"x\n{subject}\n")

    def read(path: Path) -> float:
        return float(pd.read_csv(path)["x"].iloc[0])

    def run(folder: Path) -> scidb.ForEachReport:
        return for_each(read, {"path": PathInput("s{subject:02d}.csv", root_folder=folder)}, [Mean], subject=[])

    assert counts(run(tmp_path)) == (2, 0, 0, 0, 0)
    assert counts(run(tmp_path)) == (0, 0, 2, 0, 0)
    (tmp_path / "s02.csv").write_text("x\n5\n")
    assert counts(run(tmp_path)) == (1, 0, 1, 0, 0)
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in tmp_path.glob("*.csv"):
        path.rename(moved / path.name)
    assert counts(run(moved)) == (0, 0, 2, 0, 0)
    assert "s02.csv" in db.get_lineage_graph(Mean, subject=2).to_text()


def test_a_stray_file_is_left_out_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A8: a file whose name gives no key value is no combination, and that is said."""
    for name in ("1.csv", "2.csv", "notes.csv"):
        (tmp_path / name).write_text("x\n1\n")
    with scidb.open("memory:", {"subject": int}) as db:
        path = PathInput("{subject}.csv", root_folder=tmp_path)
        report = for_each(lambda path: path.name, {"path": path}, [Mean], subject=[], db=db)

    assert counts(report) == (2, 0, 0, 0, 0)
    assert "notes.csv" in caplog.text


def test_an_unreadable_file_in_the_middle(db: DatabaseManager, tmp_path: Path) -> None:
    """R2: a file that cannot be read fails its own combination; a missing one is skipped with its path."""
    for subject in (1, 3):
        (tmp_path / f"{subject}.csv").write_text("x\n1\n")
    (tmp_path / "2.csv").write_bytes(b"\xff\xfe\x00garbage\x00\x00")

    def read(path: Path) -> float:
        return float(pd.read_csv(path)["x"].iloc[0])

    report = for_each(read, {"path": PathInput("{subject}.csv", root_folder=tmp_path)}, [Mean], subject=[1, 2, 3, 4])

    assert counts(report) == (2, 0, 0, 1, 1)
    assert "4.csv" in report.combinations[3].reason
    assert [item.schema["subject"] for item in Mean.load_all()] == [1, 3]


def test_thunks_run_as_functions(raw: DatabaseManager) -> None:
    """A thunk gets its values unwrapped, or its variables whole, and declares its outputs."""

    @thunk(unwrap=False)
    def whole(signal: BaseVariable) -> str:
        return f"{signal.schema['subject']}/{signal.schema['trial']}"

    @thunk(n_outputs=2)
    def both(signal: Any) -> tuple[float, float]:
        return float(signal[0]), float(signal[-1])

    for_each(whole, {"signal": Raw}, [Group], subject=[], trial=[])
    for_each(both, {"signal": Raw}, [Mean, Spread], subject=[], trial=[])

    assert Group.load_one(subject=2, trial=1).data == "2/1"
    assert Spread.load_one(subject=2, trial=1).data == 25.0
    with pytest.raises(exceptions.PipelineError, match="returns 2 outputs"):
        for_each(both, {"signal": Raw}, [Mean], subject=[])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: for_each(mean, {"signl": Raw}, [Mean]), "Did you mean 'signal'"),
        (lambda: for_each(mean, {}, [Mean]), "also needs 'signal'"),
        (lambda: for_each(mean, {"signal": Raw}, []), "outputs= is empty"),
        (lambda: for_each(mean, {"signal": Raw}, [3]), "variable classes"),
        (lambda: for_each(mean, {"signal": Raw}, [Mean, Mean]), "twice"),
        (lambda: for_each(mean, {"signal": Raw}, [Mean], sbject=[1]), "Did you mean 'subject'"),
        (lambda: for_each(mean, {"signal": Raw}, [Mean], distribute=True), "it has none"),
        (lambda: for_each(mean, {"signal": Raw}, [Mean], n_jobz=2), "not a schema key"),
        (lambda: for_each(lambda trial: trial, {"trial": 3}, [Mean]), "is a schema key"),
        (lambda: for_each(mean, {"signal": Raw}, [Mean], as_table=["x"]), "no input"),
        (lambda: for_each(mean, {"signal": PathInput("{day}.csv")}, [Mean], subject=[1]), "needs the key 'day'"),
        (lambda: for_each(mean, {"signal": Raw}, [Mean], on_error="ignore"), "on_error"),  # type: ignore[arg-type]
        (lambda: Fixed(3, subject=1), "variable class first"),  # type: ignore[arg-type]
        (lambda: PathInput("{a.b}.csv"), "placeholder"),
        (lambda: PathInput("{a"), "no path template"),
        (lambda: for_each(3, {}, [Mean]), "function"),  # type: ignore[arg-type]
    ],
)
@pytest.mark.above_stores
def test_calls_that_cannot_run_are_refused_before_they_run(raw: DatabaseManager, call: Any, message: str) -> None:
    """A misspelt or impossible argument is an error of our own, and leaves no run behind."""
    with pytest.raises(exceptions.SciDBError, match=message):
        call()
    assert raw.runs() == []


def test_mixed_types_of_a_new_key_are_refused_before_anything_runs(db: DatabaseManager) -> None:
    """A2: a list that no one key type can hold is an error at once, not after hours of computing."""
    with pytest.raises(exceptions.SchemaKeyError, match="'2a'"):
        for_each(lambda subject: 1, {}, [Mean], subject=[1, "2a"], pass_metadata=True)
    assert db.runs() == []


def test_without_a_database() -> None:
    """for_each without a database says what to call."""
    with pytest.raises(exceptions.DatabaseNotConfiguredError, match="configure_database"):
        for_each(mean, {"signal": Raw}, [Mean])


def test_the_report_is_readable(raw: DatabaseManager) -> None:
    """The report shows its counts as text and HTML, and its combinations as a table."""
    report = for_each(mean, {"signal": Raw}, [Mean], subject=[], trial=[1, 3])

    assert str(report).startswith("mean: 3 computed (")
    assert "3 computed" in report._repr_html_()
    assert list(report.to_pandas().columns) == ["subject", "trial", "state", "reason", "seconds"]
