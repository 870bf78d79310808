"""What a token means to whoever has it: their name on what they save, and what they may not do, as local errors."""

from __future__ import annotations

import typing
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from tests.net.serving import serve

import scidb
from scidb import BaseVariable, thunk
from scidb.exceptions import LimitExceededError, PermissionDeniedError, SettingsError
from scidb.store import model
from scidb.store.memory import MemoryStore
from scidb.store.model import Batch, Call, Chunk, Computation, Entries, Match, Record, SchemaKey
from scidbnet.auth import Caller, Role, TokenFile
from scidbnet.client import HttpStore, configure_remote_database
from scidbnet.client.tokens import RemoteTokens
from scidbnet.server.callers import OnBehalf

if TYPE_CHECKING:
    from pathlib import Path

KEYS = [SchemaKey("subject", "int")]


class CalledForce(BaseVariable):
    pass


class CalledMean(BaseVariable):
    pass


@thunk
def called_double(value: float) -> float:
    return 2 * value


@pytest.fixture
def tokens(tmp_path: Path) -> TokenFile:
    """Return the tokens of a server, with one for an admin."""
    return TokenFile.beside(tmp_path / "study.duckdb")


def _token(tokens: TokenFile, role: str, name: str | None = None) -> str:
    return tokens.create(name or role, role, "1d").token


def _open(address: str, token: str) -> scidb.DatabaseManager:
    return scidb.open(address, token=token)


# ------------------------------------------------------------------ whose name it bears


def test_what_is_written_bears_the_name_of_the_token() -> None:
    """Records, calls and every kind of event with a name get that of the caller, whatever the client said."""
    written = []

    class Noting(MemoryStore):
        def write(self, batch: Batch) -> list[Record]:
            written.append(batch)
            return []

    record = Record("r1", "Force", {}, "{}", "c1", 1, "{}", 8, user_id="the boss")
    call = Call("k1", Computation("l1", "f", "h", "i", "1"), (), user_id="the boss")
    named = [kind for kind in typing.get_args(model.Event) if "user_id" in {one.name for one in fields(kind)}]
    events = tuple(_event(kind) for kind in named)
    caller = Caller("anna", Role.ADMIN, is_verified=True)

    OnBehalf(Noting([]), caller).write(
        Batch((Chunk([record, replace(record, user_id=None)], None),), (call,), (), events)
    )

    [batch] = written
    assert {one.user_id for one in batch.chunks[0].records} == {"anna"}
    assert {one.user_id for one in batch.calls} == {"anna"}
    assert len(batch.events) >= 7
    assert {one.user_id for one in batch.events} == {"anna"}  # type: ignore[union-attr]  # those that have one


def _event(kind: Any) -> Any:
    values: dict[str, Any] = {"hits": 1, "total": 1, "record_ids": (), "lineage_ids": None, "timestamp": None}
    return kind(**{one.name: values.get(one.name, "x") for one in fields(kind) if one.name != "is_pin"})


def test_a_client_that_lies_about_its_name_is_corrected(tokens: TokenFile) -> None:
    """The answer to a write says by which name it was stored, and so does the log."""
    address = serve(KEYS, tokens=tokens.path, verified=False)
    store = HttpStore(address, _token(tokens, "writer", "anna"))
    store.register(model.TypeInfo("Force"))
    record = Record("r1", "Force", {"subject": 1}, "{}", "c1", 1, "{}", 8, user_id="the boss")
    [stored] = store.write(Batch((Chunk([record], pa.table({"value": [1.0]})),)))

    assert stored.user_id == "anna"
    assert [one.user_id for one in store.find(Entries(Match(("Force",))))] == ["anna"]


