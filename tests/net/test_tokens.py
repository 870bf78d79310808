"""Tokens and their file: made once, recognised by what is kept, and valid for as long as was said."""

from __future__ import annotations

import datetime as dt
import hmac
import json
import os
import stat
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scidb.exceptions import (
    ConflictError,
    CorruptDatabaseError,
    NotFoundError,
    PermissionDeniedError,
    SettingsError,
    StorageError,
)
from scidbnet.auth import Role, TokenFile, tokenfile
from scidbnet.auth.tokens import expiry_from, new_token, split_token

if TYPE_CHECKING:
    from pathlib import Path

NOON = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)


@pytest.fixture
def tokens(tmp_path: Path) -> TokenFile:
    """Return the tokens of a database."""
    return TokenFile.beside(tmp_path / "study.duckdb")


def _refused(tokens: TokenFile, token: str) -> str:
    with pytest.raises(PermissionDeniedError) as caught:
        tokens.caller(token)
    assert caught.value.code == "unauthenticated"
    return str(caught.value)


def test_a_token_is_recognised_and_its_secret_is_not_kept(tokens: TokenFile) -> None:
    """Who shows a token is known by name and role; nothing that could be shown stands in the file."""
    made = tokens.create("anna", "writer", "90d")
    caller = tokens.caller(made.token)

    assert (caller.name, caller.role, caller.is_verified) == ("anna", Role.WRITER, True)
    kept = tokens.path.read_text()
    assert split_token(made.token)[1] not in kept
    assert made.token not in repr(made)
    assert tokens.path.name == "study.duckdb.tokens"
    if os.name == "posix":
        assert stat.S_IMODE(tokens.path.stat().st_mode) == 0o600


def test_every_token_has_its_own_secret_and_salt(tokens: TokenFile) -> None:
    """Two tokens of one name share neither secret nor salt nor digest."""
    one, other = (tokens.create("anna", "reader", "90d") for _ in range(2))
    kept = json.loads(tokens.path.read_text())["tokens"]

    assert one.token.split("_")[2] != other.token.split("_")[2]
    assert len({token["salt"] for token in kept}) == len({token["digest"] for token in kept}) == 2


@pytest.mark.parametrize(
    "forge",
    [
        lambda token: token[:-1],
        lambda token: token + "0",
        lambda token: token[:-1] + ("0" if token[-1] != "0" else "1"),
        lambda token: token.upper(),
        lambda token: f" {token}",
        lambda token: f"{token}\n",
        lambda token: token.replace("scidb_", "scidb_0"),
        lambda token: f"scidb_{'0' * 8}_{token.split('_')[2]}",
        lambda token: token.rpartition("_")[0],
        lambda token: token.rpartition("_")[0] + "_",
        lambda token: token[:15] + "\u0660" * 64,  # a digit, but none of ASCII
        lambda _: "",
        lambda _: "scidb",
        lambda _: "a" * 100_000,
    ],
)
def test_forged_and_truncated_tokens_are_refused(tokens: TokenFile, forge: Any) -> None:
    """N4: whatever differs from a token in any way is not that token."""
    token = tokens.create("anna", "admin", "90d").token

    _refused(tokens, forge(token))
    assert tokens.caller(token).name == "anna"


@given(st.text(max_size=100))
def test_no_text_is_a_token(text: str) -> None:
    """N4: an arbitrary text is taken apart without failing, and is no token."""
    assert split_token(text) == ("", "")


