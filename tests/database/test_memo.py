"""Results that were saved are recalled, and nothing else is."""

from __future__ import annotations

import dataclasses
import functools
import textwrap
import threading
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from tests.matrices import Matrix

import scidb
from scidb import BaseVariable, DatabaseManager, Thunk, exceptions, thunk
from scidb.exceptions import UncacheableWarning

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.above_stores


class Raw(BaseVariable):
    pass


class Out(BaseVariable):
    pass


class Other(BaseVariable):
    pass


@thunk
def scale(x: Any, k: float = 2.0) -> Any:
    return x * k


@thunk(n_outputs=2)
def extremes(x: Any) -> Any:
    return x.min(), x.max()


@thunk(unpack_output=True)
def parts(x: Any) -> Any:
    return [float(item) for item in x]


def saved(value: Any, subject: int = 1) -> Any:
    Raw.save(value, subject=subject)
    return Raw.load_one(subject=subject)


def test_a_saved_result_is_recalled(db: DatabaseManager) -> None:
    """The second call with the same code and inputs does not run."""
    first = scale(saved(3.0))
    assert not first.was_cached
    Out.save(first, subject=1)

    again = scale(Raw.load_one(subject=1))

    assert again.was_cached
    assert again.data == 6.0


def test_what_was_not_saved_is_not_recalled(db: DatabaseManager) -> None:
    """Only saved outputs are known."""
    raw = saved(3.0)
    scale(raw)

    assert not scale(raw).was_cached


def test_force_runs_regardless(db: DatabaseManager) -> None:
    """``force=True`` computes what is known."""
    raw = saved(3.0)
    Out.save(scale(raw), subject=1)

    assert not scale(raw, force=True).was_cached


def test_outputs_saved_in_reverse_order(db: DatabaseManager) -> None:
    """M1: two outputs saved in reverse order are recalled in the right order."""
    raw = saved(np.array([3.0, 1.0, 2.0]))
    low, high = extremes(raw)
    Other.save(high, subject=1)
    Out.save(low, subject=1)

    low, high = extremes(raw)

    assert low.was_cached
    assert (low.data, high.data) == (1.0, 3.0)


def test_one_of_two_outputs_saved_is_a_miss(db: DatabaseManager) -> None:
    """M2: never a hit of the wrong shape."""
    raw = saved(np.array([3.0, 1.0]))
    low, _ = extremes(raw)
    Out.save(low, subject=1)

    low, high = extremes(raw)

    assert not low.was_cached
    assert high.data == 3.0


@pytest.mark.every_store
def test_a_result_saved_at_two_places(db: DatabaseManager) -> None:
    """M3: one output is recalled, not a tuple."""
    raw = saved(3.0)
    result = scale(raw)
    Out.save(result, subject=1)
    Other.save(result, subject=2)

    assert scale(raw).data == 6.0


def test_unpacked_outputs_are_recalled_when_all_were_saved(db: DatabaseManager) -> None:
    """M2: of an unpacked result every item has to be there."""
    raw = saved(np.arange(3.0))
    outputs = parts(raw)
    for trial, output in enumerate(outputs[:2]):
        Out.save(output, subject=1, trial=trial)
    assert not parts(raw)[0].was_cached
    outputs = parts(raw)
    for trial, output in enumerate(outputs):
        Out.save(output, subject=1, trial=trial)

    again = parts(raw)

    assert [output.data for output in again] == [0.0, 1.0, 2.0]
    assert again[0].was_cached


_CODE = {
    "body": ("def f(x):\n    return x + 1", "def f(x):\n    return x + 2"),
    "constant": ("def f(x):\n    return x * 0.5", "def f(x):\n    return x * 0.25"),
    "default of a helper": (
        "def h(x, k=1):\n    return x + k\ndef f(x):\n    return h(x)",
        "def h(x, k=2):\n    return x + k\ndef f(x):\n    return h(x)",
    ),
    "keyword default of a helper": (
        "def h(x, *, k=1):\n    return x + k\ndef f(x):\n    return h(x)",
        "def h(x, *, k=2):\n    return x + k\ndef f(x):\n    return h(x)",
    ),
    "default": ("def f(x, k=1):\n    return x + k", "def f(x, k=2):\n    return x + k"),
    "keyword default": ("def f(x, *, k=1):\n    return x + k", "def f(x, *, k=2):\n    return x + k"),
    "closure": (
        "def make(k):\n    def f(x):\n        return x + k\n    return f\nf = make(1)",
        "def make(k):\n    def f(x):\n        return x + k\n    return f\nf = make(2)",
    ),
    "global read": ("K = 1\ndef f(x):\n    return x + K", "K = 2\ndef f(x):\n    return x + K"),
    "helper": (
        "def h(x):\n    return x + 1\ndef f(x):\n    return h(x)",
        "def h(x):\n    return x + 2\ndef f(x):\n    return h(x)",
    ),
}


