"""The page of what counts as a change is what the table of cases says."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from types import ModuleType

SCRIPT: Final = Path(__file__).resolve().parents[1] / "docs" / "generate_changes.py"


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import the script that writes the page."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    spec = importlib.util.spec_from_file_location("generate_changes", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_current(page: ModuleType) -> None:
    """docs/concepts/changes.md is what `python docs/generate_changes.py` writes now."""
    assert page.PAGE.read_text(encoding="utf-8") == page.render()
