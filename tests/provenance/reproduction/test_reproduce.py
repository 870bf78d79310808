"""Reproducing records with the code that is installed: in a fresh process, from the very inputs, by column."""

from __future__ import annotations

import functools
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from scidb import Fixed, PathInput, for_each, thunk
from scidb.database import reproducing
from scidb.exceptions import NotFoundError, PipelineError, SciDBError
from scidb.hashing.code import seen
from scidb.hashing.code.manifest import Manifest
from scidb.settings import REPRODUCING

if TYPE_CHECKING:
    from tests.provenance.reproduction.conftest import Lab

    from scidb import DatabaseManager
    from scidb.provenance.reproduction import Reproduction

LAB = """
    import os
    import numpy as np
    import pandas as pd
    from scidb import BaseVariable, thunk

    class Raw(BaseVariable):
        "Samples."
    class Scaled(BaseVariable):
        "Scaled samples."
    class Table(BaseVariable):
        "A table of a subject."
    class Low(BaseVariable):
        "Smallest sample."
    class High(BaseVariable):
        "Largest sample."
    class Total(BaseVariable):
        "A number of the group."
    class Pair(BaseVariable):
        "Stored as a table of two columns."
        def to_db(self):
            return pd.DataFrame({"low": [self.data[0]], "high": [self.data[1]]})
        @classmethod
        def from_db(cls, df):
            return (float(df["low"].iloc[0]), float(df["high"].iloc[0]))

    OFFSET = 1.0

    def scale(samples, gain, band=(0.5, 20.0)):
        return samples * gain + OFFSET

    def table_of(samples):
        return pd.DataFrame({"x": samples, "pid": float(os.getpid())})

    def total(samples):
        return float(sum(s.sum() for s in samples))

    def total_of_table(samples):
        return float(sum(s.sum() for s in samples["Scaled"]))

    def keyed(samples, subject):
        return samples * subject

    def extremes(samples):
        return float(samples.min()), float(samples.max())

    def read(path):
        return float(path.read_text())

    def swapped(pair):
        return pair[::-1]

    @thunk
    def ratio(pair, weights=None):
        return pair[0] / pair[1]

    @thunk(unwrap=False)
    def with_place(samples):
        return float(samples.data.sum() + samples.metadata["subject"])

    @thunk
    def add(values, *rest, factor=1, **named):
        return factor * (sum(values) + sum(rest) + sum(named.values()))

    @thunk
    def wait(seconds):
        import time
        time.sleep(seconds)
        return seconds

    @thunk
    def end(how):
        import os, signal
        os.kill(os.getpid(), signal.SIGKILL)

    @thunk
    def named(parts):
        return sum(len(str(name)) * float(part) for name, part in parts.items())

    @thunk
    def needs_a_package(x):
        if x.get("now"):
            import no_such_package
        return 1.0
"""


@pytest.fixture
def work(lab: Lab) -> Any:
    return lab.write(LAB)


@pytest.fixture
def scaled(work: Any, db: DatabaseManager) -> Any:
    return filled(work)


def filled(work: Any) -> Any:
    """Save raw samples of two subjects, and scale them."""
    for subject in (1, 2):
        work.Raw.save(np.arange(3.0) * subject, subject=subject)
    for_each(work.scale, {"samples": work.Raw, "gain": 0.1}, [work.Scaled], subject=[], progress=False)
    return work


def outcomes(found: Reproduction) -> list[tuple[str, str]]:
    return [(one.variable, one.outcome) for one in found.records]


# ---------------------------------------------------------------- what is equal


@pytest.mark.parametrize("db", ["memory", "duck", "http"], indirect=True)
def test_a_chain_is_computed_again_from_what_was_saved_by_hand(work: Any, db: DatabaseManager) -> None:
    """Each record behind the one asked for is computed again, first things first, and is equal."""
    scaled = filled(work)
    for_each(scaled.total, {"samples": scaled.Scaled}, [scaled.Total], progress=False)

    found = db.reproduce(scaled.Total.load_one())

    assert outcomes(found) == [("Scaled", "equal"), ("Scaled", "equal"), ("Total", "equal")]
    assert {one.code for one in found.records} == {"installed"}
    assert found.outcome == "equal"
    assert found.environment == ()
    assert len(db.log()) == 5  # nothing was saved


