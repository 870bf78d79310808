"""Work that takes long, asked for once more because the answer was late or lost: it is done once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Final

from starlette.concurrency import run_in_threadpool

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["Works"]

_REMEMBERED: Final = 16


class Works:
    """What runs for callers, and the newest answers, by the key under which each was asked for."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, asyncio.Task[bytes]] = OrderedDict()

    async def answer(self, key: Hashable | None, work: Callable[[], bytes]) -> bytes:
        """Return what the work gives, which goes on when nobody waits any more; without a key it is not remembered.

        What failed is done again when it is asked for again.
        """
        if key is None:
            return await run_in_threadpool(work)
        task = self._known.get(key)
        if task is None:
            task = self._known[key] = asyncio.create_task(run_in_threadpool(work))
            task.add_done_callback(partial(self._end, key))
        return await asyncio.shield(task)

    def _end(self, key: Hashable, task: asyncio.Task[bytes]) -> None:
        if task.cancelled() or task.exception() is not None:
            del self._known[key]
        done = [one for one, other in self._known.items() if other.done()]
        for one in done[:-_REMEMBERED]:
            del self._known[one]
