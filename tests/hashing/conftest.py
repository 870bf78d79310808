"""Small modules of a user, written, imported under fresh folders and forgotten again."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType


class Study:
    """A folder of modules, as a user's project is one."""

    def __init__(self, tmp_path: Path) -> None:
        self._root = tmp_path
        self._projects = 0
        self.folder = tmp_path

    def load(self, texts: str | dict[str, str], module: str = "m") -> ModuleType:
        """Write modules (or just ``m``) into a new folder and import one, with nothing left of former ones."""
        self.forget()
        self._projects += 1
        self.folder = self._root / f"project{self._projects}"
        for name, text in ({"m": texts} if isinstance(texts, str) else texts).items():
            path = self.folder / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        sys.path.insert(0, str(self.folder))
        importlib.invalidate_caches()
        return importlib.import_module(module)

    def forget(self) -> None:
        """Take what was imported from these folders out of the process."""
        root = str(self._root)
        sys.path[:] = [folder for folder in sys.path if not folder.startswith(root)]
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None) or "").startswith(root):
                del sys.modules[name]


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Study]:
    """Return a place for a user's modules; what was imported from it is forgotten afterwards."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    place = Study(tmp_path)
    yield place
    place.forget()
