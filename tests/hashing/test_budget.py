"""How large values are that code reads, as far as a warning needs to know."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import xarray as xr

from scidb.hashing.code.budget import BUDGET, nbytes_of, too_large

NUMBERS = np.zeros(1_000_000)


@pytest.mark.parametrize(
    "value",
    [
        NUMBERS,
        pd.Series(NUMBERS),
        pd.DataFrame({"x": NUMBERS}),
        pl.Series(NUMBERS),
        pl.DataFrame({"x": NUMBERS}),
        pa.table({"x": NUMBERS}),
        pa.array(NUMBERS),
        xr.DataArray(NUMBERS),
        xr.Dataset({"x": ("t", NUMBERS)}),
        {"a": [NUMBERS]},
        (NUMBERS,),
        b"0" * 8_000_000,
        ["0" * 1_000_000] * 8,
    ],
    ids=lambda value: type(value).__module__ + "." + type(value).__name__,
)
def test_eight_megabytes_are_eight_megabytes(value: Any) -> None:
    """Whatever library holds them, bytes are counted without copying them."""
    assert 8_000_000 <= nbytes_of(value) < 8_100_000


@pytest.mark.parametrize("value", [1, None, float, np.float64, len, object(), [1, 2], {"a": 1}])
def test_small_things_are_small(value: Any) -> None:
    """What holds nothing large is not measured further."""
    assert nbytes_of(value) < 100


def test_only_what_exceeds_the_budget_is_named() -> None:
    """The largest come first, and many are counted; below the budget nothing is said."""
    half = np.zeros(BUDGET // 16)
    assert too_large([("A", half)]) == ""
    assert (
        too_large([("A", half), ("B", half), ("K", 1), ("C", np.zeros(BUDGET // 8))])
        == "C (34 MB), B (17 MB), A (17 MB)"
    )
    assert too_large([(name, half) for name in "ABCDE"]) == "E (17 MB), D (17 MB), C (17 MB) and 2 more"
