"""The audit: one line for each request in the log ``scidb.audit``, refused ones included. No token is ever in it."""

from __future__ import annotations

import datetime as dt
import json
import logging
import time
from typing import TYPE_CHECKING, Any, Final

from scidbnet.server.callers import CALLER, path_of
from scidbnet.server.guard.security import SHOWN_TOKEN

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from scidbnet.auth import Caller

__all__ = ["Audit", "JsonFormatter"]

logger = logging.getLogger("scidb.audit")

_CUT: Final = 499
"""What stands for a status where the client went before there was one."""

_LONGEST_PATH: Final = 500


class Audit:
    """Writes down who asked for what, and what became of it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, and log it once it is over."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        counted = _Counted(receive, send)
        began = time.perf_counter()
        try:
            await self._app(scope, counted.receive, counted.send)
        except Exception:
            counted.status = counted.status or 500
            raise
        finally:
            _log(scope, counted, 1000 * (time.perf_counter() - began))


class _Counted:
    """What goes to and fro in one request."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self.status = 0
        self.bytes_in = self.bytes_out = 0
        self.is_whole = False

    async def receive(self) -> Message:
        message = await self._receive()
        self.bytes_in += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        await self._send(message)
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.bytes_out += len(message.get("body", b""))
            self.is_whole = not message.get("more_body", False)


def _log(scope: Scope, counted: _Counted, milliseconds: float) -> None:
    state: dict[str, Any] = scope.get("state", {})
    caller: Caller | None = state.get(CALLER)
    client = scope.get("client")
    fields = {
        "user": caller.name if caller else None,
        "verified": caller.is_verified if caller else False,
        "role": str(caller.role) if caller else None,
        "token_id": state.get(SHOWN_TOKEN) or None,
        "remote": client[0] if client else None,
        "method": scope["method"],
        "path": path_of(scope)[:_LONGEST_PATH],
        "status": counted.status or _CUT,
        "whole": counted.is_whole,
        "bytes_in": counted.bytes_in,
        "bytes_out": counted.bytes_out,
        "milliseconds": round(milliseconds, 3),
    }
    # Quoted, because whoever asks chooses these texts, and could make them look like lines of their own.
    logger.info(
        "%(user)r verified=%(verified)s %(method)r %(path)r -> %(status)d in=%(bytes_in)d out=%(bytes_out)d "
        "ms=%(milliseconds)g remote=%(remote)s",
        fields,
        extra={"fields": fields},
    )


class JsonFormatter(logging.Formatter):
    """A log record as one line of JSON: time, level, logger, message, and its ``fields`` if it has some.

    Examples
    --------
    >>> record = logging.makeLogRecord({"name": "scidb.audit", "fields": {"status": 200}})
    >>> json.loads(JsonFormatter().format(record))["status"]
    200

    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        moment = dt.datetime.fromtimestamp(record.created, dt.UTC)
        line: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
        }
        fields = getattr(record, "fields", None)
        line |= fields if fields is not None else {"message": record.getMessage()}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
