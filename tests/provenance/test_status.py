"""Every result's state, and why: what is green is green for a reason, and what is stale never looks green."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.net.serving import where
from tests.provenance.conftest import PIPELINE, Force, Mean, Peak, Smooth, both_stores

import scidb
from scidb import BaseVariable, DatabaseManager, Fixed, PathInput, for_each, thunk
from scidb.exceptions import NotRegisteredError
from scidb.hashing import configure
from scidb.store.memory import MemoryStore
from scidb.store.model import Batch, TypeInfo
from scidb.testing.store_suite.samples import KEYS, call, record, scalars, used

if TYPE_CHECKING:
    from pathlib import Path

    from tests.provenance.conftest import Project

    from scidb.provenance import RecordStatus

BY_HAND = {"saved by hand": 4}

# Most of it is decided above the stores, which have a suite of their own; what asks them most runs over both.


@pytest.fixture(params=["memory", "http"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the database of a test lives: in memory, unless a test asks for both."""
    return where(request, tmp_path)


def states(db: DatabaseManager, *variables: Any, **keys: Any) -> dict[str, int]:
    """Return how many results are in which state."""
    return {str(state): count for state, count in db.status(list(variables) or None, **keys).counts.items()}


def at(db: DatabaseManager, variable: type[BaseVariable], **keys: Any) -> RecordStatus:
    """Return the state of one result."""
    [found] = db.status(variable, **keys).records
    return found


# ---------------------------------------------------------------- green


@both_stores
def test_a_finished_pipeline_is_green(study: DatabaseManager) -> None:
    """What has just been computed is up to date, and what was saved by hand is what it is."""
    status = study.status()

    assert status.counts == {"saved by hand": 4, "up to date": 10}
    assert status.is_green
    assert status.not_green == ()


def test_an_empty_database_is_green_and_says_so(db: DatabaseManager) -> None:
    """Nothing is wrong with nothing."""
    assert db.status().is_green
    assert "nothing" in str(db.status())


def test_saving_the_same_input_again_changes_nothing(study: DatabaseManager, project: Project) -> None:
    """An input that is saved again with the same content leaves everything up to date (early cutoff)."""
    study.save(Force, [1.0, 2.0], subject=1, trial=1)

    assert study.status().is_green
    assert [report.up_to_date for report in project.run(study)] == [4, 4, 2]


def test_an_intermediate_that_comes_out_the_same_cuts_off(study: DatabaseManager, project: Project) -> None:
    """Code that changed and gave the same values again leaves what follows up to date."""
    project.edit("GAIN * x * 0.2", "x * GAIN * 0.2")
    for_each(project.module.smooth, {"force": Force}, [Smooth], subject=[], trial=[], db=study, progress=False)

    assert study.status().is_green


def test_comments_and_formatting_are_no_change(study: DatabaseManager, project: Project) -> None:
    """What does not count for the memo does not count for the state (M5)."""
    project.write("# a comment\n\n" + PIPELINE.replace("return max(x)", "return max(\n        x\n    )"))

    assert study.status().is_green


# ---------------------------------------------------------------- code


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("0.2", "0.3", "constant 0.2 -> 0.3 in smooth(), line 6"),
        ("GAIN = 2.0", "GAIN = 3.0", "value GAIN read by smooth(): 2.0 -> 3.0"),
        ("for x in force", "for x in force[1:]", "in smooth()"),
    ],
)
def test_edited_code_is_said(study: DatabaseManager, project: Project, old: str, new: str, said: str) -> None:
    """An edited function makes its results stale, with the reason as data, and what follows with the way there."""
    project.edit(old, new)

    made = at(study, Smooth, subject=1, trial=1)
    assert (made.state, made.is_green, made.function_name) == ("code changed", False, "smooth")
    [reason] = made.reasons
    assert reason.kind == "code"
    assert said in reason.message
    assert [str(change) for change in reason.changes] == [reason.message]
    last = at(study, Mean, subject=1)
    assert last.state == "input changed"
    assert [step.subject for step in last.reasons[0].path] == ["x", "x", "smooth()"]
    assert last.reasons[0].root == reason
    assert states(study) == {"code changed": 4, "input changed": 6, **BY_HAND}


def test_only_what_depends_on_it_is_stale(study: DatabaseManager, project: Project) -> None:
    """What comes before the change stays green."""
    project.edit("sum(x) / len(x)", "sum(x) / (len(x) - 1)")

    assert states(study, Smooth, Peak) == {"up to date": 8}
    assert states(study, Mean) == {"code changed": 2}


