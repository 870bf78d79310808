"""for_each under awkward functions, files, levels and ends."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import scidb
from scidb import BaseVariable, DatabaseManager, Fixed, PathInput, exceptions, for_each, thunk

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.above_stores


class Raw(BaseVariable):
    pass


class Out(BaseVariable):
    pass


def first(x: Any) -> Any:
    return x


def test_a_file_that_changes_under_way_fails_its_combination(db: DatabaseManager, tmp_path: Path) -> None:
    """M10: a result is never filed under the content of a file that it was not computed from."""
    for subject in (1, 2, 3):
        (tmp_path / f"{subject}.csv").write_text(f"old {subject}")

    def read(path: Path) -> str:
        if path.name == "1.csv":
            path.with_name("3.csv").write_text("changed")
        return path.read_text()

    files = {"path": PathInput("{subject}.csv", root_folder=tmp_path)}
    report = for_each(read, files, [Out], subject=[1, 2, 3])

    assert (report.completed, report.failed) == (2, 1)
    assert "changed while this run was under way" in str(report.failures[0].error)
    (tmp_path / "3.csv").write_text("old 3")
    for_each(read, files, [Out], subject=[2, 3])
    assert Out.load_one(subject=3).data == "old 3"


def test_a_file_that_is_only_touched_is_fine(db: DatabaseManager, tmp_path: Path) -> None:
    """Another time of writing alone fails nothing."""
    (tmp_path / "1.csv").write_text("same")

    def read(path: Path) -> str:
        path.write_text("same")
        return path.read_text()

    report = for_each(read, {"path": PathInput("{subject}.csv", root_folder=tmp_path)}, [Out], subject=[1])
    assert (report.completed, report.failed) == (1, 0)


def test_a_file_that_cannot_be_read_fails_alone(
    db: DatabaseManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R2: an error of the file system fails one combination, stored with the run."""
    for subject in (1, 2):
        (tmp_path / f"{subject}.csv").write_text("x")
    real = type(tmp_path).open

    def failing(self: Path, *args: Any, **kwargs: Any) -> Any:
        if self.name == "1.csv":
            raise PermissionError(13, "not yours")
        return real(self, *args, **kwargs)

    monkeypatch.setattr(type(tmp_path), "open", failing)
    report = for_each(
        lambda path: path.name, {"path": PathInput("{subject}.csv", root_folder=tmp_path)}, [Out], subject=[1, 2]
    )

    assert (report.completed, report.failed) == (1, 1)
    assert db.failures()[0].error == "PermissionError"


def test_paths_are_relative_and_literal(tmp_path: Path) -> None:
    """A template is relative to its root, and brackets in it mean themselves."""
    with pytest.raises(exceptions.PipelineError, match="root_folder"):
        PathInput("/data/{subject}.csv")
    (tmp_path / "run[1]_7.csv").write_text("x")
    assert PathInput("run[1]_{subject}.csv", root_folder=tmp_path).discover() == [{"subject": "7"}]


def test_several_finer_levels_are_ambiguous(db: DatabaseManager) -> None:
    """Values of sessions and of their trials are never thrown into one list."""
    with scidb.open("memory:", ["subject", "session", "trial"]) as deep:
        Raw.save(5.0, subject=1, session=1, db=deep)
        Raw.save(4.0, subject=1, session=1, trial=1, db=deep)

        with pytest.raises(exceptions.AmbiguousVersionError, match="several levels"):
            for_each(first, {"x": Raw}, [Out], subject=[], db=deep)

        for_each(first, {"x": Fixed(Raw, trial=None)}, [Out], subject=[], db=deep)
        assert Out.load_one(db=deep).data == [5.0]


def test_incomparable_coarser_levels_are_ambiguous(db: DatabaseManager) -> None:
    """Of a value per subject and one per trial neither is nearer to a combination of both."""
    Raw.save(10.0, subject=1)
    Raw.save(20.0, trial=1)

    with pytest.raises(exceptions.AmbiguousVersionError, match="several levels"):
        for_each(first, {"x": Raw}, [Out], subject=[1], trial=[1])


def test_one_shape_per_input(db: DatabaseManager) -> None:
    """A function never gets a list for one subject and a single value for another."""
    Raw.save(1.0, subject=1)
    Raw.save(2.0, subject=2, trial=1)

    with pytest.raises(exceptions.AmbiguousVersionError, match="list of Raw for some"):
        for_each(first, {"x": Raw}, [Out], subject=[1, 2])


