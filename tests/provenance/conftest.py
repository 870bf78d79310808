"""A small pipeline in a file of its own, which tests edit as a user would."""

from __future__ import annotations

import gc
import importlib
import itertools
import sys
from typing import TYPE_CHECKING, Any

import pytest

from scidb import BaseVariable, for_each

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

    from scidb import DatabaseManager
    from scidb.foreach import ForEachReport

_numbers = itertools.count()

PIPELINE = """
GAIN = 2.0


def smooth(force, width=3):
    return [GAIN * x * 0.2 for x in force]


def peak(x):
    if not x:
        raise ValueError("no samples")
    return max(x)


def mean(x):
    return sum(x) / len(x)
"""


class Force(BaseVariable):
    pass


class Smooth(BaseVariable):
    pass


class Peak(BaseVariable):
    pass


class Mean(BaseVariable):
    pass


# What judges is above the stores, whose answers the suite of the stores compares.
both_stores = pytest.mark.parametrize(
    "target", ["memory", pytest.param("duck", marks=pytest.mark.slow), "http"], indirect=True
)


class Project:
    """A module of a user, in a file that is edited and imported again."""

    def __init__(self, folder: Path) -> None:
        self.name = f"pipeline_{next(_numbers)}"
        self.file = folder / f"{self.name}.py"
        self.text = ""
        self.module: Any = None

    def write(self, text: str) -> ModuleType:
        """Write the file, and import it anew."""
        self.text = text
        self.file.write_text(text, encoding="utf-8")
        importlib.invalidate_caches()
        sys.modules.pop(self.name, None)
        self.module = importlib.import_module(self.name)
        return self.module  # type: ignore[no-any-return]

    def edit(self, old: str, new: str) -> None:
        """Replace a piece of the text, and import it anew."""
        assert old in self.text
        self.write(self.text.replace(old, new))

    def forget(self) -> None:
        """Have the module imported no more, as in another process."""
        sys.modules.pop(self.name, None)
        self.module = None
        gc.collect()  # a module and its functions hold each other

    def run(self, db: DatabaseManager, **more: Any) -> list[ForEachReport]:
        """Run the three steps."""
        common = {"db": db, "progress": False, **more}
        return [
            for_each(self.module.smooth, {"force": Force}, [Smooth], subject=[], trial=[], **common),
            for_each(self.module.peak, {"x": Smooth}, [Peak], subject=[], trial=[], **common),
            for_each(self.module.mean, {"x": Peak}, [Mean], subject=[], **common),
        ]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """Return the pipeline, imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    # Written twice within a second, the compiled form of the first text would pass for that of the second.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    made = Project(tmp_path)
    made.write(PIPELINE)
    yield made
    made.forget()


@pytest.fixture
def study(db: DatabaseManager, project: Project) -> DatabaseManager:
    """Return a database in which the pipeline ran over two subjects with two trials each."""
    db.save_many(Force, [([1.0 * s, 2.0 * t], {"subject": s, "trial": t}) for s in (1, 2) for t in (1, 2)])
    project.run(db)
    return db
