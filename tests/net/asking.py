"""Requests to an application in this process, without a socket."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from starlette.types import ASGIApp

__all__ = ["Asking"]


class Asking:
    """Whoever asks an application, from this machine."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def request(self, method: str, path: str, **content: Any) -> httpx.Response:
        """Return an answer, also where the application failed."""
        return asyncio.run(self._request(method, path, content))

    async def _request(self, method: str, path: str, content: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, **content)

    def get(self, path: str) -> httpx.Response:
        """Return the answer to a GET."""
        return self.request("GET", path)

    def post(self, path: str, **content: Any) -> httpx.Response:
        """Return the answer to a POST."""
        return self.request("POST", path, **content)
