"""A proxy that cuts connections at a chosen byte, so that every moment at which a connection can die is tried."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Cutting", "cutting"]

_RESET = struct.pack("ii", 1, 0)


class Cutting:
    """A proxy before one server. What passes is counted from `measure` or `cut` on, over all connections.

    Attributes
    ----------
    address
        Where it answers, with the path of the server's address.
    passed
        How many bytes passed of requests and of answers.

    """

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._target = (str(parts.hostname), int(parts.port or 0))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}{parts.path}"
        self._lock = threading.Lock()
        self._left: dict[str, int | None] = {}
        self.passed = {"request": 0, "answer": 0}
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def measure(self) -> None:
        """Count from now on, and cut nothing."""
        with self._lock:
            self._left = {}
            self.passed = {"request": 0, "answer": 0}
            self.cuts = 0

    def cut(self, what: Literal["request", "answer"], at: int) -> None:
        """Cut the connection, once, when so many bytes of requests or of answers have passed."""
        self.measure()
        with self._lock:
            self._left = {what: at}

    def close(self) -> None:
        """Take no more connections."""
        with contextlib.suppress(OSError):  # closed already
            self._listener.shutdown(socket.SHUT_RDWR)  # which wakes the thread that waits for a connection
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                for source, sink, what in ((client, server, "request"), (server, client, "answer")):
                    threading.Thread(target=self._pump, args=(source, sink, what), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, what: str) -> None:
        with contextlib.suppress(OSError):  # the other side is gone
            while data := source.recv(65_536):
                allowed, is_cut = self._allowed(what, len(data))
                sink.sendall(data[:allowed])
                if is_cut:
                    break
        for end in (source, sink):
            with contextlib.suppress(OSError):
                # At once and with a reset, as when a cable is pulled or a process is killed.
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _allowed(self, what: str, count: int) -> tuple[int, bool]:
        with self._lock:
            left = self._left.get(what)
            is_cut = left is not None and count >= left
            allowed = min(count, left) if left is not None else count
            if is_cut:
                self._left = {}
                self.cuts += 1
            elif left is not None:
                self._left[what] = left - count
            self.passed[what] += allowed
            return allowed, is_cut


@contextlib.contextmanager
def cutting(address: str) -> Iterator[Cutting]:
    """Give a proxy before the server at that address."""
    proxy = Cutting(address)
    try:
        yield proxy
    finally:
        proxy.close()
