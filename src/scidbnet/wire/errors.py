"""Errors across the network: a code, a message and plain details, from which the same class is raised again."""

from __future__ import annotations

from typing import Any, Final

from scidb import exceptions
from scidb.exceptions import SciDBError, ServerError
from scidbnet.wire.plain import plain_from_json, plain_to_json

__all__ = ["STATUS", "error_from_json", "error_to_json", "is_error", "status_of"]


def _classes(kind: type[SciDBError]) -> dict[str, type[SciDBError]]:
    found = {kind.code: kind}
    for below in kind.__subclasses__():
        if below.__module__ == exceptions.__name__:
            found |= _classes(below)
    return found


_BY_CODE: Final = _classes(SciDBError)

STATUS: Final = {
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "not_registered": 404,
    "ambiguous_version": 409,
    "conflict": 409,
    "database_locked": 503,
    "limit_exceeded": 413,
    "too_many_requests": 429,
    "headers_too_large": 431,
    "content_type": 415,
    "content_encoding": 415,
    "time_limit": 408,
    "unsupported_operation": 405,
    "network": 503,
    "stopping": 503,
    "still_writing": 503,
    "other_body": 409,
    "server": 500,
    "storage": 507,
    "corrupt_database": 500,
}
"""The HTTP status of an error by its code; of any other, 400: the request cannot be meant."""


def status_of(code: str) -> int:
    """Return the HTTP status of an error.

    Examples
    --------
    >>> status_of("not_found"), status_of("schema_key")
    (404, 400)

    """
    return STATUS.get(code, 400)


def error_to_json(error: SciDBError) -> dict[str, Any]:
    """Return an error as what is sent; a code among its details goes before that of its class."""
    details = {name: plain_to_json(value) for name, value in error.details.items()}
    return {
        "code": error.code,
        "class": type(error).code,
        "message": error.message,
        "details": details,
    }


def is_error(data: object) -> bool:
    """Say whether this is what `error_to_json` writes.

    Examples
    --------
    >>> is_error({"detail": "Not Found"})
    False

    """
    return isinstance(data, dict) and {"code", "class", "message", "details"} <= data.keys()


def error_from_json(data: object) -> SciDBError:
    """Return the error that was sent, of the same class.

    Examples
    --------
    >>> error_from_json({"class": "not_found", "code": "not_found", "message": "Nothing.", "details": {}})
    NotFoundError('Nothing.')

    """
    match data:
        case {"class": str(code), "message": str(message), "details": dict(details)}:
            kind = _BY_CODE.get(code, ServerError)
            plain = {str(name): plain_from_json(value, f"details.{name}") for name, value in details.items()}
            return kind(message, **plain)
    return ServerError(f"The server answered with an error that is none of SciDB's: {str(data)[:200]}.")
