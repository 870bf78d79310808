"""DataArrays, Datasets and Variables of xarray come back with coordinates, indexes and attrs (case V10)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given

import scidb
from scidb import BaseVariable
from scidb.codecs import decode, encode
from scidb.exceptions import SerializationError, UnsupportedValueError
from scidb.hashing.ids import content_hash
from scidb.store.duck.types import Shape
from scidb.testing import strategies

xr = pytest.importorskip("xarray")

TIMES = pd.date_range("2020", periods=2, freq="D")
PAIRS = pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["side", "foot"])
EMG = xr.DataArray(
    np.arange(6.0).reshape(2, 3),
    dims=("t", "c"),
    coords={"t": TIMES, "c": ["l", "m", "r"], "height": 1.8, "gain": ("c", np.array([1, 2, 3], "f4"))},
    name="emg",
    attrs={"units": "mV", "filter": [10, 450]},
)
EMG["t"].attrs["axis"] = "T"


def along(index: Any, dim: str = "t") -> Any:
    return xr.DataArray(np.arange(len(index)), dims=dim, coords={dim: index})


def stacked() -> Any:
    dataset = xr.Dataset({"v": ("x", [1.0, 2.0, 3.0, 4.0])})
    whole = dataset.assign_coords(xr.Coordinates.from_pandas_multiindex(PAIRS, "x"))
    whole["side"].attrs["note"] = "of the body"
    return whole


VALUES: dict[str, Any] = {
    "2-D": EMG,
    "transposed": EMG.T,
    "1-D": EMG[:, 0],
    "0-D": EMG[0, 0],
    "no samples": EMG[:0],
    "3-D": xr.DataArray(np.zeros((2, 3, 4), "i2")),
    "wide": xr.DataArray(np.zeros((2, 100)), dims=("a", "b"), coords={"b": np.arange(100)}),
    "wide with a first coordinate": xr.DataArray(np.zeros((2, 100)), dims=("a", "b"), coords={"a": [5, 6]}),
    "coordinate longer than the rows": xr.DataArray(np.zeros((2, 5)), dims=("a", "b"), coords={"b": np.arange(5)}),
    "coordinate of two dims": xr.DataArray(np.eye(2), dims=("a", "b"), coords={"lat": (("a", "b"), np.ones((2, 2)))}),
    "index beside the dim": EMG.set_xindex("gain"),
    "dim without index": EMG.drop_indexes("c"),
    "MultiIndex": stacked(),
    "part of a MultiIndex": stacked().isel(x=slice(1, 3)),
    "no name": xr.DataArray([1, 2]),
    "name that is no text": xr.DataArray([1], name=("emg", 5)),
    "Dataset": xr.Dataset({"emg": EMG, "at": ("t", [1, 2]), "n": 5}, attrs={"by": np.array([1, 2]), "who": None}),
    "nothing": xr.Dataset(),
    "coordinates only": xr.Dataset(coords={"x": [1, 2]}),
    "Variable": xr.Variable(("x",), [1, 2], {"units": "m"}),
    "IndexVariable": xr.IndexVariable("x", [1, 2]),
    "objects": EMG.assign_coords(note=("c", np.array(["x", None, 1], object))),
    "categories": EMG.assign_coords(side=("c", pd.Categorical(["a", "b", "a"], ["b", "a", "c"]))),
    "zoned": EMG.assign_coords(local=("t", TIMES.tz_localize("Europe/Berlin"))),
    "zoned index": along(TIMES.tz_localize("Europe/Berlin")),
    "periods": along(pd.period_range("2020", periods=2, freq="M")),
    "categorical index": along(pd.CategoricalIndex(["a", "b"])),
    "intervals": along(pd.interval_range(0, 2)),
    "mixed index": along(np.array(["a", 1], object)),
    "float32 index": along(np.array([0.5, 1], "f4")),
    "text": xr.DataArray(["a", "bc"]),
    "complex": xr.DataArray(np.array([1 + 2j, complex("nan+infj")])),
    "durations": xr.DataArray(np.array([1, "NaT"], "m8[s]")),
    "missing integers": xr.Dataset({"n": ("x", pd.array([1, None], dtype="Int64"))}),
}


class Measured(BaseVariable):
    pass


def restored(value: Any) -> Any:
    (part,) = encode([value])
    Shape.of(part.table)  # nothing that a store cannot hold
    assert len({len(column[0]) for column in part.table.columns}) == 1
    (back,) = decode(part.encoding, part.table)
    assert_same(value, back)
    return back


def assert_same(value: Any, back: Any) -> None:
    assert type(back) is type(value)
    assert back.identical(value)
    assert content_hash(back) == content_hash(value)
    if isinstance(value, xr.Variable):
        assert back.dtype == value.dtype
        return
    assert list(back.coords) == list(value.coords)
    assert set(back.xindexes) == set(value.xindexes)
    for name, coordinate in value.coords.items():
        assert type(back[name].variable) is type(coordinate.variable)
        assert back[name].dtype == coordinate.dtype
        assert back[name].attrs == coordinate.attrs
    for name, index in value.indexes.items():
        pd.testing.assert_index_equal(back.indexes[name], index)
        assert getattr(back.indexes[name], "freq", None) == getattr(index, "freq", None)


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_values(value: Any) -> None:
    """Dims, coordinates, indexes, names and attrs come back with the data (V4, V10)."""
    restored(value)


@given(strategies.data_arrays())
def test_data_arrays(value: Any) -> None:
    """Any DataArray comes back (V10)."""
    restored(value)


@given(strategies.datasets())
def test_datasets(value: Any) -> None:
    """Any Dataset comes back (V10)."""
    restored(value)


def test_order_of_a_dataset() -> None:
    """Data variables and attrs come back in their order."""
    back = restored(xr.Dataset({"b": 1, "a": 2}, attrs={"z": 1, "y": 2}))

    assert list(back.data_vars) == ["b", "a"]
    assert list(back.attrs) == ["z", "y"]


def test_what_is_restored_can_be_written_to() -> None:
    """A loaded array shares no memory with what was loaded, nor with what was saved."""
    back = restored(EMG)
    back[0, 0] = 99.0

    assert EMG[0, 0] == 0.0
    assert restored(EMG).identical(EMG)


def test_what_sql_sees() -> None:
    """Samples are rows, with the coordinates that have a value for each of them."""
    (part,) = encode([EMG])

    assert part.table.column_names == ["emg_0", "emg_1", "emg_2", "t", "parts"]
    assert part.table.column("emg_1").to_pylist() == [[1.0, 4.0]]
    assert str(part.table.column("t").type.value_type).startswith("timestamp")
    assert part.table.column("parts").to_pylist()[0][1:] == [None]
    (series,) = encode([xr.DataArray([1.0, 2.0], dims="t", coords={"t": [5, 6]})])
    assert series.table.to_pydict() == {"value": [[1.0, 2.0]], "t": [[5, 6]]}


def test_arrays_of_one_kind_share_an_encoding() -> None:
    """Many arrays are one Arrow table, whatever their lengths; those without samples are another."""
    values = [EMG, EMG + 1, EMG[:1], EMG[:0], EMG]
    encoded = encode(values)
    back = {at: one for p in encoded for at, one in zip(p.positions, decode(p.encoding, p.table), strict=True)}

    assert [len(part.positions) for part in encoded] == [4, 1]
    for at, value in enumerate(values):
        assert_same_values(value, back[at])


def assert_same_values(value: Any, back: Any) -> None:
    assert back.identical(value)
    assert content_hash(back) == content_hash(value)


def test_what_is_not_in_memory_is_refused() -> None:
    """Data that would have to be read or computed are refused, and stay unread (V11)."""
    indexing = pytest.importorskip("xarray.core.indexing")
    lazy = xr.Variable("x", indexing.LazilyIndexedArray(np.arange(3)))

    for value, path in ((xr.DataArray(lazy), ""), (xr.Dataset({"a": 1, "emg": lazy}), '["emg"]')):
        with pytest.raises(UnsupportedValueError, match=r"load\(\) it first") as caught:
            encode([value])
        assert caught.value.path == path
    assert isinstance(lazy._data, indexing.LazilyIndexedArray)


def test_a_coordinate_not_in_memory_is_refused() -> None:
    """So are coordinates."""
    indexing = pytest.importorskip("xarray.core.indexing")
    lazy = xr.Variable("x", indexing.LazilyIndexedArray(np.arange(3)))

    with pytest.raises(UnsupportedValueError, match=r"load\(\) it first") as caught:
        encode([xr.DataArray([1, 2, 3], dims="x").assign_coords(at=lazy)])
    assert caught.value.path == '["at"]'


@pytest.mark.parametrize(
    ("value", "words", "path"),
    [
        (xr.DataTree(), r"to_dict\(\)", ""),
        (EMG.assign_attrs(o=object()), "object", '.attrs["o"]'),
        (xr.Dataset({"q": ("x", np.array([1, object()], object))}), "object", '["q"][1]'),
    ],
    ids=["tree", "attrs", "objects"],
)
def test_refused_with_its_place(value: Any, words: str, path: str) -> None:
    """What cannot be stored is refused with where it is (V11)."""
    with pytest.raises(UnsupportedValueError, match=words) as caught:
        encode([value])

    assert caught.value.path == path


def test_other_indexes_and_arrays_are_refused() -> None:
    """An index of xarray's own, and data with units of their own, are refused by name (V11)."""
    if hasattr(xr.indexes, "RangeIndex"):
        ranged = xr.Coordinates.from_xindex(xr.indexes.RangeIndex.arange(2, dim="x"))
        with pytest.raises(UnsupportedValueError, match="RangeIndex"):
            encode([xr.DataArray([1, 2], dims="x").assign_coords(ranged)])
    pint = pytest.importorskip("pint")
    with pytest.raises(UnsupportedValueError, match="Quantity"):
        encode([xr.DataArray(pint.UnitRegistry().Quantity(np.arange(3.0), "mV"), dims="x")])


def test_damaged_parts() -> None:
    """Bytes that are no Arrow stream are a SerializationError."""
    (part,) = encode([EMG])
    at = part.table.column_names.index("parts")
    damaged = part.table.set_column(at, "parts", [[[b"nonsense", None]]])

    with pytest.raises(SerializationError):
        decode(part.encoding, damaged)


def test_saved_and_loaded(db: scidb.DatabaseManager) -> None:
    """Arrays and datasets go through a store and back (V10)."""
    for subject, value in enumerate(VALUES.values()):
        Measured.save(value, subject=subject)
    for subject, value in enumerate(VALUES.values()):
        assert_same(value, Measured.load_one(subject=subject).data)
