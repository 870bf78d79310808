"""What a call returns, and what its outputs refuse to do."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from scidb.exceptions import OutputCountError, UnsupportedValueError
from scidb.hashing.inputs import is_tracked
from scidb.thunk import OutputThunk, Thunk, ThunkOutput, thunk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def returning(value: Any, **options: Any) -> Any:
    return Thunk(lambda: value, **options)()


@pytest.mark.parametrize("value", [None, (), (1, 2), [1, 2], {"a": 1}, "ab"])
def test_one_output_is_whatever_was_returned(value: object) -> None:
    """With one output the returned object is the value, None and tuples included."""
    assert returning(value).data is value


@pytest.mark.parametrize("value", [(1, 2), [1, 2]])
def test_several_outputs(value: object) -> None:
    """With several outputs, the items of the returned tuple or list are the values, in order."""
    outputs = returning(value, n_outputs=2)
    assert [(output.output_num, output.data) for output in outputs] == [(0, 1), (1, 2)]
    assert outputs[0].pipeline_thunk is outputs[1].pipeline_thunk
    assert outputs[0].pipeline_thunk.outputs == outputs
    assert outputs[0].hash != outputs[1].hash


@pytest.mark.parametrize(
    ("value", "got"),
    [((1,), "a tuple of 1"), ([1, 2, 3], "a list of 3"), (None, "one NoneType"), ("ab", "one str")],
)
def test_a_wrong_number_of_outputs(value: object, got: str) -> None:
    """R3: another number of values is an error that names function, expected and got."""

    @thunk(n_outputs=2)
    def filtered() -> object:
        return value

    with pytest.raises(OutputCountError, match=rf"filtered\(\) returned {got}, expected .* of 2") as caught:
        filtered()
    assert caught.value.details["expected"] == 2
    assert caught.value.details["function"] == "filtered"


def test_an_array_is_not_several_outputs() -> None:
    """R3: an array of two elements is one value, not two outputs."""
    with pytest.raises(OutputCountError, match="one ndarray"):
        returning(np.zeros(2), n_outputs=2)
    with pytest.raises(OutputCountError, match="expected a tuple or list:"):
        returning(np.zeros(2), unpack_output=True)


def test_unpacked_outputs() -> None:
    """unpack_output makes an output of each item; with n_outputs, of exactly that many."""
    assert [output.data for output in returning((1, 2, 3), unpack_output=True)] == [1, 2, 3]
    assert Thunk(divmod, unpack_output=True).n_outputs == "unpack"
    with pytest.raises(OutputCountError):
        returning((1, 2, 3), unpack_output=True, n_outputs=2)


def test_no_outputs_make_no_sense() -> None:
    """A thunk has at least one output."""
    with pytest.raises(OutputCountError, match="n_outputs=0"):
        Thunk(divmod, n_outputs=0)


def test_generators_are_refused() -> None:
    """What can be read only once has no value to keep, alone or among several outputs."""

    @thunk
    def numbers() -> Iterator[int]:
        yield 1

    with pytest.raises(UnsupportedValueError, match=r"numbers\(\) returned a generator.*return a list"):
        numbers()
    with pytest.raises(UnsupportedValueError, match="returned a map"):
        returning((1, map(str, [1])), n_outputs=2)


def test_a_thunk_inside_a_thunk() -> None:
    """A result that a function got from another thunk is returned as its value."""
    inner = Thunk(abs)
    assert Thunk(lambda x: inner(abs(x)))(-1).data == 1
    assert [output.data for output in Thunk(lambda x: (inner(x), [inner(x)]), n_outputs=2)(-1)] == [1, [1]]
    pair = Thunk(divmod, n_outputs=2)
    assert [output.data for output in Thunk(lambda: pair(7, 2), n_outputs=2)()] == [3, 1]


def test_errors_of_the_function_are_its_own() -> None:
    """An exception of the function reaches the caller as it was raised."""
    with pytest.raises(ZeroDivisionError):
        Thunk(operator.truediv)(1, 0)


@pytest.mark.parametrize(
    "use",
    [
        bool,
        len,
        iter,
        list,
        float,
        int,
        abs,
        operator.neg,
        lambda output: output + 1,
        lambda output: 1 + output,
        lambda output: np.ones(2) * output,
        lambda output: np.float64(2) - output,
        lambda output: output @ output,
        lambda output: 2**output,
        lambda output: output < 3,
        lambda output: np.ones(2) >= output,
        lambda output: output == 3,
        lambda output: output != 3,
        lambda output: np.ones(2) == output,
        lambda output: output == returning(3),
        lambda output: output[0],
        lambda output: 3 in output,
        np.asarray,
        np.mean,
    ],
)
def test_an_output_does_not_act_as_its_value(use: Callable[[Any], object]) -> None:
    """Everything that would lose the history is a TypeError that says to use .data."""
    with pytest.raises(TypeError, match=r"use \.data|compare \.data"):
        use(returning(3))


def test_unpacking_one_output_says_how_to_declare_several() -> None:
    """Unpacking a single output names n_outputs."""
    with pytest.raises(TypeError, match="n_outputs"):
        _first, _second = returning((1, 2))


def test_outputs_are_compared_and_hashed_by_identity() -> None:
    """An output equals itself and can be a key."""
    output, other = returning(3), returning(3)
    assert output == output
    assert not output != output  # noqa: SIM202
    assert {output: 1, other: 2}[other] == 2


def test_an_output_knows_where_it_came_from() -> None:
    """An output is a Tracked value, and shows its call and value on one line."""
    output = Thunk(abs)(-3)
    tracked: object = output
    assert is_tracked(tracked)
    assert repr(output) == "<ThunkOutput 0 of abs(): 3>"
    assert repr(output.pipeline_thunk) == "<PipelineThunk abs(x=-3)>"
    assert OutputThunk is ThunkOutput


def test_a_result_changed_in_place_is_another_input() -> None:
    """M4: what a later function did to a result in place is seen; it never passes for what was returned."""
    output = returning(np.zeros(3))
    before = Thunk(np.sum)(output)
    output.data += 1
    after = Thunk(np.sum)(output)

    assert before.pipeline_thunk.lineage_id != after.pipeline_thunk.lineage_id


@pytest.mark.parametrize("function", [3, "text", classmethod(divmod)])
def test_only_a_function_can_be_a_thunk(function: Any) -> None:
    """What cannot be called is refused where it is decorated."""
    with pytest.raises(TypeError, match=r"@thunk\(n_outputs=2\)"):
        thunk(function)
