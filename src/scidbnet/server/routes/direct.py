"""The way of most requests: to the function of their route by one look-up, past what serves all kinds of routes.

FastAPI still describes these routes, and answers whatever is not exactly one of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.routing import APIRoute
from starlette.requests import Request

from scidb.exceptions import SciDBError
from scidbnet.server.callers import path_of
from scidbnet.server.exchange.answers import error_answer
from scidbnet.wire.versions import PREFIX

if TYPE_CHECKING:
    from fastapi import APIRouter
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["Direct"]


class Direct:
    """A middleware that answers what goes to the routes of a router: functions of a request that return a response.

    To walk through all routes twice and to look for parameters that there are none of takes as long as an empty
    request.
    """

    def __init__(self, app: ASGIApp, router: APIRouter) -> None:
        self._app = app
        routes = [route for route in router.routes if isinstance(route, APIRoute)]
        self._routes = {(method, PREFIX + route.path): route for route in routes for method in route.methods or ()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        route = self._routes.get((scope["method"], path_of(scope))) if scope["type"] == "http" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = route
        try:
            response = await route.endpoint(Request(scope, receive, send))
        except SciDBError as error:
            response = error_answer(error)
        await response(scope, receive, send)
