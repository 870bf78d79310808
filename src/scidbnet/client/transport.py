"""HTTP as the client needs it, and the only place that knows with which library.

That of Python itself is the one: it reads an answer into memory that is given to it and sends memory as it is, where
others copy all of it several times, and a small request takes a quarter of their time.
"""

from __future__ import annotations

import http.client
import os
import select
import ssl
import urllib.parse
import urllib.request
import weakref
from collections import deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, cast

from scidb.exceptions import NetworkError, ServerError, SettingsError
from scidb.settings import user_name
from scidbnet.wire.versions import USER

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from scidbnet.wire.framing import Bytes

__all__ = ["Answer", "Transport"]

_PIECE: Final = 2**18
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_IDLE: Final = 20
"""How many connections are kept for the next request."""


class Answer:
    """An answer whose body is read as it comes; whoever does not read it to its end closes it."""

    def __init__(
        self,
        response: http.client.HTTPResponse,
        connection: http.client.HTTPConnection,
        give_back: Callable[[http.client.HTTPConnection], None],
        url: str,
    ) -> None:
        self._response, self._connection, self._give_back = response, connection, give_back
        self._url = url
        # An answer that nobody reads would keep its connection open.
        self._forgotten = weakref.finalize(self, connection.close)
        self.status = response.status
        self.headers = cast("Mapping[str, str]", response.headers)  # whatever the case of their letters
        if response.isclosed():  # of an answer without a body
            self._end()

    def readinto(self, room: memoryview) -> int:
        """Fill memory with what comes next, and return how much that was: nothing only at the end.

        Raises
        ------
        NetworkError
            When the connection broke.

        """
        with translated(self._url):
            count = self._response.readinto(room)
            if not count and len(room) and self._response.length:
                raise http.client.IncompleteRead(b"", self._response.length)
        if not count and len(room):
            self._end()
        return count

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
        with translated(self._url):
            body = self._response.read()
        self._end()
        return body

    def close(self) -> None:
        """Read no more."""
        self._forgotten()

    def _end(self) -> None:
        """Give the connection back for the next request, once."""
        if self._forgotten.detach() is not None:
            if self._response.will_close:
                self._connection.close()
            else:
                self._give_back(self._connection)


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
        self._timeout = timeout
        self._headers = {"Authorization": f"Bearer {token}"} if token else {USER: urllib.parse.quote(user_name())}
        self._tls = _tls() if self.base_url.lower().startswith("https:") else None
        self._idle: deque[http.client.HTTPConnection] = deque()
        self._process = os.getpid()
        # Not at the end of the program, when there may be something left to send: what of the memo was used.
        weakref.finalize(self, _close_all, self._idle).atexit = False

    def send(self, method: str, path: str, headers: Mapping[str, str], body: Sequence[Bytes] = ()) -> Answer:
        """Send a request and return its answer.

        Raises
        ------
        NetworkError
            When there is no connection, or it broke.

        """
        with translated(self.base_url, sent=False):
            connection, target = self._connection()
        with translated(self.base_url):
            try:
                response = self._exchange(connection, method, target + path, {**self._headers, **headers}, body)
            except BaseException:
                connection.close()
                raise
            if response.length is None and not response.chunked:
                response.close()
                connection.close()
                raise http.client.IncompleteRead(b"")  # so ends an answer that was cut among its headers
            answer = Answer(response, connection, self._keep, self.base_url)
        if answer.status in _REDIRECTS:
            answer.close()
            raise ServerError(
                f"{self.base_url} sends elsewhere: {answer.headers.get('Location', '')[:200]}. Use that address, "
                f"without what follows its host and path: {path} is added by the client.",
                url=self.base_url,
                code="moved",
            )
        return answer

    def _keep(self, connection: http.client.HTTPConnection) -> None:
        if len(self._idle) < _IDLE:
            self._idle.append(connection)
        else:
            connection.close()

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: Sequence[Bytes],
    ) -> http.client.HTTPResponse:
        length = sum(len(piece) for piece in body)
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        if body:
            connection.putheader("Content-Length", str(length))
        try:
            if length <= _PIECE:
                connection.endheaders(b"".join(body) or None)
            else:
                connection.endheaders()
                for piece in body:
                    connection.send(piece)
        except (BrokenPipeError, ConnectionResetError):
            # A server that wants no more of it has mostly said why.
            with suppress(OSError, http.client.HTTPException):
                return connection.getresponse()
            raise
        return connection.getresponse()

    def _connection(self) -> tuple[http.client.HTTPConnection, str]:
        """Return a connection, and what stands before the path of whatever is asked there."""
        parts = urllib.parse.urlsplit(self.base_url)
        if not parts.hostname:
            raise http.client.InvalidURL("it names no host")
        proxy = _proxy(parts)
        target = parts.path if proxy is None or self._tls else self.base_url
        if self._process != os.getpid():  # a fork must not speak into the connections of its parent
            self._process = os.getpid()
            _close_all(self._idle)
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return self._new(parts, proxy), target
            if not _has_ended(connection.sock):
                return connection, target
            connection.close()

    def _new(
        self, parts: urllib.parse.SplitResult, proxy: urllib.parse.SplitResult | None
    ) -> http.client.HTTPConnection:
        host, port = (str(parts.hostname), parts.port) if proxy is None else (str(proxy.hostname), proxy.port)
        if self._tls is None:
            connection = http.client.HTTPConnection(host, port or 80, timeout=self._timeout)
        else:
            connection = http.client.HTTPSConnection(host, port or 443, timeout=self._timeout, context=self._tls)
            if proxy is not None:
                connection.set_tunnel(str(parts.hostname), parts.port or 443)
        connection.connect()
        return connection

    def close(self) -> None:
        """Close all connections that wait for a request."""
        _close_all(self._idle)


