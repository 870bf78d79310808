"""Failures are kept with what they received, and run again alone: by the report, by the database, after a restart."""

from __future__ import annotations

import sys
from collections import defaultdict
from typing import TYPE_CHECKING, Any, cast

import pandas as pd
import pytest

import scidb
from scidb import (
    BaseVariable,
    DatabaseManager,
    EachOf,
    Fixed,
    Merge,
    PathInput,
    exceptions,
    for_each,
    schema_key,
    thunk,
)
from scidb.foreach.given import configuration_text, read_configuration
from scidb.hashing.code import seen

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.above_stores


class Signal(BaseVariable):
    pass


class Weight(BaseVariable):
    pass


class Peak(BaseVariable):
    pass


class Tight:
    """Where a function finds how strict it is, so that a test can change it."""

    limit = 1.0


def peak(signal: float, gain: float = 1.0) -> float:
    if signal > Tight.limit:
        raise ValueError(f"{signal} is too large")
    return signal * gain


def repaired(signal: float, gain: float = 1.0) -> float:
    return signal * gain + 100


def relative(both: pd.DataFrame, gain: float) -> float:
    return peak(float(both["Signal"][0]), gain) / float(both["Weight"][0])


@thunk
def thunked(signal: float) -> float:
    raise ValueError("no")


@pytest.fixture(autouse=True)
def _strict(monkeypatch: pytest.MonkeyPatch, db: DatabaseManager) -> None:
    """Let two of four subjects be too large."""
    monkeypatch.setattr(Tight, "limit", 2.0)
    Signal.save_many([(float(s), {"subject": s}) for s in range(1, 5)])


def states(report: scidb.ForEachReport) -> dict[Any, str]:
    return {item.combination["subject"]: item.state for item in report.combinations}


# ------------------------------------------------------------------ by the report


