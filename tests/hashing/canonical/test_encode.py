"""The canonical hash of plain values and containers; golden vectors for every kind."""

from __future__ import annotations

import datetime as dt
import decimal
import fractions
import json
import os
import pathlib
import struct
import subprocess
import sys
import uuid
import zoneinfo
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scidb.exceptions import UnhashableValueError
from scidb.hashing import canonical_hash
from scidb.hashing.canonical.encode import preimage

HERE = Path(__file__).parent
VECTORS = json.loads((HERE.parent / "hash-vectors.json").read_text("utf-8"))["vectors"]
GOLDEN = json.loads((HERE / "golden.json").read_text("utf-8"))

NAMES: dict[str, Any] = {
    "np": np,
    "pd": pd,
    "pa": pa,
    "D": dt,
    "decimal": decimal,
    "fractions": fractions,
    "uuid": uuid,
    "pathlib": pathlib,
    "zoneinfo": zoneinfo,
    "OrderedDict": OrderedDict,
}


def value_of(expression: str) -> object:
    """Make the value that a golden file names.

    The files are part of this repository, reviewed as its code is, and read by tests alone; so evaluating
    them is no more than running a test. The product never evaluates text.
    """
    value: object = eval(expression, dict(NAMES))
    return value


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_golden_vectors(vector: dict[str, Any]) -> None:
    """M9: preimages and digests are those of the specification, on every Python, numpy and pandas."""
    value = value_of(vector["expression"])
    assert preimage(value).hex() == vector["cbor"]
    assert canonical_hash(value) == vector["sha256"]


@pytest.mark.parametrize("expression", GOLDEN)
def test_golden_kinds(expression: str) -> None:
    """M9: the kinds that the specification leaves to the product keep the digest they were released with."""
    assert canonical_hash(value_of(expression)) == GOLDEN[expression]


def test_golden_values_are_all_different() -> None:
    """M8: no two values of the golden file share a digest."""
    assert len(set(GOLDEN.values())) == len(GOLDEN)


# ---------------------------------------------------------------- generated values

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-2, 2),
    st.floats(),
    st.complex_numbers(),
    st.text(max_size=3),
    st.binary(max_size=3),
    st.sampled_from(["", "a", b"", b"a", 0, 1, 1.0, True, False, -0.0, 0.0, "1", "None"]),
)
hashables = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple),
        st.frozensets(inner, max_size=3),
    ),
    max_leaves=4,
)
values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(scalars, hashables),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(hashables, inner, max_size=4),
        st.dictionaries(hashables, inner, max_size=3).map(OrderedDict),
        st.sets(hashables, max_size=3),
    ),
    max_leaves=12,
)


def strict_key(value: object) -> object:
    """Return a key that is equal for two values when they have equal kinds and contents throughout."""
    kind = type(value).__name__
    match value:
        case float():
            return kind, "nan" if value != value else value.hex()
        case complex():
            return kind, strict_key(value.real), strict_key(value.imag)
        case OrderedDict():
            return kind, tuple((strict_key(k), strict_key(v)) for k, v in value.items())
        case dict():
            pairs = [(strict_key(k), strict_key(v)) for k, v in value.items()]
            return kind, tuple(sorted(pairs, key=repr))
        case list() | tuple():
            return kind, tuple(map(strict_key, value))
        case set() | frozenset():
            return kind, tuple(sorted(map(strict_key, value), key=repr))
        case _:
            return kind, repr(value)


@given(values, values)
def test_equal_hashes_mean_equal_values(left: object, right: object) -> None:
    """M8: two values have one hash exactly when kinds and contents agree throughout."""
    assert (canonical_hash(left) == canonical_hash(right)) == (strict_key(left) == strict_key(right))


@given(st.lists(values, min_size=2, max_size=30))
def test_framing_has_no_collisions(many: list[object]) -> None:
    """M8: among many generated values there are as many encodings as there are values."""
    assert len({preimage(value) for value in many}) == len({strict_key(value) for value in many})


@given(st.lists(values, max_size=4), st.integers(0, 4))
def test_nesting_is_part_of_the_value(items: list[object], cut: int) -> None:
    """M8: moving a bracket changes the hash, as in [[1], 2] and [[1, 2]]."""
    shapes = [items, [items], [items[:cut], *items[cut:]], [*items[:cut], items[cut:]], tuple(items)]
    assert len({preimage(shape) for shape in shapes}) == len({strict_key(shape) for shape in shapes})


@given(st.dictionaries(hashables, values, max_size=6), st.randoms())
def test_order_of_a_dict_is_ignored(mapping: dict[Any, Any], random: Any) -> None:
    """M9: the order in which a dict was filled makes no difference."""
    pairs = list(mapping.items())
    random.shuffle(pairs)
    assert canonical_hash(dict(pairs)) == canonical_hash(mapping)


def test_order_of_an_ordered_dict_counts() -> None:
    """M8: an OrderedDict is its order too, and is no dict."""
    one, two = OrderedDict(a=1, b=2), OrderedDict(b=2, a=1)
    assert len({canonical_hash(one), canonical_hash(two), canonical_hash(dict(one))}) == 3