def _close_all(idle: deque[http.client.HTTPConnection]) -> None:
    while idle:
        with suppress(IndexError):  # taken by another thread
            idle.pop().close()


def _has_ended(sock: socket.socket | None) -> bool:
    """Say whether a connection that waits is of no use: what comes without being asked for is its end."""
    if sock is None:
        return True
    if hasattr(select, "poll"):
        waiting = select.poll()
        waiting.register(sock, select.POLLIN)
        return bool(waiting.poll(0))
    return bool(select.select([sock], [], [], 0)[0])


def _proxy(parts: urllib.parse.SplitResult) -> urllib.parse.SplitResult | None:
    """Return the proxy that the settings of this machine want, which is none for this machine itself."""
    host = str(parts.hostname)
    if _is_here(host):
        return None
    address = urllib.request.getproxies().get(parts.scheme)
    if address is None or urllib.request.proxy_bypass(host):
        return None
    found = urllib.parse.urlsplit(address if "://" in address else f"http://{address}")
    return found if found.hostname else None


def _is_here(host: str) -> bool:
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
def translated(url: str, *, sent: bool = True) -> Iterator[None]:
    """Turn the library's exceptions into ours; `sent` tells whether the server may have got what was sent."""
    try:
        yield
    except TimeoutError as error:
        raise NetworkError(
            f"{url} did not answer in time. Is the server busy? Give a longer timeout=, or try again later.",
            url=url,
            sent=sent,
        ) from error
    except ssl.SSLCertVerificationError as error:
        raise NetworkError(
            f"The certificate of {url} is not believed: {error}. If a lab has made it itself, name its file in the "
            "environment variable SCIDB_CA_FILE.",
            url=url,
            code="certificate",
        ) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        said = str(error).rstrip(".") or type(error).__name__
        # What a server of TLS does with a question that is none.
        is_odd = url.startswith("http:") and isinstance(error, http.client.BadStatusLine | ConnectionResetError)
        raise NetworkError(
            f"{url} cannot be reached: {said}. Is the address right, and does the server run? `scidb serve` starts one."
            f"{' Or does it speak TLS? Then write https://.' if is_odd else ''}",
            url=url,
            sent=sent,
        ) from error