def test_a_reverted_edit_is_green_again(study: DatabaseManager, project: Project) -> None:
    """Code A -> B -> A: green at once when B never ran, and after a run that recalls when it did (A5)."""
    project.edit("0.2", "0.3")
    assert not study.status().is_green
    project.edit("0.3", "0.2")
    assert study.status().is_green

    project.edit("0.2", "0.3")
    project.run(study)
    assert study.status().is_green
    project.edit("0.3", "0.2")
    assert states(study, Smooth) == {"code changed": 4}
    assert [report.completed for report in project.run(study)] == [0, 0, 0]
    assert study.status().is_green


def test_a_changed_default_is_said(study: DatabaseManager, project: Project) -> None:
    """A default of the function counts as an argument (hashing.md); for_each would compute again, so it is stale."""
    project.edit("width=3", "width=4")

    made = at(study, Smooth, subject=1, trial=1)
    assert (made.state, made.reason) == ("code changed", "default of width in smooth(): 3 -> 4")
    assert project.run(study)[0].completed == 4
    assert study.status().is_green


def test_code_that_is_not_imported_is_not_checked(study: DatabaseManager, project: Project) -> None:
    """Where today's code is not here, the answer is "code not checked", never green."""
    project.forget()

    assert states(study) == {"code not checked": 10, **BY_HAND}
    assert "smooth() is not imported here" in at(study, Smooth, subject=1, trial=1).reason
    assert not study.status().is_green


def test_a_stale_input_is_said_without_code(study: DatabaseManager, project: Project) -> None:
    """What can be told without the code is told: a changed input outweighs code that was not checked."""
    project.forget()
    study.save(Force, [5.0, 5.0], subject=1, trial=1)

    made = at(study, Smooth, subject=1, trial=1)
    assert made.state == "input changed"
    assert [reason.kind for reason in made.reasons] == ["input", "unchecked"]


def test_a_call_that_cannot_be_recognised_is_not_checked(db: DatabaseManager) -> None:
    """An argument without an identity makes the call run every time, so it is never known to be up to date (M7)."""

    def read(force: Any, source: Any) -> Any:
        return force[0]

    db.save(Force, [1.0], subject=1)
    with pytest.warns(match="runs every time"):
        for_each(read, {"force": Force, "source": random.Random()}, [Peak], subject=[], db=db, progress=False)

    assert states(db, Peak) == {"code not checked": 1}
    assert "cannot be recognised" in at(db, Peak, subject=1).reason


# ---------------------------------------------------------------- inputs


@both_stores
def test_an_input_with_other_content(study: DatabaseManager, project: Project) -> None:
    """An input that has another value makes all that follows stale, there and only there; so the run agrees."""
    study.save(Force, [7.0, 7.0], subject=1, trial=1)

    made = at(study, Smooth, subject=1, trial=1)
    assert made.state == "input changed"
    assert made.reason.startswith("force = Force (subject=1, trial=1) has another value since")
    assert states(study) == {"input changed": 3, "saved by hand": 4, "up to date": 7}
    assert [(report.completed, report.up_to_date) for report in project.run(study)] == [(1, 3), (1, 3), (1, 1)]
    assert study.status().is_green


@both_stores
def test_a_thunks_inputs_and_what_it_was_handed(db: DatabaseManager, project: Project) -> None:
    """A chain of thunks: a stale function in the midst is the root cause, also where its result was never saved."""
    db.save(Force, [1.0, 2.0], subject=1)
    smooth, peak = thunk(project.module.smooth), thunk(project.module.peak)
    with db.as_current():
        Peak.save(peak(smooth(Force.load_one(subject=1))), subject=1)
    assert states(db, Peak) == {"up to date": 1}

    project.edit("0.2", "0.3")

    made = at(db, Peak, subject=1)
    assert made.state == "input changed"
    assert made.reasons[0].message == "x = the result of smooth() is not up to date (code changed)"
    assert made.reasons[0].root.kind == "code"


