"""Strategies for numpy's arrays: plain, structured, masked, and of objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

__all__ = ["arrays", "dtypes", "masked_arrays", "object_arrays", "structured_arrays"]


def dtypes() -> SearchStrategy[np.dtype[Any]]:
    """Return the dtypes of arrays that can be stored, in either byte order."""
    return st.one_of(
        npst.boolean_dtypes(),
        npst.integer_dtypes(endianness="?"),
        npst.unsigned_integer_dtypes(endianness="?"),
        npst.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
        npst.complex_number_dtypes(endianness="?", sizes=(64, 128)),
        npst.datetime64_dtypes(endianness="?"),
        npst.timedelta64_dtypes(endianness="?"),
    )


@st.composite
def arrays(draw: DrawFn) -> np.ndarray[Any, Any]:
    """Return arrays of any rank up to 4, empty ones among them, in several memory layouts."""
    kinds = dtypes() | npst.unicode_string_dtypes(max_len=5) | npst.byte_string_dtypes(max_len=5)
    whole = draw(npst.arrays(draw(kinds), _shapes()))
    layout = draw(st.sampled_from(["C", "Fortran", "reversed"])) if whole.ndim else "C"
    if layout == "Fortran":
        return np.asfortranarray(whole)
    return whole[::-1] if layout == "reversed" else whole


@st.composite
def structured_arrays(draw: DrawFn) -> np.ndarray[Any, Any]:
    """Return arrays of records, whose fields may be records or arrays themselves."""
    return draw(npst.arrays(draw(_record_dtypes()), _shapes()))


@st.composite
def masked_arrays(draw: DrawFn) -> Any:
    """Return masked arrays of any rank, with and without a mask, a fill value of their own, a hard mask."""
    data = draw(npst.arrays(draw(dtypes()), _shapes()))
    mask = draw(st.just(np.ma.nomask) | npst.arrays(np.bool_, data.shape))
    masked = np.ma.MaskedArray(data, mask, hard_mask=draw(st.booleans()))
    if draw(st.booleans()):
        masked.fill_value = draw(npst.from_dtype(masked.dtype))
    return masked


@st.composite
def object_arrays(draw: DrawFn) -> np.ndarray[Any, Any]:
    """Return arrays of Python objects, arrays among them."""
    shape = draw(_shapes())
    cells: SearchStrategy[Any] = st.one_of(
        st.none(),
        st.integers(),
        st.floats(),
        st.text(max_size=3),
        st.lists(st.integers(), max_size=2),
        npst.arrays(np.float64, npst.array_shapes(max_dims=1, min_side=0, max_side=3)),
    )
    whole = np.empty(shape, object)
    for place in np.ndindex(shape):
        whole[place] = draw(cells)
    return whole


def _shapes() -> SearchStrategy[tuple[int, ...]]:
    return npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


def _record_dtypes() -> SearchStrategy[np.dtype[Any]]:
    simple = dtypes() | npst.unicode_string_dtypes(min_len=1, max_len=4) | npst.byte_string_dtypes(min_len=1, max_len=4)
    inner = simple | npst.array_dtypes(simple, max_size=3) | npst.nested_dtypes(simple, max_leaves=3)
    names = st.sampled_from(["x", "X", "y", "row", "record_no", "with space", "value", "ü"])
    fields = st.lists(st.tuples(names, inner), min_size=1, max_size=3, unique_by=lambda field: field[0])
    return fields.map(np.dtype)
