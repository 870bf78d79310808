"""Single values: one typed column `value`, so that plain SQL works on them.

What no column type holds exactly (integers beyond 64 bit, text with lone surrogates, complex numbers,
times in the fold of a clock change) is tagged JSON instead, under an encoding of its own.
"""

from __future__ import annotations

import datetime as dt
import decimal
import fractions
import uuid
import zoneinfo
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from scidb.codecs.base import Codec, Parameters
from scidb.codecs.contents import Compared, Contents, dtype_compared, single
from scidb.codecs.literals import PATHS, is_int64, is_utf8
from scidb.codecs.primitive import as_numpy, dtype_from_text, dtype_text, to_arrow
from scidb.codecs.tagged import from_text, to_text
from scidb.codecs.zones import zone_from_json, zone_to_json
from scidb.exceptions import SerializationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["ScalarCodec"]

_MICROSECOND: Final = dt.timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class _Form:
    """How the values of one Python type stand in their column."""

    column: pa.DataType
    fits: Callable[[Sequence[Any]], bool] = lambda _: True
    to_column: Callable[[Sequence[Any]], Sequence[Any]] = lambda values: values
    from_column: Callable[[list[Any]], list[Any]] = lambda items: items


def _all_utf8(values: Sequence[str]) -> bool:
    return is_utf8("".join(values))


def _all_int64(values: Sequence[int]) -> bool:
    return is_int64(min(values)) and is_int64(max(values))