@both_stores
def test_one_more_trial_to_average(study: DatabaseManager, project: Project) -> None:
    """A new value that an aggregation would take in makes it stale, and is missing on the way there."""
    study.save(Force, [1.0, 1.0], subject=2, trial=3)

    assert at(study, Smooth, subject=2, trial=3).state == "missing"
    assert at(study, Peak, subject=2, trial=3).reasons[0].root.subject == "smooth()"
    two = at(study, Mean, subject=2)
    assert (two.state, two.reasons[0].root.kind) == ("input changed", "missing")
    for step, source, output in ((project.module.smooth, Force, Smooth), (project.module.peak, Smooth, Peak)):
        name = "force" if source is Force else "x"
        for_each(step, {name: source}, [output], subject=[], trial=[], db=study, progress=False)
    two = at(study, Mean, subject=2)
    assert (two.state, two.reason) == ("input changed", "x: Peak (subject=2, trial=3) would now be used, too")
    project.run(study)
    assert states(study, Smooth, Peak, Mean) == {"up to date": 12}


def test_a_fixed_input(db: DatabaseManager, project: Project) -> None:
    """An input with fixed keys is compared at those, and one more value at another place is no change."""
    for trial in (1, 2):
        db.save(Force, [1.0 * trial], subject=1, trial=trial)

    def ratio(first: Any, now: Any) -> Any:
        return now[0] / first[0]

    inputs = {"first": Fixed(Force, trial=1), "now": Force}
    for_each(ratio, inputs, [Peak], subject=[], trial=[], db=db, progress=False)
    assert states(db, Peak) == {"up to date": 2}
    db.save(Force, [5.0], subject=1, trial=2)
    assert [one.state for one in db.status(Peak).records] == ["up to date", "input changed"]
    db.save(Force, [5.0], subject=1, trial=1)
    assert states(db, Peak) == {"input changed": 2}


def test_a_value_made_from_what_stood_at_its_place(db: DatabaseManager, project: Project) -> None:
    """A value that replaced its own input ends in a circle, which ends."""
    db.save(Force, [1.0], subject=1)
    smooth = thunk(project.module.smooth)
    with db.as_current():
        Force.save(smooth(Force.load_one(subject=1)), subject=1)

    assert states(db) == {"input changed": 1}


def test_a_long_chain() -> None:
    """A lineage may be far deeper than Python's own stack."""
    store = MemoryStore(KEYS)
    store.register(TypeInfo("Force"))
    records, calls = [record("Force", 0, {"trial": 0})], []
    for number in range(1, 2 * sys.getrecursionlimit()):
        made = call(f"c{number}", used(records[-1]))
        calls.append(made)
        records.append(
            replace(record("Force", number, {"trial": number}, seq=number, call_id=made.call_id), lineage_id="l")
        )
    store.write(Batch(chunks=(scalars(records, [float(one.seq) for one in records]),), calls=tuple(calls)))
    with DatabaseManager(store) as db:
        db.save("Force", -1.0, trial=0)
        last = db.status("Force", trial=len(calls)).records[0]
        explained = str(db.explain("Force", trial=len(calls)))

    assert last.state == "input changed"
    assert len(last.reasons[0].path) == len(calls)
    assert "another value" in explained


def test_one_cause_of_many_reasons(db: DatabaseManager, project: Project) -> None:
    """What is behind several inputs of one result is told once."""
    db.save_many(Force, [([float(trial)], {"subject": 1, "trial": trial}) for trial in range(1, 7)])
    project.run(db)
    project.edit("return max(x)", "return min(x)")
    lines = str(db.explain(Mean, subject=1)).splitlines()
    assert sum("is not up to date" in line for line in lines) == 3
    assert [line for line in lines if "3 more for the same reason" in line]
    assert sum("max -> min" in line for line in lines) == 1


# ---------------------------------------------------------------- files


def read_number(path: Path) -> int:
    return int(path.read_text())


def _files(folder: Path, db: DatabaseManager) -> None:
    inputs = {"path": PathInput("{subject}.txt", root_folder=folder)}
    for_each(read_number, inputs, [Force], subject=[], db=db, progress=False)


@both_stores
def test_a_file_that_changed_or_is_gone(db: DatabaseManager, tmp_path: Path) -> None:
    """A file behind a PathInput that has other content, or none, makes the result stale (M10)."""
    folder = tmp_path / "data"
    folder.mkdir()
    for subject in (1, 2, 3):
        (folder / f"{subject}.txt").write_text(str(subject))
    _files(folder, db)
    assert states(db) == {"up to date": 3}

    (folder / "1.txt").write_text("1")  # the same again
    (folder / "2.txt").write_text("22")
    (folder / "3.txt").unlink()

    found = {one.schema["subject"]: one for one in db.status().records}
    assert [found[name].state for name in sorted(found)] == ["up to date", "input changed", "input changed"]
    assert "2.txt has changed" in found["2"].reason
    assert "3.txt is gone" in found["3"].reason


