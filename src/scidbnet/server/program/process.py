"""One server process: it listens, serves one database, and stops without losing anything."""

from __future__ import annotations

import logging
import math
import os
import socket
import time
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvicorn

from scidb.exceptions import SettingsError
from scidbnet.auth import TokenFile
from scidbnet.server.app import create_app
from scidbnet.server.guard.exposure import check_certificate, check_exposure
from scidbnet.server.guard.protocol import limited
from scidbnet.server.program.logs import configure_logging
from scidbnet.server.settings import ServerSettings

if TYPE_CHECKING:
    from types import FrameType

    from fastapi import FastAPI

    from scidbnet.server.guard.lifecycle import Lifecycle
    from scidbnet.server.program.options import ServerOptions

__all__ = ["run"]

_log = logging.getLogger("scidbnet.server")

# Longer than a client keeps a connection that it does not use: so that it never sends into one that closes.
_KEEP_ALIVE: Final = 75
# How long a request that was cut off may take to notice.
_CUT_SECONDS: Final = 1


def run(options: ServerOptions) -> None:
    """Serve a database until somebody says stop.

    Raises
    ------
    SettingsError
        When it may not, or cannot, listen there.
    SciDBError
        When the database cannot be opened.

    """
    configure_logging(as_json=options.log_json)
    exposure = check_exposure(
        options.host,
        has_tokens=_has_tokens(options.dataset_db_path),
        certfile=options.ssl_certfile,
        keyfile=options.ssl_keyfile,
        behind_proxy=options.behind_proxy,
        insecure=options.insecure,
    )
    if options.ssl_certfile is not None and options.ssl_keyfile is not None:
        check_certificate(options.ssl_certfile, options.ssl_keyfile)
    with _bound(options) as listener:
        app = _application(options)
        server = _Server(_config(options, app), app.state.served.lifecycle, options.shutdown_timeout)
        address = f"{exposure.scheme}://{_written(listener)}"
        _log.info("Serving %s at %s (Ctrl-C stops)", options.dataset_db_path, address)
        for note in exposure.notes:
            _log.warning("%s", note)
        try:
            server.run(sockets=[listener])
        finally:
            app.state.served.store.close()  # closed already, unless it was cut off
    _log.info("Stopped; the database is closed.")


def _has_tokens(target: str) -> bool:
    path = Path(target.removeprefix("file:")).expanduser()
    return path.is_file() and TokenFile.beside(path).has_valid()


def _application(options: ServerOptions) -> FastAPI:
    limits = {one.name: getattr(options, one.name) for one in fields(ServerSettings)}
    return create_app(options.dataset_db_path, options.dataset_schema_keys, lock_timeout=options.lock_timeout, **limits)


def _bound(options: ServerOptions) -> socket.socket:
    """Return a socket at the address; who connects before the database is open waits."""
    try:
        [(family, _, _, _, address), *_] = socket.getaddrinfo(
            options.host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise SettingsError(f"--host {options.host!r} is no address of this machine: {error.strerror}.") from error
    if os.name == "posix":  # elsewhere it would let two servers share the port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen()
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"Cannot listen at {options.host} port {options.port}: {error.strerror}. Does another server run? "
            "Choose another --port, or 0 to let the system choose.",
            host=options.host,
            port=options.port,
        ) from error
    return listener


def _written(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _config(options: ServerOptions, app: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        # Behind a proxy, everybody comes from there.
        http=limited(options.header_limit, strangers=None if options.behind_proxy else options.strangers),
        ws="none",  # nothing here speaks it
        log_config=None,
        access_log=False,  # the audit says more
        server_header=False,
        proxy_headers=options.behind_proxy,
        ssl_certfile=options.ssl_certfile,
        ssl_keyfile=options.ssl_keyfile,
        timeout_keep_alive=_KEEP_ALIVE,
        lifespan="on",
    )


class _Server(uvicorn.Server):
    """A server that finishes what runs before it stops, and meanwhile says that it takes no more."""

    def __init__(self, config: uvicorn.Config, lifecycle: Lifecycle, limit: float) -> None:
        super().__init__(config)
        self._lifecycle = lifecycle
        self._limit = limit
        self._deadline = 0.0
        self._said = False
        self._leaving = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - as its base
        """Stop taking requests; asked again, cut off what runs."""
        again = self._lifecycle.stopping
        self._deadline = time.monotonic() + (0.0 if again else self._limit)
        self._lifecycle.stopping = True
        self.force_exit = again and self._leaving

    async def on_tick(self, counter: int) -> bool:
        """Say whether it is time to stop, which is asked ten times a second."""
        here = self._lifecycle
        if not here.stopping:
            return await super().on_tick(counter)
        left = self._deadline - time.monotonic()
        if here.running and left > 0:
            if not self._said:
                _log.info("Stopping when %d running requests are done; Ctrl-C again cuts them off.", here.running)
            self._said = True
            return await super().on_tick(counter)
        if here.running:
            _log.warning("Cutting off %d running requests.", here.running)
        # So long may the last bytes of what is answered be on their way to a slow reader.
        self.config.timeout_graceful_shutdown = max(_CUT_SECONDS, math.ceil(left))
        self._leaving = True
        return True