def test_a_record_alone_is_computed_from_its_stored_inputs(scaled: Any, db: DatabaseManager) -> None:
    """With upstream=False only the record's own call is made again."""
    for_each(scaled.total, {"samples": scaled.Scaled}, [scaled.Total], progress=False)

    found = db.reproduce(scaled.Total.load_one().record_id[:12], upstream=False)

    assert outcomes(found) == [("Total", "equal")]


def test_every_way_in_which_for_each_passes_inputs(scaled: Any, db: DatabaseManager) -> None:
    """Tables of matches, keys of the combination, several outputs, and fixed inputs are put together as they were."""
    for_each(scaled.total_of_table, {"samples": scaled.Scaled}, [scaled.Total], as_table=True, progress=False)
    for_each(scaled.keyed, {"samples": scaled.Raw}, [scaled.Table], pass_metadata=True, subject=[2], progress=False)
    fixed = Fixed(scaled.Raw, subject=2)
    for_each(scaled.extremes, {"samples": fixed}, [scaled.Low, scaled.High], day=[1], progress=False)
    wanted = [scaled.Total.load_one(), scaled.Table.load_one(), scaled.High.load_one()]

    assert [outcomes(db.reproduce(one, upstream=False)) for one in wanted] == [
        [("Total", "equal")],
        [("Table", "equal")],
        [("Low", "equal"), ("High", "equal")],
    ]


def test_thunks_are_computed_again_however_they_were_called(work: Any, db: DatabaseManager) -> None:
    """Positional and keyword arguments, lists of results, unsaved results and whole variables."""
    work.Raw.save(np.arange(3.0), subject=7)
    inner = [work.add([1.0, 2.0], 3.0, factor=2), work.add((4.0,), named=5.0)]
    work.Total.save(work.add(inner, 1.0, other=2.0))
    found = db.reproduce(work.Total.load_one())
    assert outcomes(found) == [("result of add()", "equal"), ("result of add()", "equal"), ("Total", "equal")]

    work.Total.save(work.with_place(work.Raw.load_one()))
    assert outcomes(db.reproduce(work.Total.load_one())) == [("Total", "equal")]


def test_what_was_given_in_a_dict(work: Any, db: DatabaseManager) -> None:
    """Results and constants in a dict come back under their keys."""
    parts = {"low": work.add([1.0]), 10: work.add([2.0]), "k": 5.0}
    work.Total.save(work.named(parts))

    found = db.reproduce(work.Total.load_one())

    assert outcomes(found) == [("result of add()", "equal"), ("result of add()", "equal"), ("Total", "equal")]


@pytest.mark.slow
def test_options_of_a_thunk_that_no_module_names(work: Any, db: DatabaseManager) -> None:
    """A thunk that a script makes of a function of a module is made again with its version and what it ignores."""
    for number, made in enumerate((thunk(version="2")(work.scale), thunk(ignore=["OFFSET"])(work.scale))):
        work.Scaled.save(made(np.arange(3.0), 2.0), subject=number)
        found = db.reproduce(work.Scaled.load_one(subject=number))
        assert outcomes(found) == [("Scaled", "equal")], found.records[0].reason


@pytest.mark.slow
def test_custom_storage_goes_through_its_class(work: Any, db: DatabaseManager) -> None:
    """M13: what a class stores in its own way is given and compared through that class."""
    work.Pair.save((1.0, 4.0), subject=1)
    for_each(work.ratio, {"pair": work.Pair}, [work.Total], subject=[], progress=False)
    for_each(work.swapped, {"pair": work.Pair}, [work.Pair], subject=[1], day=[1], progress=False)

    assert db.reproduce(work.Total.load_one()).outcome == "equal"
    assert outcomes(db.reproduce(work.Pair.load_one(day=1))) == [("Pair", "equal")]