def _all_short(values: Sequence[dt.timedelta]) -> bool:
    return all(is_int64(value // _MICROSECOND) for value in values)


def _is_plain(value: dt.time) -> bool:
    return value.tzinfo is None and value.fold == 0


def _text_form(kind: type, fits: Callable[[Any], bool] = lambda _: True) -> _Form:
    """Return the form of a type whose ``str`` says all of a value, and which takes that text back."""
    return _Form(
        pa.large_string(),
        fits=lambda values: all(map(fits, values)),
        to_column=lambda values: [str(value) for value in values],
        from_column=lambda items: [kind(item) for item in items],
    )


def _is_short(value: fractions.Fraction) -> bool:
    # Python writes no integer of more than 4,300 digits.
    return max(value.numerator.bit_length(), value.denominator.bit_length()) < 8_000


_FORMS: Final[dict[type, _Form]] = {
    type(None): _Form(pa.bool_()),
    bool: _Form(pa.bool_()),
    int: _Form(pa.int64(), fits=_all_int64),
    float: _Form(pa.float64()),
    str: _Form(pa.large_string(), fits=_all_utf8),
    bytes: _Form(pa.large_binary()),
    bytearray: _Form(
        pa.large_binary(),
        to_column=lambda values: [bytes(value) for value in values],
        from_column=lambda items: [bytearray(item) for item in items],
    ),
    dt.date: _Form(pa.date32()),
    dt.time: _Form(pa.time64("us"), fits=lambda values: all(_is_plain(value) for value in values)),
    dt.timedelta: _Form(
        pa.int64(),
        fits=_all_short,
        to_column=lambda values: [value // _MICROSECOND for value in values],
        from_column=lambda items: [dt.timedelta(microseconds=item) for item in items],
    ),
    decimal.Decimal: _text_form(decimal.Decimal),
    fractions.Fraction: _text_form(fractions.Fraction, _is_short),
    uuid.UUID: _text_form(uuid.UUID),
}
_FORMS.update({kind: _text_form(kind, lambda value: is_utf8(str(value))) for kind in PATHS.values()})
_NAMES: Final = {**{kind.__name__: kind for kind in _FORMS}, **PATHS}
_NUMPY: Final = tuple(
    {np.dtype(code).type for code in "?bhilqBHILQefd"}  # C has more integers than numpy has widths
)
_TAGGED: Final = (
    complex,
    range,
    dt.timezone,
    zoneinfo.ZoneInfo,
    pd.Timestamp,
    pd.Timedelta,
    pd.Period,
    pd.Interval,
    type(pd.NaT),
    type(pd.NA),
    type(np.ma.masked),
)
_COMPARED: Final = {
    "NoneType": Compared(None),
    "bool": Compared("bool"),
    "int": Compared("number"),
    "float": Compared("number"),
    "str": Compared("text"),
    "date": Compared("date"),
    "timedelta": Compared("timedelta", "us"),
}
_JSON: Final[Parameters] = {"type": "json"}


class ScalarCodec(Codec):
    """One value per row."""

    name = "scalar"
    types: ClassVar[tuple[type, ...]] = (*_FORMS, dt.datetime, *_NUMPY, *_TAGGED)

    def accepts(self, value: object) -> bool:
        """Take every other numpy scalar too; what has no exact form is refused by `encode`."""
        return isinstance(value, np.generic) and not isinstance(value, np.void)

    def describe(self, value: object) -> Parameters:
        """Return the type, and what else the column does not say."""
        if type(value) is dt.datetime:
            return _describe_datetime(value)
        if isinstance(value, _NUMPY):
            return {"type": "numpy", "dtype": dtype_text(value.dtype)}
        form = _FORMS.get(type(value))
        if form is None or not form.fits([value]):
            return _JSON
        return {"type": type(value).__name__}

    def contents(self, parameters: Parameters) -> Contents:
        """Return the one column, if its type has values to compare with."""
        if parameters["type"] == "numpy":
            return single(dtype_compared(dtype_from_text(parameters["dtype"])))
        if parameters["type"] == "datetime":
            return single(Compared("datetime with a time zone" if "zone" in parameters else "datetime"))
        return single(_COMPARED.get(parameters["type"]))

    def partition(self, values: Sequence[object]) -> list[tuple[Parameters, Sequence[int]]]:
        """Group by type where all values of one type fit its column."""
        kinds = set(map(type, values))
        if len(kinds) == 1:
            (kind,) = kinds
            if (kind in _FORMS and _FORMS[kind].fits(values)) or kind in _NUMPY:
                return [(self.describe(values[0]), range(len(values)))]
        return super().partition(values)

    def encode(self, values: Sequence[Any], parameters: Parameters) -> pa.Table:
        """Return a table of one column `value`."""
        return pa.table({"value": _column(values, parameters)})

    def decode(self, table: pa.Table, parameters: Parameters) -> list[Any]:
        """Return the values with their exact types."""
        column = table.column("value")
        kind = parameters["type"]
        if kind == "json":
            return [from_text(text) for text in column.to_pylist()]
        if kind == "numpy":
            dtype = dtype_from_text(parameters["dtype"])
            return [scalar for chunk in column.chunks for scalar in as_numpy(chunk, dtype)]
        if kind == "datetime":
            zone = zone_from_json(parameters.get("zone"))
            return [_localized(item, zone) for item in _plain(column)]
        if kind == "NoneType":
            return [None] * len(column)
        return _FORMS[_NAMES[kind]].from_column(_plain(column))

    def nbytes(self, values: Sequence[Any], table: pa.Table) -> tuple[int, ...]:
        """Return the width of the column, or of each text."""
        column = table.column("value").type
        if column in (pa.large_string(), pa.large_binary()):
            return tuple(pc.binary_length(table.column("value")).to_pylist())
        return (max(1, column.bit_width // 8),) * len(values)


def _column(values: Sequence[Any], parameters: Parameters) -> pa.Array:
    kind = parameters["type"]
    if kind == "json":
        return pa.array([to_text(value) for value in values], pa.large_string())
    if kind == "numpy":
        return to_arrow([np.array(values, dtype_from_text(parameters["dtype"]))])
    if kind == "datetime":
        if "zone" in parameters:
            values = [value.astimezone(dt.UTC).replace(tzinfo=None) for value in values]
        return pa.array(values, pa.timestamp("us"))
    form = _FORMS[_NAMES[kind]]
    return pa.array(form.to_column(values), form.column)


def _plain(column: pa.ChunkedArray) -> list[Any]:
    if column.null_count:
        raise SerializationError("A column of single values has missing ones.")
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        numbers: list[Any] = column.to_numpy().tolist()
        return numbers
    items: list[Any] = column.to_pylist()
    return items


def _describe_datetime(value: dt.datetime) -> Parameters:
    if value.tzinfo is None:
        return {"type": "datetime"} if value.fold == 0 else _JSON
    zone = zone_to_json(value.tzinfo)
    try:
        again = value.astimezone(dt.UTC).astimezone(value.tzinfo)
    except OverflowError:
        return _JSON
    # A time that the clock skipped has no instant of its own and would come back an hour off.
    same = again.replace(tzinfo=None) == value.replace(tzinfo=None) and again.fold == value.fold
    return {"type": "datetime", "zone": zone} if same else _JSON


def _localized(moment: dt.datetime, zone: dt.tzinfo | None) -> dt.datetime:
    return moment if zone is None else moment.replace(tzinfo=dt.UTC).astimezone(zone)
