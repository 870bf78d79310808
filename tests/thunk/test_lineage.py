"""What lies behind an output: calls to record, variables that were never saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scidb.thunk import ThunkOutput, chain, thunk, unsaved

if TYPE_CHECKING:
    from tests.thunk.conftest import FakeVariable


@thunk
def filtered(arg: Any, k: Any = 1) -> Any:
    return [arg, k]


@thunk
def joined(first: Any, second: Any = None) -> Any:
    return [first, second]


def saved(output: ThunkOutput) -> ThunkOutput:
    output.mark_saved(record_id="r", call_id=output.pipeline_thunk.call_id, variable="V")
    return output


def names(output: ThunkOutput) -> list[str]:
    return [call.thunk.name for call in chain(output)]


def test_nothing_is_unsaved_behind_constants_and_records(variable: type[FakeVariable]) -> None:
    """Constants and saved variables are no obstacle to a strict save."""
    assert unsaved(filtered(variable(1, "r1"), k=3)) == []


def test_unsaved_variables_are_named_by_path(variable: type[FakeVariable]) -> None:
    """An unsaved variable is named by the function and the parameter that received it."""
    assert unsaved(filtered(variable(1))) == ["filtered() -> arg"]
    assert unsaved(filtered(variable(1), k=variable(2))) == ["filtered() -> arg", "filtered() -> k"]


def test_unsaved_variables_in_containers(variable: type[FakeVariable]) -> None:
    """An unsaved variable inside a list or dict is named by its place."""
    assert unsaved(filtered([variable(1, "r"), variable(2)])) == ["filtered() -> arg[1]"]
    assert unsaved(filtered({"a": variable(2)})) == ["filtered() -> arg['a']"]


def test_unsaved_results_are_followed(variable: type[FakeVariable]) -> None:
    """The path leads through results that were not saved, and stops at saved ones."""
    inner = filtered(variable(1))
    assert unsaved(joined(inner)) == ["joined() -> first -> filtered() -> arg"]
    assert unsaved(joined(saved(inner))) == []


def test_a_shared_result_is_named_once(variable: type[FakeVariable]) -> None:
    """A result used twice is named by its first path."""
    inner = filtered(variable(1))
    assert unsaved(joined(inner, inner)) == ["joined() -> first -> filtered() -> arg"]


def test_a_variable_made_of_a_result_is_followed(variable: type[FakeVariable]) -> None:
    """An unsaved variable that holds a result hides neither itself nor what is behind that result."""
    holder = variable.__new__(variable)
    output = joined(1)
    holder.data, holder.record_id = filtered(variable(1)), None
    output.pipeline_thunk.inputs["first"] = holder
    assert unsaved(output) == ["joined() -> first", "joined() -> first -> filtered() -> arg"]
    assert names(output) == ["filtered", "joined"]


def test_the_chain_is_upstream_first(variable: type[FakeVariable]) -> None:
    """A save records the unsaved calls behind it before its own, each once."""
    shared = filtered(variable(1, "r"))
    left, right = joined(shared, 1), joined(shared, 2)
    top = joined(left, [right])
    calls = list(chain(top))
    assert len(calls) == 4
    assert calls[0] is shared.pipeline_thunk
    assert calls[-1] is top.pipeline_thunk


def test_the_chain_stops_at_what_was_saved() -> None:
    """A saved result's call is recorded already, and so is everything behind it."""
    inner = saved(filtered(filtered(1)))
    assert names(joined(inner)) == ["joined"]
    assert names(inner) == ["filtered", "filtered"]


def test_chains_longer_than_the_stack() -> None:
    """A loop that feeds its result back thousands of times can be saved."""
    step = thunk(version="1")(lambda x: x + 1)
    output = step(0)
    for _ in range(2000):
        output = step(output)
    assert output.data == 2001
    assert len(list(chain(output))) == 2001
    assert unsaved(output) == []