def _function(folder: Path, name: str, code: str) -> Callable[..., Any]:
    import importlib.util

    path = folder / f"{name}.py"
    path.write_text(textwrap.dedent(code) + "\n")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.f  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", _CODE)
def test_changed_code_is_computed(db: DatabaseManager, tmp_path: Path, kind: str) -> None:
    """M4: body, constant, default, keyword default, closure, global read and helper each count."""
    before, after = _CODE[kind]
    raw = saved(3.0)
    old = Thunk(_function(tmp_path, "before", before))(raw)
    Out.save(old, subject=1)

    new = Thunk(_function(tmp_path, "after", after))(raw)

    assert not new.was_cached
    assert new.data != old.data


def test_changed_looks_are_a_hit(db: DatabaseManager, tmp_path: Path) -> None:
    """M5: comment, docstring, blank lines, annotation, position and file do not count."""
    raw = saved(3.0)
    Out.save(Thunk(_function(tmp_path, "one", "def f(x):\n    return x + 1"))(raw), subject=1)
    dressed = '# moved\n\n\nclass Other: ...\n\ndef f(x: float) -> float:\n    """Add."""\n\n    return x + 1  # one'

    assert Thunk(_function(tmp_path, "two", dressed))(raw).was_cached


def test_one_identity_however_a_call_is_written(db: DatabaseManager) -> None:
    """M6: by position, by keyword, with the default given or left out."""
    raw = saved(3.0)
    Out.save(scale(raw, 2.0), subject=1)

    assert scale(raw).was_cached
    assert scale(raw, k=2.0).was_cached
    assert scale(x=raw, k=2.0).was_cached
    assert not scale(raw, k=3.0).was_cached


def test_equal_data_of_two_subjects(db: DatabaseManager) -> None:
    """M6a: computed once; each record names its own input."""
    first, second = saved(3.0, subject=1), saved(3.0, subject=2)
    Out.save(scale(first), subject=1)
    recalled = scale(second)
    Out.save(recalled, subject=2)

    assert recalled.was_cached
    for subject in (1, 2):
        made = db.get_provenance(Out, subject=subject)
        assert made is not None
        assert [found["metadata"] for found in made["inputs"]] == [{"subject": subject}]
    assert [found["metadata"] for found in db.get_derived_from(Raw, subject=1)] == [{"subject": 1}]


def test_whole_variables_and_custom_classes_are_other_computations(db: DatabaseManager) -> None:
    """M6b: what the function receives decides, not only the stored table."""

    class Twin(BaseVariable):
        def to_db(self) -> pd.DataFrame:
            return pd.DataFrame({"v": np.ravel(self.data)})

        @classmethod
        def from_db(cls, df: pd.DataFrame) -> Any:
            return df["v"].to_numpy().reshape(2, 2).T

    value = np.arange(4.0).reshape(2, 2)
    Matrix.save(value, subject=1)
    Twin.save(value, subject=1)
    Raw.save(3.0, subject=1)
    Raw.save(3.0, subject=2)
    whole = Thunk(lambda x: float(x.schema["subject"]), unwrap=False)

    calls = [scale(Matrix.load_one(subject=1)), scale(Twin.load_one(subject=1))]
    calls += [whole(Raw.load_one(subject=1)), whole(Raw.load_one(subject=2))]

    assert len({call.pipeline_thunk.lineage_id for call in calls}) == 4
    assert calls[3].data == 2.0


def test_a_recalled_custom_value_goes_through_from_db(db: DatabaseManager) -> None:
    """M13: a memo hit gives what the class gives, not the stored table."""
    raw = saved(np.arange(4.0).reshape(2, 2))
    Matrix.save(scale(raw), subject=1)

    again = scale(raw)

    assert again.was_cached
    assert again.data.shape == (2, 2)


