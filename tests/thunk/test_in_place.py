"""What is done to a value in place: never seen through another call, never taken for what was returned."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from scidb.exceptions import SciDBError, UncacheableWarning
from scidb.hashing.ids import content_hash
from scidb.thunk import Thunk, ThunkOutput, chain, thunk, unsaved

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.thunk.conftest import FakeCache, FakeVariable

    from scidb.thunk import PipelineThunk


@thunk
def made() -> Any:
    return [3, 1, 2]


@thunk
def median(values: Any) -> Any:
    values.sort()
    return values[len(values) // 2]


def _double_first(values: Any) -> None:
    values[0] = 99


def _double_first_inside(values: Any) -> None:
    values["a"][0] = 99


def _double_column(values: Any) -> None:
    values["a"] = 99


@pytest.mark.parametrize(
    ("value", "change"),
    [
        ([3, 1], _double_first),
        ([[3], 1], _double_first),
        (np.array([3.0, 1.0]), _double_first),
        (np.array([[3], "a"], dtype=object), _double_first),
        (bytearray(b"ab"), _double_first),
        ({"a": [1]}, _double_first_inside),
        ({"a": 1}, _double_column),
        (pd.DataFrame({"a": [1, 2]}), _double_column),
    ],
)
def test_a_function_changes_only_its_copy(
    value: Any, change: Callable[[Any], None], variable: type[FakeVariable]
) -> None:
    """M4: what a function does in place to a result or to a variable's data stays its own."""
    changed = Thunk(change)
    whole = Thunk(lambda v: change(v.data), unwrap=False)
    result, held = Thunk(lambda: value)(), variable(value, "r1")
    before = content_hash(value)

    changed(result)
    changed(held)
    whole(held)
    Thunk(lambda parts: change(parts[0][0]))([[result], held])

    assert content_hash(value) == before
    assert result.data is value
    assert held.data is value
    assert not result.is_changed


def test_what_is_passed_raw_stays_as_it_is() -> None:
    """A raw argument is the caller's own business: the function receives that object."""
    values = [3, 1, 2]
    median(values)
    assert values == [1, 2, 3]


def test_a_sort_in_place_does_not_poison_the_memo(cache: FakeCache) -> None:
    """M4: a result that another function sorted is saved, and recalled, as it was returned."""
    raw = made()
    assert median(raw).data == 2
    cache.save(raw)
    assert made().was_cached
    assert made().data == [3, 1, 2]


def test_a_result_and_what_was_made_of_it_share_nothing() -> None:
    """A function that returns its argument returns another object than the earlier result."""
    raw = made()
    same = Thunk(lambda x: x)(raw)
    same.data.sort()
    assert (raw.data, raw.is_changed, same.is_changed) == ([3, 1, 2], False, True)


def test_what_cannot_be_copied_is_passed_as_it_is() -> None:
    """A value that refuses to be copied still reaches the function."""
    lock = Thunk(threading.Lock)()
    with pytest.warns(UncacheableWarning):
        assert Thunk(lambda x: x is lock.data)(lock).data is True


def test_a_variable_given_whole_holds_values_only(variable: type[FakeVariable]) -> None:
    """A variable made of a result arrives with the value of that result."""
    whole = Thunk(lambda v: isinstance(v.data, ThunkOutput), unwrap=False)
    held = variable(1, "r1")
    held.data = made()
    with pytest.warns(UncacheableWarning):
        assert whole(held).data is False
    assert isinstance(held.data, ThunkOutput)


# ---------------------------------------------------------------- an output that was changed


def test_an_output_remembers_what_was_returned() -> None:
    """An output tells whether its value is still the one that the function returned."""
    raw = made()
    assert raw.returned_hash == raw.content_hash == content_hash([3, 1, 2])
    assert raw.unchanged_value() is raw.data
    raw.data.sort()
    assert raw.is_changed
    assert raw.content_hash == content_hash([1, 2, 3])
    with pytest.raises(SciDBError, match=r"made\(\) was changed after.*V\.save\(result\.data\)"):
        raw.unchanged_value()
    raw.data[:] = [3, 1, 2]
    assert not raw.is_changed


def test_a_value_without_identity_is_not_said_to_be_changed() -> None:
    """Of a value that cannot be hashed a change cannot be told, unless it can be hashed by now."""
    held = Thunk(lambda: [object()])()
    assert held.returned_hash is None
    assert not held.is_changed
    held.data.clear()
    assert held.is_changed


def test_a_generated_file_is_never_changed(tmp_path: Any) -> None:
    """An output without a value has nothing that could change, and is not hashed."""
    plotted = Thunk(lambda: tmp_path, generates_file=True)()
    assert plotted.returned_hash is None
    assert not plotted.is_changed


def test_a_buffer_that_is_returned_again_is_noticed() -> None:
    """An earlier result is known to be changed when the function reuses what it returned."""
    buffer = np.zeros(1)

    @thunk(ignore=["buffer"])
    def fill(x: float) -> Any:
        buffer[0] = x
        return buffer

    first, second = fill(1.0), fill(2.0)
    assert first.is_changed
    assert not second.is_changed


@pytest.mark.parametrize("saved", [False, True])
def test_a_changed_output_is_a_constant_to_the_next_call(saved: bool) -> None:
    """M4: a changed result is another input, and no longer names the call or record that it came from."""
    raw = made()
    if saved:
        raw.mark_saved(record_id="r1", call_id="c1", variable="Raw")
    before = median(raw).pipeline_thunk
    raw.data.append(9)
    after = median([raw][0]).pipeline_thunk

    (origin,) = after.input_identities["values"].origins
    assert (origin.kind, origin.record_id, origin.input_call_id) == ("constant", None, None)
    assert origin.value_repr == "[3, 1, 2, 9]"
    assert origin.content_hash == content_hash([3, 1, 2, 9])
    assert before.lineage_id != after.lineage_id
    assert before.input_identities["values"].origins[0].kind == ("record" if saved else "computation")


def test_a_changed_output_without_identity_is_a_constant_too() -> None:
    """M7: a result that was changed into something that cannot be hashed does not name its call."""
    raw = made()
    raw.data.append(object())
    with pytest.warns(UncacheableWarning):
        call = Thunk(len)(raw).pipeline_thunk
    assert [origin.kind for origin in call.input_identities["obj"].origins] == ["constant"]


def test_the_chain_follows_what_a_call_received(variable: type[FakeVariable]) -> None:
    """M4: a result changed before a call is not behind that call; one changed afterwards still is."""
    changed_before = Thunk(lambda x: [x], version="1")(variable(1))
    changed_before.data.append(2)
    after = median(changed_before)
    changed_after = made()
    other = median(changed_after)
    changed_after.data.sort()

    assert list(chain(after)) == [after.pipeline_thunk]
    assert unsaved(after) == []
    assert list(chain(other)) == [changed_after.pipeline_thunk, other.pipeline_thunk]


def test_a_database_may_tell_the_content_of_what_it_recalls(cache: FakeCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recalled value is hashed unless the database told its hash."""
    cache.save(made())
    assert made().returned_hash == content_hash([3, 1, 2])
    answer = cache.recall

    def telling(computation: PipelineThunk) -> Sequence[object] | None:
        computation.recalled_hashes = ["told"]
        return answer(computation)

    monkeypatch.setattr(cache, "recall", telling)
    assert made().returned_hash == "told"
    assert made(force=True).returned_hash == content_hash([3, 1, 2])
    assert Thunk(lambda: 1)().returned_hash == content_hash(1)  # told, but not recalled
