"""The verbs of the store as routes: each reads its question, asks the store in a thread, and writes the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from scidb.exceptions import ConflictError
from scidb.store.model import TypeInfo
from scidbnet.server.context import served
from scidbnet.server.exchange.once import asked_for
from scidbnet.server.exchange.streams import answer_in_parts
from scidbnet.wire.batches import answer_of_records, batch_from
from scidbnet.wire.coding import dump, load
from scidbnet.wire.messages import FETCHED, QUERIES, TRACE_QUERY, answer_to_json, trace_to_json
from scidbnet.wire.plain import from_text, to_text
from scidbnet.wire.versions import DESCRIPTION, description_tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scidb.store.model import Answered, Chunk
    from scidbnet.server.context import Served
    from scidbnet.server.exchange.bodies import Body

__all__ = ["router"]

router = APIRouter(prefix="/store", tags=["store"])

_JSON: Final = "application/json"


@router.get("/describe")
async def describe(request: Request) -> Response:
    """Say which schema keys, abilities and format the database has."""
    here = served(request)
    return await _answer(here, lambda: dump(here.store.describe()))


@router.get("/types")
async def types(request: Request) -> Response:
    """List every registered variable type."""
    here = served(request)
    return await _answer(here, lambda: [dump(info) for info in here.store.types()])


@router.post("/register")
async def register(request: Request) -> Response:
    """Add or update a variable type."""
    here = served(request)
    async with here.spool.receive(request) as body:
        info: TypeInfo = load(from_text(body.data, "The body"), TypeInfo, "type")
        return await _answer(here, lambda: dump(here.store.register(info)))


@router.post("/write")
async def write(request: Request) -> Response:
    """Store a batch in one transaction, once however often it comes under the same key."""
    here = served(request)
    async with here.spool.receive(request) as body:
        asked = asked_for(request, body)
        tag = request.headers.get(DESCRIPTION)
        async with here.once.turn(asked):
            return await _answer(here, lambda: _write(here, body, tag, asked))


def _write(here: Served, body: Body, tag: str | None, asked: Answered) -> Any:
    batch = batch_from(body.data)
    records = here.once.stored(asked, batch, here.store, lambda: _check_description(here, tag))
    return answer_of_records(batch, records)


@router.post("/find")
async def find(request: Request) -> Response:
    """Find rows of one kind, without payloads."""
    here = served(request)
    async with here.spool.receive(request) as body:
        query = QUERIES.read(from_text(body.data, "The body"), "query")
        tag = request.headers.get(DESCRIPTION)

        def answer() -> Any:
            _check_description(here, tag)
            return answer_to_json(query, here.store.find(query))

        return await _answer(here, answer)


@router.post("/fetch")
async def fetch(request: Request) -> Response:
    """Stream records with their payloads."""
    here = served(request)
    async with here.spool.receive(request) as body:
        query = FETCHED.read(from_text(body.data, "The body"), "query")
    tag = request.headers.get(DESCRIPTION)

    def chunks() -> Iterator[Chunk]:
        _check_description(here, tag)
        return here.store.fetch(query)

    return await answer_in_parts(chunks, _headers(here))


@router.post("/trace")
async def trace(request: Request) -> Response:
    """Walk the provenance up- or downstream."""
    here = served(request)
    async with here.spool.receive(request) as body:
        query = TRACE_QUERY.read(from_text(body.data, "The body"), "query")
        return await _answer(here, lambda: trace_to_json(here.store.trace(query)))


async def _answer(here: Served, work: Callable[[], Any]) -> Response:
    """Do some work of the store in a thread, and answer what it gives as JSON."""
    text = await run_in_threadpool(lambda: to_text(work()))
    return Response(text, media_type=_JSON, headers=_headers(here))


def _headers(here: Served) -> dict[str, str]:
    return {DESCRIPTION: description_tag(here.store.describe())}


def _check_description(here: Served, tag: str | None) -> None:
    """Refuse a client that goes by keys or names that are not the database's any more."""
    if tag is not None and tag != description_tag(here.store.describe()):
        raise ConflictError(
            "The schema of the database changed just now: a key, the name of a variable, or the first flag. Nothing "
            "was done; run this again.",
        )
