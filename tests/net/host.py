"""A process that serves as many databases as tests ask for, each under a path of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from scidb.store import open_store
from scidb.store.model import SchemaKey
from scidbnet.auth import TokenFile
from scidbnet.server import store_app
from scidbnet.server.settings import ServerSettings
from scidbnet.server.verify import Verified

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_app: Any = None


async def new(request: Request) -> Response:
    """Open a database and serve it; what is asked says which one, and how."""
    wanted = json.loads(await request.body())
    keys = None if wanted["keys"] is None else [SchemaKey(name, kind) for name, kind in wanted["keys"]]
    store = open_store(wanted["target"], keys)
    path = f"/{len(_app.routes)}"
    if wanted["verified"]:
        store = Verified(store)
    tokens = TokenFile(Path(wanted["tokens"])) if wanted["tokens"] else None
    _app.mount(path, store_app(store, ServerSettings(**wanted["settings"]), tokens))
    return JSONResponse({"path": path})


def main() -> None:
    """Serve on a port that the system chooses, and print it."""
    global _app  # noqa: PLW0603 - one process, one application
    _app = Starlette(routes=[Route("/new", new, methods=["POST"])])
    config = uvicorn.Config(_app, port=0, log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    sock = config.bind_socket()
    sys.stdout.write(f"{sock.getsockname()[1]}\n")
    sys.stdout.flush()
    server.run(sockets=[sock])


if __name__ == "__main__":
    main()
