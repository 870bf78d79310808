"""The hash of an array that comes again is that of its bytes as they are, however it is come by."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scidb.hashing import repeated
from scidb.hashing.canonical import numpy as canonical_numpy
from scidb.hashing.canonical.encode import canonical_hash
from scidb.hashing.ids import content_hash
from scidb.hashing.repeated import repeated_hash

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(autouse=True)
def copies(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Begin without what other tests left."""
    fresh = repeated._Copies()
    monkeypatch.setattr(repeated, "_copies", fresh)
    return fresh


def _nan(payload: int) -> float:
    return float(np.array([0x7FF8_0000_0000_0000 + payload], "u8").view("f8")[0])


_CHANGES: dict[str, tuple[Any, Callable[[Any], object]]] = {
    "one element": (np.arange(100.0), lambda a: a.__setitem__(99, -1.0)),
    "the sign of zero": (np.zeros(3), lambda a: a.__setitem__(1, -0.0)),
    "shape": (np.arange(6), lambda a: a.resize((2, 3), refcheck=False)),
    "text": (np.array(["a", "b"]), lambda a: a.__setitem__(0, "c")),
    "a flag": (np.array([True, False]), lambda a: a.__setitem__(1, True)),
    "a moment": (np.array(["2024-01-01"], "M8[s]"), lambda a: a.__setitem__(0, np.datetime64("NaT", "s"))),
    "through a view": (np.arange(10), lambda a: a[::2].__setitem__(slice(None), 7)),
    "as other numbers": (np.arange(4), lambda a: a.view("f8").__setitem__(0, 1.5)),
}


@pytest.mark.parametrize("kind", _CHANGES)
@pytest.mark.parametrize("before", [1, 2, 3])
def test_a_change_in_place_is_seen(kind: str, before: int) -> None:
    """However often an array came before, a change of its content changes the hash, and back again."""
    make, change = _CHANGES[kind]
    array = make.copy()
    original = content_hash(array)
    assert {repeated_hash(array) for _ in range(before)} == {original}
    change(array)
    assert [repeated_hash(array) for _ in range(3)] == [content_hash(array)] * 3
    assert content_hash(array) != original


def test_every_nan_is_one_nan() -> None:
    """A NaN with other bits is another copy and the same hash, as everywhere."""
    array = np.array([1.0, _nan(0)])
    hashes = [repeated_hash(array) for _ in range(3)]
    array[1] = _nan(5)
    assert {*hashes, repeated_hash(array), repeated_hash(array)} == {content_hash(array)}


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        "text",
        np.float64(2.0),
        np.zeros(0),
        np.zeros((3, 0)),
        np.array(5.0),
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.arange(20)[::3],
        np.arange(6, dtype=">i4"),
        np.ma.masked_array([1.0, 2.0], [True, False]),
        np.array([1, "a", None], object),
        np.array([(1, 2.0)], "i4,f8"),
        np.zeros(200_000),
    ],
    ids=lambda value: f"{type(value).__name__} {getattr(value, 'dtype', '')} {getattr(value, 'shape', '')}",
)
@pytest.mark.parametrize("hash_of", [content_hash, canonical_hash])
def test_any_value_has_its_usual_hash(value: Any, hash_of: Callable[[object], str]) -> None:
    """What cannot be compared is digested each time; either way the hash is the usual one."""
    assert [repeated_hash(value, hash_of) for _ in range(3)] == [hash_of(value)] * 3


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(-2, 2)), max_size=30))
def test_a_history_of_changes_and_questions(steps: list[tuple[int, int, int]]) -> None:
    """Whatever is changed in whichever array in between, each answer is that of a digest."""
    arrays = [np.zeros(5), np.zeros(5, "i8"), np.zeros((5, 2), "f4")[:, 0], np.zeros(5)]
    for which, at, value in steps:
        arrays[which][at] = value
        assert repeated_hash(arrays[which]) == content_hash(arrays[which])


def test_from_the_third_time_on_nothing_is_digested(monkeypatch: pytest.MonkeyPatch) -> None:
    """An array that does not change is digested when it comes first and second, then compared."""
    digested: list[int] = []
    original = canonical_numpy.numeric_payload

    def counted(value: Any) -> bytes:
        digested.append(1)
        return original(value)

    monkeypatch.setattr(canonical_numpy, "numeric_payload", counted)
    array = np.arange(1_000.0)
    hashes = {repeated_hash(array) for _ in range(10)}
    assert (len(hashes), len(digested)) == (1, 2)


def test_an_array_at_the_place_of_another(copies: Any) -> None:
    """An array that is made where one was that is gone is not taken for it."""
    array = np.arange(3.0)
    for _ in range(3):
        repeated_hash(array)
    [key] = copies._kept
    known = copies._kept[key]
    del array
    gc.collect()
    other = np.arange(3.0)
    copies._kept[id(other), content_hash] = known
    assert copies.get(other, content_hash) is None
    assert repeated_hash(other) == content_hash(other)


def test_copies_are_bounded(copies: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies of arrays that are gone give way first, then the oldest; all together take no more than allowed."""
    monkeypatch.setattr(repeated, "_MOST", 10_000)
    arrays = [np.full(100, float(number)) for number in range(20)]
    for array in arrays:
        repeated_hash(array)
        repeated_hash(array)
        assert copies._size <= 10_000
    kept = [known.array() is arrays[-1] for known in copies._kept.values()]
    assert kept[-1]
    assert copies._size == sum(len(known.data) + 512 for known in copies._kept.values())
    newest = arrays[-1]
    del arrays, array
    gc.collect()
    for size in range(10, 15):
        repeated_hash(other := np.zeros(size))
    assert copies.get(newest, content_hash).data == newest.tobytes()
    assert copies.get(other, content_hash) is not None
