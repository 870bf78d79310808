"""The canonical hash of numpy arrays and scalars."""

from __future__ import annotations

import hashlib
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from scidb.hashing import canonical_hash
from scidb.hashing.canonical.cbor import CHUNK
from scidb.hashing.canonical.encode import preimage

if TYPE_CHECKING:
    from pathlib import Path

Array = np.ndarray[Any, np.dtype[Any]]

dtypes = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(),
    hnp.floating_dtypes(sizes=(16, 32, 64)),
    hnp.complex_number_dtypes(sizes=(64, 128)),
    hnp.datetime64_dtypes(),
    hnp.timedelta64_dtypes(),
    hnp.unicode_string_dtypes(max_len=4),
    hnp.byte_string_dtypes(max_len=4),
)
arrays = hnp.arrays(dtypes, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))


def differ(*values: object) -> bool:
    return len({canonical_hash(value) for value in values}) == len(values)


def agree(*values: object) -> bool:
    return len({canonical_hash(value) for value in values}) == 1


@given(arrays)
def test_storage_of_an_array_is_ignored(array: Array) -> None:
    """M9: order in memory, strides, byte order and the read-only flag make no difference."""
    swapped = array.astype(array.dtype.newbyteorder())
    strided = np.empty((*array.shape, 3), array.dtype)
    strided[..., 1] = array
    frozen = array.copy()
    frozen.flags.writeable = False
    backwards = np.flip(array).copy()
    assert agree(array, frozen, array.copy("F"), swapped, swapped.copy("F"), strided[..., 1])
    assert array.ndim == 0 or agree(array, np.flip(backwards))


@given(arrays, arrays)
def test_arrays_agree_only_when_equal(left: Array, right: Array) -> None:
    """M8: one hash means one kind of items, one shape and equal items with the sign of zero."""
    assert (preimage(left) == preimage(right)) == (_seen(left) == _seen(right))


def _seen(array: Array) -> object:
    kind = array.dtype.kind if array.dtype.kind in "US" else array.dtype.newbyteorder("=")
    return str(kind), array.shape, [_item(item) for item in array.ravel()]


def _item(item: Any) -> str:
    return repr(complex(item)) if isinstance(item, np.complexfloating) else repr(item)


@given(arrays, arrays)
def test_width_of_text_is_ignored(left: Array, right: Array) -> None:
    """M9: the width of a text dtype is storage."""
    for array in (left, right):
        if array.dtype.kind in "US":
            wider = array.astype(f"{array.dtype.kind}{20}")
            assert agree(array, wider)


def test_every_nan_is_one_nan_and_zeros_keep_their_sign() -> None:
    """M9: NaN bits differ between processors, so they are not part of a value; the sign of zero is."""
    for code, bits in (("f2", 0xFE01), ("f4", 0xFFC00001), ("f8", 0xFFF8000000000001), ("f8", 0x7FF0000000000001)):
        other = np.array([0, bits], f"u{code[1]}").view(code)
        assert agree(other, np.array([0, np.nan], code))
        assert differ(np.array([0.0], code), np.array([-0.0], code))
    assert agree(np.array([complex(1, np.nan)]), np.array([complex(1, -np.nan)]))
    assert differ(np.array([complex(1, np.nan)]), np.array([complex(np.nan, 1)]))


def test_any_true_byte_is_true() -> None:
    """M9: a bool that is stored as another byte than 1 is still True."""
    assert agree(np.array([0, 2, 255], "u1").view(bool), np.array([False, True, True]))


def test_dtypes_shapes_and_scalars_differ() -> None:
    """M8: items that print alike in other dtypes or shapes are other values."""
    kinds = ["i1", "i8", "u8", "f4", "f8", "c16", "b1", "S1", "U1", "O", "M8[s]", "M8[ms]", "m8[s]"]
    assert differ(*(np.zeros(1).astype(kind) for kind in kinds))
    assert differ(np.zeros(4), np.zeros((2, 2)), np.zeros((4, 1)), [0.0] * 4, np.zeros((4, 0)), np.zeros((0, 4)))
    assert differ(np.float64(1), np.array(1.0), 1.0, np.array([1.0]), np.float32(1))
    assert differ(np.str_("a"), "a", np.array("a"), np.bytes_(b"a"), np.bytes_(b"a\0"))


