"""What cannot be stored is refused with the place inside the value (case V11)."""

from __future__ import annotations

import collections
import contextlib
import enum
import io
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scidb.codecs import encode
from scidb.exceptions import UnsupportedValueError


class Colour(enum.IntEnum):
    RED = 1


class Number(float):
    pass


Pair = collections.namedtuple("Pair", "left right")  # noqa: PYI024 - the plain kind is what people pass


def itself() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ((letter for letter in "abc"), ""),
        (io.StringIO(), ""),
        (lambda: 1, ""),
        (object(), ""),
        (Colour.RED, ""),
        (Number(1.5), ""),
        (Pair(1, 2), ""),
        (range(3), ""),
        (np.longdouble(1), ""),
        (np.array([1], np.longdouble), ""),
        (np.array([None]), ""),
        (np.zeros(2, "i4,f8"), ""),
        (np.ma.masked_array([1, 2], [True, False]), ""),
        (np.array(["\ud800"]), ""),
        ({"k": [1, 2, object()]}, '["k"][2]'),
        ([{"a": {1: Number(2)}}], '[0]["a"][1]'),
        ({"x": np.zeros(3)}, '["x"]'),
        ((1, Pair(1, 2)), "[1]"),
        (pd.DataFrame({"a": [1], "z": [1j]}), '["z"]'),
        (pd.DataFrame({"a": [1], "o": [object()]}), '["o"][0]'),
        (pd.Series([1, np.zeros(2)], dtype=object), "[1]"),
        (pd.DataFrame({"s": pd.arrays.SparseArray([0, 1])}), '["s"]'),
    ],
    ids=lambda value: type(value).__name__,
)
def test_refused_with_its_place(value: Any, path: str) -> None:
    """The error names the way to the part that cannot be stored, and what could."""
    with pytest.raises(UnsupportedValueError, match=r"Cannot store .*Supported are") as caught:
        encode([value])

    assert caught.value.path == path


def test_attributes_of_a_frame_count() -> None:
    """What hangs on a frame is stored with it or refused."""
    frame = pd.DataFrame({"a": [1]})
    frame.attrs = {"source": object()}

    with pytest.raises(UnsupportedValueError, match=r'\["attrs"\]\["source"\]'):
        encode([frame])


def test_a_list_that_holds_itself() -> None:
    """Endless nesting is refused, with the beginning of the way."""
    with pytest.raises(UnsupportedValueError, match=r"holding itself \(at \[0\]\[0\]\[0\]\[0\]\[0\]\.\.\. "):
        encode([itself()])


@settings(max_examples=50, deadline=None)
@given(st.recursive(st.integers() | st.builds(object), lambda inner: st.lists(inner) | st.tuples(inner, inner)))
def test_nothing_but_unsupported(value: Any) -> None:
    """Whatever is given, the only error is UnsupportedValueError."""
    with contextlib.suppress(UnsupportedValueError):
        encode([value])