def test_lookalikes_differ() -> None:
    """M8: values that Python or a reader could take for one another have hashes of their own."""
    lookalikes: list[object] = [
        *(1, True, 1.0, 1 + 0j, np.int64(1), np.float64(1), np.array(1), "1", b"1", bytearray(b"1")),
        *(decimal.Decimal(1), decimal.Decimal("1.0"), fractions.Fraction(1), np.True_, [1], (1,), {1}),
        *(frozenset({1}), {1: 1}, range(1), slice(1), [[1], 2], [[1, 2]], [1, [2]], "[1]", None, "None"),
        *(dt.date(2020, 1, 1), dt.datetime(2020, 1, 1), "2020-01-01"),  # noqa: DTZ001
        *(pathlib.PurePosixPath("a"), pathlib.PureWindowsPath("a"), "a", 0.0, -0.0, [], (), {}, set(), ""),
        *(float("nan"), float("inf"), float("-inf"), pd.NA, pd.NaT, np.datetime64("2020-01-01", "D")),
    ]
    assert len({canonical_hash(value) for value in lookalikes}) == len(lookalikes)


def test_every_nan_is_one_nan() -> None:
    """M9: NaN bits differ between processors, so they are not part of a value."""
    (other,) = struct.unpack(">d", bytes.fromhex("fff8000000000001"))
    assert canonical_hash([other, complex(other, 0)]) == canonical_hash([float("nan"), complex("nan")])


def test_another_process_agrees() -> None:
    """M9: sets and dicts hash the same under any PYTHONHASHSEED, in another process."""
    expression = "[{'a', 'bc', 'def', 1, 2.5, ('x', None)}, {'k': {'y', 'z'}, 'j': frozenset({'u', 'v', 'w'})}]"
    program = f"from scidb.hashing import canonical_hash; print(canonical_hash({expression}))"
    environment = {**os.environ, "PYTHONHASHSEED": "4242", "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == canonical_hash(value_of(expression))


def test_plain_values_import_no_library() -> None:
    """Hashing plain data imports none of the modules that know numpy, pandas and Arrow."""
    program = (
        "import sys; from scidb.hashing import canonical_hash; canonical_hash([1, {'a': (2.0, None)}]);"
        "families = ['numpy', 'pandas', 'polars', 'arrow', 'xarray', 'stdlib'];"
        "print([name for name in families if 'scidb.hashing.canonical.' + name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


# ---------------------------------------------------------------- dates


def test_time_zones_are_part_of_a_datetime() -> None:
    """M8: one instant under several zones, and naive, are different values; the two names of UTC are one."""
    berlin, utc = zoneinfo.ZoneInfo("Europe/Berlin"), dt.UTC
    plain = dt.datetime(2020, 7, 1, 12)  # noqa: DTZ001
    impostor = dt.timezone(dt.timedelta(hours=2), "Europe/Berlin")
    fixed = dt.timezone(dt.timedelta(hours=2))
    zones = [berlin, utc, impostor, fixed, zoneinfo.ZoneInfo("Europe/Paris")]
    digests = {canonical_hash(plain.replace(tzinfo=zone)) for zone in [None, *zones]}
    assert len(digests) == 6
    assert canonical_hash(plain.replace(tzinfo=zoneinfo.ZoneInfo("UTC"))) in digests


def test_fold_is_part_of_a_datetime() -> None:
    """M8: the two readings of a repeated hour are different values."""
    first = dt.datetime(2020, 10, 25, 2, 30, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
    assert canonical_hash(first) != canonical_hash(first.replace(fold=1))


# ---------------------------------------------------------------- refusals


class _Plain:
    pass


class _Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (object(), ""),
        ([1, 2, {"k": _Plain()}], '[2]["k"]'),
        ({"a": (1, iter([]))}, '["a"][1]'),
        ({3: [len]}, "[3][0]"),
        ([_Text("a")], "[0]"),
        (defaultdict(int), ""),
        ([np.longdouble(1)], "[0]"),
        ([np.array([1, _Plain()], object)], "[0][1]"),
        ({"f": pd.DataFrame({"c": [1, _Plain()]})}, '["f"]["c"][1]'),
        (np.random.default_rng(0), ""),
        (int, ""),
        (canonical_hash, ""),
    ],
)
def test_values_without_identity_are_refused(value: object, path: str) -> None:
    """M7: what says nothing about itself is refused with where it is; never a constant, never a repr."""
    with pytest.raises(UnhashableValueError) as caught:
        canonical_hash(value)
    assert caught.value.details["path"] == path


def test_recursion_is_refused() -> None:
    """M7: a value that contains itself is refused, with where; one that is there twice is not."""
    inner: list[Any] = [1]
    value = {"a": [inner, inner]}
    assert canonical_hash(value) == canonical_hash({"a": [[1], [1]]})
    inner.append(value)
    with pytest.raises(UnhashableValueError) as caught:
        canonical_hash(value)
    assert caught.value.details["path"] == '["a"][0][1]'


def test_deep_nesting_is_refused_not_crashed() -> None:
    """M7: nesting beyond what Python can follow is an error of ours."""
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(UnhashableValueError):
        canonical_hash(value)
    # Freed level by level, since freeing all at once recurses too.
    while value:
        value = value[0]
