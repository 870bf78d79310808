"""Canonical encoding of the standard library's dates, exact numbers, paths and UUIDs.

Decisions
---------
- A datetime is its text without zone, the offset from UTC at that time, the name of the zone, and
  ``fold``. The name is the key of a ``zoneinfo`` or ``pytz`` zone; ``timezone.utc`` and ``ZoneInfo("UTC")``
  are one zone, as are a fixed offset and its standard name. A ``timezone`` that carries another name is
  written out with its offset, so it never passes for the zone of that name.
- Zones of unknown classes, and zones read from a file without a key, are refused.
- A ``time`` has the fields of a datetime; its offset is null where it depends on the day.
- A path is its flavour and its text: pure and concrete paths are the same.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from fractions import Fraction
from pathlib import PosixPath, PurePath, PurePosixPath, PureWindowsPath, WindowsPath
from typing import TYPE_CHECKING, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from scidb.hashing.canonical.cbor import NULL, binary, integer, text, typed
from scidb.hashing.canonical.encode import Refusal

if TYPE_CHECKING:
    from scidb.hashing.canonical.encode import Active, Writer

__all__ = ["WRITERS", "encode_zone"]


def encode_zone(zone: dt.tzinfo | None) -> bytes:
    """Encode a time zone by its name; null when there is none."""
    if zone is None:
        return NULL
    if type(zone) is ZoneInfo and zone.key is not None:
        return text(zone.key)
    if type(zone) is dt.timezone:
        offset, name = zone.utcoffset(None), zone.tzname(None)
        if name == dt.timezone(offset).tzname(None):
            return text(name)
        return typed("timezone", 2) + _timedelta(offset, set()) + text(name)
    kind = type(zone)
    if kind.__module__.partition(".")[0] == "pytz":
        key = getattr(zone, "zone", None)
        if isinstance(key, str):
            return text(key)
        fixed = zone.utcoffset(None)
        if fixed is not None:
            return encode_zone(dt.timezone(fixed))
    raise Refusal(f"the time zone {kind.__module__}.{kind.__qualname__} has no name to know it by")


def _zone(value: dt.tzinfo, _: Active) -> bytes:
    return typed("tzinfo", 1) + encode_zone(value)


def _zoned(kind: str, value: dt.datetime | dt.time) -> bytes:
    offset = value.utcoffset()
    return (
        typed(kind, 4)
        + text(value.replace(tzinfo=None).isoformat(timespec="microseconds"))
        + (NULL if offset is None else _timedelta(offset, set()))
        + encode_zone(value.tzinfo)
        + integer(value.fold)
    )


def _timedelta(value: dt.timedelta, _: Active) -> bytes:
    return typed("timedelta", 1) + integer(value // dt.timedelta(microseconds=1))


def _decimal(value: Decimal, _: Active) -> bytes:
    sign, digits, exponent = value.as_tuple()
    scale = integer(exponent) if isinstance(exponent, int) else text(exponent)
    return typed("Decimal", 3) + integer(sign) + text("".join(map(str, digits))) + scale


def _fraction(value: Fraction, _: Active) -> bytes:
    return typed("Fraction", 2) + integer(value.numerator) + integer(value.denominator)


def _path(value: PurePath, _: Active) -> bytes:
    flavour = "posix" if isinstance(value, PurePosixPath) else "windows"
    return typed("path", 2) + text(flavour) + text(str(value))


WRITERS: Final[dict[type, Writer]] = {
    dt.date: lambda value, _: typed("date", 1) + text(value.isoformat()),
    dt.datetime: lambda value, _: _zoned("datetime", value),
    dt.time: lambda value, _: _zoned("time", value),
    dt.timedelta: _timedelta,
    dt.timezone: _zone,
    ZoneInfo: _zone,
    Decimal: _decimal,
    Fraction: _fraction,
    UUID: lambda value, _: typed("UUID", 1) + binary(value.bytes),
    PurePosixPath: _path,
    PosixPath: _path,
    PureWindowsPath: _path,
    WindowsPath: _path,
}