def test_a_folder_that_moved(db: DatabaseManager, tmp_path: Path) -> None:
    """Files that were moved are found where they are said to be."""
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "1.txt").write_text("1")
    _files(tmp_path / "old", db)
    (tmp_path / "old").rename(tmp_path / "new")

    assert states(db) == {"input changed": 1}
    assert states(db, root_folder=tmp_path / "new") == {"up to date": 1}


def test_a_new_file_is_missing_its_result(db: DatabaseManager, tmp_path: Path) -> None:
    """A file that nobody has read yet is a result that is missing."""
    (tmp_path / "1.txt").write_text("1")
    _files(tmp_path, db)
    (tmp_path / "2.txt").write_text("2")

    assert states(db) == {"missing": 1, "up to date": 1}
    _files(tmp_path, db)
    assert states(db) == {"up to date": 2}


# ---------------------------------------------------------------- failed and missing


@both_stores
def test_a_failed_combination_that_keeps_an_older_result(study: DatabaseManager, project: Project) -> None:
    """What failed since is failed, not green, although an older result is there; and so is what follows (R2)."""
    study.save(Force, [], subject=1, trial=1)
    project.run(study)

    made = at(study, Peak, subject=1, trial=1)
    assert made.state == "failed"
    assert made.reasons[0].message == "peak() failed here after this result: ValueError: no samples"
    assert made.record_id is not None
    assert at(study, Mean, subject=1).state == "input changed"
    assert at(study, Mean, subject=2).is_green

    study.save(Force, [1.0, 2.0], subject=1, trial=1)
    project.run(study)
    assert study.status().is_green


def test_a_failure_of_code_that_was_taken_back(study: DatabaseManager, project: Project) -> None:
    """A failure is history once the code that failed is gone, also when nothing was logged since."""
    project.edit("if not x", "if x")
    project.run(study)
    assert states(study, Peak) == {"failed": 4}
    project.edit("if x", "if not x")

    assert study.status().is_green
    project.edit("max(x)", "min(x)")
    made = at(study, Peak, subject=1, trial=1)
    assert made.state == "code changed"
    assert "failed here with other code" in made.remarks[0]


def test_a_failure_of_an_input_that_was_taken_back(db: DatabaseManager, project: Project) -> None:
    """A failure is history once the input that failed is again what it was."""

    def run() -> None:
        for_each(project.module.peak, {"x": Smooth}, [Peak], subject=[], db=db, progress=False)

    for value in ([1.0], []):
        db.save(Smooth, value, subject=1)
        run()
    assert states(db, Peak) == {"failed": 1}
    db.save(Smooth, [1.0], subject=1)

    assert states(db, Peak) == {"up to date": 1}


def test_a_failure_without_any_result(study: DatabaseManager, project: Project) -> None:
    """A place where only a failure is known is failed; a result of the other places says which one is missing."""
    study.save(Force, [], subject=3, trial=1)
    project.run(study)

    made = at(study, Peak, subject=3, trial=1)
    assert (made.state, made.record_id) == ("failed", None)
    assert "ValueError: no samples" in made.reason


def test_a_run_in_which_everything_failed(db: DatabaseManager, project: Project) -> None:
    """A call that never gave a result is known by its failures, until the function is called again."""
    db.save(Smooth, [], subject=1)
    for_each(project.module.peak, {"x": Smooth}, [Peak], subject=[], db=db, progress=False)
    status = db.status()
    assert status.counts == {"failed": 1, "saved by hand": 1}
    assert not status.is_green

    db.save(Smooth, [1.0], subject=1)
    for_each(project.module.peak, {"x": Smooth}, [Peak], subject=[], db=db, progress=False)
    assert db.status().is_green


@both_stores
def test_a_missing_output(study: DatabaseManager, project: Project) -> None:
    """A combination whose inputs are there and whose output is not is missing; without inputs it is not."""
    study.save(Force, [3.0, 1.0], subject=3, trial=1)
    study.save(Mean, 0.0, subject=4, params={"by": "hand"})

    found = {(one.variable, one.schema["subject"]): one for one in study.status().not_green}
    assert {key: one.state for key, one in found.items()} == {
        ("Smooth", 3): "missing", ("Peak", 3): "missing", ("Mean", 3): "missing",
    }  # fmt: skip
    assert found["Mean", 3].reasons[0].root.message == "the inputs of smooth() are there, and it was not run here"
    assert found["Mean", 3].record_id is None
    project.run(study)
    assert study.status().is_green


