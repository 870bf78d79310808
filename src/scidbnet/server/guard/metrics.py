"""What a server counts, in the format of Prometheus. Needs the extra ``metrics``; without it nothing is counted."""

from __future__ import annotations

import importlib.util
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from scidbnet.server.exchange.bodies import Spool
    from scidbnet.server.guard.lifecycle import Lifecycle

__all__ = ["METRICS_TYPE", "Measured", "Metrics"]

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_LABELS: Final = ("method", "route", "status")
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
# What was asked for where there is no route: one name for all, since a client can think of any number.
_NO_ROUTE: Final = "none"


class Metrics:
    """Counters of one application."""

    def __init__(self, spool: Spool, lifecycle: Lifecycle) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self._registry = registry = CollectorRegistry()
        self.requests = Counter("scidb_requests", "Requests that were answered.", _LABELS, registry=registry)
        self.seconds = Histogram(
            "scidb_request_seconds", "How long requests took.", _LABELS[:2], registry=registry, buckets=_SECONDS
        )
        self.received = Counter("scidb_received_bytes", "Bytes of bodies of requests.", _LABELS[:2], registry=registry)
        self.sent = Counter("scidb_sent_bytes", "Bytes of bodies of answers.", _LABELS[:2], registry=registry)
        for name, text, now in (
            ("scidb_running_requests", "Requests that run now.", lambda: lifecycle.running),
            ("scidb_running_writes", "Requests that write and run now.", lambda: lifecycle.writing),
            ("scidb_spooled_bytes", "Bytes of requests that wait until they are whole.", lambda: spool.waiting),
            ("scidb_stopping", "Whether the server stops: 1 if so.", lambda: int(lifecycle.stopping)),
        ):
            Gauge(name, text, registry=registry).set_function(now)

    @classmethod
    def of(cls, spool: Spool, lifecycle: Lifecycle) -> Metrics | None:
        """Return new counters, or None without the extra."""
        return cls(spool, lifecycle) if importlib.util.find_spec("prometheus_client") else None

    def text(self) -> bytes:
        """Return all values, as they are now."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry)


class Measured:
    """A middleware that counts each request, by its route."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and count it once it is answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        seen: dict[str, Any] = {"received": 0, "sent": 0, "status": 500}

        async def counted_receive() -> Message:
            message = await receive()
            seen["received"] += len(message.get("body", b""))
            return message

        async def counted_send(message: Message) -> None:
            seen["status"] = message.get("status", seen["status"])
            seen["sent"] += len(message.get("body", b""))
            await send(message)

        begun = time.perf_counter()
        try:
            await self._app(scope, counted_receive, counted_send)
        finally:
            self._count(scope, seen, time.perf_counter() - begun)

    def _count(self, scope: Scope, seen: dict[str, Any], seconds: float) -> None:
        route = getattr(scope.get("route"), "path", _NO_ROUTE)
        # A client can think of any number of methods, too.
        labels = (scope["method"] if route != _NO_ROUTE else _NO_ROUTE, route)
        self._metrics.requests.labels(*labels, seen["status"]).inc()
        self._metrics.seconds.labels(*labels).observe(seconds)
        self._metrics.received.labels(*labels).inc(seen["received"])
        self._metrics.sent.labels(*labels).inc(seen["sent"])
