"""HTTP as the client needs it, and the only place that knows with which library."""

from __future__ import annotations

import os
import ssl
import urllib.parse
import urllib.request
import warnings
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationValueError,
    NewConnectionError,
    ProtocolError,
    SSLError,
)

from scidb.exceptions import NetworkError, SciDBWarning, ServerError, SettingsError
from scidb.settings import user_name
from scidbnet.wire.compression import COMPRESSED_FROM, ZSTD, Decompressed, can_compress, compressed
from scidbnet.wire.versions import USER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from scidbnet.wire.framing import Bytes, Filling

__all__ = ["Answer", "Transport"]

_PIECE: Final = 2**18
_AT_ONCE: Final = 2**16
_READ: Final = 2**20
_NOT_TAKEN: Final = 415
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_IDLE: Final = 20
"""How many connections are kept for the next request."""


class Answer:
    """An answer whose body is read as it comes; whoever does not read it to its end closes it."""

    def __init__(self, response: urllib3.BaseHTTPResponse, url: str) -> None:
        self._response = response
        # An answer that nobody reads would keep its connection from all others.
        self._forgotten = weakref.finalize(self, response.close)
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers  # whatever the case of their letters
        sent = _Sent(response, url)
        self._source: Filling = Decompressed(sent) if self.headers.get("Content-Encoding") == ZSTD else sent

    def readinto(self, room: memoryview) -> int:
        """Fill memory with what comes next, and return how much that was: nothing only at the end.

        Raises
        ------
        NetworkError
            When the connection broke.
        SerializationError
            When what came compressed cannot be decompressed.

        """
        count = self._source.readinto(room[:_READ])
        if not count and len(room):
            self._end()
        return count

    def source(self) -> Filling | list[Bytes]:
        """Return the body as `Parts` take one, likewise: all of it at once where it is short."""
        length = self._response.length_remaining if isinstance(self._source, _Sent) else None
        return self if length is None or length > _AT_ONCE else [bytearray(self.read())]

    def pieces(self) -> Iterator[memoryview]:
        """Return the body in pieces, likewise."""
        while True:
            room = memoryview(bytearray(_PIECE))
            count = self.readinto(room)
            if not count:
                return
            yield room[:count]

    def read(self) -> bytes:
        """Return the whole body, likewise."""
        if isinstance(self._source, _Sent):
            body = self._source.read()
            self._end()
            return body
        return b"".join(self.pieces())

    def close(self) -> None:
        """Read no more."""
        self._forgotten()

    def _end(self) -> None:
        self._forgotten.detach()
        self._response.release_conn()


