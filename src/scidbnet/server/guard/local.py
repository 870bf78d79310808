"""A server without tokens: it answers programs of this machine, and no web page in a browser of this machine."""

from __future__ import annotations

import functools
import ipaddress
import re
import urllib.parse
from typing import TYPE_CHECKING, Final

from scidb.exceptions import PermissionDeniedError
from scidbnet.wire.versions import USER

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.types import Scope

__all__ = ["check_local", "is_loopback", "said_user"]

_HOST: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9.-]{1,253}))(?::\d{1,5})?")
_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
_OWN_SITES: Final = frozenset({"", "none", "same-origin"})
_LONGEST_NAME: Final = 64


def is_loopback(host: str) -> bool:
    """Say whether only programs of this machine reach an address.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0"), is_loopback("lab")
    (True, True, False, False)

    """
    address = _address(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def check_local(scope: Scope, headers: Headers) -> None:
    """Refuse what does not come from a program of this machine.

    Raises
    ------
    PermissionDeniedError
        With the code ``forbidden``.

    """
    client = scope.get("client")
    address = _address(client[0]) if client else None
    if address is not None and not address.is_loopback:
        raise _refusal(f"the request came from {address}")
    for name in _FORWARDED:
        if name in headers:
            raise _refusal("the request came through a proxy, from somebody unknown")
    hosts = headers.getlist("host")
    found = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    if found is None or not is_loopback(found[1] or found[2]):
        # A name that leads here is what a page needs that wants to be taken for this server's own.
        raise _refusal(f"it was asked for as {', '.join(hosts)[:80]!r}, and is 127.0.0.1, [::1] or localhost")
    origin = headers.get("origin")
    if origin is not None and origin.lower() != f"{scope['scheme']}://{hosts[0]}".lower():
        raise _refusal(f"the request came from a web page of {origin[:80]!r}")
    if headers.get("sec-fetch-site", "").lower() not in _OWN_SITES:
        raise _refusal("the request came from a web page of another site")


def said_user(headers: Headers) -> str:
    """Return who the client says is working there, in a form that can be logged; or an empty text."""
    name = urllib.parse.unquote(headers.get(USER, ""))
    return name[:_LONGEST_NAME] if name.isprintable() else ""


@functools.lru_cache(maxsize=256)
def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _refusal(reason: str) -> PermissionDeniedError:
    return PermissionDeniedError(
        f"This server has no tokens, so that it answers only programs of its own machine: {reason}. To be reached by "
        "others it needs tokens: scidb token create NAME --role admin"
    )
