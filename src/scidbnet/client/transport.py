"""HTTP as the client needs it, and the only place that knows with which library."""

from __future__ import annotations

import os
import ssl
import urllib.parse
import weakref
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final

import httpx

from scidb.exceptions import NetworkError, SettingsError
from scidb.settings import user_name
from scidbnet.wire.versions import USER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from scidbnet.wire.framing import Bytes

__all__ = ["Answer", "Transport", "translated"]

# What the library sends at once; it copies what a socket did not take, so longer pieces are no gain.
_PIECE: Final = 2**18
# After any other error the server may have got what was sent.
_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.InvalidURL)
_CONNECTIONS: Final = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=30.0)


class Answer:
    """An answer whose body is read as it comes; whoever does not read it to its end closes it."""

    def __init__(self, response: httpx.Response, url: str) -> None:
        self._response = response
        self._url = url
        # An answer that nobody reads would keep its connection from all others.
        weakref.finalize(self, response.close)
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers  # whatever the case of their letters

    def pieces(self) -> Iterator[bytes]:
        """Return the body in pieces.

        Raises
        ------
        NetworkError
            When the connection broke.

        """
        with translated(self._url), closing(self._response):
            yield from self._response.iter_bytes()

    def read(self) -> bytes:
        """Return the whole body, likewise."""
        return b"".join(self.pieces())

    def close(self) -> None:
        """Read no more."""
        self._response.close()


class Transport:
    """Connections to one server, shared by all threads.

    Parameters
    ----------
    base_url
        Where the server is, with the path under which it answers if it has one.
    token
        What is sent to prove who asks.
    timeout
        Seconds to wait for a connection, and for each next piece of an answer.

    """

    def __init__(self, base_url: str, token: str | None, timeout: float) -> None:
        self.base_url = base_url.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"} if token else {USER: urllib.parse.quote(user_name())}
        self._client = client = httpx.Client(
            headers=headers, timeout=timeout, limits=_CONNECTIONS, follow_redirects=False, verify=_verify()
        )
        weakref.finalize(self, client.close)

    def send(self, method: str, path: str, headers: Mapping[str, str], body: Sequence[Bytes] = ()) -> Answer:
        """Send a request and return its answer.

        Raises
        ------
        NetworkError
            When there is no connection, or it broke.

        """
        length = sum(len(piece) for piece in body)
        sent = {**headers, **({"Content-Length": str(length)} if body else {})}
        content = b"".join(body) if length <= _PIECE else _pieces(body)
        with translated(self.base_url):
            request = self._client.build_request(method, self.base_url + path, headers=sent, content=content)
            return Answer(self._client.send(request, stream=True), self.base_url)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()


def _verify() -> ssl.SSLContext | bool:
    """Return the certificates by which a server is believed: the usual ones, and those that SCIDB_CA_FILE names."""
    path = os.environ.get("SCIDB_CA_FILE")
    if not path:
        return True
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(path)
    except OSError as error:  # which an ssl.SSLError is, too
        raise SettingsError(
            f"SCIDB_CA_FILE={path!r} is no file of certificates (PEM): {error.strerror or error}.", path=path
        ) from error
    return context


def _pieces(body: Sequence[Bytes]) -> Iterator[bytes]:
    for piece in body:
        view = memoryview(piece)
        for start in range(0, len(view), _PIECE):
            yield view[start : start + _PIECE]  # type: ignore[misc]  # any buffer will do


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Turn the library's exceptions into ours."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise NetworkError(
            f"{url} did not answer in time ({type(error).__name__}). Is the server busy? Give a longer timeout=, or "
            "try again later.",
            url=url,
            sent=not isinstance(error, _NOT_SENT),
        ) from error
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
        raise NetworkError(
            f"{url} cannot be reached: {str(error) or type(error).__name__}. Is the address right, and does the server "
            "run? `scidb serve` starts one.",
            url=url,
            sent=not isinstance(error, _NOT_SENT),
        ) from error
