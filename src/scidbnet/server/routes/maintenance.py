"""The owner's work on the database as a whole, for role admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from scidbnet.server.context import served
from scidbnet.wire.coding import dump, load
from scidbnet.wire.maintenance import CheckAsked
from scidbnet.wire.plain import from_text, to_text

if TYPE_CHECKING:
    from scidb.store import Maintenance

__all__ = ["router"]

router = APIRouter(prefix="/ability/maintenance", tags=["abilities"])


@router.post("/check")
async def check(request: Request) -> Response:
    """Say what of the database is not as it must be; values are not read."""
    here = served(request)
    async with here.spool.receive(request) as body:
        asked = load(from_text(body.data, "The body"), CheckAsked, "check")
    store = cast("Maintenance", here.store)  # a wrapper, which says itself when the store inside cannot
    checked = await run_in_threadpool(store.check, repair=asked.repair, head=asked.head)
    return Response(to_text(dump(checked)), media_type="application/json")
