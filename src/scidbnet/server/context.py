"""What every route needs: the store that is served, and what goes with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from scidbnet.server.bodies import Spool
from scidbnet.server.once import Once

if TYPE_CHECKING:
    from fastapi import Request

    from scidb.store import Store
    from scidbnet.server.settings import ServerSettings

__all__ = ["Served", "served"]


@dataclass(frozen=True, slots=True)
class Served:
    """One store behind HTTP."""

    store: Store
    settings: ServerSettings
    spool: Spool
    once: Once

    @classmethod
    def of(cls, store: Store, settings: ServerSettings) -> Served:
        """Return what serves a store."""
        return cls(store, settings, Spool(settings), Once(settings.write_timeout))


def served(request: Request) -> Served:
    """Return what a request is about."""
    return cast("Served", request.app.state.served)
