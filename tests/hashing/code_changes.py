"""The table of code-changes.toml: texts before and after a change, and what is said of it.

Run as a program in the folder of the table's modules, it prints what one interpreter makes of each case.
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from scidb.hashing.code.changes import differences
from scidb.hashing.code.fingerprint import Fingerprint, fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

__all__ = ["Case", "Seen", "Study", "cases", "look"]

_TABLE: Final = Path(__file__).with_name("code-changes.toml")


@dataclass(frozen=True)
class Case:
    """One change: modules by name before and after it, and the reasons that are given; none for no change."""

    group: str
    name: str
    before: dict[str, str]
    after: dict[str, str]
    why: tuple[str, ...]

    @property
    def is_change(self) -> bool:
        return bool(self.why)


@dataclass(frozen=True)
class Seen:
    """What one interpreter makes of a case."""

    before: Fingerprint
    after: Fingerprint
    why: tuple[str, ...]


def cases() -> list[Case]:
    """Return the table."""
    return list(map(_case, tomllib.loads(_TABLE.read_text(encoding="utf-8"))["case"]))


def _case(row: dict[str, Any]) -> Case:
    before = _modules(row["text"])
    if "after" in row:
        after = _modules(row["after"])
    else:
        old, new = row["edit"]
        if sum(text.count(old) for text in before.values()) != 1:
            raise ValueError(f"{row['name']}: {old!r} does not stand in exactly one place of the text")
        after = {name: text.replace(old, new) for name, text in before.items()}
    return Case(row["group"], row["name"], before, after, tuple(row.get("why", ())))


def _modules(texts: str | dict[str, str]) -> dict[str, str]:
    return {name: f"{text.rstrip()}\n" for name, text in ({"m": texts} if isinstance(texts, str) else texts).items()}


class Study:
    """A folder of modules, as a user's project is one; each load is a project of its own."""

    def __init__(self, folder: Path) -> None:
        self._root = folder
        self._projects = 0
        self.folder = folder

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


def look(study: Study, case: Case) -> Seen:
    """Fingerprint both sides of a case, and say what differs."""
    before, after = (fingerprint(study.load(side).f) for side in (case.before, case.after))
    return Seen(before, after, tuple(str(change) for change in differences(before, after)))


def _rows() -> Iterator[list[object]]:
    sys.dont_write_bytecode = True
    with tempfile.TemporaryDirectory() as folder:
        study = Study(Path(folder))
        for case in cases():
            seen = look(study, case)
            yield [case.name, seen.before.hash, seen.after.hash, seen.why]
        study.forget()


if __name__ == "__main__":
    sys.stdout.write(json.dumps(list(_rows())))
