"""The canonical hash of polars DataFrames and Series."""

from __future__ import annotations

import datetime as dt
import decimal
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from scidb.exceptions import UnhashableValueError
from scidb.hashing import canonical_hash

pl = pytest.importorskip("polars")

GOLDEN = json.loads((Path(__file__).parent / "golden-polars.json").read_text("utf-8"))


def differ(*values: object) -> bool:
    return len({canonical_hash(value) for value in values}) == len(values)


def agree(*values: object) -> bool:
    return len({canonical_hash(value) for value in values}) == 1


@pytest.mark.parametrize("expression", GOLDEN)
def test_golden_kinds(expression: str) -> None:
    """M9: polars values keep the digest they were released with, on every polars."""
    value = eval(expression, {"pl": pl, "dt": dt, "decimal": decimal})  # the file is reviewed as code is
    assert canonical_hash(value) == GOLDEN[expression]


def test_all_that_can_be_seen_of_a_frame_counts() -> None:
    """M8: names, dtypes, and the order of rows and columns each make another frame."""
    frame = pl.DataFrame({"a": [1, 2], "b": ["x", None]})
    assert differ(
        *(frame, frame[["b", "a"]], frame.reverse(), frame.rename({"b": "c"}), frame[:1], frame[:0]),
        *(frame.cast({"a": pl.Int32}), frame.cast({"b": pl.Categorical}), frame.cast({"b": pl.Enum(["x"])})),
        *(frame["a"], frame[["a"]], frame["a"].alias("b"), frame.to_arrow(), frame.to_dict(as_series=False)),
        *(pl.DataFrame(), frame["a"].to_arrow(), frame.fill_null("")),
    )


def test_dtypes_count() -> None:
    """M8: units, zones, precision, categories and their order are part of a dtype."""
    days = pl.Series([dt.datetime(2020, 1, 1)])  # noqa: DTZ001
    text, number = pl.Series(["a"]), pl.Series([1])
    assert differ(*(days.cast(pl.Datetime(unit)) for unit in ("ms", "us", "ns")), days.dt.replace_time_zone("UTC"))
    assert differ(*(number.cast(pl.Duration(unit)) for unit in ("ms", "us", "ns")), number)
    assert differ(*(text.cast(pl.Enum(names)) for names in (["a"], ["a", "b"], ["b", "a"])), text)
    assert differ(*(number.cast(pl.Decimal(10, scale)) for scale in (1, 2)), number.cast(pl.Decimal(11, 2)))
    wide = pl.Series([1], dtype=pl.Int128)
    assert differ(number, wide, wide.cast(pl.String), pl.Series([[1]]), pl.Series([[1]], dtype=pl.Array(pl.Int64, 1)))


def test_storage_is_ignored() -> None:
    """M9: chunks, offsets, flags and the codes of categories make no difference."""
    whole = pl.Series("x", ["b", None, "a"])
    assert agree(whole, pl.concat([whole[:1], whole[1:]], rechunk=False), pl.concat([whole, whole])[3:])
    assert agree(pl.Series([1, 2]), pl.Series([1, 2]).set_sorted())
    coded = whole.cast(pl.Categorical)
    assert agree(coded[2:], pl.Series("x", ["a"], dtype=pl.Categorical))
    assert agree(pl.Series([float("nan")]), pl.Series([-float("nan")]))


def test_plans_and_objects_are_refused() -> None:
    """M7: a lazy frame says collect() it first; a column of objects is named."""
    objects = pl.DataFrame({"x": pl.Series([object()], dtype=pl.Object)})
    for value, words, path in (
        ([pl.LazyFrame({"a": [1]})], r"collect\(\)", "[0]"),
        ([pl.col("a")], r"collect\(\)", "[0]"),
        ([objects], "Object", '[0]["x"]'),
    ):
        with pytest.raises(UnhashableValueError, match=words) as caught:
            canonical_hash(value)
        assert caught.value.details["path"] == path


def test_arrow_forms_are_not_polars() -> None:
    """M8: a column of polars and its Arrow array are two kinds."""
    column: Any = pl.Series([1, 2])
    assert differ(column, pa.array([1, 2]), [1, 2])
