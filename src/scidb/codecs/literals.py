"""Single values as JSON: plain where JSON is exact, else an object with one telling key.

2.5 stays as it is; NaN is ``{"$float": "nan"}``, a UUID ``{"$uuid": "..."}``. Nothing here holds other values.
"""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import fractions
import math
import pathlib
import uuid
import zoneinfo
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from scidb.codecs.primitive import check_dtype, dtype_from_text, dtype_text
from scidb.codecs.zones import pandas_zone_from_json, pandas_zone_to_json, zone_from_json, zone_to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["LITERALS", "PATHS", "UNTAG_LITERALS", "is_int64", "is_utf8", "numpy_to_json"]


def is_int64(value: int) -> bool:
    """Say whether an integer fits a 64-bit column."""
    return -(2**63) <= value < 2**63


def is_utf8(text: str) -> bool:
    """Say whether a text has no lone surrogates, which no UTF-8 column can hold."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


PATHS: Final[dict[str, type[pathlib.PurePath]]] = {
    "PurePosixPath": pathlib.PurePosixPath,
    "PureWindowsPath": pathlib.PureWindowsPath,
    # A path of the other system can be looked at, but not opened.
    "PosixPath": type(pathlib.Path()) if isinstance(pathlib.Path(), pathlib.PosixPath) else pathlib.PurePosixPath,
    "WindowsPath": type(pathlib.Path()) if isinstance(pathlib.Path(), pathlib.WindowsPath) else pathlib.PureWindowsPath,
}
"""The kinds of path by name, as this system knows them."""


# ------------------------------------------------------------------ tagging


def _str(value: str) -> Any:
    return value if is_utf8(value) else {"$str": value.encode("utf-8", "surrogatepass").hex()}


def _int(value: int) -> Any:
    # Hexadecimal, because Python limits the length of decimal texts and other readers of JSON have 64 bits.
    return value if is_int64(value) else {"$int": hex(value)}


def _float(value: float) -> Any:
    return value if math.isfinite(value) else {"$float": repr(value)}


def _complex(value: complex) -> Any:
    return {"$complex": [_float(value.real), _float(value.imag)]}


def _datetime(value: dt.datetime) -> Any:
    wall = value.replace(tzinfo=None, fold=0).isoformat()
    return {"$datetime": [wall, value.fold, zone_to_json(value.tzinfo)]}


def _time(value: dt.time) -> Any:
    wall = value.replace(tzinfo=None, fold=0).isoformat()
    return {"$time": [wall, value.fold, zone_to_json(value.tzinfo)]}


def _timestamp(value: pd.Timestamp) -> Any:
    moment = value.to_datetime64()
    return {"$timestamp": [int(moment.view(np.int64)), value.unit, pandas_zone_to_json(value.tz)]}


def _path(value: pathlib.PurePath) -> Any:
    return {"$path": [type(value).__name__, _str(str(value))]}


def numpy_to_json(value: np.generic) -> Any:
    """Return a numpy scalar as JSON types."""
    check_dtype(value.dtype)
    if value.dtype.kind in "Mm":
        return {"$numpy": [dtype_text(value.dtype), int(value.view(np.int64))]}
    if isinstance(value, np.bytes_):
        return {"$numpy": ["S", _bytes(bytes(value))]}  # its item() drops trailing zeros
    if isinstance(value, np.str_):
        return {"$numpy": ["U", _str(value[:])]}
    item = value.item()
    return {"$numpy": [dtype_text(value.dtype), LITERALS[type(item)](item)]}


def _bytes(value: bytes | bytearray) -> Any:
    return {"$bytes": base64.b64encode(value).decode()}


LITERALS: Final[dict[type, Callable[[Any], Any]]] = {
    type(None): lambda _: None,
    str: _str,
    bool: lambda value: value,
    int: _int,
    float: _float,
    complex: _complex,
    bytes: _bytes,
    bytearray: lambda value: {"$bytearray": base64.b64encode(value).decode()},
    range: lambda value: {"$range": [_int(value.start), _int(value.stop), _int(value.step)]},
    dt.date: lambda value: {"$date": value.isoformat()},
    dt.time: _time,
    dt.datetime: _datetime,
    dt.timedelta: lambda value: {"$timedelta": [value.days, value.seconds, value.microseconds]},
    dt.timezone: lambda value: {"$zone": zone_to_json(value)},
    zoneinfo.ZoneInfo: lambda value: {"$zone": zone_to_json(value)},
    decimal.Decimal: lambda value: {"$decimal": str(value)},
    fractions.Fraction: lambda value: {"$fraction": [_int(value.numerator), _int(value.denominator)]},
    uuid.UUID: lambda value: {"$uuid": str(value)},
    pathlib.PurePosixPath: _path,
    pathlib.PureWindowsPath: _path,
    pathlib.PosixPath: _path,
    pathlib.WindowsPath: _path,
    pd.Timestamp: _timestamp,
    pd.Timedelta: lambda value: {"$pd.timedelta": [int(value.to_timedelta64().view(np.int64)), value.unit]},
    pd.Period: lambda value: {"$pd.period": [value.ordinal, value.freqstr]},
    type(pd.NaT): lambda _: {"$missing": "NaT"},
    type(pd.NA): lambda _: {"$missing": "NA"},
    type(np.ma.masked): lambda _: {"$missing": "masked"},
}
"""How a value of exactly this type becomes JSON."""


# ------------------------------------------------------------------ untagging


def _untag_numpy(content: Sequence[Any]) -> np.generic:
    name, item = content
    dtype = dtype_from_text(name)
    scalar: np.generic = np.int64(item).view(dtype) if dtype.kind in "Mm" else dtype.type(item)
    return scalar


def _untag_datetime(content: Sequence[Any]) -> dt.datetime:
    wall, fold, zone = content
    return dt.datetime.fromisoformat(wall).replace(tzinfo=zone_from_json(zone), fold=fold)


def _untag_time(content: Sequence[Any]) -> dt.time:
    wall, fold, zone = content
    return dt.time.fromisoformat(wall).replace(tzinfo=zone_from_json(zone), fold=fold)


def _untag_timestamp(content: Sequence[Any]) -> pd.Timestamp:
    number, unit, zone = content
    moment = pd.Timestamp(np.datetime64(number, unit))
    return moment if zone is None else moment.tz_localize("UTC").tz_convert(pandas_zone_from_json(zone))


def _untag_path(content: Sequence[str]) -> pathlib.PurePath:
    kind, text = content
    return PATHS[kind](text)


UNTAG_LITERALS: Final[dict[str, Callable[[Any], Any]]] = {
    "$str": lambda content: bytes.fromhex(content).decode("utf-8", "surrogatepass"),
    "$int": lambda content: int(content, 16),
    "$float": float,
    "$complex": lambda content: complex(*content),
    "$bytes": base64.b64decode,
    "$bytearray": lambda content: bytearray(base64.b64decode(content)),
    "$range": lambda content: range(*content),
    "$date": dt.date.fromisoformat,
    "$time": _untag_time,
    "$datetime": _untag_datetime,
    "$timedelta": lambda content: dt.timedelta(*content),
    "$zone": zone_from_json,
    "$decimal": decimal.Decimal,
    "$fraction": lambda content: fractions.Fraction(*content),
    "$uuid": uuid.UUID,
    "$path": _untag_path,
    "$numpy": _untag_numpy,
    "$timestamp": _untag_timestamp,
    "$pd.timedelta": lambda content: pd.Timedelta(np.timedelta64(*content)),
    "$pd.period": lambda content: pd.Period(ordinal=content[0], freq=content[1]),
    "$missing": lambda content: {"NaT": pd.NaT, "NA": pd.NA, "masked": np.ma.masked}[content],
}
"""How the content of a tag becomes a value again."""
