"""How a server is: the routes that whoever runs it asks, and what watches over all others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from scidb._version import __version__
from scidb.exceptions import UnsupportedOperationError
from scidb.store.model import Groups
from scidbnet.server.context import served
from scidbnet.server.guard.lifecycle import Gate, stopping
from scidbnet.server.guard.metrics import METRICS_TYPE, Measured
from scidbnet.wire.versions import API_VERSION

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["router", "watch"]

router = APIRouter(tags=["server"])


def watch(app: FastAPI) -> None:
    """Count the requests of an application, and let it stop without losing any."""
    here = app.state.served
    app.add_middleware(Gate, lifecycle=here.lifecycle)
    if here.metrics is not None:
        app.add_middleware(Measured, metrics=here.metrics)


@router.get("/health")
async def health(request: Request) -> dict[str, Any]:
    """Say that the server runs, and of which versions it is."""
    here = served(request)
    return {
        "status": "ok",
        "version": __version__,
        "api_version": API_VERSION,
        "format_version": here.format_version,
        "lineage_mode": here.settings.lineage_mode,
    }


@router.get("/ready")
async def ready(request: Request) -> dict[str, Any]:
    """Say that the database answers and requests are taken."""
    here = served(request)
    if here.lifecycle.stopping:
        raise stopping()
    await run_in_threadpool(here.store.find, Groups())
    return {"status": "ready"}


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Give the counters of the server, in the format of Prometheus."""
    counters = served(request).metrics
    if counters is None:
        raise UnsupportedOperationError(
            "This server counts nothing: prometheus-client is not installed. Try: pip install 'scidb[metrics]'.",
            ability="metrics",
        )
    return Response(await run_in_threadpool(counters.text), media_type=METRICS_TYPE)
