"""Before any route runs: who asks, whether he may, and that it is a program that asks and not somebody's web page."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers

from scidb.exceptions import (
    CorruptDatabaseError,
    LimitExceededError,
    PermissionDeniedError,
    SciDBError,
    SerializationError,
    ServerError,
    StorageError,
)
from scidb.store.stopping import Stop, stoppable
from scidbnet.auth import Caller, Role, check_verb, verb_of_path
from scidbnet.auth.tokens import unauthenticated
from scidbnet.server.callers import CALLER, path_of
from scidbnet.server.exchange.answers import error_answer
from scidbnet.server.guard.limits import AtOnce, FailedLogins, network_of
from scidbnet.server.guard.local import check_local, said_user
from scidbnet.wire.compression import ZSTD, can_compress
from scidbnet.wire.framing import PARTS_TYPE
from scidbnet.wire.versions import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from scidbnet.auth import TokenFile
    from scidbnet.server.settings import ServerSettings

__all__ = ["CONTENT_TYPES", "PUBLIC", "SHOWN_TOKEN", "Guard"]

PUBLIC: Final = frozenset({f"{PREFIX}/health", f"{PREFIX}/ready"})
"""The paths that answer whoever asks."""

CONTENT_TYPES: Final = frozenset({"application/json", "application/octet-stream", PARTS_TYPE})
"""What a body may be. Of these, a web page can send none to another site without being asked whether it may."""

SHOWN_TOKEN: Final = "shown_token"  # noqa: S105 - the name of a field
"""Where the state of a request has the id of a token that was shown, also where its secret was wrong."""

# Until nothing runs any more that could be interrupted.
_AGAIN: Final = 0.05

logger = logging.getLogger("scidb.server")


class Guard:
    """Lets through what may pass, and tells the rest why not.

    Without tokens everybody on this machine is an admin. Once there are tokens, nobody gets in without one until the
    server starts anew, also when their file is gone.
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings, tokens: TokenFile | None) -> None:
        self._app, self._settings, self._tokens = app, settings, tokens
        self._needs_token = tokens is not None and tokens.exists()
        self._at_once = AtOnce(settings.requests_per_token)
        self._failed = FailedLogins(settings.failed_logins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # a websocket, which nothing here speaks
            await send({"type": "websocket.close", "code": 1008})
            return
        try:
            caller = self._admitted(scope)
            with self._at_once.one_more(None if caller is None else caller.token_id):
                await self._limited(scope, receive, send)
        except SciDBError as error:
            await error_answer(error, _headers_of(error))(scope, receive, send)

    def _admitted(self, scope: Scope) -> Caller | None:
        headers = Headers(scope=scope)
        self._check_size(scope)
        _check_content_type(headers)
        _check_content_encoding(headers)
        path = path_of(scope)
        tokens = self._tokens_in_use()
        if tokens is None:
            check_local(scope, headers)
            caller = Caller(said_user(headers), Role.ADMIN, is_verified=False)
        elif path in PUBLIC:
            return None
        else:
            caller = self._authenticated(scope, headers, tokens)
        scope.setdefault("state", {})[CALLER] = caller
        if path not in PUBLIC:
            check_verb(caller, verb_of_path(path.removeprefix(PREFIX)))
        return caller

    def _check_size(self, scope: Scope) -> None:
        headers, settings = scope["headers"], self._settings
        length = sum(len(name) + len(value) for name, value in headers)
        length += len(scope.get("raw_path") or b"") + len(scope["query_string"])
        if length > settings.header_limit or len(headers) > settings.header_count:
            raise LimitExceededError(
                f"{len(headers)} headers and the address, {length} bytes together, are more than this server takes: "
                f"{settings.header_count} headers, {settings.header_limit} bytes.",
                code="headers_too_large",
                limit=settings.header_limit,
            )

    def _tokens_in_use(self) -> TokenFile | None:
        if self._tokens is not None and not self._needs_token:
            self._needs_token = self._tokens.exists()
        return self._tokens if self._needs_token else None

    def _authenticated(self, scope: Scope, headers: Headers, tokens: TokenFile) -> Caller:
        shown = _bearer(headers)
        try:
            kept, secret = tokens.look_up(shown)
            token_id = kept.info.token_id
            scope.setdefault("state", {})[SHOWN_TOKEN] = token_id
            client = scope.get("client")
            who = (network_of(client[0]) if client else "", token_id)
            self._failed.check(who)
            try:
                return kept.caller(secret, dt.datetime.now(dt.UTC))
            except PermissionDeniedError:
                self._failed.add(who)
                raise
        except (CorruptDatabaseError, StorageError) as error:
            # Where the file is, is nobody's business but its owner's.
            logger.error("Nobody is let in: %s", error)  # noqa: TRY400 - the owner needs no traceback
            raise ServerError(
                "The server cannot read its tokens, so that it lets nobody in. Tell who runs it."
            ) from None

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def sending(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        limit = asyncio.timeout(self._settings.time_limit)
        try:
            with _stopped_in(self._settings.time_limit):
                async with limit:
                    await self._app(scope, receive, sending)
        except TimeoutError as error:
            if not limit.expired():
                raise
            # An answer that has begun ends here, without its end part, and so the client notices.
            if not has_begun:
                raise LimitExceededError(
                    f"The request took longer than {self._settings.time_limit:g} s. What it wrote, it may have written "
                    "nevertheless.",
                    code="time_limit",
                    limit=self._settings.time_limit,
                ) from error


@contextmanager
def _stopped_in(seconds: float) -> Iterator[None]:
    """Stop what a request still does in the store then: threads cannot be cancelled, but statements can."""
    stop, loop = Stop(seconds), asyncio.get_running_loop()
    timer: asyncio.TimerHandle

    def tell() -> None:
        nonlocal timer
        stop.stop()
        timer = loop.call_later(_AGAIN, tell)

    timer = loop.call_later(seconds, tell)
    try:
        with stoppable(stop):
            yield
    finally:
        timer.cancel()


def _check_content_type(headers: Headers) -> None:
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if (has_body or media_type) and media_type not in CONTENT_TYPES:
        raise SerializationError(
            f"A body of the type {media_type!r} is not taken. Say Content-Type: {', '.join(sorted(CONTENT_TYPES))}.",
            code="content_type",
        )


def _check_content_encoding(headers: Headers) -> None:
    encoding = ", ".join(headers.getlist("content-encoding")).strip().lower()
    if encoding not in {"", "identity"} and not (encoding == ZSTD and can_compress()):
        raise SerializationError(
            f"A body that is encoded as {encoding[:40]!r} is not taken. Send it as zstd, or as it is.",
            code="content_encoding",
        )


def _bearer(headers: Headers) -> str:
    """Return the token that a request shows."""
    shown = headers.getlist("authorization")
    if not shown:
        raise unauthenticated("This server wants a token.")
    scheme, _, token = shown[0].partition(" ")
    if len(shown) > 1 or scheme.lower() != "bearer":
        raise unauthenticated("The header Authorization is not: Bearer scidb_...")
    return token.strip()


def _headers_of(error: SciDBError) -> dict[str, str]:
    match error.code:
        case "unauthenticated":  # whatever else it wants to send is not waited for
            return {"WWW-Authenticate": "Bearer", "Connection": "close"}
        case "content_encoding":
            return {"Accept-Encoding": ZSTD if can_compress() else "identity"}
        case "too_many_requests":
            return {"Retry-After": str(error.details["seconds"])}
    return {}
