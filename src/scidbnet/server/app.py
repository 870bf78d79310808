"""The application: routes over one store, and errors as answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.exceptions import HTTPException

from scidb._version import __version__
from scidb.addressing import schema_keys_from
from scidb.exceptions import SciDBError
from scidb.store import open_store
from scidbnet.auth import TokenFile
from scidbnet.server import tokens as tokens_routes
from scidbnet.server import verbs
from scidbnet.server.answers import error_answer
from scidbnet.server.audit import Audit
from scidbnet.server.context import Served, served
from scidbnet.server.security import Guard
from scidbnet.server.settings import ServerSettings
from scidbnet.server.verify import Verified
from scidbnet.wire.coding import to_text
from scidbnet.wire.versions import API_VERSION, PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scidb.store import Store

__all__ = ["create_app", "store_app", "tokens_of"]

_about = APIRouter(tags=["server"])


def create_app(
    dataset_db_path: str | Path,
    dataset_schema_keys: Sequence[str] | Mapping[str, type | str] | None = None,
    **settings: Any,
) -> FastAPI:
    """Return the application that serves a database file."""
    keys = None if dataset_schema_keys is None else schema_keys_from(dataset_schema_keys)
    store = Verified(open_store(dataset_db_path, keys))
    return store_app(store, ServerSettings(**settings), tokens_of(store))


def store_app(store: Store, settings: ServerSettings | None = None, tokens: TokenFile | None = None) -> FastAPI:
    """Return the application that serves any store.

    Without tokens, everybody on this machine is an admin, and nobody else gets an answer.
    """
    settings = settings or ServerSettings()
    app = FastAPI(title="SciDB", version=__version__, docs_url=None, redoc_url=None)
    app.state.served = Served.of(store, settings, tokens)
    app.include_router(_about, prefix=PREFIX)
    app.include_router(verbs.router, prefix=PREFIX)
    app.include_router(tokens_routes.router, prefix=PREFIX)
    app.add_exception_handler(SciDBError, _on_error)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, _on_http_error)  # type: ignore[arg-type]
    app.add_middleware(Guard, settings=settings, tokens=tokens)
    app.add_middleware(Audit)  # the last one is the first to see a request
    return app


def tokens_of(store: Store) -> TokenFile | None:
    """Return the tokens of a database; None for one that is no file."""
    path = Path(store.describe().target)
    return TokenFile.beside(path) if path.is_file() else None


@_about.get("/health")
async def health(request: Request) -> dict[str, Any]:
    """Say that the server runs, and of which versions it is."""
    format_version = served(request).store.describe().format_version
    return {"status": "ok", "version": __version__, "api_version": API_VERSION, "format_version": format_version}


async def _on_error(_: Request, error: SciDBError) -> Response:
    return error_answer(error)


async def _on_http_error(_: Request, error: HTTPException) -> Response:
    data = {"code": "http", "class": "server", "message": str(error.detail), "details": {}}
    return Response(to_text(data), error.status_code, error.headers, media_type="application/json")