def test_only_what_failed_runs_again(db: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """R2: `retry` visits the failed combinations alone, with the same call, and returns a new report."""
    report = for_each(peak, {"signal": Signal, "gain": 2.0}, [Peak], subject=[])
    assert states(report) == {1: "completed", 2: "completed", 3: "failed", 4: "failed"}

    again = report.retry()
    assert states(again) == {3: "failed", 4: "failed"}
    assert again.run_id != report.run_id

    monkeypatch.setattr(Tight, "limit", 3.0)
    third = again.retry()
    assert states(third) == {3: "completed", 4: "failed"}
    assert states(third.retry()) == {4: "failed"}
    assert Peak.load_one(subject=3).data == 6.0
    assert states(report) == {1: "completed", 2: "completed", 3: "failed", 4: "failed"}


def test_a_function_that_was_defined_anew_runs_as_it_is_now(
    db: DatabaseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a repair in a notebook, `retry` runs what stands under the name now, not what had failed."""
    report = for_each(peak, {"signal": Signal}, [Peak], subject=[])
    monkeypatch.setattr(repaired, "__qualname__", "peak")
    monkeypatch.setattr(sys.modules[__name__], "peak", repaired)

    assert states(report.retry()) == {3: "completed", 4: "completed"}
    assert Peak.load_one(subject=4).data == 104.0


def test_lambdas_partials_and_thunks_stay_what_they_are(db: DatabaseManager) -> None:
    """What has no place of its own under its name runs again as it was; a thunk is found as a thunk."""
    for function in (lambda signal: 1 / 0, thunked):
        report = for_each(function, {"signal": Signal}, [Peak], subject=[1])
        assert states(report.retry()) == {1: "failed"}


def test_retry_goes_to_the_database_of_the_call(db: DatabaseManager) -> None:
    """A report remembers the database that was current, also when another one is now."""
    report = for_each(peak, {"signal": Signal}, [Peak], subject=[])

    with scidb.open("memory:", ["subject", "trial"]) as other, other.as_current():
        assert states(report.retry()) == {3: "failed", 4: "failed"}
        assert other.runs() == []
    assert len(db.runs()) == 2


def test_the_whole_dataset_can_fail_and_be_retried(db: DatabaseManager) -> None:
    """A call without any key has one combination, which is retried like others."""
    report = for_each(lambda signal: 1 / 0, {"signal": Signal}, [Peak])

    assert [item.state for item in report.retry().combinations] == ["failed"]


def test_nothing_to_retry(db: DatabaseManager) -> None:
    """Without failures nothing runs and nothing is written; a plan, which ran nothing, refuses."""
    report = for_each(peak, {"signal": Signal}, [Peak], subject=[1])
    runs = len(db.runs())

    assert report.retry().combinations == []
    assert len(db.runs()) == runs
    with pytest.raises(exceptions.PipelineError, match="a plan: nothing has run yet"):
        for_each(peak, {"signal": Signal}, [Peak], subject=[3], dry_run=True).retry()
    with pytest.raises(exceptions.PipelineError, match="of no call of this process"):
        scidb.ForEachReport("peak").retry()


# ------------------------------------------------------------------ what is stored


def test_a_failure_keeps_what_it_received(db: DatabaseManager) -> None:
    """A stored failure has traceback, time, and the inputs by record, constants included."""
    for_each(peak, {"signal": Signal, "gain": 2.0}, [Peak], subject=[3])

    [failure] = db.failures()

    assert failure.traceback.endswith("ValueError: 3.0 is too large\n")
    assert failure.seconds >= 0
    record = Signal.load_one(subject=3)
    given = {one.name: (one.kind, one.record_id, one.value_repr) for one in failure.inputs}
    assert given == {"signal": ("record", record.record_id, None), "gain": ("constant", None, "2.0")}


def test_what_a_call_was_given_comes_back() -> None:
    """Every kind of input and option is made again from text as it was; the text holds no code."""
    inputs = {
        "variable": Signal,
        "fixed": Fixed(Weight, subject=1, label="it's", on=pd.Timestamp("2024-01-02").to_pydatetime()),
        "path": PathInput("{subject}.csv", root_folder="data"),
        "column": Weight["a"],
        "columns": Weight[["a"]],
        "constant": {"band": (0.5, 20.0)},
    }
    where = (Signal > 3) & (schema_key("subject") != 2)

    text = configuration_text(
        inputs, cast("Any", [Peak]), as_table=["variable"], where=where, pass_metadata=None, exclude=True
    )
    given = read_configuration(text, {"Signal": Signal, "Weight": Weight, "Peak": Peak}.__getitem__)

    assert {name: repr(spec) for name, spec in given.inputs.items()} == {
        name: repr(PathInput("{subject}.csv", root_folder=spec.root_folder.absolute()))
        if isinstance(spec, PathInput)
        else repr(spec)
        for name, spec in inputs.items()
    }
    assert given.outputs == [Peak]
    assert given.options["where"].to_key() == where.to_key()
    assert {name: value for name, value in given.options.items() if name != "where"} == {
        "as_table": ["variable"], "pass_metadata": None, "exclude": True,
    }  # fmt: skip


# ------------------------------------------------------------------ by the database


def test_the_database_retries_a_stored_run(db: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """`db.retry` makes the call again from what is stored: same inputs, constants, filter and options."""
    run = for_each(peak, {"signal": Signal, "gain": 2.0}, [Peak], subject=[], where=schema_key("subject") < 4)
    assert states(run) == {1: "completed", 2: "completed", 3: "failed"}
    for_each(peak, {"signal": Signal}, [Peak], subject=[1])  # a run without failures comes after it

    monkeypatch.setattr(Tight, "limit", 9.0)
    again = db.retry()

    assert states(again) == {3: "completed"}
    found = Peak.load_one(subject=3)
    assert (found.data, found.version_keys) == (6.0, {"gain": 2.0})
    assert db.find_run(str(again.run_id)[:8]).failed == 0
    assert states(db.retry(run.run_id)) == {3: "up_to_date"}


def test_a_run_is_named_by_the_beginning_of_its_id(db: DatabaseManager) -> None:
    """An unknown run, an ambiguous one and one without failures are told apart."""
    with pytest.raises(exceptions.NotFoundError, match="No run of this database has failures"):
        db.retry()
    done = for_each(peak, {"signal": Signal}, [Peak], subject=[1])

    assert db.retry(done.run_id).combinations == []
    with pytest.raises(exceptions.NotFoundError, match="No run has an id that begins with 'zz'"):
        db.retry("zz")
    with pytest.raises(exceptions.SciDBError, match="named by its id"):
        db.find_run("")


def test_what_cannot_be_made_again_is_named(db: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """A constant without exact text, a function that is gone and a class that is gone refuse, saying what to do."""

    class Options:
        pass

    with pytest.warns(exceptions.UncacheableWarning):
        for_each(lambda signal, o: 1 / 0, {"signal": Signal, "o": Options()}, [Peak], subject=[1])
    with pytest.raises(exceptions.PipelineError, match=r"the input 'o' \(.*Options\) is not stored .* report.retry"):
        db.retry()

    def local(signal: float) -> float:
        raise ValueError("no")

    for_each(local, {"signal": Signal}, [Peak], subject=[1])
    assert states(db.retry()) == {1: "failed"}
    monkeypatch.setattr(seen, "_seen", defaultdict(dict))  # as after a restart
    with pytest.raises(exceptions.PipelineError, match=r"local\(\) is not known in this process.*--import"):
        db.retry()


def test_a_variable_class_that_is_not_imported_is_named(db: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results are never saved as plain variables where their class is unknown."""
    for_each(peak, {"signal": Signal}, [Peak], subject=[4])
    monkeypatch.setattr(scidb.registry, "_classes", {"Signal": Signal})

    with pytest.raises(exceptions.PipelineError, match="The variable Peak is not known in this process"):
        db.retry()
    assert len(db.runs()) == 1


def test_a_run_outlives_a_renaming(db: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run was given is found under the names that its variables have now."""
    for_each(peak, {"signal": Signal}, [Peak], subject=[4])
    db.admin.rename_variable("Signal", "Renamed")
    renamed = type("Renamed", (BaseVariable,), {"__module__": __name__})
    monkeypatch.setattr(scidb.registry, "_classes", {"Renamed": renamed, "Peak": Peak})
    monkeypatch.setattr(Tight, "limit", 9.0)

    assert states(db.retry()) == {4: "completed"}


def test_a_file_that_was_mended_is_read_again(db: DatabaseManager, tmp_path: Path) -> None:
    """A retry receives the file as it is now."""

    def number(path: Path) -> float:
        return float(path.read_text())

    file = tmp_path / "3.txt"
    file.write_text("1,5")
    report = for_each(number, {"path": PathInput("{subject}.txt", tmp_path)}, [Peak], subject=[3])
    assert states(report) == {3: "failed"}
    assert [(one.kind, one.value_repr) for one in db.failures()[0].inputs] == [("file", "3.txt")]

    file.write_text("1.5")
    assert states(db.retry()) == {3: "completed"}
    assert Peak.load_one(subject=3).data == 1.5


def test_retrying_costs_a_fixed_number_of_questions(db: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many combinations failed, the database is asked the same number of times."""
    Signal.save_many([(50.0, {"subject": s}) for s in range(100, 140)])
    asked: list[str] = []
    find = type(db._store).find

    def counting(self: Any, query: Any) -> Any:
        asked.append(type(query).__name__)
        return find(self, query)

    monkeypatch.setattr(type(db._store), "find", counting)
    counts = []
    for subjects in ([3], list(range(100, 140))):
        for_each(peak, {"signal": Signal}, [Peak], subject=subjects)
        asked.clear()
        assert db.retry().failed == len(subjects)
        counts.append(len(asked))
    assert counts[0] == counts[1]


def test_merges_and_alternatives_come_back(db: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """A merged input is stored with its parts; each alternative is a run of its own, retried alone."""
    Weight.save_many([(70.0, {"subject": s}) for s in range(1, 5)])

    report = for_each(relative, {"both": Merge(Signal, Weight), "gain": EachOf(1.0, 2.0)}, [Peak], subject=[2, 3])
    assert (report.completed, report.failed) == (2, 2)
    assert [run.failed for run in db.runs()] == [1, 1]

    monkeypatch.setattr(Tight, "limit", 9.0)
    again = db.retry()
    assert (again.completed, again.failed) == (1, 0)
    rest = report.retry()
    assert rest.completed + rest.recalled + rest.up_to_date == 2
    assert [one.data * 70 for one in Peak.load_all(subject=3)] == [3.0, 6.0]