@pytest.mark.slow
def test_a_file_is_read_again_only_as_it_was(work: Any, db: DatabaseManager, tmp_path: Path) -> None:
    """M10: a file whose content is another one is not read, and a moved folder is named."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.txt").write_text("2.5", encoding="utf-8")
    files = PathInput("{subject}.txt", root_folder=tmp_path / "old")
    for_each(work.read, {"path": files}, [work.Total], subject=[1], progress=False)
    record = work.Total.load_one()
    assert db.reproduce(record).outcome == "equal"

    (tmp_path / "old" / "1.txt").write_text("9.9", encoding="utf-8")
    (one,) = db.reproduce(record).records
    assert one.outcome == "not reproduced"
    assert "another content" in one.reason

    assert db.reproduce(record, root_folder=tmp_path / "new").outcome == "equal"


def test_a_changed_default_is_not_what_the_call_received(lab: Lab, scaled: Any, db: DatabaseManager) -> None:
    """M6: the default of then is an input of the call; that of today does not enter."""
    record = scaled.Scaled.load_one(subject=1)
    lab.write(LAB.replace("band=(0.5, 20.0)", "band=None"))

    assert outcomes(db.reproduce(record)) == [("Scaled", "equal")]


# ---------------------------------------------------------------- what is not


def test_what_depends_on_the_process_is_different_by_column(scaled: Any, db: DatabaseManager) -> None:
    """A fresh process shows what a warm one hides: the column that differs is named, with the amount."""
    for_each(scaled.table_of, {"samples": scaled.Raw}, [scaled.Table], subject=[1], progress=False)

    found = db.reproduce(scaled.Table.load_one())
    columns = {column.name: column for column in found.records[0].columns}

    assert found.outcome == "different"
    assert (columns["x"].state, columns["pid"].state) == ("equal", "different")
    assert columns["pid"].largest_absolute
    assert "pid: different, by" in str(found)
    assert set(found.to_pandas()["column"]) == {"index", "x", "pid"}


def test_the_tolerance_decides(lab: Lab, db: DatabaseManager) -> None:
    """Numbers that depend on the process a little are within tolerance, unless none is allowed."""
    work = lab.write(LAB + "    def near(x):\n        return x + 1e-15 * os.getpid()\n")
    work.Raw.save(1000.0, subject=1)
    for_each(work.near, {"x": work.Raw}, [work.Total], subject=[], progress=False)
    record = work.Total.load_one()

    assert db.reproduce(record).outcome == "within tolerance"
    assert db.reproduce(record, rtol=0.0, atol=0.0).outcome == "different"


def test_an_edited_function_is_not_run_as_the_recorded_one(lab: Lab, scaled: Any, db: DatabaseManager) -> None:
    """Changed code is never taken for the recorded code; the stored text is shown, and does not run."""
    record = scaled.Scaled.load_one(subject=1)
    lab.write(LAB.replace("OFFSET = 1.0", "OFFSET = 2.0"))
    shown: list[Any] = []

    found = db.reproduce(record, show=shown.extend)

    assert found.outcome == "not reproduced"
    assert "not the recorded one any more" in found.records[0].reason
    assert "samples * gain + OFFSET" in shown[0].text
    assert found.stored_code == tuple(shown)


def test_a_function_that_is_not_imported_is_not_looked_for(
    lab: Lab, scaled: Any, db: DatabaseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing named by the database is imported."""
    record = scaled.Scaled.load_one(subject=1)
    lab.forget()
    monkeypatch.setattr(seen, "_seen", defaultdict(dict))

    found = db.reproduce(record)

    assert found.outcome == "not reproduced"
    assert "--import" in found.records[0].reason


@pytest.mark.slow
def test_a_function_of_a_library_runs_only_where_the_user_names_it(work: Any, db: DatabaseManager) -> None:
    """A database could name any function of the standard library; only one that is used as a thunk here runs."""
    from scidb import Thunk

    size = Thunk(os.path.basename)
    work.Total.save(size("a/b"))
    record = work.Total.load_one()
    assert db.reproduce(record).outcome == "equal"

    del size
    gc.collect()
    found = db.reproduce(record)
    assert found.outcome == "not reproduced"
    assert "function of a library" in found.records[0].reason

    half = functools.partial(os.path.join, "a")
    joined = Thunk(half)
    work.Total.save(joined("b"))
    assert db.reproduce(work.Total.load_one()).outcome == "equal"
    del joined
    gc.collect()
    assert db.reproduce(work.Total.load_one()).outcome == "not reproduced"


