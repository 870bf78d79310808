"""How much one caller may ask for: requests at once, and failed attempts to log in."""

from __future__ import annotations

import functools
import ipaddress
import math
import time
from collections import Counter, OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from scidb.exceptions import LimitExceededError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

__all__ = ["AtOnce", "FailedLogins", "network_of"]

_WINDOW: Final = 60.0
_REMEMBERED: Final = 10_000
_IPV6_PREFIX: Final = 64  # one customer has all addresses behind it


class AtOnce:
    """How many requests each caller has under way. Used by one event loop, so no lock is needed."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._under_way: Counter[Hashable] = Counter()

    @contextmanager
    def one_more(self, caller: Hashable) -> Iterator[None]:
        """Count a request while it is under way.

        Raises
        ------
        LimitExceededError
            With the code ``too_many_requests``, when there are too many.

        """
        if self._under_way[caller] >= self._limit:
            raise LimitExceededError(
                f"With this token, {self._limit} requests are under way already. Try again when some have ended.",
                code="too_many_requests",
                limit=self._limit,
                seconds=1,
            )
        self._under_way[caller] += 1
        try:
            yield
        finally:
            self._under_way[caller] -= 1
            if not self._under_way[caller]:
                del self._under_way[caller]


class FailedLogins:
    """Who failed to log in lately, by address and token: nobody guesses on, and nobody locks others out.

    Only so many are remembered, the oldest of them given up first.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic, remembered: int = _REMEMBERED) -> None:
        self._limit, self._clock, self._remembered = limit, clock, remembered
        self._failed: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()

    def check(self, who: Hashable) -> None:
        """Refuse who failed too often in the last minute, whether right this time or not.

        Raises
        ------
        LimitExceededError
            With the code ``too_many_requests``, and the seconds to wait.

        """
        since, count = self._failed.get(who, (0.0, 0))
        left = since + _WINDOW - self._clock()
        if count >= self._limit and left > 0:
            raise LimitExceededError(
                f"{count} attempts with a wrong token came from this address. Try again in {math.ceil(left)} s, with "
                "the right one.",
                code="too_many_requests",
                limit=self._limit,
                seconds=math.ceil(left),
            )

    def add(self, who: Hashable) -> None:
        """Note an attempt that failed."""
        now = self._clock()
        since, count = self._failed.pop(who, (now, 0))
        if since + _WINDOW <= now:
            since, count = now, 0
        self._failed[who] = (since, count + 1)
        while len(self._failed) > self._remembered:
            self._failed.popitem(last=False)


@functools.lru_cache(maxsize=1024)
def network_of(address: str) -> str:
    """Return what stands for whoever has an address: all of IPv4, the first half of IPv6.

    Examples
    --------
    >>> network_of("192.0.2.7"), network_of("2001:db8::7")
    ('192.0.2.7', '2001:db8::/64')

    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address) or found.ipv4_mapped is not None:
        return str(found)
    return str(ipaddress.ip_network((found, _IPV6_PREFIX), strict=False))
