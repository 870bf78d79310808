"""Errors as answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

from scidbnet.wire.coding import to_text
from scidbnet.wire.errors import error_to_json, status_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scidb.exceptions import SciDBError

__all__ = ["error_answer"]


def error_answer(error: SciDBError, headers: Mapping[str, str] | None = None) -> Response:
    """Return what a client raises again."""
    return Response(to_text(error_to_json(error)), status_of(error.code), headers, media_type="application/json")