def test_nothing_that_differs_runs_once_and_is_said(db: DatabaseManager, caplog: pytest.LogCaptureFixture) -> None:
    """A simulation that receives nothing runs once, loudly; force runs it for each."""
    rng = np.random.default_rng(0)

    def draw() -> float:
        return float(rng.normal())

    report = for_each(thunk(ignore=["rng"])(draw), {}, [Out], subject=[1, 2, 3])
    assert (report.completed, report.recalled) == (1, 2)
    assert "runs once" in caplog.text

    report = for_each(thunk(ignore=["rng"])(draw), {}, [Out], subject=[1, 2, 3], force=True)
    assert report.completed == 3
    assert len({item.data for item in Out.load_all()}) == 3


@pytest.mark.parametrize(
    "value", [(i for i in [1]), threading.Lock(), [threading.Lock()]], ids=["generator", "lock", "list of lock"]
)
def test_what_cannot_be_copied_fails_alone(db: DatabaseManager, value: Any) -> None:
    """R3: a result that cannot be kept fails its own combination, in our words."""

    def odd(subject: int) -> Any:
        return holder[0] if subject == 2 else subject

    holder = [value]
    report = for_each(thunk(ignore=["holder"])(odd), {}, [Out], subject=[1, 2, 3], pass_metadata=True)

    assert (report.completed, report.failed) == (2, 1)
    assert isinstance(report.failures[0].error, exceptions.UnsupportedValueError)


def test_errors_that_cannot_be_told(db: DatabaseManager) -> None:
    """R2: an error with odd text, or without any, is a stored failure like any other."""

    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("mute")

    def odd(subject: int) -> int:
        if subject == 1:
            raise MuteError
        if subject == 2:
            raise ValueError("bad \udcff")
        return subject

    report = for_each(odd, {}, [Out], subject=[1, 2, 3], pass_metadata=True)

    assert (report.completed, report.failed) == (1, 2)
    assert {failure.error for failure in db.failures()} == {"MuteError", "ValueError"}
    assert r"\udcff" in db.failures()[1].message


