"""Strategies for Python's values, and for containers of anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from scidb.testing.strategies.arrays import arrays, dtypes

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["TIME_UNITS", "TIME_ZONES", "containers", "nested", "scalars", "texts"]

TIME_UNITS = ("s", "ms", "us", "ns")
TIME_ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu")


def texts() -> SearchStrategy[str]:
    """Return texts of any characters, lone surrogates among them."""
    return st.text(max_size=8) | st.text(st.characters(exclude_categories=()), max_size=8)


def scalars() -> SearchStrategy[Any]:
    """Return single values: Python's, numpy's and pandas's.

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(scalars())
    ... def test_round_trip(value): ...

    """
    return st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.integers(),
        st.floats(),
        texts(),
        st.binary(max_size=20),
        st.complex_numbers(),
        st.dates(),
        st.datetimes(timezones=st.none() | st.timezones()),
        st.timedeltas(),
        st.decimals(allow_nan=False),
        st.uuids(),
        dtypes().flatmap(npst.from_dtype),
        _timestamps(),
    )


def nested() -> SearchStrategy[Any]:
    """Return containers of scalars, nested, with keys of several types and such as look like tags."""
    keys = texts() | st.integers() | st.booleans() | st.none() | st.floats() | st.sampled_from(["$tuple", "$"])
    hashable = st.none() | st.integers() | texts() | st.floats(allow_nan=False) | st.binary(max_size=4)
    containers = st.recursive(
        scalars(),
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.tuples(inner, inner),
            st.dictionaries(keys, inner, max_size=4),
        ),
        max_leaves=12,
    )
    return st.one_of(
        st.lists(containers, max_size=4),
        st.dictionaries(keys, containers, max_size=4),
        st.tuples(containers),
        st.sets(hashable, max_size=4),
        st.frozensets(hashable, max_size=4),
        *(st.lists(kind, max_size=6) for kind in (st.booleans(), st.integers(), st.floats(), texts())),
    )


def containers() -> SearchStrategy[Any]:
    """Return lists, tuples and dicts that hold arrays and tables, also deeper inside."""
    frames = st.integers(0, 3).map(lambda size: pd.DataFrame({"x": np.arange(size), "y": 0.5}))
    leaves = arrays() | frames | scalars()
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=4),
            st.tuples(inner, inner),
            st.dictionaries(texts() | st.integers(), inner, min_size=1, max_size=3),
        ),
        max_leaves=8,
    ).filter(lambda value: type(value) in (list, tuple, dict))


def _timestamps() -> SearchStrategy[Any]:
    zones = st.sampled_from([None, *TIME_ZONES])
    moments = st.integers(-(2**58), 2**58)
    return st.one_of(
        st.builds(lambda number, zone: pd.Timestamp(number, tz=zone), moments, zones),
        st.builds(
            lambda number, unit: pd.Timedelta(number, unit=unit),
            st.integers(-(2**30), 2**30),
            st.sampled_from(TIME_UNITS),
        ),
    )