class _Sent:
    """The body of an answer as it was sent."""

    def __init__(self, response: urllib3.BaseHTTPResponse, url: str) -> None:
        self._response, self._url = response, url

    def readinto(self, room: memoryview) -> int:
        with translated(self._url):
            piece = self._response.read(len(room))
        room[: len(piece)] = piece
        return len(piece)

    def read(self) -> bytes:
        with translated(self._url):
            return self._response.read()


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
    compress
        Whether to send as zstd, and to ask for it; None says where that is worth it: to another machine.

    """

    def __init__(self, base_url: str, token: str | None, timeout: float, *, compress: bool | None = None) -> None:
        self.base_url = base_url.rstrip("/")
        _check_address(self.base_url)
        if token:
            _warn_if_readable(self.base_url)
        self._headers = {"Authorization": _bearer(token)} if token else {USER: urllib.parse.quote(user_name())}
        self._compress = can_compress() and (not _is_here(base_url) if compress is None else compress)
        if self._compress:
            self._headers["Accept-Encoding"] = ZSTD
        self._timeout = timeout
        self._connect()

    def _connect(self) -> None:
        self._process = os.getpid()
        self._pool = _pool(self.base_url, self._timeout)
        # Not at the end of the program, when there may be something left to send: what of the memo was used.
        weakref.finalize(self, self._pool.clear).atexit = False

    def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Sequence[Bytes] = (),
        wait: float | None = None,
    ) -> Answer:
        """Send a request and return its answer; `wait` says how many seconds to wait for one that takes long.

        Raises
        ------
        NetworkError
            When there is no connection, or it broke.

        """
        if self._process != os.getpid():  # a fork must not speak into the connections of its parent
            self._connect()
        length = sum(map(len, body))
        if self._compress and length >= COMPRESSED_FROM:
            answer = self._answer(method, path, {**headers, "Content-Encoding": ZSTD}, compressed(body), wait)
            if answer.status != _NOT_TAKEN:
                return answer
            answer.close()
            self._compress = False  # its Arrow has no zstd
        if length <= _PIECE:
            return self._answer(method, path, headers, b"".join(body) if body else None, wait)
        return self._answer(method, path, {**headers, "Content-Length": str(length)}, iter(body), wait)

    def _answer(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | Iterator[Bytes] | None,
        wait: float | None,
    ) -> Answer:
        with translated(self.base_url):
            response = self._pool.urlopen(
                method,
                self.base_url + path,
                headers={**self._headers, **headers},
                body=body,
                preload_content=False,
                decode_content=False,
                redirect=False,
                **({} if wait is None else {"timeout": urllib3.Timeout(connect=self._timeout, read=wait)}),
            )
            if getattr(response, "length_remaining", 0) is None and not getattr(response, "chunked", False):
                response.close()
                raise ProtocolError("an answer was cut among its headers")
        answer = Answer(response, self.base_url)
        if answer.status in _REDIRECTS:
            answer.close()
            raise ServerError(
                f"{self.base_url} sends elsewhere: {answer.headers.get('Location', '')[:200]}. Use that address, "
                f"without what follows its host and path: {path} is added by the client.",
                url=self.base_url,
                code="moved",
            )
        return answer

    def close(self) -> None:
        """Close all connections that wait for a request."""
        self._pool.clear()


def _check_address(url: str) -> None:
    # Addresses are shown in errors and logs.
    if "@" in url.partition("://")[2].partition("/")[0]:
        raise SettingsError(
            "An address holds no user, password or token. Give the token as token= or in the environment variable "
            "SCIDB_TOKEN."
        )


def _warn_if_readable(url: str) -> None:
    if not url.lower().startswith("https:") and not _is_here(url):
        warnings.warn(
            f"The token travels readably to {url}: whoever listens on the way can use it. Write https://, if the "
            "server speaks it, and otherwise use only a network that you trust.",
            SciDBWarning,
            stacklevel=5,
        )


def _bearer(token: str) -> str:
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise SettingsError(
            "The token holds a space, an end of line or a letter that no token has. Copy it again, alone. (It is not "
            "shown here, since it is a secret.)"
        )
    return f"Bearer {token}"


def _pool(url: str, timeout: float) -> urllib3.PoolManager:
    """Return what keeps connections, to the server or to the proxy that the settings of this machine want."""
    parts = urllib.parse.urlsplit(url)
    # To read the certificates of the system takes longer than many requests.
    tls = _tls() if parts.scheme.lower() == "https" else None
    proxy = None if _is_here(url) else urllib.request.getproxies().get(parts.scheme)
    if proxy is None or urllib.request.proxy_bypass(str(parts.hostname)):
        return urllib3.PoolManager(maxsize=_IDLE, timeout=timeout, retries=False, ssl_context=tls)
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    return urllib3.ProxyManager(proxy, maxsize=_IDLE, timeout=timeout, retries=False, ssl_context=tls)


def _is_here(url: str) -> bool:
    host = str(urllib.parse.urlsplit(url).hostname)
    return host in {"localhost", "::1"} or host.startswith("127.")


def _tls() -> ssl.SSLContext:
    """Return the certificates by which a server is believed: the usual ones, and those that SCIDB_CA_FILE names."""
    context = ssl.create_default_context()
    path = os.environ.get("SCIDB_CA_FILE")
    if path:
        try:
            context.load_verify_locations(path)
        except OSError as error:  # which an ssl.SSLError is, too
            raise SettingsError(
                f"SCIDB_CA_FILE={path!r} is no file of certificates (PEM): {error.strerror or error}.", path=path
            ) from error
    return context


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Turn the library's exceptions into ours, with `sent`: whether the server may have got what was sent."""
    try:
        yield
    except (HTTPError, OSError, ValueError) as error:
        raise _our_error(url, error) from error


# A connection that was refused counts as a time-out there.
_NOT_SENT: Final = (NewConnectionError, ConnectTimeoutError, LocationValueError, SSLError)


def _our_error(url: str, error: Exception) -> NetworkError:
    sent = not isinstance(error, _NOT_SENT)
    if isinstance(error, urllib3.exceptions.TimeoutError) and not isinstance(error, NewConnectionError):
        return NetworkError(
            f"{url} did not answer in time. Is the server busy? Give a longer timeout=, or try again later.",
            url=url,
            sent=sent,
        )
    if _is_of_certificate(error):
        return NetworkError(
            f"The certificate of {url} is not believed: {error}. If a lab has made it itself, name its file in the "
            "environment variable SCIDB_CA_FILE.",
            url=url,
            code="certificate",
        )
    said = str(error).rstrip(".") or type(error).__name__
    # What a server of TLS does with a question that is none.
    is_odd = url.startswith("http:") and isinstance(error, ProtocolError)
    return NetworkError(
        f"{url} cannot be reached: {said}. Is the address right, and does the server run? `scidb serve` starts one."
        f"{' Or does it speak TLS? Then write https://.' if is_odd else ''}",
        url=url,
        sent=sent,
    )


def _is_of_certificate(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error is not None
