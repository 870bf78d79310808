"""Requests to a server: tried again where that is safe, and errors raised as what they are."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from scidb.exceptions import NetworkError, SciDBError, SerializationError, ServerError
from scidbnet.wire.coding import from_text
from scidbnet.wire.errors import error_from_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from scidbnet.client.transport import Answer, Transport
    from scidbnet.wire.framing import Bytes

__all__ = ["Requests"]

T = TypeVar("T")

_TRIES: Final = 6
_FIRST_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 5.0
_UNAVAILABLE: Final = frozenset({502, 503, 504})
_TOO_MANY: Final = 429


class _Unavailable(Exception):  # noqa: N818 - no error yet: it is tried again
    """The server, or what stands before it, cannot answer now; `error` is what that comes to in the end."""

    def __init__(self, error: SciDBError, wait: float | None) -> None:
        super().__init__(str(error))
        self.error, self.wait = error, wait


class Requests:
    """Requests over a transport. Every one may be sent twice: reads, and writes that carry a key."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def json(
        self, method: str, path: str, headers: Mapping[str, str], body: Sequence[Bytes] = (), *, tries: int = _TRIES
    ) -> tuple[Any, Mapping[str, str]]:
        """Return what a request answers as JSON types, and the headers of the answer.

        One that must not be sent twice is given one try.
        """

        def ask() -> tuple[Any, Mapping[str, str]]:
            answer = self._answer(method, path, headers, body)
            text = answer.read()
            return from_text(text, "The answer of the server") if text else None, answer.headers

        return _tried(ask, tries)

    def stream(self, method: str, path: str, headers: Mapping[str, str], body: Sequence[Bytes] = ()) -> Answer:
        """Return the answer to a request, whose body is read as it comes."""
        return _tried(lambda: self._answer(method, path, headers, body))

    def _answer(self, method: str, path: str, headers: Mapping[str, str], body: Sequence[Bytes]) -> Answer:
        answer = self._transport.send(method, path, headers, body)
        if answer.status < 400:
            return answer
        error = _error(answer)
        wait = _seconds(answer.headers.get("Retry-After"))
        is_soon = answer.status == _TOO_MANY and wait is not None and wait <= _LONGEST_WAIT
        if answer.status in _UNAVAILABLE or is_soon:
            raise _Unavailable(error, wait)
        raise error


def _tried(work: Callable[[], T], tries: int = _TRIES) -> T:
    """Do some work, again after a while when the connection broke or the server was not there."""
    for attempt in range(tries):
        try:
            return work()
        except (NetworkError, _Unavailable) as error:
            failed: NetworkError | _Unavailable = error
        if attempt + 1 < tries:
            told = failed.wait if isinstance(failed, _Unavailable) else None
            time.sleep(_wait(attempt) if told is None else min(told, _LONGEST_WAIT))
    raise failed.error if isinstance(failed, _Unavailable) else failed


def _wait(attempt: int) -> float:
    # Clients that were cut off together must not come back together.
    return min(_LONGEST_WAIT, _FIRST_WAIT * 2.0**attempt) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isdecimal() else None


def _error(answer: Answer) -> SciDBError:
    text = answer.read()
    try:
        return error_from_json(from_text(text, "The answer"))
    except SerializationError:
        return ServerError(
            f"Something that is not SciDB answered with status {answer.status}: {text[:200]!r}. Is the address right?",
            status=answer.status,
        )
