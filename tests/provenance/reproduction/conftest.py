"""A module of a laboratory, which a fresh process can import, and a database that it filled."""

from __future__ import annotations

import importlib
import sys
from textwrap import dedent
from typing import TYPE_CHECKING, Final

import pytest
from tests.net.serving import where

from scidb.session import open_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

    from scidb import DatabaseManager

KEYS: Final = {"subject": int, "day": int}


class Lab:
    """A folder with the module ``lab_work``, which may be edited and imported anew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, text: str) -> ModuleType:
        """Write the module and import it, as a new process would."""
        (self.folder / "lab_work.py").write_text(dedent(text), encoding="utf-8")
        self.forget()
        importlib.invalidate_caches()
        return importlib.import_module("lab_work")

    def forget(self) -> None:
        """Take the module out of this process."""
        sys.modules.pop("lab_work", None)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """Return the laboratory, empty."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.syspath_prepend(str(tmp_path))
    place = Lab(tmp_path)
    yield place
    place.forget()


@pytest.fixture(params=["memory", "http"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DatabaseManager]:
    """Return an empty database in memory; the current one."""
    with open_database(where(request, tmp_path), KEYS) as database, database.as_current():
        yield database


@pytest.fixture
def file_db(tmp_path: Path) -> Iterator[DatabaseManager]:
    """Return an empty database in a file; the current one."""
    with open_database(tmp_path / "study.duckdb", KEYS) as database, database.as_current():
        yield database
