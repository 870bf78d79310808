"""``scidb token``: made and shown once, listed without secrets, revoked; beside the file or through the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.cli.conftest import lines
from tests.net.serving import serve

from scidbnet.auth import TokenFile

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Scidb


@pytest.fixture
def database(here: Path) -> Path:
    """Return an empty file for a database, of which `scidb token` needs no more than the name."""
    path = here / "lab.duckdb"
    path.touch()
    return path


def test_a_token_is_shown_once(scidb: Scidb, database: Path) -> None:
    """The secret alone is on stdout, what to do with it beside it, and it is never seen again."""
    made = scidb("token", "create", "anna", "--role", "writer", "--expires", "12h", "--db", str(database))
    token = made.stdout.strip()

    assert TokenFile.beside(database).caller(token).name == "anna"
    assert "not shown again" in made.stderr
    listed = scidb("token", "list", "--db", str(database))
    assert token.split("_")[1] in listed.stdout
    assert token.split("_")[2] not in listed.output
    [row] = lines(scidb("token", "list", "--db", str(database), "--json"))
    assert (row["name"], row["role"], row["state"]) == ("anna", "writer", "valid")
    assert not {"token", "salt", "digest"} & set(row)
    assert database.read_bytes() == b""  # a copy of the database holds no token


def test_a_token_expires_after_90_days_unless_told(scidb: Scidb, database: Path) -> None:
    """Who says nothing gets a token that ends; `never` has to be said."""
    words = ("token", "create", "anna", "--role", "reader", "--db", str(database), "--json")

    [usual], [forever] = lines(scidb(*words)), lines(scidb(*words, "--expires", "never"))
    assert usual["expires"] is not None
    assert forever["expires"] is None
    assert usual["token"].startswith("scidb_")
    assert "never" in scidb("token", "list", "--db", str(database)).stdout


def test_revoked_tokens_are_shown_as_such(scidb: Scidb, database: Path) -> None:
    """By name all of them; again there is nothing to revoke, which is an error."""
    token = scidb("token", "create", "anna", "--role", "writer", "--db", str(database)).stdout.strip()

    [row] = lines(scidb("token", "revoke", "anna", "--db", str(database), "--json"))
    assert row["state"] == "revoked"
    with pytest.raises(Exception, match="revoked"):
        TokenFile.beside(database).caller(token)
    assert (
        "scidb: No token that is not revoked"
        in scidb("token", "revoke", "anna", "--db", str(database), expect=1).stderr
    )


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("create", "anna", "--role", "king"), 1, "no role"),
        (("create", "anna", "--role", "reader", "--expires", "2020-01-01"), 1, "passed"),
        (("create", "", "--role", "reader"), 1, "no name"),
        (("create", "anna"), 2, "--role"),
        (("create", "--role", "reader"), 2, "Missing argument"),
        (("revoke",), 2, "Missing argument"),
        (("list", "--db", "none.duckdb"), 1, "does not exist"),
    ],
)
def test_misuse(scidb: Scidb, database: Path, words: tuple[str, ...], code: int, said: str) -> None:
    """What cannot be meant is said, and makes no token."""
    given = words if "--db" in words else (*words, "--db", str(database))

    assert said in scidb("token", *given, expect=code).stderr
    assert not TokenFile.beside(database).exists()


@pytest.mark.slow
def test_through_a_server(scidb: Scidb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --db http://... the same verbs ask the server, as an admin."""
    tokens = TokenFile.beside(tmp_path / "served.duckdb")
    address = serve([], tokens=tokens.path)
    monkeypatch.setenv("SCIDB_TOKEN", tokens.create("root", "admin", "1d").token)

    token = scidb("--db", address, "token", "create", "anna", "--role", "reader").stdout.strip()
    assert tokens.caller(token).name == "anna"
    assert "anna" in scidb("--db", address, "token", "list").stdout
    scidb("--db", address, "token", "revoke", "anna")
    monkeypatch.setenv("SCIDB_TOKEN", token)
    assert "scidb: The token of 'anna' was revoked" in scidb("--db", address, "token", "list", expect=1).stderr
