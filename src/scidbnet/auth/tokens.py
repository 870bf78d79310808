"""Tokens: what is handed out, what of it is kept, and how the two are compared."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Final, Protocol

from scidb.database.pruning import duration
from scidb.exceptions import PermissionDeniedError, SettingsError
from scidbnet.auth.roles import Caller, Role

__all__ = [
    "NEVER",
    "KeptToken",
    "NewToken",
    "TokenInfo",
    "Tokens",
    "expiry_from",
    "new_token",
    "split_token",
    "unauthenticated",
]

NEVER: Final = "never"
"""What to say for a token that does not expire."""

_ID_BYTES: Final = 4
_SECRET_BYTES: Final = 32
_SALT_BYTES: Final = 16
_FORM: Final = re.compile(r"scidb_([0-9a-f]{8})_([0-9a-f]{64})")
_LIKE_AN_ID: Final = re.compile(r"[0-9a-f]{8}")
_LONGEST_NAME: Final = 64


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """What may be known of a token: everything but its secret. Times are in UTC, as ISO 8601 writes them."""

    token_id: str
    name: str
    role: str
    created: str
    expires: str | None = None
    revoked: str | None = None

    def state(self, now: dt.datetime) -> str:
        """Return ``valid``, ``expired`` or ``revoked``."""
        if self.revoked is not None:
            return "revoked"
        expired = self.expires is not None and dt.datetime.fromisoformat(self.expires) <= now
        return "expired" if expired else "valid"


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that was just made: the only time that it can be seen."""

    token: str = field(repr=False)
    info: TokenInfo


class Tokens(Protocol):
    """Where tokens are kept: a file, or a server that keeps it."""

    def create(self, name: str, role: str, expires: str) -> NewToken:
        """Make a token and keep what is needed to recognise it."""
        ...

    def infos(self) -> list[TokenInfo]:
        """Return every token that was made, in that order."""
        ...

    def revoke(self, which: str) -> list[TokenInfo]:
        """Let a token, by its id, or all tokens of a name be valid no more; return them."""
        ...


@dataclass(frozen=True, slots=True)
class KeptToken:
    """What is kept of a token. Who reads it cannot make the token from it."""

    info: TokenInfo
    salt: str
    digest: str  # SHA-256 of salt and secret

    def caller(self, secret: str, now: dt.datetime) -> Caller:
        """Return who shows this secret.

        Raises
        ------
        PermissionDeniedError
            With the code ``unauthenticated``, when it is another one, or the token is not valid any more.

        """
        if not hmac.compare_digest(_digest(self.salt, secret), self.digest):
            raise unauthenticated("This token is not known here.")
        # Only whoever has the secret learns what became of the token.
        state = self.info.state(now)
        if state != "valid":
            when = self.info.revoked or self.info.expires
            raise unauthenticated(f"The token of {self.info.name!r} was {_SAID[state]} at {when}.")
        return Caller(self.info.name, Role[self.info.role.upper()], is_verified=True, token_id=self.info.token_id)


_SAID: Final = {"revoked": "revoked", "expired": "valid until it expired"}


def new_token(name: str, role: str, expires: str, now: dt.datetime) -> tuple[NewToken, KeptToken]:
    """Make a token: what is handed out, and what is kept.

    Raises
    ------
    SettingsError
        When name, role or expiry cannot be meant.

    """
    _check_name(name)
    token_id, secret, salt = (secrets.token_hex(length) for length in (_ID_BYTES, _SECRET_BYTES, _SALT_BYTES))
    info = TokenInfo(token_id, name, str(Role.named(role)), _text(now), expiry_from(expires, now))
    return NewToken(f"scidb_{token_id}_{secret}", info), KeptToken(info, salt, _digest(salt, secret))


def split_token(token: str) -> tuple[str, str]:
    """Return the id and the secret of a token; of anything else, two empty texts.

    Examples
    --------
    >>> split_token("scidb_0123abcd_" + 32 * "5f")[0]
    '0123abcd'
    >>> split_token("a guess")
    ('', '')

    """
    found = _FORM.fullmatch(token)
    return (found[1], found[2]) if found else ("", "")


def unauthenticated(reason: str) -> PermissionDeniedError:
    """Return the error of whoever does not prove who asks."""
    return PermissionDeniedError(
        f"{reason} Ask whoever runs the server for one (scidb token create NAME --role reader), and give it as token= "
        "or in the environment variable SCIDB_TOKEN.",
        code="unauthenticated",
    )


def expiry_from(text: str, now: dt.datetime) -> str | None:
    """Return the instant that ``90d``, ``12h``, ``30s``, a date (to its end, in UTC) or a time means; None for never.

    Examples
    --------
    >>> expiry_from("36h", dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    '2026-01-02T12:00:00+00:00'

    Raises
    ------
    SettingsError
        When it means nothing, or a moment that has passed.

    """
    if text == NEVER:
        return None
    try:
        span = duration(text)
        moment = _moment(text) if span is None else now + span
    except (ValueError, OverflowError) as error:
        raise SettingsError(
            f"{text!r} does not say when a token expires. Give a duration, such as 90d, 12h or 30s, a date, such as "
            f"2027-01-31, or {NEVER}.",
            expires=text,
        ) from error
    if moment <= now:
        raise SettingsError(f"A token that expires at {_text(moment)} would never be valid: that has passed.")
    return _text(moment)


def _moment(text: str) -> dt.datetime:
    if len(text) == len("2027-01-31"):
        return dt.datetime.combine(dt.date.fromisoformat(text), dt.time(), dt.UTC) + dt.timedelta(days=1)
    moment = dt.datetime.fromisoformat(text)
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)


def _check_name(name: str) -> None:
    is_plain = name.isprintable() and name == name.strip() and 0 < len(name) <= _LONGEST_NAME
    if not is_plain or _LIKE_AN_ID.fullmatch(name):
        raise SettingsError(
            f"{name!r} is no name for a token. It says who saved what: 1 to {_LONGEST_NAME} letters, digits and signs, "
            "and not what could be the id of a token (eight of 0-9 and a-f).",
            name=name,
        )


def _digest(salt: str, secret: str) -> str:
    # One round is enough: nobody can go through all secrets of 256 random bits.
    return hashlib.sha256(f"{salt}{secret}".encode("ascii")).hexdigest()


def _text(moment: dt.datetime) -> str:
    return moment.isoformat()
