"""Errors as answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from scidbnet.wire.errors import error_to_json, status_of
from scidbnet.wire.plain import to_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scidb.exceptions import SciDBError

__all__ = ["RETRY_AFTER", "error_answer"]

RETRY_AFTER: Final = {"Retry-After": "5"}
"""How many seconds whoever finds a server stopping or busy waits, as a header."""

_UNAVAILABLE: Final = 503


def error_answer(error: SciDBError, headers: Mapping[str, str] | None = None) -> Response:
    """Return what a client raises again."""
    status = status_of(error.code)
    if status == _UNAVAILABLE:
        headers = {**RETRY_AFTER, **(headers or {})}
    return Response(to_text(error_to_json(error)), status, headers, media_type="application/json")
