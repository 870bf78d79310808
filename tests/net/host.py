"""A process that serves as many databases as tests ask for, each under a path of its own."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from scidb.store import open_store
from scidb.store.duck import opening
from scidb.store.duck.creating import create_file
from scidb.store.model import SchemaKey
from scidbnet.auth import TokenFile
from scidbnet.server import store_app
from scidbnet.server.exchange.verify import Verified
from scidbnet.server.settings import ServerSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

_app: Any = None
_numbers = itertools.count(1)


async def new(request: Request) -> Response:
    """Open a database and serve it; what is asked says which one, and how."""
    wanted = json.loads(await request.body())
    keys = None if wanted["keys"] is None else [SchemaKey(name, kind) for name, kind in wanted["keys"]]
    store = open_store(wanted["target"], keys)
    path = wanted.get("path") or f"/{next(_numbers)}"
    if wanted["verified"]:
        store = Verified(store)
    tokens = TokenFile(Path(wanted["tokens"])) if wanted["tokens"] else None
    _app.mount(path, store_app(store, ServerSettings(**wanted["settings"]), tokens))
    return JSONResponse({"path": path})


async def end(request: Request) -> Response:
    """Close a database and serve it no more."""
    path = json.loads(await request.body())["path"]
    for route in [route for route in _app.routes if isinstance(route, Mount) and route.path == path]:
        _app.routes.remove(route)
        route.app.state.served.store.close()  # type: ignore[attr-defined]  # of our own application
    return JSONResponse({})


def _copying(folder: Path) -> Callable[[Path, Sequence[str]], None]:
    """Return how a new database is made by copying an empty one, which is quick."""

    def copy(path: Path, statements: Sequence[str]) -> None:
        empty = folder / f"{hashlib.sha256(repr(statements).encode()).hexdigest()}.duckdb"
        if not empty.exists():
            create_file(empty, statements)
        shutil.copyfile(empty, path)

    return copy


def main() -> None:
    """Serve on a port that the system chooses, and print it."""
    global _app  # noqa: PLW0603 - one process, one application
    _app = Starlette(routes=[Route("/new", new, methods=["POST"]), Route("/end", end, methods=["POST"])])
    config = uvicorn.Config(_app, port=0, log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    sock = config.bind_socket()
    sys.stdout.write(f"{sock.getsockname()[1]}\n")
    sys.stdout.flush()
    with mock.patch.object(opening, "create_file", _copying(Path(sys.argv[1]))):
        server.run(sockets=[sock])


if __name__ == "__main__":
    main()
