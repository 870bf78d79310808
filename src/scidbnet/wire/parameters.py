"""The parameters of a SQL query as JSON: plain values, and the few others that a database can compare with."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from scidb.exceptions import QueryError, SerializationError
from scidbnet.wire.plain import plain_from_json, plain_to_json

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["parameters_from_json", "parameters_to_json"]

Json: TypeAlias = Any

_WRITTEN: Final[dict[type, Callable[[Any], Json]]] = {
    bytes: lambda value: value.hex(),
    decimal.Decimal: str,
    uuid.UUID: str,
    dt.time: lambda value: value.isoformat(),
    dt.timedelta: lambda value: [value.days, value.seconds, value.microseconds],
}
_NAMES: Final = {kind.__name__.lower(): kind for kind in _WRITTEN}
_READ: Final[dict[type, Callable[[Any], object]]] = {
    bytes: bytes.fromhex,
    decimal.Decimal: decimal.Decimal,
    uuid.UUID: uuid.UUID,
    dt.time: dt.time.fromisoformat,
    dt.timedelta: lambda data: dt.timedelta(*data),
}


def parameters_to_json(parameters: object) -> Json:
    """Return parameters as JSON types.

    Examples
    --------
    >>> parameters_to_json([1, decimal.Decimal("0.5")])
    [1, {'decimal': '0.5'}]

    Raises
    ------
    QueryError
        When they are neither a list nor a dict, or hold something else than values.

    """
    if isinstance(parameters, Mapping):
        return {"names": {str(name): _to_json(value) for name, value in parameters.items()}}
    if isinstance(parameters, Sequence | np.ndarray) and not isinstance(parameters, str | bytes):
        return [_to_json(value) for value in parameters]
    raise QueryError(
        f"The parameters of a query are a list or a dict, not {type(parameters).__name__}: for one value, [value]."
    )


def _to_json(value: object) -> Json:
    if isinstance(value, np.datetime64 | np.timedelta64):
        value = value.astype(f"{'M' if isinstance(value, np.datetime64) else 'm'}8[us]").item()
    elif isinstance(value, np.generic):
        value = value.item()
    match value:
        case None | bool() | int() | float() | str() | dt.date():
            return plain_to_json(value)
        case list() | tuple():
            return [_to_json(one) for one in value]
    write = _WRITTEN.get(type(value))
    if write is None:
        raise QueryError(
            f"A parameter of a query cannot be of the type {type(value).__name__}. Parameters are plain values: "
            "numbers, texts, dates, lists."
        )
    return {type(value).__name__.lower(): write(value)}


def parameters_from_json(data: Json) -> list[object] | dict[str, object]:
    """Return the parameters that `parameters_to_json` wrote.

    Raises
    ------
    SerializationError
        When they are something else.

    """
    match data:
        case list():
            return [_from_json(one) for one in data]
        case {"names": dict(named)} if len(data) == 1:
            return {name: _from_json(one) for name, one in named.items()}
    raise SerializationError('The parameters of a query are a list, or {"names": {...}}; these are neither.')


def _from_json(data: Json) -> object:
    if isinstance(data, list):
        return [_from_json(one) for one in data]
    if isinstance(data, dict) and len(data) == 1 and (kind := _NAMES.get(next(iter(data)))):
        try:
            return _READ[kind](next(iter(data.values())))
        except (ValueError, TypeError, AttributeError, ArithmeticError) as error:
            raise SerializationError(f"A parameter that is no {kind.__name__}: {str(data)[:80]}.") from error
    return plain_from_json(data, "A parameter")
