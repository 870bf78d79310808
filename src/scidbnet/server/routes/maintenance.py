"""What the owner of a database does to it as a whole, by its store: checking, removing, writing the file anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from scidb.exceptions import SerializationError
from scidb.store.model import Removal
from scidbnet.server.context import served
from scidbnet.wire.coding import dump, load
from scidbnet.wire.maintenance import CheckAsked
from scidbnet.wire.plain import from_text, to_text

if TYPE_CHECKING:
    from collections.abc import Callable

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
    return await _answer(lambda: store.check(repair=asked.repair, head=asked.head))


@router.post("/prune")
async def prune(request: Request) -> Response:
    """Remove lines of the log with their data; that they were there stays known."""
    return await _remove(request, "prune")


@router.post("/erase")
async def erase(request: Request) -> Response:
    """Remove lines of the log with everything that tells of them, from the file as well."""
    return await _remove(request, "erase")


@router.post("/compact")
async def compact(request: Request) -> Response:
    """Write the file anew, which gives back the space of what is gone."""
    here = served(request)
    async with here.spool.receive(request):
        return await _answer(cast("Maintenance", here.store).compact)


async def _remove(request: Request, kind: str) -> Response:
    here = served(request)
    async with here.spool.receive(request) as body:
        removal: Removal = load(from_text(body.data, "The body"), Removal, "removal")
    if removal.kind != kind:
        raise SerializationError(f"This route takes removals of the kind {kind!r}, not {removal.kind!r}.")
    return await _answer(lambda: cast("Maintenance", here.store).remove(removal))


async def _answer(work: Callable[[], Any]) -> Response:
    return Response(await run_in_threadpool(lambda: to_text(dump(work()))), media_type="application/json")
