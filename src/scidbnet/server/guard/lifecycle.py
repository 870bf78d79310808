"""Which requests run, and whether new ones are taken: what a server needs to know to stop without losing anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scidb.exceptions import NetworkError
from scidbnet.server.callers import path_of
from scidbnet.server.exchange.answers import error_answer
from scidbnet.wire.versions import PREFIX

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["Gate", "Lifecycle", "stopping"]

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
            # A connection that stays open would come back to a process that is gone.
            await error_answer(stopping(), {"Connection": "close"})(scope, receive, send)
            return
        writes = path_of(scope) in _WRITES
        here.running += 1
        here.writing += writes
        try:
            await self._app(scope, receive, send)
        finally:
            here.running -= 1
            here.writing -= writes


def stopping() -> NetworkError:
    """Return what a server says that takes no more requests."""
    return NetworkError("The server is stopping and takes no more requests. Try again in a while.", code="stopping")
