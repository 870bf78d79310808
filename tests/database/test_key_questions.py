"""The table "Key Questions This Design Answers" of the plan of the framework: a test for each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scidb import BaseVariable, thunk

if TYPE_CHECKING:
    from collections.abc import Callable

    from scidb import DatabaseManager, Thunk

pytestmark = pytest.mark.above_stores

RAN: list[float] = []


class RawSignal(BaseVariable):
    """What was measured."""


class MyVar(BaseVariable):
    """What was made of it."""


def scaling(factor: float) -> Thunk:
    """Return a thunk whose code is another one for another factor."""

    def process(signal: float, cutoff: float) -> float:
        RAN.append(signal)
        return signal * factor + cutoff

    return thunk(ignore=("RAN.append",))(process)


@pytest.fixture
def process(db: DatabaseManager) -> Callable[[float], MyVar]:
    """Save a raw signal, and return what processes it with the code of some factor and saves the result."""
    RawSignal.save(3.0, subject=1, trial=1)
    RAN.clear()

    def run(factor: float) -> MyVar:
        result = scaling(factor)(RawSignal.load_one(subject=1, trial=1), 0.5)
        MyVar.save(result, subject=1, trial=1)
        return MyVar.load_one(subject=1, trial=1)

    return run


def test_what_are_all_values_myvar_has_had(db: DatabaseManager) -> None:
    """Key question 1, "What are all values MyVar has had?": list_versions, newest first."""
    saved = [MyVar.save(value, subject=1, trial=1) for value in (1.0, 2.0, 1.0)]
    versions = db.list_versions(MyVar, subject=1, trial=1)
    assert [one["vhash"] for one in versions] == [one["record_id"] for one in versions] == saved[::-1]
    assert [db.load_by_vhash(one["vhash"]).data for one in versions] == [1.0, 2.0, 1.0]


def test_under_what_conditions_was_myvar_generated(db: DatabaseManager, process: Callable[[float], MyVar]) -> None:
    """Key question 2, "Under what conditions was MyVar generated?": get_provenance says function, inputs, constants."""
    process(2.0)
    made = db.get_provenance(MyVar, subject=1, trial=1)
    assert made is not None
    assert (made["function_name"], len(made["function_hash"])) == ("process", 64)
    [given] = made["inputs"]
    raw = RawSignal.load_one(subject=1, trial=1)
    assert (given["name"], given["type"], given["vhash"]) == ("signal", "RawSignal", raw.vhash)
    assert given["metadata"] == {"subject": 1, "trial": 1}
    [constant] = made["constants"]
    assert (constant["name"], constant["value_repr"], len(constant["value_hash"])) == ("cutoff", "0.5", 64)
    assert db.get_provenance(RawSignal, subject=1, trial=1) is None  # measured, not made


def test_what_was_derived_from_this_input(db: DatabaseManager, process: Callable[[float], MyVar]) -> None:
    """Key question 3, "What was derived from this input?": get_derived_from names records, types and functions."""
    made = process(2.0)
    [derived] = db.get_derived_from(RawSignal, subject=1, trial=1)
    assert (derived["vhash"], derived["type"], derived["function"]) == (made.vhash, "MyVar", "process")


def test_has_this_computation_been_done_before(db: DatabaseManager, process: Callable[[float], MyVar]) -> None:
    """Key question 4, "Has this computation been done before?": the look-up before it runs knows."""
    process(2.0)
    again = scaling(2.0)(RawSignal.load_one(subject=1, trial=1), 0.5)
    assert again.was_cached
    assert again.data == 6.5
    assert not scaling(2.0)(RawSignal.load_one(subject=1, trial=1), 0.6).was_cached


def test_can_i_skip_redundant_computations(db: DatabaseManager, process: Callable[[float], MyVar]) -> None:
    """Key question 5, "Can I skip redundant computations?": an equal one is recalled, and the function does not run."""
    first = process(2.0)
    second = process(2.0)
    assert RAN == [3.0]
    assert (second.data, second.vhash) == (first.data, first.vhash)
    made = db.get_provenance(MyVar, subject=1, trial=1)
    assert made is not None
    assert made["recalled_from"] == db.get_provenance(MyVar, all=True, subject=1, trial=1)[-1]["call_id"]


def test_did_the_function_code_change(db: DatabaseManager, process: Callable[[float], MyVar]) -> None:
    """Key question 6, "Did the function code change?": another function_hash, and it runs again."""
    process(2.0)
    before = db.get_provenance(MyVar, subject=1, trial=1)
    process(4.0)
    after = db.get_provenance(MyVar, subject=1, trial=1)
    assert before is not None
    assert after is not None
    assert before["function_name"] == after["function_name"]
    assert before["function_hash"] != after["function_hash"]
    assert RAN == [3.0, 3.0]
