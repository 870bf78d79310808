"""Time zones by name, as JSON types."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from importlib import import_module
from typing import Any

from scidb.codecs.base import unsupported

__all__ = ["pandas_zone_from_json", "pandas_zone_to_json", "zone_from_json", "zone_to_json"]


def zone_to_json(zone: dt.tzinfo | None, path: str = "") -> Any:
    """Return a time zone by its name, or a fixed offset in microseconds with its name if it has its own.

    Examples
    --------
    >>> zone_to_json(zoneinfo.ZoneInfo("Europe/Berlin")), zone_to_json(dt.UTC)
    ({'zone': 'Europe/Berlin'}, {'offset': 0})

    """
    if zone is None:
        return None
    if type(zone) is zoneinfo.ZoneInfo and zone.key is not None:
        return {"zone": zone.key}
    if type(zone) is dt.timezone:
        offset = zone.utcoffset(None)
        fixed: dict[str, Any] = {"offset": offset // dt.timedelta(microseconds=1)}
        if zone.tzname(None) != dt.timezone(offset).tzname(None):
            fixed["name"] = zone.tzname(None)
        return fixed
    raise unsupported(f"a time zone of type {type(zone).__module__}.{type(zone).__qualname__}", path)


def zone_from_json(data: Any) -> dt.tzinfo | None:
    """Restore a time zone."""
    if data is None:
        return None
    if "zone" in data:
        return zoneinfo.ZoneInfo(data["zone"])
    offset = dt.timedelta(microseconds=data["offset"])
    return dt.timezone(offset, data["name"]) if "name" in data else dt.timezone(offset)


def pandas_zone_to_json(zone: Any, path: str = "") -> Any:
    """Return a time zone of a pandas object, which may be one of pytz."""
    if type(zone).__module__.split(".")[0] == "pytz":
        if getattr(zone, "zone", None):
            return {"pandas": zone.zone}
        if zone.utcoffset(None) is not None:
            return {"pytz": zone.utcoffset(None) // dt.timedelta(minutes=1)}
    return zone_to_json(zone, path)


def pandas_zone_from_json(data: Any) -> dt.tzinfo | str | None:
    """Restore a time zone; without pytz, the one of the same name that the pandas at hand makes."""
    if data is None or not {"pandas", "pytz"} & data.keys():
        return zone_from_json(data)
    try:
        pytz: Any = import_module("pytz")
    except ImportError:
        return data["pandas"] if "pandas" in data else dt.timezone(dt.timedelta(minutes=data["pytz"]))
    zone: dt.tzinfo = pytz.timezone(data["pandas"]) if "pandas" in data else pytz.FixedOffset(data["pytz"])
    return zone
