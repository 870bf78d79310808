"""The routes for people with curl or another language: thin aliases of the facade, over the store that is served.

Each route says which role it takes where it is made, so that none exists without one.
"""

from __future__ import annotations

import datetime as dt
import itertools
import math
import tempfile
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from scidb.exceptions import SciDBError, SerializationError
from scidb.filters import Filter
from scidb.records import is_custom, version_keys_of
from scidb.store.model import TypeInfo
from scidbnet.serialization import deserialize_data, response_parts, to_envelope
from scidbnet.server.callers import caller_of
from scidbnet.server.context import served
from scidbnet.server.exchange.once import asked_for
from scidbnet.server.routes import models
from scidbnet.server.routes.facade import Keyed, ServedDatabase, call_id_of, checked_keys
from scidbnet.server.routes.models import read, schema_of
from scidbnet.wire.coding import coder_of
from scidbnet.wire.errors import error_to_json
from scidbnet.wire.framing import PARTS_TYPE, envelope_to, part
from scidbnet.wire.plain import to_text
from scidbnet.wire.versions import IDEMPOTENCY_KEY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from pydantic import BaseModel

    from scidb.store.model import Answered, Record
    from scidb.variable import BaseVariable
    from scidbnet.server.exchange.bodies import Body
    from scidbnet.wire.framing import Bytes, Envelope

__all__ = ["COUNT", "ENVELOPE_TYPE", "ROLES", "router"]

Route: TypeAlias = "Callable[[Request], Awaitable[Response]]"
M = TypeVar("M", bound=models.Model)

router = APIRouter(tags=["curl"])

ENVELOPE_TYPE: Final = "application/vnd.scidb.envelope"
"""The media type of one value."""

COUNT: Final = "SciDB-Count"
"""The header of a CSV that says of how many records it is."""

ROLES: Final[dict[str, Literal["reader", "writer"]]] = {}
"""The role that each of these routes takes, by its path."""

_JSON: Final = "application/json"
_CSV: Final = "text/csv; charset=utf-8"
# What is handed to a connection at once; it keeps all of a piece until the other side has taken it.
# How much of a file that is being written stands in memory.
_IN_MEMORY: Final = 2**20
_PIECE: Final = 2**20
_BINARY: Final = {"type": "string", "format": "binary"}
_KEY: Final = {
    "name": IDEMPOTENCY_KEY,
    "in": "header",
    "required": False,
    "schema": {"type": "string", "pattern": "^[!-~]{1,200}$"},
    "description": "A text that is new for every save; sent again with the same body, it is stored once.",
}


def _alias(
    path: str,
    role: Literal["reader", "writer"],
    asked: Mapping[str, type[models.Model] | None],
    answered: Mapping[str, type[BaseModel] | None],
    method: str = "POST",
    headers: Sequence[Mapping[str, Any]] = (),
) -> Callable[[Route], Route]:
    """Return what makes a function a route; bodies and answers by media type, None for bytes, or null in JSON."""

    def make(function: Route) -> Route:
        ROLES[path] = role
        said = (function.__doc__ or "").partition("\n")[0]
        body = {"requestBody": {"required": True, "content": _content(asked)}} if asked else {}
        router.add_api_route(
            path,
            function,
            methods=[method],
            response_class=Response,
            openapi_extra={**body, "parameters": [*headers], "x-scidb-role": role},
            responses={200: {"description": said, "content": _content(answered)}},
        )
        return function

    return make


def _content(kinds: Mapping[str, type[BaseModel] | None]) -> dict[str, Any]:
    bare = {_JSON: {"type": "null"}}
    return {
        media: {"schema": schema_of(kind) if kind is not None else bare.get(media, _BINARY)}
        for media, kind in kinds.items()
    }


# ------------------------------------------------------------------ writing


