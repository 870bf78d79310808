"""What values look like as JSON."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays

from scidb.cli.jsonlines import jsonable


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        (float("inf"), None),
        (np.float32(0.5), 0.5),
        (np.uint8(7), 7),
        (np.longdouble(1), "1.0"),
        (Decimal(10**30), 10**30),
        (Decimal("0.25"), 0.25),
        (dt.datetime(2026, 1, 2, 3, 4, tzinfo=dt.UTC), "2026-01-02T03:04:00+00:00"),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (pd.NaT, None),
        (pd.NA, None),
        (b"\x01\xff", "01ff"),
        ((1, {2: float("nan")}), [1, {"2": None}]),
        (np.array([[1.0, np.nan]]), [[1.0, None]]),
        (np.array(["2026-01-02", "NaT"], dtype="M8[D]"), ["2026-01-02", None]),
        (np.array("2026-01-02", dtype="M8[D]"), "2026-01-02"),
        (1 + 2j, "(1+2j)"),
        (pd.Series([1.5, None], index=["a", "b"], name="x"), {"name": "x", "index": ["a", "b"], "data": [1.5, None]}),
        (
            pd.DataFrame([[1, "a"]], columns=["x", "x"]),
            {"columns": ["x", "x"], "index": [0], "data": [[1, "a"]]},
        ),
    ],
)
def test_values_become_json(value: Any, expected: Any) -> None:
    """Numbers stay numbers, moments become ISO text, what is missing or not finite is null."""
    assert jsonable(value) == expected


@given(arrays.arrays(arrays.scalar_dtypes(), arrays.array_shapes(min_dims=0, min_side=0)))
def test_every_array_becomes_valid_json(value: np.ndarray[Any, Any]) -> None:
    """Any array of any type is strict JSON of the same shape."""
    plain = json.loads(json.dumps(jsonable(value), allow_nan=False))

    assert isinstance(plain, list) == bool(value.ndim)
    if value.ndim:
        assert len(plain) == len(value)
