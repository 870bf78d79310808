"""The reference: the checked-in page is what the docstrings say, and the docstrings say enough."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

import scidb

if TYPE_CHECKING:
    from types import ModuleType

SCRIPT: Final = Path(__file__).resolve().parents[1] / "docs" / "generate_reference.py"
SOURCES: Final = Path(__file__).resolve().parents[1] / "src"
MODULES: Final = [
    ".".join(path.relative_to(SOURCES).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(SOURCES.rglob("*.py"))
    if re.search(r"^ *>>> ", path.read_text(encoding="utf-8"), re.MULTILINE)
]
NAMES: Final = [name for name in scidb.__all__ if not name.startswith("__")]


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """Import the script that writes the page."""
    spec = importlib.util.spec_from_file_location("generate_reference", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_current(reference: ModuleType) -> None:
    """docs/reference/api.md is what `python docs/generate_reference.py` writes now."""
    assert reference.PAGE.read_text(encoding="utf-8") == reference.render()


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_has_a_summary_and_an_example(name: str) -> None:
    """A docstring opens with one sentence on one line, and shows how the name is used."""
    text = inspect.getdoc(getattr(scidb, name)) or ""
    summary, *rest = text.splitlines()

    assert summary.endswith(".")
    assert not rest or rest[0] == ""
    assert "Examples\n--------\n>>> " in text


def test_every_method_of_the_reference_has_a_summary(reference: ModuleType) -> None:
    """What the page shows of a class opens with one sentence on one line."""
    for name in NAMES:
        thing = getattr(scidb, name)
        for member, found in (reference.public_members(thing) if isinstance(thing, type) else {}).items():
            summary, *rest = (inspect.getdoc(found) or "").splitlines()

            assert summary.endswith("."), f"{name}.{member}"
            assert not rest or rest[0] == "", f"{name}.{member}"


@pytest.mark.parametrize("name", MODULES)
def test_examples_show_what_happens(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each example in a docstring gives what stands below it, whether anybody looks at it or not."""
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    report: list[str] = []

    for test in doctest.DocTestFinder().find(importlib.import_module(name)):
        runner.run(test, out=report.append)

    assert report == []
    assert runner.tries > 0