@_alias("/register", "writer", {_JSON: models.Register}, {_JSON: models.Type})
async def register(request: Request) -> Response:
    """Add a variable type, or update it."""

    def work(db: ServedDatabase, asked: models.Register) -> Response:
        info = TypeInfo(asked.name, asked.schema_version, asked.description, asked.units, asked.display)
        stored = db.declare(info)
        return _json({name: getattr(stored, name) for name in models.Type.model_fields})

    return await _asked(request, models.Register, work)


@_alias("/save", "writer", {_JSON: models.SaveValue, PARTS_TYPE: None}, {_JSON: models.Saved}, headers=[_KEY])
async def save(request: Request) -> Response:
    """Save a value: as JSON, or as 4 bytes with the length of the metadata, the metadata (Save), and an envelope."""

    def work(db: ServedDatabase, asked: models.Save, value: Any) -> Response:
        record = db.save_value(asked, value)
        return _json({"vhash": record.record_id, **_parts_of(record, models.Saved)})

    return await _given(request, models.Save, models.SaveValue, work)


@_alias(
    "/save_ephemeral_lineage",
    "writer",
    {_JSON: models.SaveEphemeralValue, PARTS_TYPE: None},
    {_JSON: models.SavedLineage},
    headers=[_KEY],
)
async def save_ephemeral_lineage(request: Request) -> Response:
    """Save where a value came from, and of the value only the hash; the body is as for save."""

    def work(db: ServedDatabase, asked: models.SaveEphemeral, value: Any) -> Response:
        record_id, content, call = db.save_lineage(asked.variable, asked.lineage, value)
        said = {"record_id": record_id, "content_hash": content, "call_id": call.call_id}
        return _json({**said, "lineage_id": call.computation.lineage_id})

    return await _given(request, models.SaveEphemeral, models.SaveEphemeralValue, work)


@_alias("/close", "reader", {}, {_JSON: models.Closed})
async def close(_: Request) -> Response:
    """End the connection of whoever asks; the database stays open for all others."""
    return Response(to_text({"closed": True}), headers={"Connection": "close"}, media_type=_JSON)


# ------------------------------------------------------------------ reading values


@_alias("/load", "reader", {_JSON: models.Load}, {ENVELOPE_TYPE: None})
async def load(request: Request) -> Response:
    """Load exactly one value, as an envelope; what record it is stands in the header."""

    def work(db: ServedDatabase, asked: models.Load) -> Response:
        found = db.load_one(asked.variable, version=asked.version, **_filters(asked), **db.asked_by(asked))
        envelope = _envelope(found)
        return _stream([envelope_to(envelope.header, envelope.body)], ENVELOPE_TYPE)

    return await _asked(request, models.Load, work)


@_alias("/load_all", "reader", {_JSON: models.LoadAll}, {PARTS_TYPE: None})
async def load_all(request: Request) -> Response:
    """Stream all values that match, as envelopes in parts."""

    def work(db: ServedDatabase, asked: models.LoadAll) -> Response:
        found = db.load_all(asked.variable, version_id=asked.version_id, **_filters(asked), **db.asked_by(asked))
        return _stream(_told(map(_envelope, found)), PARTS_TYPE)

    return await _asked(request, models.LoadAll, work)


@_alias("/find_by_lineage", "reader", {_JSON: models.FindByLineage}, {PARTS_TYPE: None, _JSON: None})
async def find_by_lineage(request: Request) -> Response:
    """Stream the values that a computation gave, in the order of its outputs; null unless all of them were saved."""

    def work(db: ServedDatabase, asked: models.FindByLineage) -> Response:
        wanted = asked.lineage_id if asked.lineage is None else asked.lineage
        if wanted is None or (asked.lineage_id is not None and asked.lineage is not None):
            raise SerializationError("Give a lineage_id, or a lineage: one of them.", code="invalid_request")
        found = db.find_values(wanted)
        if found is None:
            return _json(None)
        envelopes = (to_envelope(value, {"record": _record(record)} if record else None) for record, value in found)
        return _stream(_told(envelopes), PARTS_TYPE)

    return await _asked(request, models.FindByLineage, work)


