"""Whether a server may start as it was asked to: who could reach it, and whether anybody could listen."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scidb.exceptions import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Exposure", "check_exposure"]


@dataclass(frozen=True, slots=True)
class Exposure:
    """How a server is to be reached; `notes` are what whoever starts it should know."""

    scheme: str
    notes: tuple[str, ...] = ()


def check_exposure(
    host: str,
    *,
    has_tokens: bool,
    certfile: str | Path | None = None,
    keyfile: str | Path | None = None,
    behind_proxy: bool = False,
    insecure: bool = False,
) -> Exposure:
    """Return how a server is to be reached, when that is safe, or wanted in spite of what it means.

    Examples
    --------
    >>> check_exposure("127.0.0.1", has_tokens=True)
    Exposure(scheme='http', notes=())

    Raises
    ------
    SettingsError
        When it must not start; the message says what to do.

    """
    if (certfile is None) != (keyfile is None):
        raise SettingsError("A certificate and its key go together: --ssl-certfile and --ssl-keyfile.")
    exposure = Exposure("http" if certfile is None else "https")
    if _is_loopback(host):
        return exposure
    if not has_tokens:
        raise SettingsError(
            f"Whoever reaches {host} could read and change everything: there is no valid token. Make one first "
            "(scidb token create NAME --role admin), or listen on 127.0.0.1."
        )
    if certfile is None and not behind_proxy and not insecure:
        raise SettingsError(
            f"On {host} without TLS, whoever listens on the network reads tokens and data. Give --ssl-certfile and "
            "--ssl-keyfile; or --behind-proxy, when a proxy before this server speaks TLS; or --insecure."
        )
    return exposure


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