def test_results_survive_an_interrupted_write(db: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt while results are written loses none of them, ends the run, and carries the report."""
    real = db._store.write
    interruptions = iter([True])

    def write(batch: Any) -> Any:
        if batch.chunks and next(interruptions, False):
            raise KeyboardInterrupt
        return real(batch)

    monkeypatch.setattr(db._store, "write", write)
    with pytest.raises(KeyboardInterrupt) as caught:
        for_each(lambda subject: subject, {}, [Out], subject=range(5), pass_metadata=True)

    assert caught.value.report.completed == 5  # type: ignore[attr-defined]
    assert len(list(Out.load_all())) == 5
    assert db.runs()[0].ended is not None


def test_results_that_cannot_be_saved_are_not_reported_as_done(
    db: DatabaseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk is full, what was not saved is said to be not run, and the run ends."""
    real = db._store.write

    def write(batch: Any) -> Any:
        if batch.chunks:
            raise exceptions.StorageError("disk full")
        return real(batch)

    monkeypatch.setattr(db._store, "write", write)
    with pytest.raises(exceptions.StorageError, match="disk full"):
        for_each(lambda subject: subject, {}, [Out], subject=range(5), pass_metadata=True)

    run = db.runs()[0]
    assert (run.completed, run.interrupted) == (0, True)


def test_on_error_raise_with_a_value_that_cannot_be_stored(db: DatabaseManager) -> None:
    """``on_error="raise"`` also raises what storing refused, after the run has ended in the database."""

    def odd(subject: int) -> Any:
        return object() if subject == 2 else subject

    with pytest.raises(exceptions.UnsupportedValueError):
        for_each(odd, {}, [Out], subject=[1, 2, 3], pass_metadata=True, on_error="raise")
    assert db.runs()[0].ended is not None
    assert len(db.failures()) == 1


@pytest.mark.parametrize("name", ["version", "data", "index", "save", "as_of", "timestamp"])
def test_constants_may_not_have_reserved_names(db: DatabaseManager, name: str) -> None:
    """A constant is stored as a version key, so it cannot have a name that SciDB needs for itself."""
    namespace: dict[str, Any] = {}
    exec(f"def f({name}): return 1", namespace)
    with pytest.raises(exceptions.PipelineError, match="Rename the parameter"):
        for_each(namespace["f"], {name: 3}, [Out], subject=[1])


def test_an_input_called_like_a_passed_key(db: DatabaseManager) -> None:
    """With pass_metadata an input named like a key is refused, not replaced by the key."""
    Raw.save(1.0, subject=1)
    with pytest.raises(exceptions.PipelineError, match="also a key that is passed"):
        for_each(lambda subject: subject, {"subject": Raw}, [Out], subject=[1], pass_metadata=True)


@pytest.mark.parametrize("inputs", [None, [Raw], {3: Raw}])
def test_inputs_are_a_dict(db: DatabaseManager, inputs: Any) -> None:
    """Anything else is an error of our own."""
    with pytest.raises(exceptions.PipelineError, match="inputs="):
        for_each(first, inputs, [Out])


def test_fixed_values_have_one_text(db: DatabaseManager) -> None:
    """``Fixed(X, subject=np.int64(1))`` and ``subject="1"`` are ``subject=1``: no second variant."""
    Raw.save(1.0, subject=1)
    for value in (1, np.int64(1), "1", 1.0):
        for_each(first, {"x": Fixed(Raw, subject=value)}, [Out])

    assert Out.load_one()._all_version_keys["__inputs"] == '{"x": "Fixed(Raw, subject=1)"}'


def test_constants_without_identity_run_every_time(db: DatabaseManager) -> None:
    """M7: a constant that cannot be hashed makes the run uncached, and that is said."""
    Raw.save(2.0, subject=1)
    lock = threading.Lock()

    def with_lock(x: float, lock: Any) -> float:
        return x

    for _ in range(2):
        with pytest.warns(exceptions.UncacheableWarning, match="cannot be recognised"):
            report = for_each(with_lock, {"x": Raw, "lock": lock}, [Out], subject=[1])
        assert report.completed == 1
    assert Out.load_one().version_keys == {"lock": {"kind": "lock"}}


def test_functions_as_constants(db: DatabaseManager) -> None:
    """M4: a function given as a constant counts by its code, and is shown by its name."""
    Raw.save(np.array([1.0, 2.0, 6.0]), subject=1)

    def reduce(x: Any, how: Any) -> float:
        return float(how(x))

    def run(how: Any) -> scidb.ForEachReport:
        return for_each(reduce, {"x": Raw, "how": how}, [Out], subject=[])

    assert [run(how).completed for how in (np.mean, np.mean, np.median)] == [1, 0, 1]
    assert Out.load_one(how={"kind": "numpy.mean"}).data == 3.0


def test_strict_thunks_are_not_recalled(db: DatabaseManager) -> None:
    """M7: ``strict=True`` holds in for_each too: code that is not fully known is computed each time."""
    Raw.save(2.0, subject=1)

    @thunk(strict=True)
    def odd(x: float) -> float:
        return x + len(globals()) * 0

    for _ in range(2):
        with pytest.warns(exceptions.UncacheableWarning):
            assert for_each(odd, {"x": Raw}, [Out], subject=[]).completed == 1


def test_a_function_that_changes_what_it_reads_says_so(db: DatabaseManager) -> None:
    """A run that changes a global of its function names it, because the next run counts as other code."""
    Raw.save(1, subject=1)
    seen: list[Any] = []

    def remember(x: Any) -> Any:
        seen.append(x)
        return len(seen)

    with pytest.warns(exceptions.ChangingCodeWarning, match=r"remember\(\) changes what it reads: seen") as caught:
        for_each(remember, {"x": Raw}, [Out], subject=[])

    assert caught[0].filename == __file__
    ignoring = thunk(ignore=["seen"])(remember)
    assert [for_each(ignoring, {"x": Raw}, [Out], subject=[]).completed for _ in range(2)] == [1, 0]


def test_an_ignored_name_that_nothing_reads_is_said(db: DatabaseManager) -> None:
    """A misspelt name in ignore= has no effect, and for_each says so as a call does."""
    Raw.save(1, subject=1)
    misspelt = thunk(ignore=["sen"])(first)

    with pytest.warns(exceptions.IgnoreWarning, match=r"first\(\): ignore= names 'sen'"):
        for_each(misspelt, {"x": Raw}, [Out], subject=[])


def test_strict_code_that_is_not_fully_known_runs_every_time(db: DatabaseManager) -> None:
    """With strict=True nothing is recalled on any warning about the code; without, the warning is on the record."""
    Raw.save(1, subject=1)

    def dynamic(x: Any) -> Any:
        return eval("x")

    with pytest.warns(exceptions.UncacheableWarning, match=r"strict=True.*calls eval\(\)"):
        strict = [for_each(thunk(strict=True)(dynamic), {"x": Raw}, [Out], subject=[]).completed for _ in range(2)]

    assert strict == [1, 1]
    assert [for_each(thunk(dynamic), {"x": Raw}, [Out], subject=[]).completed for _ in range(2)] == [1, 0]
