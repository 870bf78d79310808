"""Whether a server may listen where it is told to."""

from __future__ import annotations

import ipaddress

from scidb.exceptions import SettingsError

__all__ = ["check_exposure"]


def check_exposure(host: str, *, has_tokens: bool, has_tls: bool, behind_proxy: bool, insecure: bool) -> None:
    """Refuse to let others than this machine in without tokens, or to let tokens travel readably unasked.

    Examples
    --------
    >>> check_exposure("127.0.0.1", has_tokens=False, has_tls=False, behind_proxy=False, insecure=False)

    Raises
    ------
    SettingsError
        When it may not start.

    """
    if _is_loopback(host):
        return
    if not has_tokens:
        raise SettingsError(
            f"Without tokens, everyone who reaches {host} could read and change the database. Make one first: "
            "scidb token create NAME --role writer. Or listen on this machine alone: --host 127.0.0.1.",
            host=host,
        )
    if not (has_tls or behind_proxy or insecure):
        raise SettingsError(
            f"Without TLS, everyone on the network between {host} and its clients can read tokens and data. Give "
            "--ssl-certfile and --ssl-keyfile; or say --behind-proxy where a proxy does TLS, or --insecure to go "
            "without, in a network that you trust.",
            host=host,
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
