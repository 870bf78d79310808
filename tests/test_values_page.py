"""The page of supported values is what the codecs do."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pandas as pd
import pytest

from scidb.codecs import base

if TYPE_CHECKING:
    from types import ModuleType

SCRIPT: Final = Path(__file__).resolve().parents[1] / "docs" / "generate_values.py"


@pytest.fixture(scope="module")
def page() -> ModuleType:
    """Import the script that writes the page."""
    spec = importlib.util.spec_from_file_location("generate_values", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(int(pd.__version__.split(".")[0]) < 3, reason="the page shows the units of pandas 3")
def test_the_page_is_current(page: ModuleType) -> None:
    """docs/reference/values.md is what `python docs/generate_values.py` writes now."""
    assert page.PAGE.read_text(encoding="utf-8") == page.render()


def test_every_codec_is_on_the_page(page: ModuleType) -> None:
    """A codec without an example on the page would be a family of values that nobody knows of."""
    assert page.codecs_shown() == {*base._CODECS, *base._LIBRARIES.values()}
