"""The routes of tokens, for admins: those who may also make them beside the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from scidb.exceptions import UnsupportedOperationError
from scidbnet.server.context import served
from scidbnet.wire.coding import dump, load
from scidbnet.wire.plain import from_text, to_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from scidbnet.auth import NewToken, TokenFile

__all__ = ["TokenWanted", "router"]

router = APIRouter(prefix="/tokens", tags=["tokens"])


@dataclass(frozen=True, slots=True)
class TokenWanted:
    """What is asked for."""

    name: str
    role: str
    expires: str


@router.get("")
async def list_tokens(request: Request) -> Response:
    """List every token that was made, without secrets."""
    tokens = _tokens(request)
    return await _answer(lambda: [dump(info) for info in tokens.infos()])


@router.post("")
async def create_token(request: Request) -> Response:
    """Make a token. It is answered once, and cannot be seen again."""
    tokens = _tokens(request)
    async with served(request).spool.receive(request) as body:
        wanted: TokenWanted = load(from_text(body.data, "The body"), TokenWanted, "token")
    return await _answer(lambda: _shown(tokens.create(wanted.name, wanted.role, wanted.expires)))


@router.delete("/{which:path}")
async def revoke_tokens(request: Request, which: str) -> Response:
    """Let a token, by its id, or all tokens of a name be valid no more."""
    tokens = _tokens(request)
    return await _answer(lambda: [dump(info) for info in tokens.revoke(which)])


def _shown(made: NewToken) -> dict[str, Any]:
    return {"token": made.token, "info": dump(made.info)}


def _tokens(request: Request) -> TokenFile:
    tokens = served(request).tokens
    if tokens is None:
        raise UnsupportedOperationError(
            "This server keeps no tokens, because its database is no file. Serve a file: scidb serve study.duckdb",
            ability="tokens",
        )
    return tokens


async def _answer(work: Callable[[], Any]) -> Response:
    text = await run_in_threadpool(lambda: to_text(work()))
    # Not even a proxy in between may keep a secret.
    return Response(text, media_type="application/json", headers={"Cache-Control": "no-store"})
