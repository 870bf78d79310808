"""What every route needs: the store that is served, and what goes with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from scidbnet.server.bodies import Spool
from scidbnet.server.callers import caller_of, on_behalf

if TYPE_CHECKING:
    from fastapi import Request

    from scidb.store import Store
    from scidbnet.auth import TokenFile
    from scidbnet.server.settings import ServerSettings

__all__ = ["Served", "served"]


@dataclass(frozen=True, slots=True)
class Served:
    """One store behind HTTP."""

    store: Store
    settings: ServerSettings
    spool: Spool
    tokens: TokenFile | None = None

    @classmethod
    def of(cls, store: Store, settings: ServerSettings, tokens: TokenFile | None = None) -> Served:
        """Return what serves a store."""
        return cls(store, settings, Spool(settings), tokens)


def served(request: Request) -> Served:
    """Return what a request is about: the store as whoever asks may use it."""
    here = cast("Served", request.app.state.served)
    return replace(here, store=on_behalf(here.store, caller_of(request)))
