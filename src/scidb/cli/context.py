"""What every verb needs first: which database, and how to print. Opens what is there, and never makes a file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import typer

from scidb.exceptions import DatabaseNotConfiguredError, SettingsError
from scidb.settings import SETTINGS_FILE, read_settings

if TYPE_CHECKING:
    from scidb.database import DatabaseManager

__all__ = [
    "AsOfOption",
    "DatabaseOption",
    "JsonOption",
    "Settings",
    "find_database",
    "open_for_reading",
    "open_for_writing",
    "settings_of",
]

DatabaseOption: TypeAlias = Annotated[str | None, typer.Option("--db", metavar="PATH", help="The database file.")]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
AsOfOption: TypeAlias = Annotated[
    str | None, typer.Option("--as-of", metavar="TAG|TIME", help="As it was then; a time without a zone is UTC.")
]

_VARIABLES: Final = ("SCIDB_DATABASE", "SCIDB_DATASET_DB_PATH")


@dataclass(frozen=True, slots=True)
class Settings:
    """The options that stand before or after the verb."""

    database: str | None = None
    as_json: bool = False


def settings_of(ctx: typer.Context, db: str | None, as_json: bool) -> Settings:
    """Join the options before the verb with those after it, which win."""
    before = ctx.obj if isinstance(ctx.obj, Settings) else Settings()
    return Settings(db or before.database, as_json or before.as_json)


def open_for_reading(settings: Settings) -> DatabaseManager:
    """Open the database that the settings, the environment or the working directory name.

    Raises
    ------
    DatabaseNotConfiguredError
        When none is named, or there is no such file.

    """
    target = find_database(settings.database)
    from scidb.session import open_database

    return open_database(target, read_only=True)


def open_for_writing(settings: Settings) -> DatabaseManager:
    """Open the same database so that it can be changed; it must exist.

    Raises
    ------
    DatabaseNotConfiguredError
        When none is named, or there is no such file.

    """
    target = find_database(settings.database)
    from scidb.session import open_database

    return open_database(target)


def find_database(given: str | None) -> str:
    """Return the address or the path of the database; a path is that of an existing file.

    ``--db``, else SCIDB_DATABASE, else SCIDB_DATASET_DB_PATH, else `database` in scidb.toml, else the only
    ``*.duckdb`` of the working directory.

    Raises
    ------
    DatabaseNotConfiguredError
        When none is named, or there is no such file.

    """
    if given is not None:
        return _existing(given, "--db")
    for name in _VARIABLES:
        if named := os.environ.get(name):
            return _existing(named, name)
    if named := _from_settings_file():
        return _existing(named, SETTINGS_FILE)
    candidates = _databases_in(Path())
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise DatabaseNotConfiguredError(
            "No database: there is no *.duckdb file here. Say which one: scidb --db PATH ..., or set SCIDB_DATABASE. "
            "(`scidb demo` makes one to play with.)"
        )
    raise DatabaseNotConfiguredError(
        f"Which database? There are {len(candidates)} here: {_listed(candidates)}. "
        f"Say so: scidb --db {candidates[0]} ..., or set SCIDB_DATABASE.",
        candidates=candidates,
    )


def _existing(target: str, source: str) -> str:
    """Return a target unless it is the path of a file that is not there."""
    if "://" in target:
        return target
    path = Path(target).expanduser()
    if path.is_file():
        return str(path)
    if path.is_dir():
        problem, folder = "is a directory", path
    else:
        problem, folder = "does not exist", path.parent
    near = [str(folder / name) for name in _databases_in(folder)]
    hint = f" There is {_listed(near)}." if near else ""
    raise DatabaseNotConfiguredError(
        f"The database {target!r} (from {source}) {problem}.{hint} "
        "scidb reads databases and never makes one; configure_database does.",
        target=target,
    )


def _from_settings_file() -> str | None:
    named = read_settings().get("database")
    if named is not None and not isinstance(named, str):
        raise SettingsError(f'{SETTINGS_FILE}: database = {named!r} is not a path; write database = "study.duckdb".')
    return named


def _databases_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.duckdb") if path.is_file()) if folder.is_dir() else []


def _listed(names: list[str]) -> str:
    return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
