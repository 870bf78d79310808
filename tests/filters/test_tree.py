"""Filters as data: their texts, their form in JSON, and what is refused when one is made."""

from __future__ import annotations

import datetime as dt
import enum
import json
import math
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scidb.exceptions import FilterError, SciDBError, SerializationError
from scidb.filters import (
    ColumnFilter,
    CompoundFilter,
    Filter,
    InFilter,
    KeyFilter,
    KeyInFilter,
    MissingFilter,
    NotFilter,
    RawFilter,
    VariableFilter,
)

RIGHT = VariableFilter("Side", "==", "R")
FAST = VariableFilter("Speed", ">", 1.2)


class Colour(enum.IntEnum):
    RED = 3


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (RIGHT, "Side == 'R'"),
        (VariableFilter("Side", "==", "R", "any"), "Side.any() == 'R'"),
        (ColumnFilter("MyVar", "Side", "==", "L"), "MyVar['Side'] == 'L'"),
        (ColumnFilter("MyVar", 0, "<=", 2), "MyVar[0] <= 2"),
        (ColumnFilter("MyVar", "col", ">", 3, "any"), "MyVar['col'].any() > 3"),
        (InFilter("MyVar", "Side", ("R", "L", "R")), "MyVar['Side'] IN ['L', 'R']"),
        (InFilter("Side", None, ("L",)), "Side IN ['L']"),
        (InFilter("MyVar", "Side", ("L",), "all"), "MyVar['Side'].all() IN ['L']"),
        (VariableFilter("Side", "==", "R", None, (("gain", ("0.5",)),)), "Fixed(Side, gain=0.5) == 'R'"),
        (
            ColumnFilter("V", "x", ">", 1, "any", (("b", ('"s"',)), ("a", (None, "null")))),
            "Fixed(V, a=None, b='s')['x'].any() > 1",
        ),
        (InFilter("V", None, (1,), None, (("a", ("1", "2")),)), "Fixed(V, a=any_of(1, 2)) IN [1]"),
        (MissingFilter("Side", None, missing=True), "Side.isna()"),
        (MissingFilter("MyVar", "col", missing=False), "MyVar['col'].notna()"),
        (KeyFilter("subject", ">=", 3), "schema_key('subject') >= 3"),
        (KeyInFilter("subject", (2, 1)), "schema_key('subject') IN [1, 2]"),
        (RIGHT & FAST, "(Side == 'R') AND (Speed > 1.2)"),
        (RIGHT | FAST, "(Side == 'R') OR (Speed > 1.2)"),
        (~RIGHT, "NOT (Side == 'R')"),
        (RawFilter("\"Side\" = 'L'"), "RAW: \"Side\" = 'L'"),
        (VariableFilter("V", "==", np.int64(3)), "V == 3"),  # type: ignore[arg-type]
        (VariableFilter("V", "==", np.float64(-0.0)), "V == 0.0"),
        (VariableFilter("V", "==", Colour.RED), "V == 3"),
    ],
)
def test_texts(one: Filter, text: str) -> None:
    """The text of a filter is that of the plan (schema plan, phase 0), with values as plain Python values."""
    assert one.to_key() == text


VALUES: st.SearchStrategy[Any] = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.dates(),
    st.datetimes(),
    st.datetimes(dt.datetime.min + dt.timedelta(1), timezones=st.just(dt.timezone(dt.timedelta(hours=1)))),  # noqa: DTZ901
    st.timedeltas(),
)
OPS: st.SearchStrategy[Any] = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
REDUCED: st.SearchStrategy[Any] = st.sampled_from([None, "any", "all"])
TEXTS = st.sampled_from([None, "null", "1", "1.0", '"a"', '{"a":[1]}'])
VERSIONS: st.SearchStrategy[Any] = st.lists(
    st.tuples(st.sampled_from(["gain", "__fn"]), st.lists(TEXTS, min_size=1, max_size=2).map(tuple)),
    unique_by=lambda pair: pair[0],
).map(tuple)
LEAVES: st.SearchStrategy[Filter] = st.one_of(
    st.builds(VariableFilter, st.just("V"), OPS, VALUES, REDUCED, VERSIONS),
    st.builds(ColumnFilter, st.just("V"), st.text("ab", min_size=1) | st.integers(), OPS, VALUES, REDUCED, VERSIONS),
    st.builds(
        InFilter, st.just("V"), st.none() | st.just("a"), st.lists(st.integers() | st.floats(allow_nan=False)), REDUCED
    ),
    st.builds(MissingFilter, st.just("V"), st.none() | st.just("a"), missing=st.booleans(), version=VERSIONS),
    st.builds(KeyFilter, st.just("subject"), OPS, VALUES),
    st.builds(KeyInFilter, st.just("subject"), st.lists(st.dates())),
    st.builds(RawFilter, st.text("ab' ()")),
)
TREES: st.SearchStrategy[Filter] = st.recursive(
    LEAVES,
    lambda inner: st.builds(CompoundFilter, st.sampled_from(["AND", "OR"]), inner, inner) | st.builds(NotFilter, inner),
    max_leaves=5,
)


@given(TREES)
def test_json(one: Filter) -> None:
    """JSON brings a filter back exactly: equal, with the same text and types."""
    back = Filter.from_json(json.loads(json.dumps(one.to_json(), allow_nan=False)))
    assert back == one
    assert back.to_key() == one.to_key()
    assert [type(leaf) for leaf in back.leaves()] == [type(leaf) for leaf in one.leaves()]


