"""Settings of the server: four places, in order; a wrong value is an error that says where it stands."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from scidb.exceptions import SettingsError
from scidbnet.server.program.options import _HELP, SETTINGS, ServerOptions, read_options

NEW = {"dataset_db_path": "new.duckdb", "dataset_schema_keys": "subject,trial"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_toml(text: str) -> None:
    Path("scidb.toml").write_text(text, encoding="utf-8")


def test_a_flag_wins_over_the_environment_over_the_file_over_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of the four places that says something is believed, for each setting by itself."""
    assert read_options(NEW).port == 8765

    write_toml("[server]\nport = 1001\nallow_sql = true\nhost = '::1'")
    assert read_options(NEW).port == 1001

    monkeypatch.setenv("SCIDB_PORT", "1002")
    assert read_options(NEW).port == 1002

    options = read_options({**NEW, "port": "1003", "allow_sql": False})
    assert (options.port, options.allow_sql, options.host) == (1003, False, "::1")


def test_an_empty_variable_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is set to nothing is as one that is not set."""
    monkeypatch.setenv("SCIDB_PORT", "")

    assert read_options(NEW).port == 8765


@pytest.mark.parametrize("variable", ["SCIDB_DATASET_DB_PATH", "SCIDB_DATABASE"])
def test_the_database_is_named_as_for_every_other_command(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables that scripts and the command line go by name the database of a server, too."""
    monkeypatch.setenv(variable, "memory:")

    assert read_options({}).dataset_db_path == "memory:"


def test_the_database_may_stand_at_the_top_of_the_file() -> None:
    """`database`, which the command line reads, is the one that is served."""
    write_toml("database = 'memory:'")

    assert read_options({}).dataset_db_path == "memory:"


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("subject,trial", ["subject", "trial"]),
        (" subject , trial ", ["subject", "trial"]),
        ("subject", ["subject"]),
        ('["subject", "trial"]', ["subject", "trial"]),
        ('{"subject": "int", "trial": "str"}', {"subject": "int", "trial": "str"}),
    ],
)
def test_keys_are_names_or_json(text: str, keys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys come as names with commas or as JSON, from a flag or from SCIDB_DATASET_SCHEMA_KEYS."""
    assert read_options({**NEW, "dataset_schema_keys": text}).dataset_schema_keys == keys

    monkeypatch.setenv("SCIDB_DATASET_SCHEMA_KEYS", text)
    assert read_options({"dataset_db_path": "new.duckdb"}).dataset_schema_keys == keys


@pytest.mark.parametrize(("text", "size"), [("7", 7), ("64KiB", 65536), ("3 GiB", 3 * 2**30), ("1TiB", 2**40)])
def test_sizes_have_units(text: str, size: int) -> None:
    """A size is a number of bytes, or of KiB, MiB, GiB, TiB."""
    assert read_options({**NEW, "body_limit": text}).body_limit == size


WRONG: list[tuple[str, str, Any, Any]] = [
    ("port", "--port", "http", "0 to 65535"),
    ("port", "--port", "65536", "0 to 65535"),
    ("port", "--port", "-1", "0 to 65535"),
    ("port", "--port", True, "0 to 65535"),
    ("body_limit", "--body-limit", "0", "positive number"),
    ("body_limit", "--body-limit", "8 GB", "positive number"),
    ("body_limit", "--body-limit", 1.5, "positive number"),
    ("idle_timeout", "--idle-timeout", "soon", "seconds"),
    ("idle_timeout", "--idle-timeout", "nan", "seconds"),
    ("idle_timeout", "--idle-timeout", "-1", "seconds"),
    ("idle_timeout", "--idle-timeout", [1], "seconds"),
    ("allow_sql", "--allow-sql", "perhaps", "true or false"),
    ("allow_sql", "--allow-sql", 1, "true or false"),
    ("lineage_mode", "--lineage-mode", "lax", "one of strict, ephemeral"),
    ("lineage_mode", "--lineage-mode", ["strict"], "one of strict, ephemeral"),
    ("host", "--host", " ", "a text"),
    ("host", "--host", 127, "a text"),
    ("dataset_schema_keys", "--schema-keys", "[subject", "not JSON"),
    ("dataset_schema_keys", "--schema-keys", "[]", "expected names"),
    ("dataset_schema_keys", "--schema-keys", 3, "expected names"),
    ("dataset_schema_keys", "--schema-keys", "a,,b", "non-empty text"),
    ("dataset_schema_keys", "--schema-keys", "a,A", "differ only in case"),
    ("dataset_schema_keys", "--schema-keys", '{"a": "complex"}', "complex"),
    ("dataset_schema_keys", "--schema-keys", "[1]", "non-empty text"),
    ("dataset_schema_keys", "--schema-keys", "[[1]]", ""),
]


@pytest.mark.parametrize(("name", "source", "value", "expected"), WRONG)
def test_a_wrong_value_is_refused_and_its_place_named(name: str, source: str, value: Any, expected: str) -> None:
    """Each wrong value is a SettingsError that says where it stands, what it is, and what was expected."""
    with pytest.raises(SettingsError) as caught:
        read_options({**NEW, name: value})

    assert source in caught.value.message
    assert expected in caught.value.message


def test_a_wrong_value_is_named_by_where_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same wrong value in the environment, or in the file, is reported there."""
    monkeypatch.setenv("SCIDB_PORT", "x")
    with pytest.raises(SettingsError, match="SCIDB_PORT"):
        read_options(NEW)
    monkeypatch.delenv("SCIDB_PORT")

    write_toml("[server]\nport = 'x'")
    with pytest.raises(SettingsError, match=r"port in scidb\.toml"):
        read_options(NEW)


def test_unknown_settings_of_the_file_are_refused() -> None:
    """A misspelt name in scidb.toml is an error with the nearest name, and a [server] that is no table another."""
    write_toml("[server]\nallow_sqk = true")
    with pytest.raises(SettingsError, match=r"allow_sqk.*Did you mean 'allow_sql'"):
        read_options(NEW)

    write_toml("server = 3")
    with pytest.raises(SettingsError, match="not a table"):
        read_options(NEW)


def test_a_database_that_is_not_there_needs_keys(folder: Path) -> None:
    """No database, one that is missing, a folder, and another server are errors that say what to do."""
    for flags, expected in [
        ({}, "Which database"),
        ({"dataset_db_path": "missing.duckdb"}, "does not exist. To make a new one.*--schema-keys"),
        ({"dataset_db_path": str(folder)}, "is a folder"),
        ({"dataset_db_path": "http://lab:8765"}, "not what another server keeps"),
    ]:
        with pytest.raises(SettingsError, match=expected):
            read_options(flags)


def test_every_setting_has_a_help_text() -> None:
    """What is a setting has a line that says what it is for, and nothing else has."""
    assert set(_HELP) >= {setting.name for setting in SETTINGS}
    assert {setting.name for setting in SETTINGS} == set(ServerOptions.__dataclass_fields__)


def test_the_page_is_current() -> None:
    """docs/reference/server-settings.md is what `python docs/generate_settings.py` writes now."""
    script = runpy.run_path(str(Path(__file__).parents[2] / "docs/generate_settings.py"))

    assert script["PAGE"].read_text(encoding="utf-8") == script["render"]()
