"""What every route needs: the store that is served, and what goes with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from scidbnet.server.callers import caller_of, on_behalf
from scidbnet.server.exchange.bodies import Spool
from scidbnet.server.exchange.once import Once
from scidbnet.server.exchange.works import Works
from scidbnet.server.guard.lifecycle import Lifecycle
from scidbnet.server.guard.metrics import Metrics

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
    format_version: int
    settings: ServerSettings
    spool: Spool
    lifecycle: Lifecycle
    metrics: Metrics | None  # without the extra that counts
    once: Once
    works: Works
    tokens: TokenFile | None = None

    @classmethod
    def of(cls, store: Store, settings: ServerSettings, tokens: TokenFile | None = None) -> Served:
        """Return what serves a store."""
        spool, lifecycle = Spool(settings), Lifecycle()
        metrics = Metrics.of(spool, lifecycle)
        once = Once(settings.write_timeout)
        version = store.describe().format_version
        return cls(store, version, settings, spool, lifecycle, metrics, once, Works(), tokens)


def served(request: Request) -> Served:
    """Return what a request is about: the store as whoever asks may use it."""
    here = cast("Served", request.app.state.served)
    store = on_behalf(here.store, caller_of(request))
    return here if store is here.store else replace(here, store=store)