# ---------------------------------------------------------------- not reproducible, libraries


@both_stores
def test_several_results_for_the_same_inputs(db: DatabaseManager) -> None:
    """Several contents under one lineage_id are "not reproducible"; what follows is as good as its input."""

    def draw(force: Any) -> float:
        return random.random()

    def half(x: Any) -> Any:
        return x / 2

    db.save(Force, [1.0], subject=1)
    for _ in range(2):
        for_each(draw, {"force": Force}, [Smooth], subject=[], db=db, progress=False, force=True)
    for_each(half, {"x": Smooth}, [Peak], subject=[], db=db, progress=False)

    made = at(db, Smooth, subject=1)
    assert (made.state, made.reason) == ("not reproducible", "draw() gave several results for the same inputs")
    assert not made.is_green
    assert at(db, Peak, subject=1).state == "up to date"


# ---------------------------------------------------------------- which, and how it looks


def test_selected_as_other_reads(study: DatabaseManager, project: Project) -> None:
    """Classes or names, schema keys and version keys choose; what is missing is chosen likewise."""
    study.save(Force, [3.0, 1.0], subject=3, trial=1)

    assert states(study, "Smooth", Peak, subject=[1, 3]) == {"missing": 2, "up to date": 4}
    assert states(study, Smooth, subject=3) == {"missing": 1}
    assert len(study.status(Smooth, trial=1)) == 3
    assert len(study.status(params={"nothing": 1})) == 0
    with pytest.raises(NotRegisteredError, match="Smoth"):
        study.status("Smoth")


@both_stores
def test_as_it_was(study: DatabaseManager, project: Project) -> None:
    """With as_of, results and inputs are those of then; code is that of today."""
    study.tag("first")
    study.save(Force, [7.0, 7.0], subject=1, trial=1)

    assert study.status(as_of="first").is_green
    assert states(study, Smooth) == {"input changed": 1, "up to date": 3}
    project.edit("0.2", "0.3")
    assert states(study, Smooth, as_of="first") == {"code changed": 4}


def test_a_roll_up_is_as_bad_as_its_worst(study: DatabaseManager, project: Project) -> None:
    """A roll-up per variable and function never looks green when one combination is stale."""
    study.save(Force, [7.0, 7.0], subject=1, trial=1)

    rolled = {one.variable: one for one in study.status().roll_up()}
    assert rolled["Smooth"].counts == {"input changed": 1, "up to date": 3}
    assert [rolled[name].is_green for name in ("Force", "Smooth", "Peak", "Mean")] == [True, False, False, False]
    assert rolled["Smooth"].state == "input changed"


def test_how_it_looks(study: DatabaseManager, project: Project) -> None:
    """Text, HTML and table name each variable, the counts, and the reason of what is not green."""
    project.edit("0.2", "0.3")
    status = study.status()

    text, page, table = str(status), status._repr_html_(), status.to_pandas()
    assert "smooth()  4 code changed" in text
    assert "Smooth (subject=1, trial=1): code changed: constant 0.2 -> 0.3 in smooth(), line 6" in text
    assert "constant 0.2 -&gt; 0.3" in page
    assert table[table["variable"] == "Mean"]["state"].tolist() == ["input changed", "input changed"]
    assert set(table.columns) == {
        "variable", "subject", "trial", "function", "state", "reason", "remarks", "record_id",
    }  # fmt: skip
    assert repr(status) == "<Status: 4 code changed, 6 input changed, 4 saved by hand>"


def test_results_under_a_filter(db: DatabaseManager) -> None:
    """What a filter leaves is not asked again: once what it looks at has changed, an average is not checked."""
    for trial in (1, 2, 3):
        db.save(Force, 1.0 * trial, subject=1, trial=trial)
        db.save(Smooth, trial, subject=1, trial=trial)

    def average(x: Any) -> float:
        return float(sum(x) / len(x))

    for_each(average, {"x": Force}, [Mean], subject=[], db=db, progress=False, where=Smooth < 3)
    assert states(db, Mean) == {"up to date": 1}
    db.save(Smooth, 9, subject=1, trial=1)
    made = at(db, Mean, subject=1)
    assert (made.state, "the filter Smooth < 3 leaves now was not checked" in made.reason) == ("code not checked", True)


