"""Small modules of a user, written, imported under fresh folders and forgotten again."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from tests.hashing.code_changes import Study

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Study", "study"]


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Study]:
    """Return a place for a user's modules; what was imported from it is forgotten afterwards."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    place = Study(tmp_path)
    yield place
    place.forget()
