"""Which database the command line opens, and that it never makes one."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from scidb.cli.context import Settings, find_database, open_for_reading
from scidb.exceptions import DatabaseNotConfiguredError, SciDBError, StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Scidb


def touch(*paths: Path) -> None:
    for path in paths:
        path.touch()


def test_each_source_beats_those_after_it(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--db, SCIDB_DATABASE, SCIDB_DATASET_DB_PATH, scidb.toml, the only *.duckdb: in this order."""
    named = {name: here / f"{name}.db" for name in ("option", "first", "second", "toml")}
    touch(*named.values(), here / "only.duckdb")

    assert find_database(None) == "only.duckdb"
    (here / "scidb.toml").write_text('database = "toml.db"\n[fingerprint]\n')
    assert find_database(None) == "toml.db"
    monkeypatch.setenv("SCIDB_DATASET_DB_PATH", str(named["second"]))
    assert find_database(None) == str(named["second"])
    monkeypatch.setenv("SCIDB_DATABASE", str(named["first"]))
    assert find_database(None) == str(named["first"])
    assert find_database(str(named["option"])) == str(named["option"])


def test_settings_without_a_database_and_empty_variables_say_nothing(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scidb.toml with other settings, or an empty environment variable, names no database."""
    touch(here / "only.duckdb")
    (here / "scidb.toml").write_text("[fingerprint]\n")
    monkeypatch.setenv("SCIDB_DATABASE", "")

    assert find_database(None) == "only.duckdb"


def test_no_database_says_what_to_do(here: Path) -> None:
    """Where there is no database, the error names the option and the variable."""
    with pytest.raises(DatabaseNotConfiguredError, match=r"--db PATH.*SCIDB_DATABASE"):
        find_database(None)


def test_several_databases_are_listed(here: Path) -> None:
    """Where there are several databases, the error lists them and guesses none."""
    touch(here / "b.duckdb", here / "a.duckdb")

    with pytest.raises(DatabaseNotConfiguredError, match=r"a\.duckdb, b\.duckdb") as caught:
        find_database(None)

    assert caught.value.candidates == ["a.duckdb", "b.duckdb"]


@pytest.mark.parametrize("target", ["none.duckdb", ".", "folder/none.duckdb", "memory:"])
def test_a_missing_database_is_an_error_and_stays_missing(here: Path, target: str) -> None:
    """The command line never makes a database; a near one is offered."""
    touch(here / "study.duckdb")

    with pytest.raises(DatabaseNotConfiguredError, match="--db") as caught:
        find_database(target)

    assert ("study.duckdb" in str(caught.value)) == ("folder" not in target)
    assert [path.name for path in here.iterdir()] == ["study.duckdb"]


@pytest.mark.parametrize("text", ["database = ", "database = 1", "database = ['a']"])
def test_a_broken_settings_file_is_named(here: Path, text: str) -> None:
    """What is wrong with scidb.toml is said, with its name."""
    (here / "scidb.toml").write_text(text)

    with pytest.raises(SciDBError, match=r"scidb\.toml"):
        find_database(None)


def test_an_address_is_left_to_the_store(here: Path) -> None:
    """A URL is no path, so no file is looked for."""
    assert find_database("http://lab:8765") == "http://lab:8765"


@pytest.mark.parametrize("words", [("--db", "{}", "ls", "--json"), ("--json", "ls", "--db", "{}")])
def test_options_stand_before_or_after_the_verb(scidb: Scidb, study: Path, here: Path, words: tuple[str, ...]) -> None:
    """--db and --json mean the same on both sides of the verb."""
    shutil.copy(study, here / "copy.duckdb")

    result = scidb(*(word.format(here / "copy.duckdb") for word in words))

    assert result.stdout.startswith('{"variable": "GroupSlope"')


def test_the_option_after_the_verb_wins(scidb: Scidb, study: Path) -> None:
    """Of two --db, the one beside the verb's own words counts."""
    scidb("--db", "none.duckdb", "ls", "--db", str(study))


def test_what_is_not_a_database_is_refused(scidb: Scidb, here: Path) -> None:
    """A file of something else is an error with a message and no traceback, and stays as it is."""
    (here / "notes.duckdb").write_text("dear diary")

    result = scidb("ls", "--db", "notes.duckdb", expect=1)

    assert "notes.duckdb" in result.stderr
    assert "Traceback" not in result.output
    assert (here / "notes.duckdb").read_text() == "dear diary"


def test_looking_changes_nothing(scidb: Scidb, study: Path, here: Path) -> None:
    """No verb writes: the bytes of the file are the same afterwards."""
    before = study.read_bytes()

    for words in (["ls"], ["log"], ["show", "GroupSlope"], ["lineage", "GroupSlope"], ["runs"]):
        scidb(*words)

    assert study.read_bytes() == before
    assert list(here.iterdir()) == []


def test_the_database_is_opened_for_reading(study: Path) -> None:
    """A verb could not write if it tried."""
    with open_for_reading(Settings(str(study))) as db, pytest.raises(StorageError, match="read-only"):
        db.save("Reaction", 1.0, subject=1, day=0)
