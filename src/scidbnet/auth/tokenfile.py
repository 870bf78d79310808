"""The file of tokens beside a database: only its owner reads it, and it is replaced as a whole or not at all."""

from __future__ import annotations

import datetime as dt
import json
import os
import stat
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from scidb.exceptions import ConflictError, CorruptDatabaseError, NotFoundError, StorageError, did_you_mean
from scidbnet.auth.tokens import KeptToken, NewToken, TokenInfo, new_token, split_token

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scidbnet.auth.roles import Caller

__all__ = ["TokenFile"]

_FORMAT: Final = 1
_LARGEST: Final = 16 * 2**20
_PATIENCE: Final = 5.0
_NOBODY: Final = KeptToken(TokenInfo("", "", "reader", ""), salt=32 * "0", digest=64 * "0")
"""Compared with where the id is unknown, so that it takes as long as with a known one."""


@dataclass(frozen=True, slots=True)
class _State:
    """Which state of a file this is: another one after any change."""

    device: int
    inode: int
    changed: int
    written: int
    size: int


class TokenFile:
    """The tokens of one database, in ``<database>.tokens``.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tokens = TokenFile.beside(f"{folder}/study.duckdb")
    ...     made = tokens.create("anna", role="writer", expires="90d")
    ...     tokens.caller(made.token).name
    'anna'

    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._read: tuple[_State | None, Mapping[str, KeptToken]] | None = None

    @classmethod
    def beside(cls, database: str | os.PathLike[str]) -> TokenFile:
        """Return the tokens of a database file, by whatever way it is named."""
        path = Path(database).expanduser().resolve()
        return cls(path.with_name(f"{path.name}.tokens"))

    def exists(self) -> bool:
        """Say whether there is such a file, whatever is in it."""
        return os.path.lexists(self.path)

    def has_valid(self) -> bool:
        """Say whether anybody can show a token."""
        now = _now()
        return any(info.state(now) == "valid" for info in self.infos())

    def infos(self) -> list[TokenInfo]:
        """Return every token that was made, in that order, those that are valid no more included.

        Raises
        ------
        CorruptDatabaseError
            When the file is damaged.
        StorageError
            When it cannot be read, or others than its owner can read or change it.

        """
        return [token.info for token in self._tokens().values()]

    def look_up(self, token: str) -> tuple[KeptToken, str]:
        """Return what is kept of a token, and the secret that it shows; of an unknown one what never fits, without id.

        Raises
        ------
        CorruptDatabaseError, StorageError
            As for `infos`.

        """
        token_id, secret = split_token(token)
        return self._tokens().get(token_id, _NOBODY), secret

    def caller(self, token: str) -> Caller:
        """Return who shows a token.

        Raises
        ------
        PermissionDeniedError
            With the code ``unauthenticated``, when it is unknown, expired or revoked.
        CorruptDatabaseError, StorageError
            As for `infos`.

        """
        kept, secret = self.look_up(token)
        return kept.caller(secret, _now())

    def create(self, name: str, role: str, expires: str) -> NewToken:
        """Make a token for somebody.

        Raises
        ------
        SettingsError
            When name, role or expiry cannot be meant.
        ConflictError
            When another program changes the file all the time, or died when it did.

        """
        made, kept = new_token(name, role, expires, _now())
        with self._changing() as tokens:
            tokens[made.info.token_id] = kept
        return made

    def revoke(self, which: str) -> list[TokenInfo]:
        """Let a token, by its id, or all tokens of a name be valid no more; return them.

        Raises
        ------
        NotFoundError
            When there is none that is not revoked yet.
        ConflictError
            As for `create`.

        """
        revoked = []
        with self._changing() as tokens:
            for token_id, token in tokens.items():
                if token.info.revoked is None and which in (token_id, token.info.name):
                    info = replace(token.info, revoked=_now().isoformat())
                    tokens[token_id] = replace(token, info=info)
                    revoked.append(info)
            if not revoked:
                names = [token.info.name for token in tokens.values() if token.info.revoked is None]
                raise NotFoundError(
                    f"No token that is not revoked has the id or name {which!r}.{did_you_mean(which, names)} "
                    "`scidb token list` shows them.",
                    token=which,
                )
        return revoked

    # -------------------------------------------------------------- the file

    def _tokens(self) -> Mapping[str, KeptToken]:
        """Return all tokens by id, as the file has them now."""
        state = self._state()
        with self._lock:
            if self._read is None or self._read[0] != state:
                self._read = self._load()
            return self._read[1]

    def _state(self) -> _State | None:
        try:
            return _state_of(self.path.stat())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unreadable(error) from error

    def _load(self) -> tuple[_State | None, Mapping[str, KeptToken]]:
        try:
            with self.path.open("rb") as file:
                found = os.fstat(file.fileno())
                data = file.read(_LARGEST + 1)
        except FileNotFoundError:
            return None, {}
        except OSError as error:
            raise self._unreadable(error) from error
        self._check_mode(found)
        return _state_of(found), self._parsed(data)

    def _unreadable(self, error: OSError) -> StorageError:
        return StorageError(f"The tokens in {self.path} cannot be read: {error.strerror}.", path=str(self.path))

    def _check_mode(self, found: os.stat_result) -> None:
        if os.name == "posix" and stat.S_IMODE(found.st_mode) & 0o077:
            raise StorageError(
                f"Others than its owner can read or change {self.path}, so that anybody could have made the tokens in "
                f"it. Look at it (scidb token list), then: chmod 600 {self.path}",
                path=str(self.path),
            )

    def _parsed(self, data: bytes) -> Mapping[str, KeptToken]:
        try:
            tokens = _content(data)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise CorruptDatabaseError(
                f"The file of tokens {self.path} is damaged, so nobody is let in by it. Put back the one of before, or "
                "delete it and make new tokens.",
                path=str(self.path),
            ) from error
        return {token.info.token_id: token for token in tokens}

    @contextmanager
    def _changing(self) -> Iterator[dict[str, KeptToken]]:
        """Give the tokens to be changed, and put the changed ones in the place of the file."""
        # The next file is also the lock: who can make it is alone, and it becomes the file in one step.
        following = self.path.with_name(f"{self.path.name}.new")
        descriptor = _made_alone(following)
        try:
            with os.fdopen(descriptor, "wb") as file:
                tokens = dict(self._load()[1])
                yield tokens
                self._write(file, tokens)
            following.replace(self.path)
        except BaseException:
            following.unlink(missing_ok=True)
            raise

    def _write(self, file: IO[bytes], tokens: Mapping[str, KeptToken]) -> None:
        content = {"format": _FORMAT, "tokens": [asdict(token) for token in tokens.values()]}
        try:
            file.write(json.dumps(content, indent=1).encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(
                f"The tokens could not be written to {self.path}: {error.strerror}.", path=str(self.path)
            ) from error


def _made_alone(path: Path) -> int:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        except FileExistsError as error:
            if time.monotonic() > deadline:
                raise ConflictError(
                    f"Another program is changing the tokens. If none is, one died while it did: delete {path}",
                    path=str(path),
                ) from error
        except OSError as error:
            raise StorageError(f"{path} cannot be written: {error.strerror}.", path=str(path)) from error
        time.sleep(0.02)


def _state_of(found: os.stat_result) -> _State:
    return _State(found.st_dev, found.st_ino, found.st_ctime_ns, found.st_mtime_ns, found.st_size)


def _content(data: bytes) -> list[KeptToken]:
    if len(data) > _LARGEST:
        raise ValueError("too long")
    content = json.loads(data)
    if content["format"] != _FORMAT:
        raise ValueError("another format")
    return [_token(one) for one in content["tokens"]]


def _token(data: dict[str, Any]) -> KeptToken:
    info = TokenInfo(**data["info"])
    token = KeptToken(info, data["salt"], data["digest"])
    texts = [info.token_id, info.name, info.created, token.salt, token.digest]
    if set(data) != {"info", "salt", "digest"} or not all(isinstance(text, str) for text in texts):
        raise ValueError("not a token")
    for moment in (info.created, info.expires, info.revoked):
        if moment is not None and dt.datetime.fromisoformat(moment).tzinfo is None:
            raise ValueError("a time without a zone")
    if info.role not in ("reader", "writer", "admin"):
        raise ValueError("no role")
    return token


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
