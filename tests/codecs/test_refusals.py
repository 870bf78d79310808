"""What cannot be stored is refused with the place inside the value (case V11)."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import enum
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scidb import BaseVariable
from scidb.codecs import encode
from scidb.exceptions import UnsupportedValueError

if TYPE_CHECKING:
    import scidb


class Anything(BaseVariable):
    """Values of any kind."""


class Colour(enum.IntEnum):
    RED = 1


class Number(float):
    pass


class Samples(np.ndarray[Any, Any]):
    pass


@dataclasses.dataclass
class Point:
    x: int
    y: int


Pair = collections.namedtuple("Pair", "left right")  # noqa: PYI024 - the plain kind is what people pass


def frozen_void() -> np.void:
    """Return a single item with fields that can be a member of a set."""
    items = np.zeros(1, [("x", "i4")])
    items.flags.writeable = False
    item: np.void = items[0]
    return item


def itself(kind: str = "list") -> Any:
    value: Any = [] if kind == "list" else np.empty(2, object)
    if kind == "list":
        value.extend([value, value])
    else:
        value[:] = [value, value]
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
        (Point(1, 2), ""),
        (collections.deque([1]), ""),
        (collections.defaultdict(list), ""),
        (np.longdouble(1), ""),
        (np.array([1], np.longdouble), ""),
        (np.zeros(2, "G"), ""),
        (np.zeros(2, [("x", "f8"), ("y", "g")]), '["y"]'),
        (np.ma.zeros(2, "g"), ""),
        (np.array([None, print]), "[1]"),
        (np.array([[None, 1], [2, open]]), "[(1, 1)]"),
        (np.array(object()), "[()]"),
        (np.array([(1, print)], [("x", int), ("y", object)]), '["y"][0]'),
        (np.array(["a"], np.dtypes.StringDType(na_object=object())), ""),
        (np.zeros(2).view(Samples), ""),
        ({"k": [1, 2, object()]}, '["k"][2]'),
        ([{"a": {1: Number(2)}}], '[0]["a"][1]'),
        ({"x": np.zeros(3).view(Samples)}, '["x"]'),
        ({"ok": np.zeros(3), "x": [np.zeros(2), np.zeros(2, "g")]}, '["x"][1]'),
        ([pd.DataFrame({"a": [1], "o": [object()]})], '[0]["o"][0]'),
        (({"x": np.array([1, [2, object()]], dtype=object)},), '[0]["x"][1][1]'),
        ({(1, Colour.RED): 1}, "[(1, <Colour.RED: 1>)][1]"),
        ({Number(1): 1}, "[1.0]"),
        ({frozen_void()}, f"[{frozen_void()!r}]"),
        ([Point(1, 2)], "[0]"),
        ((1, Pair(1, 2)), "[1]"),
        (pd.DataFrame({"a": [1], "o": [object()]}), '["o"][0]'),
        (pd.Series([1, [2, open]], dtype=object), "[1][1]"),
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

    with pytest.raises(UnsupportedValueError) as caught:
        encode([frame])

    assert caught.value.path == '["attrs"]["source"]'


@pytest.mark.parametrize("kind", ["list", "array"])
def test_a_value_that_holds_itself(kind: str) -> None:
    """Endless nesting is refused at once, with the beginning of the way."""
    with pytest.raises(UnsupportedValueError, match=r"holding itself \(at \[0\]\[0\]\[0\]\[0\]\[0\]\.\.\. "):
        encode([itself(kind)])


def test_users_classes_say_what_to_do() -> None:
    """The error for a dataclass, a namedtuple or an Enum names the ways out."""
    for value in (Point(1, 2), Pair(1, 2), Colour.RED):
        with pytest.raises(UnsupportedValueError, match=r"asdict\(\).* _asdict\(\).* Enum .*to_db\(\) and from_db\(\)"):
            encode([[value]])


def test_nothing_is_written(db: scidb.DatabaseManager) -> None:
    """A refused part of one value keeps the whole save out of the database."""
    Anything.save_many([({"x": np.zeros(2)}, {"subject": 1})])
    with pytest.raises(UnsupportedValueError) as caught:
        Anything.save_many([({"x": np.zeros(3)}, {"subject": 2}), ({"x": [np.zeros(2), open]}, {"subject": 3})])

    assert caught.value.path == '["x"][1]'
    assert len(db.list_versions(Anything)) == 1


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    arrays = st.lists(inner, max_size=3).map(lambda items: np.fromiter(items, object, len(items)))
    return st.lists(inner) | st.tuples(inner, inner) | arrays


@settings(max_examples=50, deadline=None)
@given(st.recursive(st.integers() | st.builds(object) | st.builds(np.zeros, st.integers(0, 3)), _nested))
def test_nothing_but_unsupported(value: Any) -> None:
    """Whatever is given, the only error is UnsupportedValueError."""
    with contextlib.suppress(UnsupportedValueError):
        encode([value])
