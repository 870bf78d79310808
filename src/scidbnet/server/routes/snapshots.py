"""The whole database for whoever keeps backups of it: only what he has not crosses the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from fastapi import APIRouter, Request, Response

from scidbnet.server.context import served
from scidbnet.server.exchange.streams import answer_flowing
from scidbnet.wire.snapshots import digests_from, snapshot_parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scidb.store import Snapshots
    from scidbnet.wire.framing import Bytes

__all__ = ["router"]

router = APIRouter(prefix="/ability", tags=["abilities"])

# DuckDB puts its file in order no more while a snapshot is read.
_PATIENCE: Final = 600.0


@router.post("/snapshot")
async def snapshot(request: Request) -> Response:
    """Stream the database as it is now, in blocks; those whose digests are sent come without their bytes."""
    here = served(request)
    async with here.spool.receive(request) as body:
        known = digests_from(body.data)

    def parts() -> Iterator[list[Bytes]]:
        # A wrapper, which says itself when the store is no file.
        return snapshot_parts(cast("Snapshots", here.store).snapshot(known))

    return await answer_flowing(parts, {}, held_back=1, patience=_PATIENCE)
