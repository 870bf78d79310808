"""Whether a server may start: never so that somebody gets in whom nobody meant to let in."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from scidb.exceptions import SettingsError
from scidbnet.server.guard.exposure import check_certificate, check_exposure

if TYPE_CHECKING:
    from pathlib import Path

TLS: dict[str, Any] = {"certfile": "lab.pem", "keyfile": "lab.key"}
ELSEWHERE = ["0.0.0.0", "::", "", "192.168.1.5", "lab.example.org", "127.0.0.1.example.org", "localhost.example.org"]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost", "LOCALHOST"])
def test_on_this_machine_anything_goes(host: str) -> None:
    """N4: without tokens and TLS a server listens on this machine alone, and says what that means."""
    assert check_exposure(host, has_tokens=True).notes == ()
    [note] = check_exposure(host, has_tokens=False).notes
    assert "everybody with an account on this machine" in note


@pytest.mark.parametrize("host", ELSEWHERE)
def test_elsewhere_without_tokens_it_does_not_start(host: str) -> None:
    """N4: no flag makes a server without tokens reachable by others; the error says how to make one."""
    choices: list[tuple[dict[str, Any], ...]] = [({}, TLS), ({}, {"behind_proxy": True}), ({}, {"insecure": True})]
    for options in itertools.product(*choices):
        given = {name: value for option in options for name, value in option.items()}
        with pytest.raises(SettingsError, match="scidb token create NAME --role admin"):
            check_exposure(host, has_tokens=False, **given)


@pytest.mark.parametrize("host", ELSEWHERE)
def test_elsewhere_without_tls_it_starts_only_on_purpose(host: str) -> None:
    """Tokens in clear text need a flag that says why, and are named by what they mean."""
    with pytest.raises(SettingsError, match=r"--ssl-certfile.*--behind-proxy.*--insecure"):
        check_exposure(host, has_tokens=True)
    assert check_exposure(host, has_tokens=True, **TLS).scheme == "https"
    assert check_exposure(host, has_tokens=True, **TLS).notes == ()
    [proxied] = check_exposure(host, has_tokens=True, behind_proxy=True).notes
    [insecure] = check_exposure(host, has_tokens=True, insecure=True).notes
    assert "must speak TLS" in proxied
    assert "reads tokens and data" in insecure


def test_a_proxy_makes_loopback_reachable() -> None:
    """Through a proxy everybody comes from this machine, so that tokens are needed there, too."""
    with pytest.raises(SettingsError, match="reaches the proxy"):
        check_exposure("127.0.0.1", has_tokens=False, behind_proxy=True)


@pytest.mark.parametrize(("given", "missing"), [("certfile", "--ssl-keyfile"), ("keyfile", "--ssl-certfile")])
def test_certificate_and_key_go_together(given: str, missing: str) -> None:
    """One without the other is an error that names the other."""
    with pytest.raises(SettingsError, match=missing):
        check_exposure("127.0.0.1", has_tokens=True, **{given: "lab.pem"})  # type: ignore[arg-type]


def test_a_certificate_that_is_none(tmp_path: Path) -> None:
    """Files that are missing or hold something else are an error before the server starts."""
    (tmp_path / "lab.pem").write_text("no certificate")
    for name in ("lab.pem", "missing.pem"):
        with pytest.raises(SettingsError, match=name):
            check_certificate(tmp_path / name, tmp_path / name)
