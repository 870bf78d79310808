"""Whether a server may start as it was asked to: who could reach it, and whether anybody could listen."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scidb.exceptions import SettingsError
from scidbnet.server.guard.local import is_loopback

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Exposure", "check_certificate", "check_exposure"]


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

    Parameters
    ----------
    host
        The address to listen on.
    has_tokens
        Whether any token is valid.
    certfile, keyfile
        The certificate and its key, for TLS.
    behind_proxy
        Something in front of the server speaks TLS for it.
    insecure
        Whoever starts it wants no TLS all the same.

    Examples
    --------
    >>> check_exposure("127.0.0.1", has_tokens=True)
    Exposure(scheme='http', notes=())

    Raises
    ------
    SettingsError
        When it must not start; the message says what to do.

    """
    is_local = is_loopback(host)
    if (certfile is None) != (keyfile is None):
        missing = "--ssl-keyfile" if keyfile is None else "--ssl-certfile"
        raise SettingsError(f"A certificate and its key go together; {missing} is missing.")
    if not has_tokens and not is_local:
        raise SettingsError(
            f"Whoever reaches {host or 'this machine'} could read and change everything: there is no valid token. "
            "Make one first (scidb token create NAME --role admin), or listen on 127.0.0.1."
        )
    if not has_tokens and behind_proxy:
        raise SettingsError(
            "Whoever reaches the proxy could read and change everything: there is no valid token. Make one first "
            "(scidb token create NAME --role admin)."
        )
    if certfile is None and not is_local and not behind_proxy and not insecure:
        raise SettingsError(
            f"On {host or 'all addresses'} without TLS, whoever listens on the network reads tokens and data. Give "
            "--ssl-certfile and --ssl-keyfile; or --behind-proxy, when a proxy before this server speaks TLS; or "
            "--insecure, when the network itself is encrypted (a VPN) or everybody on it may read all."
        )
    return Exposure(
        "http" if certfile is None else "https", tuple(_notes(is_local, has_tokens, certfile, behind_proxy))
    )


def _notes(is_local: bool, has_tokens: bool, certfile: object, behind_proxy: bool) -> list[str]:
    notes = []
    if not has_tokens:
        notes.append(
            "There are no tokens: everybody with an account on this machine can read and change everything, under any "
            "name. To tell people apart: scidb token create NAME --role writer"
        )
    if behind_proxy:
        notes.append(
            "Behind a proxy: it must speak TLS, and it alone must reach this server; the addresses in the audit are "
            "those that it tells."
        )
    elif certfile is None and not is_local:
        notes.append("Insecure: whoever listens on the network reads tokens and data, and can then do what they allow.")
    return notes


def check_certificate(certfile: str | Path, keyfile: str | Path) -> None:
    """Try a certificate and its key before the server starts with them.

    Raises
    ------
    SettingsError
        When they cannot be read, or do not belong together.

    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certfile, keyfile)
    except OSError as error:  # which an ssl.SSLError is, too
        raise SettingsError(
            f"--ssl-certfile {certfile} and --ssl-keyfile {keyfile} cannot be used: {error.strerror or error}. Both "
            "are PEM files, the key without a password."
        ) from error
