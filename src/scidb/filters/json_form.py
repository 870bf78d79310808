"""Filters as JSON: written, and read back without trusting the text."""

from __future__ import annotations

import reprlib
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from scidb.exceptions import SerializationError
from scidb.filters.leaves import (
    ColumnFilter,
    InFilter,
    KeyFilter,
    KeyInFilter,
    MissingFilter,
    RawFilter,
    VariableFilter,
)
from scidb.filters.tree import DEEPEST, CompoundFilter, Filter, NotFilter
from scidb.filters.values import value_from_json, value_to_json

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["filter_from_json", "filter_to_json"]

_NAMES: Final[dict[type, str]] = {
    VariableFilter: "variable", ColumnFilter: "column", InFilter: "in", MissingFilter: "missing", KeyFilter: "key",
    KeyInFilter: "key_in", CompoundFilter: "compound", NotFilter: "not", RawFilter: "raw",
}  # fmt: skip
_CLASSES: Final[dict[str, Callable[..., Filter]]] = {name: kind for kind, name in _NAMES.items()}


def filter_to_json(one: Filter) -> dict[str, Any]:
    """Return a filter as JSON types."""
    parts = {part.name: getattr(one, part.name) for part in fields(one) if part.init}  # type: ignore[arg-type]
    return {"filter": _NAMES[type(one)], **{name: _part_to_json(name, value) for name, value in parts.items()}}


def filter_from_json(data: object) -> Filter:
    """Return the filter that `filter_to_json` wrote; errors are those of ``Filter.from_json``."""
    return _from_json(data, 1)


def _part_to_json(name: str, value: object) -> object:
    if isinstance(value, Filter):
        return filter_to_json(value)
    if name == "version":
        return [[key, list(texts)] for key, texts in value]  # type: ignore[attr-defined]
    if isinstance(value, tuple):
        return [value_to_json(one) for one in value]
    return value if value is None else value_to_json(value)  # type: ignore[arg-type]


def _from_json(data: object, level: int) -> Filter:
    name = data.get("filter") if isinstance(data, dict) else None
    kind = _CLASSES.get(name) if isinstance(name, str) else None
    if not isinstance(data, dict) or kind is None:
        raise SerializationError(f"This is no filter: {reprlib.repr(data)}.")
    if level > DEEPEST:
        raise SerializationError(f"A filter has at most {DEEPEST} levels; this one has more.")
    parts = {part.name for part in fields(kind) if part.init}  # type: ignore[arg-type]
    given = {name for name in data if name != "filter"}
    if given != parts:
        raise SerializationError(
            f"A filter {name!r} has the parts {sorted(parts)}, not {sorted(map(str, given))}: something is missing, "
            "or too much."
        )
    return kind(**{part: _part_from_json(part, data[part], level) for part in parts})


def _part_from_json(part: str, data: object, level: int) -> object:
    match part:
        case "left" | "right" | "inner":
            return _from_json(data, level + 1)
        case "value":
            return value_from_json(data)
        case "values":
            if not isinstance(data, list):
                raise SerializationError(f"The values of a filter are a list, not {reprlib.repr(data)}.")
            return tuple(value_from_json(one) for one in data)
    return data