@_alias("/export_to_csv", "reader", {_JSON: models.Export}, {"text/csv": None})
async def export_to_csv(request: Request) -> Response:
    """Give the latest values that match as CSV; the header SciDB-Count says of how many records."""

    def work(db: ServedDatabase, asked: models.Export) -> Response:
        # Whole before it is answered, so that what has no form of rows is an error and not a shorter file.
        file = tempfile.SpooledTemporaryFile(_IN_MEMORY, "w+", encoding="utf-8", newline="", prefix="scidb-")  # noqa: SIM115
        try:
            count = db.write_values(asked, _filters(asked)["where"], file)  # type: ignore[arg-type]
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return StreamingResponse(_lines(file), media_type=_CSV, headers={COUNT: str(count)})

    return await _asked(request, models.Export, work)


# ------------------------------------------------------------------ reading about values


@_alias("/list_versions", "reader", {_JSON: models.ListVersions}, {_JSON: models.Versions})
async def list_versions(request: Request) -> Response:
    """List the lines of the log, newest first."""

    def work(db: ServedDatabase, asked: models.ListVersions) -> Response:
        return _json({"versions": db.list_versions(asked.variable, **db.asked_by(asked))})

    return await _asked(request, models.ListVersions, work)


@_alias("/provenance", "reader", {_JSON: models.Provenance}, {_JSON: models.ProvenanceAnswer})
async def provenance(request: Request) -> Response:
    """Say what made a record: function, inputs, constants, who, when and where."""

    def work(db: ServedDatabase, asked: models.Provenance) -> Response:
        wanted = asked.record_id if asked.variable is None else asked.variable
        if wanted is None or (asked.record_id is not None and asked.variable is not None):
            raise SerializationError("Give a variable, or a record_id: one of them.", code="invalid_request")
        keys = checked_keys(asked.metadata)
        made = db.get_provenance(wanted, asked.version, as_of=asked.as_of, params=asked.params, **keys)
        return _json({"provenance": made})

    return await _asked(request, models.Provenance, work)


@_alias("/provenance_by_schema", "reader", {_JSON: models.ProvenanceBySchema}, {_JSON: models.ProvenanceBySchemaAnswer})
async def provenance_by_schema(request: Request) -> Response:
    """Say what made each of the latest values at a place, of all variables."""

    def work(db: ServedDatabase, asked: models.ProvenanceBySchema) -> Response:
        keys = checked_keys(asked.metadata)
        return _json({"provenance": db.get_provenance_by_schema(as_of=asked.as_of, params=asked.params, **keys)})

    return await _asked(request, models.ProvenanceBySchema, work)


@_alias("/pipeline_structure", "reader", {}, {_JSON: models.PipelineStructure}, "GET")
async def pipeline_structure(request: Request) -> Response:
    """List the arrows of the current pipeline, from variable to variable."""
    db = _database(request)
    return await run_in_threadpool(lambda: _json({"structure": db.get_pipeline_structure()}))


@_alias("/has_lineage", "reader", {_JSON: models.HasLineage}, {_JSON: models.HasLineageAnswer})
async def has_lineage(request: Request) -> Response:
    """Say whether a computation made a record."""

    def work(db: ServedDatabase, asked: models.HasLineage) -> Response:
        return _json({"has_lineage": db.has_lineage(asked.record_id)})

    return await _asked(request, models.HasLineage, work)


# ------------------------------------------------------------------ requests


def _database(request: Request, asked: Answered | None = None) -> ServedDatabase:
    here = served(request)
    caller = caller_of(request)
    return ServedDatabase(
        here.store if asked is None else Keyed(here.store, here.once, asked),
        lineage_mode=here.settings.lineage_mode,
        user=None if caller is None else caller.name,
        call_id=None if asked is None else call_id_of(asked),
    )


