"""The description of the interface: what FastAPI knows of the routes, and what they read, answer and refuse.

Bodies are described by the coders that read them, so that what is described is what is checked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from fastapi import APIRouter, FastAPI, Request, Response

from scidb.store.model import Call, Checked, Compaction, Edge, Removal, Removed, StoreInfo, TypeInfo
from scidbnet.auth import TokenInfo
from scidbnet.server.routes.abilities import ARROW_TYPE
from scidbnet.server.routes.pages import docs_page
from scidbnet.server.routes.tokens import TokenWanted
from scidbnet.wire.claims import ClaimAsked, Claimed
from scidbnet.wire.coding import coder_of
from scidbnet.wire.errors import STATUS
from scidbnet.wire.framing import PARTS_TYPE
from scidbnet.wire.maintenance import CheckAsked
from scidbnet.wire.messages import EVENTS, FETCHED, QUERIES, ROWS, TRACE_QUERY
from scidbnet.wire.plain import to_text
from scidbnet.wire.snapshots import KNOWN_TYPE
from scidbnet.wire.versions import DESCRIPTION, IDEMPOTENCY_KEY, PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["OPERATIONS", "Described", "Operation", "router"]

Json: TypeAlias = dict[str, Any]

router = APIRouter(include_in_schema=False)

_JSON: Final = "application/json"
_TEXT: Final = "text/plain"


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}


def _binary(text: str) -> Json:
    return {"type": "string", "format": "binary", "description": text}


def _object(**properties: Json) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


@dataclass(frozen=True, slots=True)
class Operation:
    """What one route reads and answers: schemas by media type, and the headers that it looks at."""

    answer: Mapping[str, Json]
    body: Mapping[str, Json] = field(default_factory=dict)
    headers: tuple[str, ...] = ()


_HEADERS: Final = {
    DESCRIPTION: "Which state of the schema the client goes by, as an answer told it; another one is refused (409).",
    IDEMPOTENCY_KEY: "A text that is new for every write; sent again with the same body, nothing is stored twice.",
}
_TEXTS: Final = {"type": "string"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_COLUMNS: Final = {"type": "object", "additionalProperties": _ref("Column")}

OPERATIONS: Final[Mapping[str, Operation]] = {
    "GET /health": Operation(
        {
            _JSON: _object(
                status={"const": "ok"},
                version=_TEXTS,
                api_version={"type": "integer"},
                format_version={"type": "integer"},
                lineage_mode={"enum": ["strict", "ephemeral"]},
            )
        }
    ),
    "GET /ready": Operation({_JSON: _object(status={"const": "ready"})}),
    "GET /metrics": Operation({_TEXT: {"type": "string"}}),
    "GET /tokens": Operation({_JSON: _list(_ref("TokenInfo"))}),
    "POST /tokens": Operation({_JSON: _object(token=_TEXTS, info=_ref("TokenInfo"))}, {_JSON: _ref("TokenWanted")}),
    "DELETE /tokens/{which}": Operation({_JSON: _list(_ref("TokenInfo"))}),
    "GET /store/describe": Operation({_JSON: _ref("StoreInfo")}),
    "GET /store/types": Operation({_JSON: _list(_ref("TypeInfo"))}),
    "POST /store/register": Operation({_JSON: _ref("TypeInfo")}, {_JSON: _ref("TypeInfo")}),
    "POST /store/write": Operation(
        {_JSON: _object(count=_COUNT, timestamp=_TEXTS, differ=_COLUMNS)},
        {
            PARTS_TYPE: _binary(
                "The length of the metadata in 4 bytes, the metadata as JSON (WriteMetadata), the parts."
            )
        },
        (IDEMPOTENCY_KEY, DESCRIPTION),
    ),
    "POST /store/find": Operation({_JSON: _ref("Answer")}, {_JSON: _ref("Query")}, (DESCRIPTION,)),
    "POST /store/fetch": Operation(
        {PARTS_TYPE: _binary("Chunks of records with their data, as parts.")}, {_JSON: _ref("Fetched")}, (DESCRIPTION,)
    ),
    "POST /store/trace": Operation({_JSON: _ref("Trace")}, {_JSON: _ref("TraceQuery")}, (DESCRIPTION,)),
    **{
        f"POST /ability/claims/{action}": Operation({_JSON: _ref("Claimed")}, {_JSON: _ref("ClaimAsked")})
        for action in ("claim", "renew", "release")
    },
    "POST /ability/maintenance/check": Operation({_JSON: _ref("Checked")}, {_JSON: _ref("CheckAsked")}),
    "POST /ability/snapshot": Operation(
        {PARTS_TYPE: _binary("What the snapshot is, then its blocks, as parts: `snapshot`, and `pieces`.")},
        {KNOWN_TYPE: _binary("The SHA-256 digests of the blocks that the client has, 32 bytes each.")},
    ),
    **{
        f"POST /ability/maintenance/{action}": Operation({_JSON: _ref("Removed")}, {_JSON: _ref("Removal")})
        for action in ("prune", "erase")
    },
    "POST /ability/maintenance/compact": Operation({_JSON: _ref("Compaction")}, {_JSON: _object()}),
    "POST /ability/sql": Operation({ARROW_TYPE: _binary("The rows, as an Arrow IPC stream.")}, {_JSON: _ref("Sql")}),
}
"""What each route reads and answers, by method and path; a route that is not here declares that itself."""


def _schemas() -> Json:
    """Return the schemas that operations refer to."""
    rows = [_list(kind.schema()) for kind in ROWS]
    anything: Json = {}
    return {
        "StoreInfo": coder_of(StoreInfo).schema(),
        "TypeInfo": coder_of(TypeInfo).schema(),
        "Query": QUERIES.schema(),
        "Fetched": FETCHED.schema(),
        "TraceQuery": TRACE_QUERY.schema(),
        "Checked": coder_of(Checked).schema(),
        "CheckAsked": coder_of(CheckAsked).schema(),
        **{kind.__name__: coder_of(kind).schema() for kind in (Removal, Removed, Compaction)},
        "ClaimAsked": coder_of(ClaimAsked).schema(),
        "Claimed": coder_of(Claimed).schema(),
        "Event": EVENTS.schema(),
        "Call": coder_of(Call).schema(),
        "Edge": coder_of(Edge).schema(),
        "TokenInfo": coder_of(TokenInfo).schema(),
        "TokenWanted": coder_of(TokenWanted).schema(),
        "Sql": {
            "type": "object",
            "properties": {
                "query": {**_TEXTS, "description": "One SELECT."},
                "parameters": {"description": "What its placeholders stand for, in order or by name."},
                "max_rows": _COUNT,
                "max_seconds": {"type": "number", "exclusiveMinimum": 0},
            },
            "required": ["query"],
            "additionalProperties": False,
        },
        "WriteMetadata": {
            "type": "object",
            "properties": {
                "calls": _list(_ref("Call")),
                "edges": _list(_ref("Edge")),
                "events": _list(_ref("Event")),
            },
            "additionalProperties": False,
        },
        "Column": {
            "description": "A value for each record, or the one that all of them have.",
            "anyOf": [{"type": "array"}, _object(all=anything)],
        },
        "Records": {
            "description": "Records by column; `schema` has a column for each schema key.",
            **_object(count=_COUNT, columns=_COLUMNS, schema=_COLUMNS),
        },
        "Answer": {"oneOf": [_object(records=_ref("Records")), _object(rows={"anyOf": rows})]},
        "Trace": _object(
            calls=_list(_ref("Call")),
            records=_ref("Records"),
            edges=_list(_ref("Edge")),
        ),
        "Error": _object(
            **{
                "code": {**_TEXTS, "description": "What happened, in one word."},
                "class": {**_TEXTS, "description": "The code of the exception that a client raises."},
                "message": {**_TEXTS, "description": "What happened, what was expected, and what to do."},
                "details": {"type": "object", "description": "Plain data about it."},
            }
        ),
    }


# ------------------------------------------------------------------ errors

_WORDS: Final = {
    400: "The request cannot be meant: a wrong value, or a body that is not what it should be.",
    401: "The token is missing, unknown, expired or revoked.",
    403: "The token does not allow this, or the request comes from where none is taken.",
    404: "There is no such thing.",
    405: "The server does not do this, or not by this method.",
    408: "The request took longer than the server allows.",
    409: "It contradicts what the database holds now.",
    411: "The request does not say how long it is.",
    413: "It is longer than the server takes.",
    415: "The body is of another media type than expected.",
    429: "Too many requests at once. Retry-After says when to come back.",
    431: "The headers are longer than the server takes.",
    500: "The server failed; its log says why.",
    503: "The server starts, stops, or is not able to answer now. Retry-After says when to come back.",
    507: "The database cannot be written: the disk is full, or the file is read-only.",
}
_OF_EVERY_ROUTE: Final = (400, 403, 405, 429, 500, 503)
_OPEN: Final = ("/health", "/ready")


def _errors(statuses: tuple[int, ...]) -> Json:
    return {str(status): _error(status) for status in statuses}


def _error(status: int) -> Json:
    codes = sorted(code for code, its in STATUS.items() if its == status)
    said = f"{_WORDS[status]} Codes: {', '.join(codes)}." if codes else _WORDS[status]
    found: Json = {"description": said, "content": {_JSON: {"schema": _ref("Error")}}}
    if status in {429, 503}:
        found["headers"] = {"Retry-After": {"schema": {"type": "string"}, "description": "Seconds to wait."}}
    return found


# ------------------------------------------------------------------ the whole


_ABOUT: Final = f"""A SciDB database behind HTTP.