def test_secrets_are_compared_in_constant_time(tokens: TokenFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Known and unknown ids alike go through the comparison whose duration tells nothing."""
    token = tokens.create("anna", "reader", "90d").token
    compared = []

    def compare(one: str, other: str) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)

    tokens.caller(token)
    _refused(tokens, token[:-4] + "0000")
    _refused(tokens, f"scidb_{'0' * 8}_{token.split('_')[2]}")

    assert len(compared) == 3
    assert all(len(one) == len(other) == 64 for one, other in compared)


def test_an_expired_token_is_refused(tokens: TokenFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """N4: from the instant on at which it expires, and its owner is told that."""
    monkeypatch.setattr(tokenfile, "_now", lambda: NOON)
    token = tokens.create("anna", "reader", "30s").token

    monkeypatch.setattr(tokenfile, "_now", lambda: NOON + dt.timedelta(seconds=29.999))
    assert tokens.caller(token).name == "anna"
    assert tokens.has_valid()
    monkeypatch.setattr(tokenfile, "_now", lambda: NOON + dt.timedelta(seconds=30))
    assert "expired at 2026-06-01T12:00:30" in _refused(tokens, token)
    assert not tokens.has_valid()
    # Whoever has not the secret is not told.
    assert "expired" not in _refused(tokens, token[:-4] + "0000")


def test_revoked_tokens_are_refused(tokens: TokenFile) -> None:
    """N4: by id one, by name all of them; others stay valid, and so does a later one of that name."""
    anna, again, ben = (tokens.create(name, "writer", "never") for name in ("anna", "anna", "ben"))

    tokens.revoke(anna.info.token_id)
    assert "revoked" in _refused(tokens, anna.token)
    assert tokens.caller(again.token).name == "anna"
    assert [info.token_id for info in tokens.revoke("anna")] == [again.info.token_id]
    _refused(tokens, again.token)
    assert tokens.caller(ben.token).name == "ben"
    assert tokens.caller(tokens.create("anna", "writer", "1d").token).name == "anna"
    now = dt.datetime.now(dt.UTC)
    assert [info.state(now) for info in tokens.infos()] == ["revoked", "revoked", "valid", "valid"]


def test_only_what_is_there_is_revoked(tokens: TokenFile) -> None:
    """A name that nobody has is an error that names the nearest one, and changes nothing."""
    tokens.create("anna", "writer", "never")
    before = tokens.path.read_bytes()

    with pytest.raises(NotFoundError, match="Did you mean 'anna'"):
        tokens.revoke("ana")
    assert tokens.path.read_bytes() == before
    assert [path.name for path in tokens.path.parent.iterdir()] == [tokens.path.name]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("90d", "2026-08-30T12:00:00+00:00"),
        ("12h", "2026-06-02T00:00:00+00:00"),
        ("30s", "2026-06-01T12:00:30+00:00"),
        ("2027-01-31", "2027-02-01T00:00:00+00:00"),
        ("2026-06-01", "2026-06-02T00:00:00+00:00"),
        ("2027-01-31T12:00", "2027-01-31T12:00:00+00:00"),
        ("2027-01-31T12:00+02:00", "2027-01-31T10:00:00+00:00"),
        ("never", None),
    ],
)
def test_when_a_token_expires(text: str, meant: str | None) -> None:
    """A duration from now, a date to its end, a time, or never."""
    assert expiry_from(text, NOON) == meant


@pytest.mark.parametrize(
    "text", ["", "soon", "90", "d", "-1d", "0s", "2026-05-31", "2020-01-01", "2026-13-01", "9" * 30 + "y", "1e9d"]
)
def test_an_expiry_that_cannot_be_meant(text: str) -> None:
    """What is neither a duration nor a moment to come is refused when the token is made."""
    with pytest.raises(SettingsError):
        expiry_from(text, NOON)


@pytest.mark.parametrize("name", ["", " anna", "anna\n", "a\tb", "a" * 65, "\u202eanna", "0123abcd"])
def test_a_name_that_cannot_be_meant(name: str) -> None:
    """A name is shown in tables and logs, where it must not look like something else."""
    with pytest.raises(SettingsError, match="no name"):
        new_token(name, "reader", "1d", NOON)
    assert new_token("Zoë Müller-Ω", "reader", "1d", NOON)[0].info.name == "Zoë Müller-Ω"


def test_a_role_that_there_is_not() -> None:
    """A mistyped role is an error that names the nearest one."""
    with pytest.raises(SettingsError, match="Did you mean 'writer'"):
        new_token("anna", "writter", "1d", NOON)


def test_a_file_that_changes_is_read_again(tokens: TokenFile) -> None:
    """What another program changes in the file holds from the next look on."""
    other = TokenFile(tokens.path)
    token = tokens.create("anna", "reader", "1d").token

    assert other.caller(token).name == "anna"
    tokens.revoke("anna")
    _refused(other, token)
    second = tokens.create("ben", "reader", "1d").token
    assert other.caller(second).name == "ben"
    tokens.path.unlink()
    _refused(other, second)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"format": 2, "tokens": []}',
        b'{"format": 1}',
        b'{"format": 1, "tokens": [{}]}',
        b'{"format": 1, "tokens": {"a": 1}}',
        b'{"format": 1, "tokens": 3}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_a_damaged_file_lets_nobody_in(tokens: TokenFile, content: bytes) -> None:
    """A file that is not what it should be is an error, never a file without tokens."""
    token = tokens.create("anna", "admin", "1d").token
    tokens.path.write_bytes(content)

    for attempt in (lambda: tokens.caller(token), lambda: tokens.create("eve", "admin", "1d"), tokens.infos):
        with pytest.raises(CorruptDatabaseError, match="damaged"):
            attempt()
    assert tokens.path.read_bytes() == content
    assert not tokens.path.with_name(f"{tokens.path.name}.new").exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [("role", "root"), ("role", None), ("expires", "soon"), ("expires", "2027-01-01"), ("name", 1), ("revoked", 1)],
)
def test_a_damaged_line_lets_nobody_in(tokens: TokenFile, field: str, value: object) -> None:
    """One token that cannot be meant makes the whole file damaged, instead of being taken for something near it."""
    token = tokens.create("anna", "reader", "1d").token
    content = json.loads(tokens.path.read_text())
    content["tokens"][0]["info"][field] = value
    tokens.path.write_text(json.dumps(content))

    with pytest.raises(CorruptDatabaseError):
        tokens.caller(token)


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_that_others_reach_lets_nobody_in(tokens: TokenFile, mode: int) -> None:
    """Who can change the file can make tokens, so that nobody is let in until that is mended."""
    token = tokens.create("anna", "admin", "1d").token
    tokens.path.chmod(mode)

    with pytest.raises(StorageError, match="chmod 600"):
        tokens.caller(token)
    tokens.path.chmod(0o600)
    assert tokens.caller(token).name == "anna"


def test_tokens_made_at_the_same_time_are_all_kept(tokens: TokenFile) -> None:
    """Programs that change the file at once wait for each other: none undoes what another did."""
    threads = [
        threading.Thread(target=TokenFile(tokens.path).create, args=(f"user {number}", "reader", "1d"))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {info.name for info in tokens.infos()} == {f"user {number}" for number in range(8)}


def test_a_program_that_died_while_it_changed_the_file(tokens: TokenFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file stays as it was; who wants to change it is told what to delete."""
    token = tokens.create("anna", "reader", "1d").token
    left = tokens.path.with_name(f"{tokens.path.name}.new")
    left.write_bytes(b"half a fi")
    monkeypatch.setattr(tokenfile, "_PATIENCE", 0.0)

    with pytest.raises(ConflictError, match="delete"):
        tokens.revoke("anna")
    assert tokens.caller(token).name == "anna"


def test_a_link_to_a_database_has_its_tokens(tmp_path: Path) -> None:
    """However a file is named, its tokens are the same."""
    (tmp_path / "study.duckdb").touch()
    (tmp_path / "link.duckdb").symlink_to(tmp_path / "study.duckdb")

    assert TokenFile.beside(tmp_path / "link.duckdb").path == TokenFile.beside(tmp_path / "study.duckdb").path
