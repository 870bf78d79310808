"""Constants as text: what can be made again is made exactly, and nothing else is run or guessed."""

from __future__ import annotations

import math
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scidb.hashing.canonical.encode import canonical_hash
from scidb.hashing.inputs import identify_constant, preview
from scidb.hashing.literal import LONGEST, literal_text, literal_value

ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers()
    | st.text()
    | st.binary()
    | st.dates()
    | st.datetimes()
    | st.timedeltas()
)
HASHABLE = st.integers() | st.text() | st.tuples(st.floats(), st.booleans())
VALUES = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(HASHABLE, inner)
        | st.sets(HASHABLE)
        | st.frozensets(HASHABLE)
    ),
    max_leaves=8,
)


@given(VALUES)
def test_what_has_a_text_comes_back_exactly(value: Any) -> None:
    """The value made from the text of a value has its hash, and so its types, signs and nesting."""
    text = literal_text(value)

    if text is not None:
        assert canonical_hash(literal_value(text)) == canonical_hash(value)
    else:
        assert len(repr(value)) > LONGEST


@pytest.mark.parametrize(
    "value",
    [
        Path("data/a.csv"),
        PurePosixPath("/x"),
        -0.0,
        math.nan,
        [math.inf, -math.inf],
        complex(-0.0, -math.inf),
        -1j,
        set(),
        (1,),
        frozenset(),
    ],
)
def test_odd_values_come_back_exactly(value: object) -> None:
    """Paths, signed zeros, missing and infinite numbers, empty sets."""
    text = literal_text(value)

    assert text is not None
    assert canonical_hash(literal_value(text)) == canonical_hash(value)


NUMPY = [
    np.float64(0.2),
    np.float32(0.1),
    np.int64(3),
    np.uint8(3),
    np.bool_(True),
    np.str_("a"),
    np.complex64(1 + 2j),
    [np.float64(1.5), {"k": np.int32(1)}],
    np.array([[0.1, np.nan], [np.inf, -0.0]]),
    np.array([1, 2], dtype="uint16"),
    np.array(2.5, dtype="float32"),
    np.array([True, False]),
    np.array([1 + 2j]),
    (np.zeros(3), "x"),
]


@pytest.mark.parametrize("value", NUMPY, ids=repr)
def test_numbers_of_numpy_and_small_arrays_come_back_exactly(value: object) -> None:
    """Scalars and small arrays of numbers have a text that any numpy reads, whatever its own repr is."""
    text = literal_text(value)

    assert text is not None
    assert canonical_hash(literal_value(text)) == canonical_hash(value)


def test_what_numpy_2_shows_of_its_scalars_is_read() -> None:
    """The preview of a numpy scalar is such a text."""
    if preview(np.float64(0.2)).startswith("np."):
        assert canonical_hash(literal_value(preview(np.float64(0.2)))) == canonical_hash(np.float64(0.2))


class Number(int):
    """No plain number, although it is written as one."""


@pytest.mark.parametrize(
    "value", [object(), len, Number(3), [Number(3)], np.zeros(5000), "x" * 5000, list(range(5000))]
)
def test_what_has_no_exact_text_has_none(value: object) -> None:
    """Objects, subclasses, arrays and what is long are no constants that can be written down."""
    assert literal_text(value) is None


def test_what_holds_itself_has_no_text() -> None:
    """A list in itself ends the search instead of the process."""
    endless: list[Any] = []
    endless.append(endless)

    assert literal_text(endless) is None


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').getcwd()",
        "open('x')",
        "[x for x in (1, 2)]",
        "x",
        "(1).real",
        "1 if 2 else 3",
        "2 ** 1000000",
        "'a' + 'b'",
        "1 + 2",
        "1 + 2j",
        "complex('1')",
        "-'a'",
        "{[1]: 2}",
        "{**{}}",
        "np.float64('os')[0]",
        "np.array([1])",
        "np.array([1], dtype='object')",
        "np.array([[1], [2, 3]], dtype='int64')",
        "datetime.datetime.now()",
        "...",
        "",
        "(" * 3000,
        "x" * 5000,
        "-" * 4000 + "1",
    ],
)
def test_a_text_that_is_no_value_is_refused(text: str) -> None:
    """Nothing is called, computed or looked up: the text may be somebody else's."""
    with pytest.raises(ValueError, match=r"."):
        literal_value(text)


def test_a_long_constant_keeps_its_text_beside_the_preview() -> None:
    """What the preview cuts is kept as long as it is no data; what it shows whole is not kept twice."""
    (short,) = identify_constant("k", [1, 2]).origins
    (long,) = identify_constant("k", list(range(100))).origins
    (data,) = identify_constant("k", list(range(5000))).origins

    assert (short.value_repr, short.literal) == ("[1, 2]", None)
    assert (long.value_repr, long.literal) == ("list of 100", str(list(range(100))))
    assert (data.value_repr, data.literal) == ("list of 5000", None)
