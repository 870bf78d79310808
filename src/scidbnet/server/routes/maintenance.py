"""What the owner of a database does to it as a whole, by its store: checking, removing, writing the file anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from fastapi import APIRouter, Request, Response

from scidb.exceptions import SerializationError
from scidb.store.model import Removal
from scidbnet.server.context import served
from scidbnet.server.exchange.once import asked_for
from scidbnet.wire.coding import dump, load
from scidbnet.wire.maintenance import CheckAsked
from scidbnet.wire.plain import from_text, to_text
from scidbnet.wire.versions import IDEMPOTENCY_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from scidb.store import Maintenance
    from scidbnet.server.context import Served
    from scidbnet.server.exchange.bodies import Body

__all__ = ["router"]

router = APIRouter(prefix="/ability/maintenance", tags=["abilities"])


@router.post("/check")
async def check(request: Request) -> Response:
    """Say what of the database is not as it must be; values are not read."""
    here = served(request)
    async with here.spool.receive(request) as body:
        asked = load(from_text(body.data, "The body"), CheckAsked, "check")
        key = _key(request, body)
    store = cast("Maintenance", here.store)  # a wrapper, which says itself when the store inside cannot
    return await _answer(here, key, lambda: store.check(repair=asked.repair, head=asked.head))


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
    async with here.spool.receive(request) as body:
        key = _key(request, body)
    return await _answer(here, key, cast("Maintenance", here.store).compact)


async def _remove(request: Request, kind: str) -> Response:
    here = served(request)
    async with here.spool.receive(request) as body:
        removal: Removal = load(from_text(body.data, "The body"), Removal, "removal")
        key = _key(request, body)
    if removal.kind != kind:
        raise SerializationError(f"This route takes removals of the kind {kind!r}, not {removal.kind!r}.")
    return await _answer(here, key, lambda: cast("Maintenance", here.store).remove(removal))


def _key(request: Request, body: Body) -> Hashable | None:
    """Return under which key something is asked for, if under any: by whom, what, and with which body."""
    if IDEMPOTENCY_KEY not in request.headers:
        return None
    return request.scope["path"], asked_for(request, body)


async def _answer(here: Served, key: Hashable | None, work: Callable[[], Any]) -> Response:
    return Response(await here.works.answer(key, lambda: to_text(dump(work()))), media_type="application/json")