def test_library_versions(db: DatabaseManager, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that changed is "library changed" where its version counts by policy, else only a remark."""
    versions = {"numpy": "2.1.3"}
    monkeypatch.setattr("scidb.hashing.origin._version", lambda name: versions.get(name, "1.0"))
    monkeypatch.chdir(project.file.parent)
    configure(libraries={"numpy": "major"})
    project.write("import numpy as np\n\n\ndef peak(x):\n    return float(np.max(x))\n")
    db.save(Smooth, [1.0, 2.0], subject=1)
    for_each(project.module.peak, {"x": Smooth}, [Peak], subject=[], db=db, progress=False)
    assert states(db, Peak) == {"up to date": 1}

    versions["numpy"] = "3.0"
    made = at(db, Peak, subject=1)
    assert made.state == "library changed"
    assert made.reason == "version of numpy 2 -> 3, which counts by the policy for it"
    assert made.reasons[0].kind == "library"
    configure(libraries={})


def test_a_library_version_that_is_only_recorded(
    db: DatabaseManager, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a policy, another version of a library leaves a result up to date, with a remark."""
    versions = {"numpy": "2.1.3"}
    monkeypatch.setattr("scidb.hashing.origin._version", lambda name: versions.get(name, "1.0"))
    monkeypatch.setattr("scidb.hashing.code.fingerprint._made", {})
    project.write("import numpy as np\n\n\ndef peak(x):\n    return float(np.max(x))\n")
    db.save(Smooth, [1.0, 2.0], subject=1)
    for_each(project.module.peak, {"x": Smooth}, [Peak], subject=[], db=db, progress=False)
    versions["numpy"] = "3.0"
    monkeypatch.setattr("scidb.hashing.code.fingerprint._made", {})

    made = at(db, Peak, subject=1)
    assert made.state == "up to date"
    assert made.remarks == ("library numpy 2.1.3 -> 3.0 (recorded, not part of the fingerprint)",)


def test_flagged_data_that_was_left_out(study: DatabaseManager, project: Project) -> None:
    """What rests on flagged data is not expected, so that a run with exclude= leaves everything green."""
    study.save(Force, [9.0], subject=2, trial=3)
    project.run(study)
    assert study.status().is_green
    study.flag(Force, "electrode off", subject=2, trial=3)
    project.run(study, exclude=True)

    assert study.status().is_green
    study.save(Force, [9.0], subject=2, trial=4)
    study.flag(Force, "electrode off", subject=2, trial=4)
    assert study.status().is_green
    study.unflag(Force, "electrode off", subject=2, trial=4)
    assert states(study, Smooth) == {"missing": 1, "up to date": 5}


@both_stores
def test_inputs_of_which_only_lineage_is_known(target: str, tmp_path: Path, project: Project) -> None:
    """What was never saved is taken as it was; the code that made it, or a file that was handed on, is checked."""
    project.write("def shift(x):\n    return x + 1\n\n\ndef plot(x, path):\n    path.write_text(str(x))\n\n\n"
                  "def size(file, path):\n    return len(path.read_text())\n")  # fmt: skip
    with scidb.open(target, ["subject", "trial"], lineage_mode="ephemeral") as db, db.as_current():
        shift, size = thunk(project.module.shift), thunk(project.module.size)
        plot = thunk(generates_file=True)(project.module.plot)
        Peak.save(shift(shift(Force(1.0))), subject=1)
        file = tmp_path / "plot.txt"
        made = plot(Peak.load_one(subject=1), path=file)
        Smooth.save(made, subject=1)
        Mean.save(size(made, path=file), subject=1)
        assert states(db) == {"up to date": 3}, db.status().not_green
        project.edit("str(x)", "str(x) + '!'")

        assert [one.state for one in db.status().records] == ["input changed", "up to date", "code changed"]
        assert at(db, Mean, subject=1).reasons[0].root.kind == "code"


def test_a_key_that_is_passed_is_no_default(db: DatabaseManager, project: Project) -> None:
    """With pass_metadata, a key goes to a parameter that may well have a default."""
    project.write("def peak(x, subject=None):\n    return max(x)\n")
    db.save(Smooth, [1.0], subject=1)
    peak = project.module.peak
    for_each(peak, {"x": Smooth}, [Peak], subject=[], db=db, progress=False, pass_metadata=True)

    assert states(db, Peak) == {"up to date": 1}
