"""Who computes what: claims on computations, kept in memory while the server runs."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from scidb.exceptions import LimitExceededError, SerializationError
from scidb.store import Wrapper
from scidb.store.model import Failed
from scidbnet.server.callers import caller_of
from scidbnet.server.context import served
from scidbnet.wire.claims import ClaimAsked, Claimed
from scidbnet.wire.coding import dump, load
from scidbnet.wire.plain import from_text, to_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scidb.store import Claims, Store
    from scidb.store.model import Batch, Record, StoreInfo

__all__ = ["Claiming", "router"]

router = APIRouter(prefix="/ability/claims", tags=["abilities"])

_LONGEST: Final = 600.0
_MOST: Final = 100_000
_NAME: Final = 400


class _Claim(NamedTuple):
    owner: str
    until: float


class Claiming(Wrapper):
    """A store that knows who computes what.

    Parameters
    ----------
    store
        The store inside, which knows nothing of it: after a restart nobody has a claim.
    most
        How many claims are kept at a time.
    clock
        Seconds that never go back.

    """

    def __init__(self, store: Store, most: int = _MOST, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(store)
        self._most, self._clock = most, clock
        self._lock = threading.Lock()
        self._held: dict[str, _Claim] = {}

    def describe(self) -> StoreInfo:
        """Describe the store inside, with the ability to claim."""
        info = super().describe()
        return replace(info, abilities=(*info.abilities, "claims"))

    def write(self, batch: Batch) -> list[Record]:
        """Write to the store inside; of what has a result then, nobody needs a claim."""
        records = super().write(batch)
        ended = [call.computation.lineage_id for call in batch.calls]
        ended += [event.lineage_id for event in batch.events if isinstance(event, Failed) and event.lineage_id]
        with self._lock:
            for lineage_id in ended:
                self._held.pop(lineage_id, None)
        return records

    def claim(
        self, lineage_ids: Sequence[str], owner: str, seconds: float = 60.0, *, most: int | None = None
    ) -> list[str]:
        """Claim computations that are free, or whose claim has run out."""
        _check(lineage_ids, owner, seconds)
        with self._lock:
            now = self._clock()
            obtained: list[str] = []
            for lineage_id in lineage_ids:
                if most is not None and len(obtained) >= most:
                    break
                held = self._held.get(lineage_id)
                if held is None or held.owner == owner or held.until <= now:
                    if held is None and len(self._held) >= self._most:
                        self._forget(now)
                    self._held[lineage_id] = _Claim(owner, now + seconds)
                    obtained.append(lineage_id)
            return obtained

    def renew(self, lineage_ids: Sequence[str], owner: str, seconds: float = 60.0) -> list[str]:
        """Keep claims that nobody else has got meanwhile."""
        _check(lineage_ids, owner, seconds)
        with self._lock:
            kept = [one for one in lineage_ids if self._is_of(one, owner)]
            self._held |= dict.fromkeys(kept, _Claim(owner, self._clock() + seconds))
            return kept

    def release(self, lineage_ids: Sequence[str], owner: str) -> None:
        """Give claims up."""
        with self._lock:
            for lineage_id in lineage_ids:
                if self._is_of(lineage_id, owner):
                    del self._held[lineage_id]

    def _is_of(self, lineage_id: str, owner: str) -> bool:
        held = self._held.get(lineage_id)
        return held is not None and held.owner == owner

    def _forget(self, now: float) -> None:
        self._held = {one: held for one, held in self._held.items() if held.until > now}
        if len(self._held) >= self._most:
            raise LimitExceededError(f"More than {self._most} computations are claimed.", limit=self._most)


def _check(lineage_ids: Sequence[str], owner: str, seconds: float) -> None:
    if not 0 < seconds <= _LONGEST:
        raise LimitExceededError(
            f"A claim is for {_LONGEST:g} s at most, not for {seconds!r}; renew it.", limit=_LONGEST
        )
    longest = max(map(len, (owner, *lineage_ids)))
    if longest > _NAME:
        raise LimitExceededError(f"A name of {longest} characters is longer than {_NAME}.", limit=_NAME)


@router.post("/claim")
async def claim(request: Request) -> Response:
    """Claim computations, so that nobody else computes them for a while."""
    return await _answer(request, lambda claims, one: claims.claim(*_of(one), most=one.most))


@router.post("/renew")
async def renew(request: Request) -> Response:
    """Keep claims for longer."""
    return await _answer(request, lambda claims, one: claims.renew(*_of(one)))


@router.post("/release")
async def release(request: Request) -> Response:
    """Give claims up."""

    def give_up(claims: Claims, one: ClaimAsked) -> Sequence[str]:
        claims.release(one.lineage_ids, one.owner)
        return ()

    return await _answer(request, give_up)


def _of(asked: ClaimAsked) -> tuple[Sequence[str], str, float]:
    return asked.lineage_ids, asked.owner, asked.seconds


async def _answer(request: Request, work: Callable[[Claims, ClaimAsked], Sequence[str]]) -> Response:
    here = served(request)
    async with here.spool.receive(request) as body:
        asked = load(from_text(body.data, "The body"), ClaimAsked, "claims")
    if not asked.owner:
        raise SerializationError("A claim has an owner: a text that no other process has.")
    caller = caller_of(request)
    # Nobody gets at the claims of another caller, whatever he calls himself.
    owned = replace(asked, owner=f"{'' if caller is None else caller.name}/{asked.owner}")
    obtained = await run_in_threadpool(work, cast("Claims", here.store), owned)
    return Response(to_text(dump(Claimed(tuple(obtained)))), media_type="application/json")
