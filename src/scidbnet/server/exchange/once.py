"""A write that comes twice, because its answer was lost, is stored once and gets the first answer."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from scidb.exceptions import ConflictError, SciDBError, SerializationError, ServerError
from scidb.store.model import Answer, Answered, Answers, Entries, Match
from scidbnet.server.callers import caller_of
from scidbnet.wire.versions import IDEMPOTENCY_KEY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from starlette.requests import Request

    from scidb.store import Store
    from scidb.store.model import Batch, Record
    from scidbnet.server.exchange.bodies import Body

__all__ = ["Once", "asked_for"]

_KEY: Final = re.compile(r"[\x21-\x7e]{1,200}")
_REMEMBERED: Final = 10_000


def asked_for(request: Request, body: Body) -> Answered:
    """Return under which key of which caller something is to be written.

    Raises
    ------
    SerializationError
        When there is no key. Whoever loses the answer to such a write could not send it again.

    """
    key = request.headers.get(IDEMPOTENCY_KEY, "")
    if not _KEY.fullmatch(key):
        raise SerializationError(
            f"A write needs the header {IDEMPOTENCY_KEY}: 1 to 200 visible ASCII characters that no other write has, "
            "such as a UUID. Sent again with the same key, it is stored once.",
            code="idempotency_key",
        )
    caller = caller_of(request)
    return Answered(key, body.digest, None if caller is None else caller.name)


class Once:
    """What was written under which key of which caller: in the store for a day, and the newest of them here.

    Parameters
    ----------
    patience
        Seconds that a request waits for another one with the same key to end.

    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._turns: WeakValueDictionary[tuple[str | None, str], asyncio.Lock] = WeakValueDictionary()
        self._recent: OrderedDict[tuple[str | None, str], Answer] = OrderedDict()

    @asynccontextmanager
    async def turn(self, asked: Answered) -> AsyncIterator[None]:
        """Wait until nobody else writes under this key.

        Raises
        ------
        ServerError
            When that takes too long.

        """
        lock = self._turns.setdefault((asked.user_id, asked.key), asyncio.Lock())
        try:
            async with asyncio.timeout(self._patience):
                await lock.acquire()
        except TimeoutError:
            raise ServerError(
                "This write came before and is still being stored. Ask again with the same key to learn what became "
                "of it.",
                code="still_writing",
            ) from None
        try:
            yield
        finally:
            lock.release()

    def stored(self, asked: Answered, batch: Batch, store: Store, check: Callable[[], None]) -> Sequence[Record]:
        """Store a batch unless that was done before; return its records as they were stored then.

        `check` refuses what should not be stored now; what was stored before is past that.

        Raises
        ------
        ConflictError
            When something else was stored under the same key.

        """
        known = self._recent.get((asked.user_id, asked.key))
        if known is None:
            try:
                check()
                # First, so that nothing else can go wrong with a batch that is there.
                records = store.write(replace(batch, events=(asked, *batch.events)))
            except SciDBError:
                # Asked only now, since a look-up for every write would cost more than all that come twice.
                found = store.find(Answers(asked.key, asked.user_id))
                if not found:
                    raise
                [known] = found
            else:
                self._remember(asked, records[0].timestamp if records else "")
                return records
        if known.digest != asked.digest:
            raise ConflictError(
                f"Something else was written under the key {asked.key!r}. Give each write a key of its own.",
                key=asked.key,
                code="other_body",
            )
        return _as_stored(batch, store, known.timestamp)

    def _remember(self, asked: Answered, timestamp: str) -> None:
        self._recent[asked.user_id, asked.key] = Answer(asked.key, asked.digest, asked.user_id, timestamp)
        while len(self._recent) > _REMEMBERED:
            self._recent.popitem(last=False)


def _as_stored(batch: Batch, store: Store, timestamp: str) -> list[Record]:
    """Return the records of a batch that was stored at that instant; those that are gone since as they came."""
    sent = sorted((record for chunk in batch.chunks for record in chunk.records), key=lambda record: record.seq)
    entries = store.find(Entries(Match(record_ids=tuple({record.record_id for record in sent})))) if sent else []
    found = {(one.record_id, one.seq): one for one in entries if one.timestamp == timestamp}
    return [found.get((one.record_id, one.seq)) or replace(one, timestamp=timestamp) for one in sent]
