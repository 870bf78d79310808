"""ForEachConfig: what tells results of one function apart, as version keys."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from scidb import BaseVariable, DatabaseManager, Fixed, ForEachConfig, PathInput, for_each, schema_key, thunk

# What does not depend on the store need not be tried with each.
IN_MEMORY = pytest.mark.parametrize("target", ["memory:"])


class Signal(BaseVariable):
    pass


class Weight(BaseVariable):
    pass


class Result(BaseVariable):
    pass


def weigh(signal: Any, weight: Any = 1.0, rng: Any = None) -> list[float]:
    return [1.0, 2.0]


@thunk(generates_file=True)
def plot(signal: Any, subject: int) -> None:
    raise AssertionError(signal, subject)


BOTH = {"signal": Signal, "weight": Weight}


def keys(fn: Any = weigh, inputs: Any = BOTH, **options: Any) -> dict[str, Any]:
    return ForEachConfig(fn, inputs, **options).to_version_keys()


def test_texts() -> None:
    """Each part of the configuration has its name with two underscores, and a text that is the same everywhere."""
    where = schema_key("subject") >= 3
    assert keys(where=where, distribute=True, as_table=["weight", "signal"], pass_metadata=True, seed=42) == {
        "__fn": "weigh",
        "__inputs": '{"signal": "Signal", "weight": "Weight"}',
        "__where": "schema_key('subject') >= 3",
        "__distribute": True,
        "__as_table": ["signal", "weight"],
        "__pass_metadata": True,
        "__seed": 42,
    }
    assert list(inspect.signature(ForEachConfig).parameters) == [
        "fn", "inputs", "where", "distribute", "as_table", "pass_metadata", "seed",
    ]  # fmt: skip


DIFFERENT: list[dict[str, Any]] = [
    keys(),
    keys(plot, {"signal": Signal}),
    keys(inputs={"signal": Signal}),
    keys(inputs={"signal": Weight, "weight": Signal}),
    keys(inputs={**BOTH, "weight": Fixed(Weight, day=0)}),
    keys(inputs={**BOTH, "weight": Fixed(Weight, day=1)}),
    keys(inputs={**BOTH, "weight": Fixed(Weight, day="0")}),
    keys(inputs={**BOTH, "weight": PathInput("{subject}.csv")}),
    keys(where=schema_key("subject") >= 3),
    keys(where=schema_key("subject") >= 4),
    keys(distribute=True),
    keys(as_table=["signal"]),
    keys(as_table=["weight"]),
    keys(as_table=True),
    keys(pass_metadata=True),
    keys(plot, {"signal": Signal}, pass_metadata=False),
    keys(seed=0),
    keys(seed=1),
]


def test_each_difference_is_another_variant() -> None:
    """No two of these configurations have equal keys, so that none overwrites the results of another."""
    assert all(one != other for n, one in enumerate(DIFFERENT) for other in DIFFERENT[:n])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (keys(), keys(where=None, distribute=False, as_table=False, pass_metadata=None, seed=None)),
        (keys(), keys(as_table=[])),
        (keys(), keys(pass_metadata=False)),
        (keys(plot, {"signal": Signal}), keys(plot, {"signal": Signal}, pass_metadata=True)),
        (keys(), keys(inputs={"weight": Weight, "signal": Signal})),
        (keys(), keys(inputs={**BOTH, "signal": Fixed(Signal)})),
        (keys(), keys(inputs={**BOTH, "k": 3})),  # a constant is a version key by itself
        (keys(as_table=["signal", "weight"]), keys(as_table=("weight", "signal"))),
        (keys(as_table=["signal", "weight"]), keys(as_table=True)),
        (keys(as_table=["signal"]), keys(as_table="signal")),
        (keys(inputs={"signal": Signal, "weight": 2.0}, as_table=True), keys(
            inputs={"signal": Fixed(Signal), "weight": 2.0}, as_table=["signal"]
        )),
        (keys(seed=1), keys(seed=np.int64(1))),
        (
            keys(inputs={"signal": Fixed(Signal, day=1, side="L")}),
            keys(inputs={"signal": Fixed(Signal, side="L", day=np.int64(1))}),
        ),
        (keys(thunk(weigh)), keys()),
    ],
)  # fmt: skip
def test_what_means_the_same_is_one_variant(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Order, defaults, and several ways of saying one thing make no other keys."""
    assert one == other


@IN_MEMORY
def test_for_each_saves_under_its_configuration(db: DatabaseManager) -> None:
    """Results under different configurations stand beside each other; equal ones are up to date."""
    Signal.save(1.0, subject=1)
    inputs = {"signal": Signal}
    variants: list[dict[str, Any]] = [
        {"seed": 1},
        {"seed": 2},
        {"seed": 1, "distribute": True},
        {"seed": 1, "as_table": True},
        {"seed": 1, "where": schema_key("subject") >= 1},
    ]
    for options in variants:
        assert for_each(weigh, inputs, [Result], subject=[], **options).up_to_date == 0
    for options in ({"seed": 1, "as_table": "signal"}, {"seed": 1, "pass_metadata": False}):
        assert for_each(weigh, inputs, [Result], subject=[], **options).up_to_date == 1
    assert {info.name: info.entries for info in db.types()}["Result"] == 6
    assert [one.version_keys for one in Result.load_all()] == [{}] * 6
