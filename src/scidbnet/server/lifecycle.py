"""Which requests run, and whether new ones are taken: what a server needs to know to stop without losing anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from scidb.exceptions import NetworkError
from scidbnet.wire.coding import to_text
from scidbnet.wire.errors import error_to_json
from scidbnet.wire.versions import PREFIX

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["RETRY_AFTER", "Gate", "Lifecycle", "path_of"]

RETRY_AFTER: Final = {"Retry-After": "5"}
"""How many seconds whoever finds a server stopping or busy waits, as a header."""

# They say how the server is, also while it stops; and no stop waits for them.
_ABOUT: Final = frozenset({f"{PREFIX}/health", f"{PREFIX}/ready", f"{PREFIX}/metrics"})
_WRITES: Final = frozenset({f"{PREFIX}/store/write", f"{PREFIX}/save", f"{PREFIX}/save_ephemeral_lineage"})


class Lifecycle:
    """How many requests run, how many of them write, and whether new ones are still taken."""

    def __init__(self) -> None:
        self.running = 0
        self.writing = 0
        self.stopping = False


class Gate:
    """A middleware that counts requests, and sends them away while the server stops."""

    def __init__(self, app: ASGIApp, lifecycle: Lifecycle) -> None:
        self._app, self._lifecycle = app, lifecycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer 503."""
        if scope["type"] != "http" or path_of(scope) in _ABOUT:
            await self._app(scope, receive, send)
            return
        here = self._lifecycle
        if here.stopping:
            await _stopping()(scope, receive, send)
            return
        writes = path_of(scope) in _WRITES
        here.running += 1
        here.writing += writes
        try:
            await self._app(scope, receive, send)
        finally:
            here.running -= 1
            here.writing -= writes


def path_of(scope: Scope) -> str:
    """Return the path that a request asks for, below where the application is mounted."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _stopping() -> Response:
    error = NetworkError("The server is stopping and takes no more requests. Try again in a while.", code="stopping")
    # A connection that stays open would come back to a process that is gone.
    headers = {**RETRY_AFTER, "Connection": "close"}
    return Response(to_text(error_to_json(error)), 503, headers, media_type="application/json")
