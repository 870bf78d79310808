"""Requests to a server: tried again where that is safe, and errors raised as what they are."""

from __future__ import annotations

import datetime as dt
import email.utils
import itertools
import random
import sys
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from scidb.exceptions import NetworkError, SciDBError, SerializationError, ServerError
from scidbnet.wire.errors import error_from_json, is_error
from scidbnet.wire.plain import from_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from scidbnet.client.transport import Answer, Transport
    from scidbnet.wire.framing import Bytes

__all__ = ["FOREIGN", "RETRY_FOR", "Requests"]

T = TypeVar("T")

FOREIGN: Final = "foreign"
"""The code of the error for an answer that no server of SciDB gives."""

RETRY_FOR: Final = 60.0
"""Seconds for which a request is tried again, unless somebody says otherwise: a server that restarts needs fewer."""

_FIRST_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 5.0
_UNMET: Final = 3.0
_UNAVAILABLE: Final = frozenset({502, 503, 504})
_TOO_MANY: Final = 429


class _Unavailable(Exception):  # noqa: N818 - no error yet: it is tried again
    """The server, or what stands before it, cannot answer now; `error` is what that comes to in the end."""

    def __init__(self, error: SciDBError, wait: float | None) -> None:
        super().__init__(str(error))
        self.error, self.wait = error, wait


class Requests:
    """Requests over a transport. Every one may be sent twice, unless it is given one try: reads, and writes with a key.

    Parameters
    ----------
    transport
        The connections.
    patience
        Seconds after its first failure for which something is tried again. A server that never answered is given up
        after three.

    """

    def __init__(self, transport: Transport, patience: float) -> None:
        self._transport = transport
        self._patience = patience
        self._was_met = False

    def json(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Sequence[Bytes] = (),
        *,
        tries: int = sys.maxsize,
        stores: bool = False,
        wait: float | None = None,
    ) -> tuple[Any, Mapping[str, str]]:
        """Return what a request answers as JSON types, and the headers of the answer; see `Transport.send`.

        Of one that `stores` something, an error says whether it may have: by its detail ``stored``, False or None.
        """

        def ask() -> tuple[Any, Mapping[str, str]]:
            answer = self.answer(method, path, headers, body, wait)
            text = answer.read()
            return from_text(text, "The answer of the server") if text else None, answer.headers

        return self.tried(ask, tries, stores=stores)

    def answer(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Sequence[Bytes] = (),
        wait: float | None = None,
    ) -> Answer:
        """Return the answer to a request that is sent once, whose body is read as it comes; for use in `tried`."""
        answer = self._transport.send(method, path, headers, body, wait)
        if answer.status < 400:
            return answer
        error = _error(answer)
        wait = _seconds(answer.headers.get("Retry-After"))
        is_soon = answer.status == _TOO_MANY and wait is not None and wait <= _LONGEST_WAIT
        if answer.status in _UNAVAILABLE or is_soon:
            raise _Unavailable(error, wait)
        raise error

    def tried(self, work: Callable[[], T], tries: int = sys.maxsize, *, stores: bool = False) -> T:
        """Do some work, again after a while when the connection broke or the server was not there."""
        failing_since = None
        may_be_stored = False
        for attempt in itertools.count(1):
            try:
                done = work()
            except NetworkError as error:
                if error.code != NetworkError.code:  # no trying mends a certificate
                    raise
                failed: SciDBError = error
                wait = _wait(attempt)
                may_be_stored |= error.details.get("sent") is not False
            except _Unavailable as unavailable:
                failed = unavailable.error
                wait = _wait(attempt) if unavailable.wait is None else unavailable.wait
                may_be_stored = True
            else:
                self._was_met = True
                return done
            # From then on: it may have been under way for long.
            failing_since = time.monotonic() if failing_since is None else failing_since
            patience = self._patience if self._was_met else min(self._patience, _UNMET)
            if attempt >= tries or time.monotonic() - failing_since + wait > patience:
                break
            time.sleep(wait)
        if stores:
            raise _about_a_write(failed, may_be_stored=may_be_stored) from failed
        raise failed


def _wait(attempt: int) -> float:
    # Clients that were cut off together must not come back together.
    return min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** min(attempt - 1, 10)) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


def _seconds(text: str | None) -> float | None:
    """Return what ``Retry-After`` says: seconds, or the time of day."""
    if text is None:
        return None
    if text.isdecimal():
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return max(0.0, (moment - dt.datetime.now(dt.UTC)).total_seconds())


def _about_a_write(error: SciDBError, *, may_be_stored: bool) -> SciDBError:
    said = (
        "It is not known whether this was stored. Run it again: a value that is there is not stored twice."
        if may_be_stored
        else "Nothing was stored."
    )
    details = {**error.details, "stored": None if may_be_stored else False}
    return type(error)(f"{error.message} {said}", **details)


def _error(answer: Answer) -> SciDBError:
    text = answer.read()
    try:
        data = from_text(text, "The answer")
    except SerializationError:
        data = None
    if is_error(data):
        return error_from_json(data)
    return ServerError(
        f"Something that is not SciDB answered with status {answer.status}: {text[:200]!r}. Is the address right?",
        status=answer.status,
        # A proxy whose server is away is at the right address.
        **({} if answer.status in _UNAVAILABLE else {"code": FOREIGN}),
    )