def test_a_damaged_description_of_code_is_said(
    scaled: Any, db: DatabaseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What leads nowhere in a stored manifest is an answer, not a crash."""
    read, root = Manifest.read, '"roots":[["function","unit:0"'
    monkeypatch.setattr(Manifest, "read", lambda text: read(text.replace(root, root.replace("0", "7"))))

    (one,) = db.reproduce(scaled.Scaled.load_one(subject=1)).records

    assert one.outcome == "not reproduced"
    assert "'unit:7'" in one.reason


def test_a_constant_that_is_not_stored_is_named(work: Any, db: DatabaseManager) -> None:
    """A long array is known by its hash alone; it is never guessed."""
    work.Total.save(work.add(np.arange(5000.0)))

    (one,) = db.reproduce(work.Total.load_one()).records

    assert one.outcome == "not reproduced"
    assert "the constant values (float64 array (5000)) is not stored" in one.reason


def test_some_rows_of_a_record_are_named(work: Any, db: DatabaseManager) -> None:
    """A result of rows that were chosen when a value was loaded is not made of the whole value."""
    work.Raw.save(np.arange(5.0), subject=1)
    work.Total.save(work.add(work.Raw.load_one(subject=1, iloc=slice(0, 2))))

    (one,) = db.reproduce(work.Total.load_one()).records

    assert one.outcome == "not reproduced"
    assert "the argument 'values' was some rows of Raw (loc=, iloc=), and which ones is not stored" in one.reason


@pytest.mark.slow
def test_a_long_constant_is_made_again(work: Any, db: DatabaseManager) -> None:
    """A list that the preview cuts keeps its text."""
    work.Total.save(work.add(list(map(float, range(200)))))

    assert db.reproduce(work.Total.load_one()).outcome == "equal"


def test_what_was_called_with_something_unknown_is_not_run(work: Any, db: DatabaseManager) -> None:
    """M7: an argument without identity cannot be made again, and is named."""
    with pytest.warns(UserWarning, match="runs every time"):
        work.Total.save(work.ratio((1.0, 2.0), weights=object()))

    (one,) = db.reproduce(work.Total.load_one()).records

    assert "weights" in one.reason
    assert one.outcome == "not reproduced"


@pytest.mark.slow
def test_a_failing_upstream_call_is_named_and_the_rest_uses_what_is_stored(
    scaled: Any, db: DatabaseManager, lab: Lab
) -> None:
    """What cannot be made again does not keep the calls after it from being checked with its stored value."""
    for_each(scaled.total, {"samples": scaled.Scaled}, [scaled.Total], progress=False)
    record = scaled.Total.load_one()
    lab.write(LAB.replace("OFFSET = 1.0", "OFFSET = 2.0"))

    found = db.reproduce(record)

    assert outcomes(found) == [("Scaled", "not reproduced"), ("Scaled", "not reproduced"), ("Total", "equal")]
    assert found.outcome == "not reproduced"


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ("feedfeed", NotFoundError),
        ("generated:12", NotFoundError),
        ("", SciDBError),
        (3, SciDBError),
        ({"timeout": 0}, SciDBError),
    ],
)
def test_bad_questions_are_refused(scaled: Any, db: DatabaseManager, given: Any, error: type[Exception]) -> None:
    """An unknown id, no id, and a limit that is none are errors that say what is expected."""
    record = scaled.Scaled.load_one(subject=1)
    with pytest.raises(error):
        db.reproduce(record, **given) if isinstance(given, dict) else db.reproduce(given)


def test_what_no_function_made_cannot_be_reproduced(scaled: Any, db: DatabaseManager) -> None:
    """A record that was saved by hand, and one that was never saved, say so."""
    with pytest.raises(NotFoundError, match="saved by hand"):
        db.reproduce(scaled.Raw.load_one(subject=1))
    with pytest.raises(NotFoundError, match="never saved"):
        db.reproduce(scaled.Raw(1.0))


# ---------------------------------------------------------------- the fresh process


@pytest.fixture
def pretended(work: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the laboratory with thunks that return at once here, and do what they say in a fresh process."""
    from scidb.thunk import Thunk

    monkeypatch.setattr(Thunk, "_run", lambda *_: [1.0])
    return work


def test_a_process_that_is_killed_is_reported(pretended: Any, db: DatabaseManager) -> None:
    """A crash in the user's code costs the fresh process alone, and the report says how it ended."""
    pretended.Total.save(pretended.end("now"))

    (one,) = db.reproduce(pretended.Total.load_one()).records

    assert one.outcome == "not reproduced"
    assert "SIGKILL" in one.reason


@pytest.mark.slow
def test_the_process_ends_with_the_one_that_asked(pretended: Any, lab: Lab, file_db: DatabaseManager) -> None:
    """When the asking process is killed, what it has started does not go on."""
    mark = lab.folder / "pid"
    text = f"""
        import os, time
        from scidb import BaseVariable, thunk
        class Waited(BaseVariable): pass
        @thunk
        def wait(x):
            open({str(mark)!r}, "w").write(str(os.getpid()))
            time.sleep(60)
            return x
    """
    (lab.folder / "waiting.py").write_text(dedent(text), encoding="utf-8")
    script = (
        "import scidb, waiting\nfrom scidb.thunk import Thunk\nrun = Thunk._run\nThunk._run = lambda *_: [1.0]\n"
        "with scidb.open('memory:', ['subject']) as db, db.as_current():\n"
        "    waiting.Waited.save(waiting.wait(1.0))\n    db.reproduce(waiting.Waited.load_one())\n"
    )
    asking = subprocess.Popen([sys.executable, "-c", script], cwd=lab.folder)
    deadline = time.monotonic() + 60
    while not (mark.exists() and mark.read_text(encoding="utf-8")) and time.monotonic() < deadline:
        time.sleep(0.1)
    child = int(mark.read_text(encoding="utf-8"))

    asking.kill()
    asking.wait()
    while _is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.1)

    assert not _is_alive(child)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{process}/stat")
    return not state.exists() or state.read_text(encoding="utf-8").split()[2] != "Z"  # not yet buried


