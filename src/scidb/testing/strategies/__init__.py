"""Hypothesis strategies for every kind of value that SciDB stores.

They favour what goes wrong: empty shapes, NaN, times in the fold of a clock change, labels that differ in
case only, text with lone surrogates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from scidb.testing.strategies.arrays import arrays, dtypes, masked_arrays, object_arrays, structured_arrays
from scidb.testing.strategies.libraries import (
    arrow_tables,
    data_arrays,
    datasets,
    polars_frames,
    polars_series,
)
from scidb.testing.strategies.plain import containers, nested, scalars, texts
from scidb.testing.strategies.tables import frames, indexes, series

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = [
    "arrays",
    "arrow_tables",
    "containers",
    "data_arrays",
    "datasets",
    "dtypes",
    "frames",
    "indexes",
    "masked_arrays",
    "nested",
    "object_arrays",
    "polars_frames",
    "polars_series",
    "scalars",
    "series",
    "structured_arrays",
    "texts",
    "values",
]


def values() -> SearchStrategy[Any]:
    """Return any value that needs no library beyond SciDB's own."""
    return st.one_of(
        scalars(), arrays(), structured_arrays(), masked_arrays(), nested(), containers(), series(), indexes(), frames()
    )