Small things are JSON. Data travel as `{PARTS_TYPE}`: parts, each a length in 4 bytes (big-endian) and an envelope;
an envelope is the length of its header in 4 bytes, the header as JSON, and a body. The header says what `kind` of part
it is: a `chunk` of records (`records` by column, and `nbytes` of an Arrow IPC stream, of which the body holds the first
slice), `more` of it, an `error`, or the `end`, with the `count` of parts before it: a stream without it was cut.

Every error has the same form, whatever its status.
"""


# Of the errors that FastAPI would answer by itself.
_UNUSED: Final = ("HTTPValidationError", "ValidationError")


class Described(FastAPI):
    """An application that describes all that its routes read, answer and refuse."""

    def openapi(self) -> Json:
        """Return the description."""
        if self.openapi_schema is None:
            found = super().openapi()
            found["info"]["description"] = _ABOUT
            for method, path, operation in _operations(found):
                _complete(method, path.removeprefix(PREFIX), operation, found["paths"][path])
            components = found.setdefault("components", {})
            components["schemas"] = {**components.get("schemas", {}), **_schemas()}
            for name in _UNUSED:
                components["schemas"].pop(name, None)
            token = {"type": "http", "scheme": "bearer", "description": "A token, as `scidb token create` shows it."}
            components["securitySchemes"] = {"token": token}
        return self.openapi_schema or {}


def _operations(description: Json) -> Iterator[tuple[str, str, Json]]:
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def _complete(method: str, path: str, operation: Json, methods: Json) -> None:
    """Add to an operation what is not said where its route is made."""
    words = path.strip("/").replace("{", "").replace("}", "").replace("/", "_")
    operation["operationId"] = words if len(methods) == 1 else f"{method.lower()}_{words}"
    answers = operation["responses"]
    answers.pop("422", None)  # every mistake in a request is a 400
    known = OPERATIONS.get(f"{method} {path}")
    if known is not None:
        answers["200"] = {"description": operation["description"], "content": _content(known.answer)}
        if known.body:
            operation["requestBody"] = {"required": True, "content": _content(known.body)}
        if known.headers:
            operation["parameters"] = [
                {
                    "name": name,
                    "in": "header",
                    "required": name == IDEMPOTENCY_KEY,
                    "schema": _TEXTS,
                    "description": _HEADERS[name],
                }
                for name in known.headers
            ]
    statuses = _OF_EVERY_ROUTE if path in _OPEN else tuple(_WORDS)
    operation["responses"] = {**answers, **_errors(statuses)}
    # Without any token on this machine alone, so that none is a choice, too.
    operation["security"] = [] if path in _OPEN else [{"token": []}, {}]


def _content(schemas: Mapping[str, Json]) -> Json:
    return {media: {"schema": schema} for media, schema in schemas.items()}


@router.get("/openapi.json")
async def openapi_json(request: Request) -> Response:
    """Give the description of the interface."""
    root: str = request.scope.get("root_path", "")
    found = request.app.openapi()
    return Response(to_text({**found, "servers": [{"url": root}]} if root else found), media_type=_JSON)


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Show the description of the interface as a page, which needs nothing from elsewhere."""
    # What the page may do, should a text in it ever be what it should not.
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return Response(docs_page(request.app.openapi()), headers=headers, media_type="text/html; charset=utf-8")
