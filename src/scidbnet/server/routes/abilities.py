"""What a store may offer beside its verbs: SQL, where the owner of the server allows it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from scidb.exceptions import PermissionDeniedError, SerializationError
from scidb.filters import RawFilter
from scidb.store import Wrapper
from scidb.store.stopping import stopped_in
from scidbnet.server.context import served
from scidbnet.wire.chunks import table_bytes
from scidbnet.wire.parameters import parameters_from_json
from scidbnet.wire.plain import from_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scidb.store import Sql, Store
    from scidb.store.model import Chunk, Query, Record, StoreInfo
    from scidbnet.server.context import Served
    from scidbnet.server.exchange.bodies import Body
    from scidbnet.server.settings import ServerSettings

__all__ = ["ARROW_TYPE", "TimedFilters", "WithoutSql", "router", "within"]

T = TypeVar("T")

router = APIRouter(prefix="/ability", tags=["abilities"])

ARROW_TYPE: Final = "application/vnd.apache.arrow.stream"


def within(store: Store, settings: ServerSettings) -> Store:
    """Return a store that offers what the settings allow."""
    return TimedFilters(store, settings.sql_seconds) if settings.allow_sql else WithoutSql(store)


class TimedFilters(Wrapper):
    """A store in which SQL in a filter may take no longer than SQL by itself."""

    def __init__(self, store: Store, seconds: float) -> None:
        super().__init__(store)
        self._seconds = seconds

    def find(self, query: Query[T]) -> list[T]:
        """Find in the store inside."""
        if not _has_raw_filter(query):
            return super().find(query)
        with stopped_in(self._seconds):
            return super().find(query)

    def fetch(self, query: Query[Record]) -> Iterator[Chunk]:
        """Fetch from the store inside; what its filter holds for is known before the first chunk."""
        if not _has_raw_filter(query):
            return super().fetch(query)
        with stopped_in(self._seconds):
            return super().fetch(query)


class WithoutSql(Wrapper):
    """A store that is asked no SQL, neither as such nor in a filter."""

    def describe(self) -> StoreInfo:
        """Describe the store inside, without SQL."""
        info = super().describe()
        return replace(info, abilities=tuple(ability for ability in info.abilities if ability != "sql"))

    def find(self, query: Query[T]) -> list[T]:
        """Find in the store inside, by other filters than SQL."""
        _check_filter(query)
        return super().find(query)

    def fetch(self, query: Query[Record]) -> Iterator[Chunk]:
        """Fetch from the store inside, likewise."""
        _check_filter(query)
        return super().fetch(query)

    def _sql(self) -> Sql:
        raise PermissionDeniedError(
            "SQL is off on this server. Ask with find, load_all and filters, or ask its owner for "
            "`scidb serve --allow-sql`.",
            ability="sql",
        )


def _check_filter(query: Any) -> None:
    if _has_raw_filter(query):
        raise PermissionDeniedError(
            "raw_sql filters are off on this server. Use other filters, or ask its owner for "
            "`scidb serve --allow-sql`.",
            ability="sql",
        )


def _has_raw_filter(query: Any) -> bool:
    match = getattr(query, "match", None)
    if match is None or match.where is None:
        return False
    return any(isinstance(leaf, RawFilter) for leaf in match.where.leaves())


@dataclass(frozen=True, slots=True)
class _Question:
    """A query, its parameters, and how much of an answer is wanted at most."""

    query: str
    parameters: list[object] | dict[str, object]
    max_rows: int
    max_seconds: float


@router.post("/sql")
async def sql(request: Request) -> Response:
    """Run one SELECT and answer its rows as an Arrow stream."""
    here = served(request)
    async with here.spool.receive(request) as body:
        question = _question(body, here.settings)
    return Response(await run_in_threadpool(_answer, here, question), media_type=ARROW_TYPE)


def _answer(here: Served, asked: _Question) -> memoryview:
    store: Any = here.store  # a wrapper, which says itself when there is no SQL
    table = store.sql(asked.query, asked.parameters, max_rows=asked.max_rows, max_seconds=asked.max_seconds)
    return table_bytes(table)


def _question(body: Body, settings: ServerSettings) -> _Question:
    match from_text(body.data, "The body"):
        case {"query": str(query), **others} if others.keys() <= {"parameters", "max_rows", "max_seconds"}:
            return _Question(
                query,
                parameters_from_json(others.get("parameters", [])),
                int(_limit(others, "max_rows", settings.sql_rows)),
                _limit(others, "max_seconds", settings.sql_seconds),
            )
    raise SerializationError('A query is asked as {"query": "SELECT ...", "parameters": [...]}; this is not.')


def _limit(asked: dict[Any, Any], name: str, limit: float) -> float:
    """Return what a client wants at most, which is not more than it may have."""
    wanted = asked.get(name)
    match wanted:
        case None:
            return limit
        case bool():
            pass
        case int() | float() if wanted >= 0:
            return min(wanted, limit)
    raise SerializationError(f"{name} is a number, not {str(wanted)[:40]!r}.")