@pytest.mark.slow
def test_a_process_that_does_not_end_is_stopped(pretended: Any, db: DatabaseManager) -> None:
    """With a timeout the process is gone after it."""
    pretended.Total.save(pretended.wait(60.0))
    started = time.monotonic()

    (one,) = db.reproduce(pretended.Total.load_one(), timeout=3).records

    assert time.monotonic() - started < 30
    assert "did not end within 3 seconds" in one.reason


@pytest.mark.slow
def test_an_interruption_ends_the_process(pretended: Any, db: DatabaseManager) -> None:
    """Ctrl-C is raised here, and nothing goes on behind it."""
    pretended.Total.save(pretended.wait(60.0))
    record = pretended.Total.load_one()
    timer = threading.Timer(2.0, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()

    with pytest.raises(KeyboardInterrupt):
        db.reproduce(record)
    timer.join()


@pytest.mark.slow
def test_a_missing_package_is_named(pretended: Any, db: DatabaseManager) -> None:
    """What the function raises is the reason, with its traceback."""
    pretended.Total.save(pretended.needs_a_package({"now": True}))

    (one,) = db.reproduce(pretended.Total.load_one()).records

    assert "needs_a_package() raised ModuleNotFoundError: No module named 'no_such_package'" in one.reason
    assert "lab_work.py" in one.traceback


def test_reproducing_inside_a_reproduction_is_refused(
    scaled: Any, db: DatabaseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module that reproduces when it is imported does not start processes without end."""
    monkeypatch.setenv(REPRODUCING, "1")
    with pytest.raises(PipelineError, match="__main__"):
        db.reproduce(scaled.Scaled.load_one(subject=1))


@pytest.mark.slow
def test_another_environment_is_said_beside_the_result(
    scaled: Any, db: DatabaseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Versions that are not as they were stand beside the result, and do not change it."""
    record = scaled.Scaled.load_one(subject=1)
    description = '{"python":"3.0","packages":{"numpy":"0.1"}}'
    monkeypatch.setattr(reproducing, "describe_environment", lambda _: description)

    found = db.reproduce(record)
    changes = {change.name: change.now for change in found.environment}

    assert found.outcome == "equal"
    assert (changes["Python"], changes["numpy"]) == ("3.0", "0.1")
    assert f"numpy: {np.__version__} then, 0.1 now" in str(found)


# ---------------------------------------------------------------- code that is not installed


def test_stored_code_runs_only_when_that_is_said(lab: Lab, scaled: Any, db: DatabaseManager) -> None:
    """With run_stored_code=True the recorded code runs, although today's is another one."""
    record = scaled.Scaled.load_one(subject=1)
    lab.write(LAB.replace("OFFSET = 1.0", "OFFSET = 2.0"))

    found = db.reproduce(record, run_stored_code=True)

    assert [(one.outcome, one.code) for one in found.records] == [("equal", "stored")]
    assert [one.function for one in found.stored_code] == ["scale"]


def test_nothing_of_a_foreign_database_runs_by_itself(
    lab: Lab, db: DatabaseManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code that came with a database is not even imported or compiled before somebody says so."""
    mark = tmp_path / "it ran"
    work = lab.write(f"{LAB}    def touch(x):\n        open({str(mark)!r}, 'w').close()\n        return x\n")
    work.Raw.save(1.0, subject=1)
    for_each(work.touch, {"x": work.Raw}, [work.Total], subject=[], progress=False)
    mark.unlink()
    record = work.Total.load_one()
    lab.forget()
    monkeypatch.setattr(seen, "_seen", defaultdict(dict))

    assert db.reproduce(record).outcome == "not reproduced"
    assert not mark.exists()
    assert db.reproduce(record, run_stored_code=True).outcome == "equal"
    assert mark.exists()


@pytest.mark.slow
def test_functions_that_no_module_names_run_from_this_session(work: Any, db: DatabaseManager) -> None:
    """A lambda and a closure, as in a notebook, are taken from the sources of this very process."""
    factor = 3.0
    triple = lambda samples: factor * samples
    work.Raw.save(np.arange(3.0), subject=1)
    for_each(triple, {"samples": work.Raw}, [work.Scaled], subject=[], progress=False)

    (one,) = db.reproduce(work.Scaled.load_one()).records

    assert (one.outcome, one.code) == ("equal", "this session")


def test_a_file_that_was_edited_after_its_import_is_not_what_ran(lab: Lab, scaled: Any, db: DatabaseManager) -> None:
    """M11: the fresh process sees the edited file, and takes the code that this process has instead."""
    record = scaled.Scaled.load_one(subject=1)
    (lab.folder / "lab_work.py").write_text("raise ValueError('half edited')\n", encoding="utf-8")

    (one,) = db.reproduce(record).records

    assert (one.outcome, one.code) == ("equal", "this session")


@pytest.mark.slow
def test_a_module_that_opens_a_database_is_not_waited_for(lab: Lab, db: DatabaseManager) -> None:
    """The functions of a script that opens its database at the top come from this session; no lock is waited for."""
    path = str(lab.folder / "own.duckdb")
    work = lab.write(f"{LAB}    from scidb import open as open_it\n    own = open_it({path!r}, ['subject'])\n")
    work.Raw.save(np.arange(3.0), subject=1)
    for_each(work.scale, {"samples": work.Raw, "gain": 2.0}, [work.Scaled], subject=[], progress=False)
    started = time.monotonic()

    (one,) = db.reproduce(work.Scaled.load_one()).records
    work.own.close()

    assert (one.outcome, one.code) == ("equal", "this session")
    assert time.monotonic() - started < 10


def test_a_value_that_the_code_reads_and_that_is_not_stored_is_named(lab: Lab, db: DatabaseManager) -> None:
    """A global array is known by its hash alone, so that the stored code cannot be put together."""
    text = f"{LAB}    TABLE = np.zeros(5000)\n    def looked_up(x):\n        return x + TABLE[0]\n"
    work = lab.write(text)
    work.Raw.save(1.0, subject=1)
    for_each(work.looked_up, {"x": work.Raw}, [work.Total], subject=[], progress=False)
    record = work.Total.load_one()
    lab.write(text.replace("TABLE[0]", "TABLE[1]"))

    (one,) = db.reproduce(record, run_stored_code=True).records

    assert one.outcome == "not reproduced"
    assert "the value of TABLE (float64 array (5000))" in one.reason