def test_an_argument_without_identity_runs_uncached(db: DatabaseManager) -> None:
    """M7: the call runs, says so once, and never equals another such call."""

    @thunk
    def guarded(lock: Any, x: float) -> float:
        return x

    lock = threading.Lock()
    with pytest.warns(UncacheableWarning, match="cannot be recognised"):
        first = guarded(lock, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        second = guarded(lock, 1.0)

    assert first.pipeline_thunk.lineage_id != second.pipeline_thunk.lineage_id


def test_values_that_behave_differently_are_different_inputs(db: DatabaseManager) -> None:
    """M8: 1, True, 1.0, np.int64(1); nested lists; frames that differ in index, dtype or category order."""

    @thunk
    def same(x: Any) -> Any:
        return 0

    frame = pd.DataFrame({"a": [1, 2]})
    cats = [pd.Categorical(["a"], categories=order) for order in (["a", "b"], ["b", "a"])]
    values = [1, True, 1.0, np.int64(1), [[1], 2], [[1, 2]], frame, frame.set_axis([1, 2]), frame.astype("i4")]
    values += [frame.assign(c=list("aa")).astype({"c": cat.dtype}) for cat in cats]

    assert len({same(value).pipeline_thunk.lineage_id for value in values}) == len(values)


def test_storage_details_do_not_matter(db: DatabaseManager) -> None:
    """M9: dict order, memory layout and byte order are the same input."""

    @thunk
    def same(x: Any) -> Any:
        return 0

    array = np.arange(6.0).reshape(2, 3)

    def lineage(value: Any) -> str:
        return str(same(value).pipeline_thunk.lineage_id)

    assert lineage({"a": 1, "b": 2}) == lineage({"b": 2, "a": 1})
    assert lineage(array) == lineage(np.asfortranarray(array)) == lineage(array.astype(">f8"))


def test_bound_state_and_partial_count(db: DatabaseManager) -> None:
    """M4: the state of a bound method, partial arguments and dataclass fields count."""

    @dataclasses.dataclass
    class Filter:
        cutoff: float

        def apply(self, x: float) -> float:
            return x * self.cutoff

    def add(x: float, k: float) -> float:
        return x + k

    raw = saved(3.0)
    Out.save(Thunk(Filter(2.0).apply)(raw), subject=1)
    Out.save(Thunk(functools.partial(add, k=1.0))(raw), subject=2)

    assert Thunk(Filter(2.0).apply)(raw).was_cached
    assert not Thunk(Filter(3.0).apply)(raw).was_cached
    assert Thunk(functools.partial(add, k=1.0))(raw).was_cached
    assert not Thunk(functools.partial(add, k=2.0))(raw).was_cached


def test_a_changed_variable_is_no_longer_its_record(db: DatabaseManager) -> None:
    """A value changed in place after loading is another input, never a stale hit."""
    raw = saved(np.arange(3.0))
    Out.save(scale(raw), subject=1)
    raw.data += 1

    result = scale(raw)

    assert not result.was_cached
    with pytest.raises(exceptions.UnsavedIntermediateError, match=r"scale\(\) -> x"):
        Out.save(result, subject=1)


def test_strict_lineage_names_what_was_never_saved(db: DatabaseManager) -> None:
    """An unsaved variable in the chain is refused with its path; nothing is written."""
    with pytest.raises(exceptions.UnsavedIntermediateError, match=r"scale\(\) -> x"):
        Out.save(scale(Raw(3.0)), subject=1)

    assert db.types() == []


def test_chains_are_recorded_through_unsaved_results(db: DatabaseManager) -> None:
    """The lineage of a saved result goes through intermediate results that were never saved."""
    raw = saved(3.0)
    Out.save(scale(scale(raw), k=5.0), subject=1)

    graph = db.get_lineage_graph(Out, subject=1)

    assert [node.label for node in graph.nodes if node.kind == "call"] == ["scale()", "scale()"]
    assert "Raw (subject=1)" in graph.to_text()
    assert scale(scale(raw), k=5.0).was_cached


def test_a_failing_store_means_computing(db: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """M12: a look-up that fails warns and computes."""
    raw = saved(3.0)
    Out.save(scale(raw), subject=1)

    def broken(_query: object) -> Any:
        raise exceptions.StorageError("disk on fire")

    monkeypatch.setattr(db._store, "find", broken)

    with pytest.warns(UserWarning, match="disk on fire"):
        result = scale(raw)
    assert result.data == 6.0
    assert not result.was_cached


def test_without_a_database_a_thunk_just_computes() -> None:
    """A thunk needs no database."""
    assert scale(2.0).data == 4.0


def test_the_newest_of_several_contents_is_recalled(db: DatabaseManager) -> None:
    """Of a function that is not deterministic, the newest saved content counts."""
    numbers = iter([1.0, 2.0])

    @thunk(version="1")
    def draw(x: float) -> float:
        return next(numbers)

    Out.save(draw(0.0), subject=1)
    Out.save(draw(0.0, force=True), subject=1)

    assert draw(0.0).data == 2.0


def test_a_lineage_id_is_the_same_for_thunk_and_for_each(db: DatabaseManager) -> None:
    """What a thunk computed directly, for_each recalls; and the other way round."""
    saved(3.0)
    Out.save(scale(Raw.load_one(subject=1), k=4.0), subject=1)

    report = scidb.for_each(scale, {"x": Raw, "k": 4.0}, [Out], subject=[1])

    assert (report.completed, report.recalled) == (0, 1)


def test_a_variable_made_of_a_result_goes_on(db: DatabaseManager) -> None:
    """A saved instance that holds a thunk's result is an input like the result, with its record as origin."""
    raw = saved(3.0)
    scaled = Out(scale(raw))
    scaled.save(subject=1)

    Other.save(scale(scaled, k=7.0), subject=3)

    assert Other.load_one(subject=3).data == 42.0
    assert scale(Out.load_one(subject=1), k=7.0).was_cached
    made = db.get_provenance(Other, subject=3)
    assert made is not None
    assert [item.get("type") for item in made["inputs"]] == ["Out"]
