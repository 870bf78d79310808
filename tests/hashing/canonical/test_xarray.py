"""The canonical hash of xarray's variables, arrays and datasets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from scidb.exceptions import UnhashableValueError
from scidb.hashing import canonical_hash

xr = pytest.importorskip("xarray")

GOLDEN = json.loads((Path(__file__).parent / "golden-xarray.json").read_text("utf-8"))


def differ(*values: object) -> bool:
    return len({canonical_hash(value) for value in values}) == len(values)


def agree(*values: object) -> bool:
    return len({canonical_hash(value) for value in values}) == 1


def emg() -> Any:
    values = np.arange(6.0).reshape(2, 3)
    return xr.DataArray(values, dims=("t", "c"), coords={"t": [0.5, 1.0], "c": ["l", "m", "r"]}, name="emg")


@pytest.mark.parametrize("expression", GOLDEN)
def test_golden_kinds(expression: str) -> None:
    """M9: xarray values keep the digest they were released with, on every xarray."""
    value = eval(expression, {"xr": xr, "np": np, "pd": pd})  # the file is reviewed as code is
    assert canonical_hash(value) == GOLDEN[expression]


def test_all_that_can_be_seen_counts() -> None:
    """M8: name, dims, dtype, coordinates, indexes and attrs of the whole and of parts."""
    array = emg()
    noted = emg()
    noted["t"].attrs["units"] = "s"
    assert differ(
        *(array, noted, array.assign_attrs(units="mV"), array.rename("x"), array.rename(c="d"), array.T),
        *(array.astype("f4"), array.drop_vars("t"), array.drop_indexes("t"), array.assign_coords(t=[0.5, 1.5])),
        *(array.assign_coords(t=np.array([0.5, 1.0], "f4")), array.assign_coords(s=1), array[:1], array[:0]),
        *(array.to_dataset(), array.variable, array["t"], array["t"].variable, array.to_numpy(), array + 1),
        *(xr.Variable("t", [0.5, 1.0]), xr.IndexVariable("t", [0.5, 1.0], {"u": 1})),
    )


def test_datasets() -> None:
    """M8: variables, which of them are coordinates, and attrs count; their order does not (M9)."""
    first = xr.Dataset({"a": ("x", [1, 2]), "b": 5}, coords={"k": 1}, attrs={"u": 1, "v": 2})
    again = xr.Dataset({"b": 5, "a": ("x", [1, 2])}, coords={"k": 1}, attrs={"v": 2, "u": 1})
    assert agree(first, again)
    assert differ(first, first.set_coords("b"), first.rename(a="c"), first.drop_vars("b"), first.assign_attrs(u=3))


def test_storage_is_ignored() -> None:
    """M9: memory layout, encoding, and the unused levels of a MultiIndex make no difference."""
    array = emg()
    written = emg()
    written.encoding["zlib"] = True
    assert agree(array, array.copy(data=np.asfortranarray(array.values)), written)
    pairs = pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["l", "n"])

    def over(index: Any) -> Any:
        return xr.DataArray([1, 2], dims="x").assign_coords(xr.Coordinates.from_pandas_multiindex(index, "x"))

    assert agree(over(pairs[:2]), over(pairs[:2].remove_unused_levels()))
    assert differ(
        over(pairs[:2]), over(pairs[2:]), over(pairs[:2].set_names(["l", "m"])), over(pairs[:2]).reset_index("x")
    )


def test_refusals_say_where() -> None:
    """M7: data that are not in memory, and attrs without identity, are refused with where they are."""
    indexing = pytest.importorskip("xarray.core.indexing")
    lazy = xr.Variable("x", indexing.LazilyIndexedArray(np.arange(3)))
    for value, words, path in (
        ([xr.DataArray(lazy)], r"load\(\) it first", "[0].values"),
        (xr.Dataset({"emg": lazy}), r"load\(\) it first", '["emg"].values'),
        (emg().assign_attrs(o=object()), "object", '.attrs["o"]'),
        (xr.DataTree(), r"to_dict\(\)", ""),
    ):
        with pytest.raises(UnhashableValueError, match=words) as caught:
            canonical_hash(value)
        assert caught.value.details["path"] == path
