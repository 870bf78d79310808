"""The value of a version key: as JSON, under which it is stored, and as what a question asks for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scidb.exceptions import SchemaKeyError, UnhashableValueError
from scidb.hashing.code.fingerprint import identify_code
from scidb.hashing.ids import canonical_json, content_hash
from scidb.hashing.inputs import preview

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AnyOf", "any_of", "constant_key", "version_value", "wanted_texts"]

# A longer text would be written into every line of the log.
_LONGEST_JSON: Final = 1_000
_LONGEST_INTEGER: Final = 10**1_000  # Python refuses to write the text of a far longer one
_SHORT: Final = (bool, int, float, type(None))
_NOT_JSON: Final = object()


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Several wanted values of one key; made by `any_of`."""

    values: tuple[object, ...]


def any_of(*values: object) -> AnyOf:
    """Match any of several values of a version key.

    A plain list would match a stored list that equals it.

    Examples
    --------
    >>> any_of(0.2, 0.3)
    AnyOf(values=(0.2, 0.3))

    """
    return AnyOf(values)


def wanted_texts(name: str, value: object) -> tuple[str | None, ...]:
    """Return the canonical JSON of those values of a version key of which any will do; None among them: not set.

    Raises
    ------
    SchemaKeyError
        When it is a slice, which takes a range of a schema key.

    """
    if isinstance(value, slice):
        raise SchemaKeyError(
            f"{name}={value!r}: a slice takes a range of a schema key, and {name!r} is a version key. Name the "
            f"values: {name}=any_of(...).",
            key=name,
        )
    texts: list[str | None] = []
    for item in value.values if isinstance(value, AnyOf) else (value,):
        if item is None:
            texts.append(None)  # not set; whoever saved None did not set it either
        texts.append(canonical_json(version_value(name, item)))
    return tuple(texts)


def version_value(name: str, value: object) -> Any:
    """Return a version key's value as JSON types; what JSON cannot hold exactly, or is long, enters by its hash.

    Raises
    ------
    SchemaKeyError
        When the value has no identity by content at all.

    Examples
    --------
    >>> version_value("cutoff", (20, 450)), version_value("gain", 0.5)
    ([20, 450], 0.5)

    """
    plain = _json(value)
    if plain is not _NOT_JSON and (type(plain) in _SHORT or len(canonical_json(plain)) <= _LONGEST_JSON):
        return plain
    try:
        return {"__hash__": content_hash(value), "kind": _kind(value)}
    except UnhashableValueError as error:
        raise SchemaKeyError(
            f"{name}={preview(value)} cannot be a version key, because it has no identity by content: {error}",
            key=name,
        ) from error


def constant_key(name: str, value: object) -> Any:
    """Return the version key of a constant of for_each; one without identity is named by its type alone.

    Examples
    --------
    >>> constant_key("lock", object())
    {'kind': 'object'}

    """
    try:
        return version_value(name, value)
    except SchemaKeyError:
        return {"kind": _code_name(value) if callable(value) else type(value).__qualname__}


def _code_name(function: Callable[..., object]) -> str:
    """Name a function; its code is part of the computation, and would make a new variant at every edit here."""
    try:
        return identify_code(function)[1]
    except UnhashableValueError:
        return type(function).__qualname__


def _kind(value: object) -> str:
    """Describe a value for people, in words that depend on nothing but the value."""
    return preview(value) if getattr(value, "shape", ()) else type(value).__qualname__


def _json(value: object) -> Any:
    if isinstance(value, np.generic) and not isinstance(value, np.datetime64 | np.timedelta64 | np.void):
        value = value.item()
    kind = type(value)
    if kind is int and abs(value) >= _LONGEST_INTEGER:  # type: ignore[arg-type]
        return _NOT_JSON
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return value if math.isfinite(value) else _NOT_JSON  # type: ignore[arg-type]
    if kind in (list, tuple):
        items = [_json(item) for item in value]  # type: ignore[attr-defined]
        return _NOT_JSON if any(item is _NOT_JSON for item in items) else items
    if kind is dict and all(type(name) is str for name in value):  # type: ignore[attr-defined]
        pairs = {name: _json(item) for name, item in value.items()}  # type: ignore[attr-defined]
        return _NOT_JSON if any(item is _NOT_JSON for item in pairs.values()) else pairs
    return _NOT_JSON
