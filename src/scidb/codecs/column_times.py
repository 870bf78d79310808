"""Columns of zoned times, periods and intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from scidb.codecs.columns import (
    ColumnKind,
    column_from_arrow,
    column_to_arrow,
    describe_column,
    end_to_end,
    values_of,
)
from scidb.codecs.contents import Compared
from scidb.codecs.primitive import as_numpy, to_arrow
from scidb.codecs.tagged import path_text
from scidb.codecs.zones import pandas_zone_from_json, pandas_zone_to_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scidb.codecs.base import Parameters

__all__ = ["IntervalColumn", "PeriodColumn", "ZonedColumn"]


class ZonedColumn(ColumnKind):
    """Times with a zone, as instants."""

    name = "datetime"

    def describe(self, array: Any, keys: tuple[object, ...]) -> Parameters | None:
        """Return unit and zone."""
        dtype = array.dtype
        if not isinstance(dtype, pd.DatetimeTZDtype):
            return None
        return {"unit": dtype.unit, "zone": pandas_zone_to_json(dtype.tz, path_text(*keys))}

    def compared(self, parameters: Parameters) -> Compared | None:  # noqa: ARG002
        """Return that it is instants."""
        return Compared("datetime with a time zone")

    def store(self, arrays: Sequence[Any], parameters: Parameters, keys: tuple[object, ...]) -> list[pa.Array]:  # noqa: ARG002
        """Return the instants, in UTC."""
        return [to_arrow([np.asarray(array.tz_convert("UTC").tz_localize(None)) for array in arrays])]

    def restore(self, parts: Sequence[pa.Array], parameters: Parameters) -> Any:
        """Return the instants in their zone."""
        instants = pd.DatetimeIndex(np.array(as_numpy(parts[0], np.dtype(f"M8[{parameters['unit']}]"))))
        return instants.tz_localize("UTC").tz_convert(pandas_zone_from_json(parameters["zone"])).array


class PeriodColumn(ColumnKind):
    """Periods as their ordinals: how many periods after the one of 1970-01-01 each is."""

    name = "period"

    def describe(self, array: Any, keys: tuple[object, ...]) -> Parameters | None:  # noqa: ARG002
        """Return the dtype, which is the frequency."""
        return {"dtype": array.dtype.name} if isinstance(array.dtype, pd.PeriodDtype) else None

    def store(self, arrays: Sequence[Any], parameters: Parameters, keys: tuple[object, ...]) -> list[pa.Array]:  # noqa: ARG002
        """Return the ordinals."""
        return [end_to_end([pa.array(array.asi8, mask=array.isna()) for array in arrays])]

    def restore(self, parts: Sequence[pa.Array], parameters: Parameters) -> Any:
        """Return the periods; their NaT is the one of numpy's times."""
        ordinals = np.array(as_numpy(parts[0], np.dtype("m8[ns]"))).view(np.int64)
        return pd.arrays.PeriodArray(ordinals, dtype=pd.api.types.pandas_dtype(parameters["dtype"]))


class IntervalColumn(ColumnKind):
    """Intervals as two columns."""

    name = "interval"

    def describe(self, array: Any, keys: tuple[object, ...]) -> Parameters | None:
        """Return how the sides are stored, and which of them belong to the interval."""
        if not isinstance(array.dtype, pd.IntervalDtype):
            return None
        return {"sides": describe_column(values_of(array.left), *keys), "closed": array.dtype.closed}

    def suffixes(self, parameters: Parameters) -> tuple[str, ...]:  # noqa: ARG002
        """Return the two sides."""
        return ("_left", "_right")

    def store(self, arrays: Sequence[Any], parameters: Parameters, keys: tuple[object, ...]) -> list[pa.Array]:
        """Return the left and the right sides."""
        sides = parameters["sides"]
        left = column_to_arrow([values_of(array.left) for array in arrays], sides, *keys)
        return [*left, *column_to_arrow([values_of(array.right) for array in arrays], sides, *keys)]

    def restore(self, parts: Sequence[pa.Array], parameters: Parameters) -> Any:
        """Join the two sides."""
        left, right = (column_from_arrow([part], parameters["sides"]) for part in parts)
        # pandas 2 makes 64-bit numbers of others unless it is told.
        dtype = pd.IntervalDtype(left.dtype, parameters["closed"])
        return pd.arrays.IntervalArray.from_arrays(left, right, closed=parameters["closed"], dtype=dtype)