def test_layout_of_a_struct_is_ignored() -> None:
    """M9: padding, offsets and the width of text fields are storage; names and order of fields are not."""
    plain = np.array([(1, "ab"), (2, "c")], [("i", "i4"), ("s", "U2")])
    padded = plain.astype(np.dtype({"names": ["i", "s"], "formats": [">i4", "U9"], "offsets": [8, 24]}))
    assert agree(plain, padded)
    assert differ(plain, plain.astype([("j", "i4"), ("s", "U2")]), plain[["s", "i"]], plain["i"])


def test_what_lies_under_a_mask_is_ignored() -> None:
    """M9: masked data is no data; the mask, the fill value and the kind are part of the value."""
    one, other = (np.ma.array([1, under, 3], mask=[False, True, False]) for under in (2, 7))
    assert agree(one, other)
    whole = np.ma.array([1, 2, 3])
    assert agree(whole, np.ma.array([1, 2, 3], mask=[False, False, False]))
    assert differ(one, whole, np.array([1, 2, 3]), np.ma.array([1, 0, 3]), np.ma.array([1, 2, 3], fill_value=1))


def test_a_mapped_file_is_its_array(tmp_path: Path) -> None:
    """M9: an array on disk is the array."""
    mapped = np.memmap(tmp_path / "a", "f8", "w+", shape=(5,))
    mapped[:] = np.arange(5)
    assert agree(mapped, np.arange(5.0))


def test_items_of_object_arrays_are_values() -> None:
    """M8: an object array is its items, whatever their kinds."""
    assert differ(*(np.array([item, None], object) for item in (1, 1.0, True, "1", (1,), None)))


@pytest.mark.parametrize("extra", [-1, 0, 1, CHUNK // 8])
def test_large_arrays_are_known_by_their_chunks(extra: int) -> None:
    """M9: the chunks are those of the bytes in C order, however the array lies in memory."""
    size = CHUNK // 4 + extra
    array = np.arange(size, dtype="f8")
    raw = array.tobytes()
    digests = [hashlib.sha256(raw[at : at + CHUNK]).digest() for at in range(0, len(raw), CHUNK)]
    assert all(digest in preimage(array) for digest in digests)
    strided = np.repeat(array, 2)[::2]
    assert agree(array, strided, array.astype(">f8"))


def test_large_matrices_agree_in_any_layout() -> None:
    """M9: gathering chunks of a transposed array gives the chunks of its copy, NaNs included."""
    array = np.arange(1_500 * 1_600, dtype="f8").reshape(1_500, 1_600)
    array[::7, ::5] = np.nan
    assert agree(array, np.asfortranarray(array), np.asfortranarray(array.astype(">f8")))
    assert differ(array, array.T)


def test_threads_give_the_chunks_in_order() -> None:
    """M9: an array that is large enough for threads hashes as the sequence of its chunks."""
    array = np.arange(9 * CHUNK // 8, dtype="i8")
    raw = memoryview(array.view("u1").data)
    digests = [hashlib.sha256(raw[at : at + CHUNK]).digest() for at in range(0, raw.nbytes, CHUNK)]
    encoded = preimage(array)
    places = [encoded.index(digest) for digest in digests]
    assert places == sorted(places)


def test_hashing_needs_little_memory() -> None:
    """Hashing 64 MB takes a few chunks of memory, even where NaNs have to be replaced."""
    array = np.full(8_000_000, np.nan)
    tracemalloc.start()
    try:
        canonical_hash(array)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 32 * 1024 * 1024