@given(st.lists(st.integers(-5, 5) | st.floats(-5, 5)), st.randoms())
def test_order_of_values(values: list[float], random: Any) -> None:
    """A set of values has one text, in whatever order and how often they are given."""
    shuffled = [*values, *values]
    random.shuffle(shuffled)
    assert InFilter("V", None, tuple(shuffled)).to_key() == InFilter("V", None, tuple(values)).to_key()


@pytest.mark.parametrize(
    "value",
    [None, math.nan, np.nan, pd.NA, pd.NaT, np.datetime64("NaT", "s"), np.timedelta64("NaT", "s"), np.float32("nan")],
)
def test_missing_value(value: Any) -> None:
    """Comparing with a missing value is refused, and isna() named instead."""
    for make in (lambda: VariableFilter("V", "==", value), lambda: InFilter("V", None, (1, value))):
        with pytest.raises(FilterError, match="isna"):
            make()


@pytest.mark.parametrize(
    "value",
    [
        *(b"a", [1], 1j, dt.time(1), np.array([1, 2]), pd.Series([1]), object, "\ud800", 10**2000),
        *(np.timedelta64(1, "ns"), pd.Timestamp("2024-01-01 00:00:00.000000001"), np.longdouble(1)),
    ],
)
def test_value_that_cannot_be_compared(value: Any) -> None:
    """A value of another type, or that would be rounded, is refused."""
    with pytest.raises(FilterError):
        VariableFilter("V", "==", value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: VariableFilter("V", "=", 1),  # type: ignore[arg-type]
        lambda: VariableFilter(3, "==", 1),  # type: ignore[arg-type]
        lambda: VariableFilter("V", "==", 1, "some"),  # type: ignore[arg-type]
        lambda: ColumnFilter("V", None, "==", 1),  # type: ignore[arg-type]
        lambda: ColumnFilter("V", True, "==", 1),
        lambda: InFilter("V", None, (1, "1")),
        lambda: InFilter("V", None, (1, True)),
        lambda: InFilter("V", None, "LR"),  # type: ignore[arg-type]
        lambda: InFilter("V", None, 3),  # type: ignore[arg-type]
        lambda: MissingFilter("V", None, missing=1),  # type: ignore[arg-type]
        lambda: VariableFilter("V", "==", 1, None, {"gain": "1"}),  # type: ignore[arg-type]
        lambda: VariableFilter("V", "==", 1, None, (("gain", "1"),)),  # type: ignore[arg-type]
        lambda: VariableFilter("V", "==", 1, None, (("gain", (1,)),)),  # type: ignore[arg-type]
        lambda: VariableFilter("V", "==", 1, None, (("gain", ("{",)),)),
        lambda: VariableFilter("V", "==", 1, None, ((1, ("1",)),)),  # type: ignore[arg-type]
        lambda: CompoundFilter("XOR", RIGHT, FAST),  # type: ignore[arg-type]
        lambda: CompoundFilter("AND", RIGHT, True),  # type: ignore[arg-type]
        lambda: NotFilter("Side"),  # type: ignore[arg-type]
        lambda: RawFilter(3),  # type: ignore[arg-type]
        lambda: reduce(lambda one, other: one | other, [RIGHT] * 300),  # type: ignore[arg-type,return-value]
    ],
)
def test_what_is_no_filter(make: Any) -> None:
    """A filter that cannot mean anything, or is too deep to walk, is refused when it is made."""
    with pytest.raises(FilterError):
        make()


def test_no_truth() -> None:
    """`and`, `or`, `not` and chains are refused: they would drop a part in silence."""
    with pytest.raises(TypeError, match="brackets"):
        bool(RIGHT and FAST)
    with pytest.raises(TypeError):
        bool(not RIGHT)
    with pytest.raises(TypeError):
        RIGHT & True


DEEP: dict[str, Any] = reduce(lambda inner, _: {"filter": "not", "inner": inner}, range(5000), RIGHT.to_json())


@pytest.mark.parametrize(
    "data",
    [
        None, "Side == 'R'", [], {}, {"filter": "other"}, {"filter": ["not"]}, {"filter": "not"}, DEEP,
        {"filter": "raw", "sql": "a", "more": 1}, {"filter": "raw", "sql": 1}, {**RIGHT.to_json(), "op": ["=="]},
        {**RIGHT.to_json(), "value": None}, {**RIGHT.to_json(), "value": {"date": "2024-13-01"}},
        {**RIGHT.to_json(), "value": {"date": "2024-01-01", "x": 1}}, {**RIGHT.to_json(), "value": {"float": "nan"}},
        {**RIGHT.to_json(), "value": math.nan}, {**RIGHT.to_json(), "value": {"microseconds": 10**40}},
        {**RIGHT.to_json(), "variable": {}},
        {**RIGHT.to_json(), "version": {}}, {**RIGHT.to_json(), "version": [["a"]]},
        {**RIGHT.to_json(), "version": [["a", [[]]]]}, {**RIGHT.to_json(), "version": None},
        {"filter": "key_in", "key": "subject", "values": "LR"},
        {"filter": "missing", "variable": "V", "column": [], "missing": True}, {1: 2, "filter": "raw", "sql": "a"},
    ],
)  # fmt: skip
def test_odd_json(data: object) -> None:
    """What is not exactly the JSON of a filter is refused in our own words, however deep."""
    with pytest.raises(SciDBError) as refusal:
        Filter.from_json(data)
    assert isinstance(refusal.value, SerializationError | FilterError)