def test_the_facade_saves_under_the_name_of_the_token(tokens: TokenFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token in the environment suffices; SCIDB_USER_ID does not change who it was."""
    address = serve(KEYS, tokens=tokens.path)
    monkeypatch.setenv("SCIDB_TOKEN", _token(tokens, "writer", "anna"))
    monkeypatch.setenv("SCIDB_USER_ID", "the boss")

    with scidb.open(address) as db:
        CalledForce.save(1.0, subject=1, db=db)
        assert [one["user_id"] for one in CalledForce.list_versions(subject=1, db=db)] == ["anna"]


def test_without_tokens_users_are_who_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine of one's own the name of the login, or what SCIDB_USER_ID says, is recorded as it is."""
    monkeypatch.setenv("SCIDB_USER_ID", "ben")
    with scidb.open(serve(KEYS)) as db:
        CalledForce.save(1.0, subject=1, db=db)
        assert [one["user_id"] for one in CalledForce.list_versions(subject=1, db=db)] == ["ben"]


# ------------------------------------------------------------------ what it allows


@pytest.mark.parametrize("shown", [None, "nonsense", "scidb_0123abcd_" + 64 * "0"])
def test_without_a_valid_token_nothing_opens(tokens: TokenFile, shown: str | None) -> None:
    """N4: opening raises PermissionDeniedError, whose code says that a token is missing or wrong."""
    _token(tokens, "admin")
    address = serve(KEYS, tokens=tokens.path)

    with pytest.raises(PermissionDeniedError) as caught:
        configure_remote_database(address, token=shown)
    assert caught.value.code == "unauthenticated"
    assert shown is None or shown not in str(caught.value)


def test_a_reader_reads_and_writes_nothing(tokens: TokenFile) -> None:
    """N4: a reader sees what others saved, exports it, and is refused whatever would change the database."""
    address = serve(KEYS, tokens=tokens.path)
    with _open(address, _token(tokens, "writer")) as db:
        CalledForce.save(1.0, subject=1, db=db)

    with _open(address, _token(tokens, "reader")) as db:
        assert db.read_only
        assert CalledForce.load_one(subject=1, db=db).data == 1.0
        for attempt in (
            lambda: CalledForce.save(2.0, subject=1, db=db),
            lambda: db.tag("mine"),
            lambda: db.add_to_var_group("forces", [CalledForce]),
            lambda: db.flag(CalledForce.load_one(subject=1, db=db), "bad"),
        ):
            with pytest.raises(PermissionDeniedError) as caught:
                attempt()
            assert caught.value.code == "forbidden"
        assert len(CalledForce.list_versions(subject=1, db=db)) == 1


def test_a_reader_uses_the_memo_without_being_counted(tokens: TokenFile, caplog: pytest.LogCaptureFixture) -> None:
    """What somebody computed is given back to a reader; hits are not counted, which nobody misses."""
    address = serve(KEYS, tokens=tokens.path)
    with _open(address, _token(tokens, "writer")) as db, db.as_current():
        CalledForce.save(1.0, subject=1)
        CalledMean.save(called_double(CalledForce.load_one(subject=1)), subject=1)

    with _open(address, _token(tokens, "reader")) as db, db.as_current():
        assert called_double(CalledForce.load_one(subject=1)).was_cached
    assert not caplog.records


def test_an_export_of_a_reader_is_just_a_file(tokens: TokenFile, tmp_path: Path) -> None:
    """A reader writes CSV files of his own, which the database does not hear of."""
    address = serve(KEYS, tokens=tokens.path)
    with _open(address, _token(tokens, "writer")) as db:
        CalledForce.save(1.0, subject=1, db=db)
    with _open(address, _token(tokens, "reader")) as db:
        db.export_to_csv(CalledForce, tmp_path / "force.csv")
    assert "1" in (tmp_path / "force.csv").read_text()


def test_a_writer_does_not_change_what_others_compute(tokens: TokenFile) -> None:
    """Invalidating, pruning, renaming and adding keys take an admin, and leave everything as it was."""
    address = serve(KEYS, tokens=tokens.path)
    with _open(address, _token(tokens, "writer")) as db, db.as_current():
        CalledForce.save(1.0, subject=1)
        CalledMean.save(called_double(CalledForce.load_one(subject=1)), subject=1)
        for attempt in (
            lambda: db.admin.rename_variable("CalledForce", "Strength"),
            lambda: db.admin.add_schema_key("lab", value_type=str),
            lambda: db.admin.prune(memo=True, larger_than=0),
            lambda: db.invalidate_cache("called_double"),
        ):
            with pytest.raises(PermissionDeniedError, match="the role admin"):
                attempt()
        assert db.schema_keys == ("subject",)
        assert called_double(CalledForce.load_one(subject=1)).was_cached


def test_a_token_that_is_revoked_meanwhile(tokens: TokenFile) -> None:
    """A database that is open already is closed to its user from the next request on."""
    address = serve(KEYS, tokens=tokens.path)
    with _open(address, _token(tokens, "writer", "anna")) as db:
        CalledForce.save(1.0, subject=1, db=db)
        tokens.revoke("anna")
        with pytest.raises(PermissionDeniedError, match="revoked"):
            CalledForce.save(2.0, subject=1, db=db)


def test_tokens_over_the_network(tokens: TokenFile) -> None:
    """An admin makes, lists and revokes tokens as beside the file."""
    remote = RemoteTokens(serve(KEYS, tokens=tokens.path), _token(tokens, "admin"))

    made = remote.create("Zoë / lab", "reader", "12h")
    assert tokens.caller(made.token).name == "Zoë / lab"
    assert remote.infos() == tokens.infos()
    assert [info.token_id for info in remote.revoke("Zoë / lab")] == [made.info.token_id]
    with pytest.raises(SettingsError):
        remote.create("anna", "king", "12h")


def test_too_many_wrong_tokens_end_in_an_error_at_once(tokens: TokenFile) -> None:
    """A client that is told to come back in a minute says so, instead of trying for half of it."""
    _token(tokens, "admin")
    address = serve(KEYS, tokens=tokens.path, failed_logins=1)

    with pytest.raises(PermissionDeniedError):
        HttpStore(address, "wrong").describe()
    with pytest.raises(LimitExceededError, match="Try again in"):
        HttpStore(address, "wrong").describe()


def test_a_certificate_file_that_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """SCIDB_CA_FILE that names no certificates is an error that says so, not one of the network."""
    monkeypatch.setenv("SCIDB_CA_FILE", str(tmp_path / "missing.pem"))
    with pytest.raises(SettingsError, match="SCIDB_CA_FILE"):
        HttpStore("https://127.0.0.1:1")


@pytest.mark.parametrize("end", ["\n", " ", "\r\nX-Other: 1", "\N{EM DASH}"])
def test_a_token_that_was_copied_badly_is_not_shown(end: str) -> None:
    """What no header can hold is an error of its own, in which the secret does not stand."""
    with pytest.raises(SettingsError) as caught:
        HttpStore("http://127.0.0.1:1", f"scidb_0123abcd_5ecret{end}")
    assert "5ecret" not in f"{caught.value!r} {caught.value} {caught.value.__context__!r}"


def test_an_address_holds_no_secret() -> None:
    """A token in an address would be in errors and logs, so that it is refused, and not shown."""
    with pytest.raises(SettingsError, match="token=") as caught:
        HttpStore("http://scidb_0123abcd_5ecret@127.0.0.1:1")
    assert "5ecret" not in str(caught.value)