async def _asked(request: Request, model: type[M], work: Callable[[ServedDatabase, M], Response]) -> Response:
    """Read a question, and answer it in a thread."""
    async with served(request).spool.receive(request) as body:
        return await run_in_threadpool(lambda: work(_database(request), read(body.data, model)))


async def _given(
    request: Request, meta: type[M], whole: type[M], work: Callable[[ServedDatabase, M, Any], Response]
) -> Response:
    """Read metadata and a value in either form, and store them in a thread."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()

    def store(body: Body, key: Answered | None = None) -> Response:
        db = _database(request, key)
        if media == _JSON:
            asked = read(body.data, whole)
            return work(db, asked, asked.value)  # type: ignore[attr-defined]
        length = int.from_bytes(body.data[:4], "big")
        if len(body.data) < 4 or length > len(body.data) - 4:
            raise SerializationError(f"A body of {len(body.data)} bytes cannot hold metadata of {length} bytes.")
        asked = read(body.data[4 : 4 + length], meta, "The metadata of the body")
        return work(db, asked, deserialize_data(body.data[4 + length :]))

    here = served(request)
    async with here.spool.receive(request) as body:
        if IDEMPOTENCY_KEY not in request.headers:
            return await run_in_threadpool(store, body)
        key = asked_for(request, body)
        async with here.once.turn(key):
            return await run_in_threadpool(store, body, key)


def _filters(asked: models.Load | models.LoadAll | models.Export) -> dict[str, Any]:
    where = None if asked.where is None else coder_of(Filter).read(asked.where, "where")
    return {"where": where, "exclude": asked.exclude}


# ------------------------------------------------------------------ answers


def _json(data: Any) -> Response:
    return Response(to_text(_plain(data)), media_type=_JSON)


def _plain(data: Any) -> Any:
    """Return what the facade answers as JSON types; a date as its ISO text, as a request may give it."""
    match data:
        case dt.date():
            return data.isoformat()
        case float() if not math.isfinite(data):
            return repr(data)
        case Mapping():
            return {str(name): _plain(one) for name, one in data.items()}
        case list() | tuple():
            return [_plain(one) for one in data]
    return data


def _parts_of(record: Record, kind: type[BaseModel]) -> dict[str, Any]:
    """Return those parts of a record that an answer has under the same name."""
    return {name: getattr(record, name) for name in kind.model_fields if hasattr(record, name)}


def _record(record: Record) -> dict[str, Any]:
    said = {
        **_parts_of(record, models.RecordAnswer),
        "vhash": record.record_id,
        "schema": record.schema,
        "version_keys": version_keys_of(record),
        "custom_storage": is_custom(record),
    }
    found: dict[str, Any] = _plain(said)
    return found


def _envelope(found: BaseVariable) -> Envelope:
    record = found._record  # noqa: SLF001 - what was loaded has one
    return to_envelope(found.data, None if record is None else {"record": _record(record)})


def _told(envelopes: Iterator[Envelope]) -> Iterator[list[Bytes]]:
    """Return the parts of a stream; what goes wrong once they have begun to flow is said in a part of its own."""
    try:
        yield from response_parts(envelopes)
    except SciDBError as error:
        yield part({"kind": "error", "error": error_to_json(error)})


def _stream(parts: Sequence[list[Bytes]] | Iterator[list[Bytes]], media: str) -> Response:
    return StreamingResponse(_pieces(parts), media_type=media)


def _pieces(parts: Sequence[list[Bytes]] | Iterator[list[Bytes]]) -> Iterator[memoryview]:
    for piece in itertools.chain.from_iterable(parts):
        for start in range(0, len(piece), _PIECE):
            yield memoryview(piece)[start : start + _PIECE]


def _lines(file: IO[str]) -> Iterator[bytes]:
    with file:
        while text := file.read(_PIECE):
            yield text.encode()
