"""The application: routes over one store, and errors as answers."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from scidb._version import __version__
from scidb.addressing import schema_keys_from
from scidb.database.core import check_lineage_mode
from scidb.exceptions import SciDBError, ServerError
from scidb.session import warn_of_pipeline_path
from scidb.store import open_store
from scidbnet.auth import TokenFile
from scidbnet.server.context import Served
from scidbnet.server.exchange.answers import error_answer
from scidbnet.server.exchange.compressing import Compressing
from scidbnet.server.exchange.verify import Verified
from scidbnet.server.guard.audit import Audit
from scidbnet.server.guard.security import Guard
from scidbnet.server.routes import abilities, aliases, claims, maintenance, openapi, operations, snapshots, verbs
from scidbnet.server.routes import tokens as tokens_routes
from scidbnet.server.routes.direct import Direct
from scidbnet.server.settings import ServerSettings
from scidbnet.wire.plain import to_text
from scidbnet.wire.versions import PREFIX

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from scidb.database.core import LineageMode
    from scidb.store import Store

__all__ = ["create_app", "store_app", "tokens_of"]


def create_app(
    dataset_db_path: str | Path,
    dataset_schema_keys: Sequence[str] | Mapping[str, type | str] | None = None,
    pipeline_db_path: str | Path | None = None,
    lineage_mode: LineageMode = "strict",
    *,
    lock_timeout: float = 10.0,
    **settings: Any,
) -> FastAPI:
    """Return the application that serves a database file.

    Parameters
    ----------
    dataset_db_path
        The file, or any other target that `scidb.store.open_store` knows.
    dataset_schema_keys
        The ordered keys of a new database, as for `scidb.configure_database`.
    pipeline_db_path
        Ignored: lineage lives in the same file.
    lineage_mode
        ``"strict"`` refuses a result that rests on something never saved; ``"ephemeral"`` records that by lineage
        alone. What comes without Python is checked here; `scidbnet.configure_remote_database` takes it over.
    lock_timeout
        How many seconds to wait for another process that has the file open.
    settings
        Fields of `scidbnet.server.settings.ServerSettings`.

    Raises
    ------
    SciDBError
        When the database cannot be opened, or `lineage_mode` is none.

    """
    warn_of_pipeline_path(pipeline_db_path)
    check_lineage_mode(lineage_mode)
    keys = None if dataset_schema_keys is None else schema_keys_from(dataset_schema_keys)
    store = Verified(open_store(dataset_db_path, keys, lock_timeout=lock_timeout))
    app = store_app(store, ServerSettings(**settings, lineage_mode=lineage_mode), tokens_of(store))
    app.router.lifespan_context = _closing
    return app


def store_app(store: Store, settings: ServerSettings | None = None, tokens: TokenFile | None = None) -> FastAPI:
    """Return the application that serves any store, which stays open.

    Without tokens, everybody on this machine is an admin, and nobody else gets an answer.
    """
    settings = settings or ServerSettings()
    app = openapi.Described(title="SciDB", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.served = Served.of(claims.Claiming(abilities.within(store, settings)), settings, tokens)
    app.include_router(operations.router, prefix=PREFIX)
    app.include_router(verbs.router, prefix=PREFIX)
    app.include_router(abilities.router, prefix=PREFIX)
    app.include_router(maintenance.router, prefix=PREFIX)
    app.include_router(snapshots.router, prefix=PREFIX)
    app.include_router(claims.router, prefix=PREFIX)
    app.include_router(aliases.router, prefix=PREFIX)
    app.include_router(tokens_routes.router, prefix=PREFIX)
    app.include_router(openapi.router)
    app.add_exception_handler(SciDBError, _on_error)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, _on_http_error)  # type: ignore[arg-type]
    app.add_exception_handler(Exception, _on_crash)
    app.add_middleware(Direct, router=verbs.router)
    app.add_middleware(Compressing)
    app.add_middleware(Guard, settings=settings, tokens=tokens)
    operations.watch(app)
    app.add_middleware(Audit)  # the last one is the first to see a request, also one that is sent away
    return app


def tokens_of(store: Store) -> TokenFile | None:
    """Return the tokens of a database; None for one that is no file."""
    path = Path(store.describe().target)
    return TokenFile.beside(path) if path.is_file() else None


@asynccontextmanager
async def _closing(app: FastAPI) -> AsyncIterator[None]:
    yield
    # Waits for a transaction that runs; in a thread of its own, since requests may hold all others.
    await asyncio.to_thread(app.state.served.store.close)


async def _on_error(_: Request, error: SciDBError) -> Response:
    return error_answer(error)


async def _on_crash(_: Request, error: Exception) -> Response:
    # What it says may be nobody's business; it stands in the log.
    kind = type(error).__name__
    return error_answer(
        ServerError(f"The server failed ({kind}); its log says more. A write that fails stores nothing.")
    )


async def _on_http_error(request: Request, error: HTTPException) -> Response:
    said = f"{error.detail}: {request.method[:20]} {request.url.path[:200]}. The page /docs shows what there is."
    data = {"code": "http", "class": "server", "message": said, "details": {}}
    return Response(to_text(data), error.status_code, error.headers, media_type="application/json")
