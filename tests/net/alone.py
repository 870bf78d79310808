"""A server process of a test's own: for what is about the process, its memory or its end.

``python -m tests.net.alone FILE PORT LIMIT`` serves a file, with so much memory for DuckDB.
"""

from __future__ import annotations

import contextlib
import http.client
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import uvicorn

from scidbnet.server import create_app

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Alone", "alone"]

_ROOT = Path(__file__).resolve().parents[2]


class Alone:
    """A server process."""

    def __init__(self, file: Path, port: int = 0, limit: str = "1GB") -> None:
        command = [sys.executable, "-m", "tests.net.alone", str(file), str(port), limit]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_ROOT)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.address = f"http://127.0.0.1:{self.port}"
        for _ in range(200):
            with contextlib.suppress(OSError):
                if self._is_there():
                    return
            time.sleep(0.05)
        raise AssertionError("The server did not start.")

    def _is_there(self) -> bool:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection:
            connection.request("GET", "/api/v1/health")
            return connection.getresponse().status == 200

    def kill(self) -> None:
        """End it as a power cut does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    @contextlib.contextmanager
    def watched(self) -> Iterator[list[int]]:
        """Watch how much memory the process has, its files left out; first at the beginning, then at most."""
        seen = [_anonymous(self.process.pid)] * 2
        done = threading.Event()

        def watch() -> None:
            while not done.wait(0.01):
                seen[1] = max(seen[1], _anonymous(self.process.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield seen
        finally:
            done.set()
            watcher.join()


def _anonymous(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


@contextlib.contextmanager
def alone(file: Path, limit: str = "1GB") -> Iterator[Alone]:
    """Serve a file in a process of its own."""
    server = Alone(file, limit=limit)
    try:
        yield server
    finally:
        server.kill()


def main(file: str, port: str, limit: str) -> None:
    """Serve until somebody ends the process."""
    connect = duckdb.connect

    def limited(path: Any, *, read_only: bool = False, config: dict[str, Any] | None = None) -> Any:
        return connect(path, read_only=read_only, config={**(config or {}), "memory_limit": limit})

    duckdb.connect = limited  # type: ignore[assignment]
    app = create_app(file, {"subject": int})
    config = uvicorn.Config(app, port=int(port), log_level="critical", access_log=False, lifespan="off")
    sock = config.bind_socket()
    sys.stdout.write(f"{sock.getsockname()[1]}\n")
    sys.stdout.flush()
    uvicorn.Server(config).run(sockets=[sock])


if __name__ == "__main__":
    main(*sys.argv[1:])
