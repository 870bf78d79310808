"""What a call relied on beside its inputs and code: how their class restores them, and defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.net.serving import where
from tests.provenance.conftest import Force, Peak, Smooth, both_stores

from scidb import for_each, registry, thunk

if TYPE_CHECKING:
    from pathlib import Path

    from tests.provenance.conftest import Project

    from scidb import DatabaseManager


@pytest.fixture(params=["memory", "http"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return where(request, tmp_path)


CLASSES = """
import pandas as pd
from scidb import BaseVariable

GAIN = 2.0

class Emg(BaseVariable):
    def to_db(self):
        return pd.DataFrame({"v": [self.data]})

    @classmethod
    def from_db(cls, df):
        return GAIN * float(df["v"][0])


def peak(emg):
    return emg + 1
"""


def state(db: DatabaseManager, variable: Any) -> str:
    [found] = db.status(variable).records
    return found.state


# ---------------------------------------------------------------- from_db


@both_stores
def test_a_class_that_restores_its_values_differently(db: DatabaseManager, project: Project) -> None:
    """An edited from_db gives the function another value: the result is stale, with the reason, until it runs."""
    module = project.write(CLASSES)
    db.save(module.Emg, 3.0, subject=1)

    def run() -> None:
        for_each(project.module.peak, {"emg": project.module.Emg}, [Peak], subject=[], db=db, progress=False)

    run()
    assert state(db, Peak) == "up to date"

    project.edit("GAIN *", "1 + GAIN *")
    [found] = db.status(Peak).records
    assert (found.state, found.reasons[0].kind, found.reasons[0].subject) == ("code changed", "code", "Emg.from_db()")
    assert found.reason.startswith("emg = Emg is restored by other code: ")
    assert "+    return 1 + GAIN" in str(db.explain(Peak, subject=1))
    assert [row.is_green for row in db.status(Peak).roll_up()] == [False]
    run()
    assert db.status().is_green
    project.edit("GAIN = 2.0", "GAIN = 3.0")
    assert "value GAIN read by Emg.from_db(): 2.0 -> 3.0" in db.status(Peak).records[0].reason


def test_what_follows_from_it_too(db: DatabaseManager, project: Project) -> None:
    """The change travels downstream as any other."""
    module = project.write(CLASSES)
    db.save(module.Emg, 3.0, subject=1)
    for_each(module.peak, {"emg": module.Emg}, [Peak], subject=[], db=db, progress=False)

    def half(x: float) -> float:
        return x / 2

    for_each(half, {"x": Peak}, [Smooth], subject=[], db=db, progress=False)
    project.edit("GAIN *", "1 + GAIN *")

    [found] = db.status(Smooth).records
    assert (found.state, found.reasons[0].root.subject) == ("input changed", "Emg.from_db()")


def test_a_class_that_is_not_imported(db: DatabaseManager, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """How values of a class are restored that is not here was not checked."""
    module = project.write(CLASSES)
    db.save(module.Emg, 3.0, subject=1)

    def half(emg: float) -> float:
        return emg / 2

    for_each(half, {"emg": module.Emg}, [Peak], subject=[], db=db, progress=False)
    monkeypatch.delitem(registry._classes, "Emg")

    [found] = db.status(Peak).records
    assert found.state == "code not checked"
    assert "the class Emg is not imported here" in found.reason


def test_a_thunk_that_is_called_directly(db: DatabaseManager, project: Project) -> None:
    """Results of thunks note it, too; who receives the variable whole restores it by itself."""
    module = project.write(CLASSES + "\n\ndef whole(emg):\n    return len(emg.metadata)\n")
    db.save(module.Emg, 3.0, subject=1)
    with db.as_current():
        emg = module.Emg.load_one(subject=1)
        Peak.save(thunk(module.peak)(emg), subject=1)
        Smooth.save(thunk(unwrap=False)(module.whole)(emg), subject=1)
    assert (state(db, Peak), state(db, Smooth)) == ("up to date", "up to date")
    project.edit("GAIN *", "1 + GAIN *")

    assert state(db, Peak) == "code changed"


def test_a_migration_that_changed(db: DatabaseManager, project: Project) -> None:
    """What older values go through counts likewise."""
    db.save(project.write(CLASSES).Emg, 3.0, subject=1)
    newer = CLASSES.replace("class Emg(BaseVariable):", (
        "class Emg(BaseVariable):\n    schema_version = 2\n\n    @classmethod\n"
        "    def migrate(cls, df, from_version):\n        return df * 1\n"
    ))  # fmt: skip
    module = project.write(newer)
    for_each(module.peak, {"emg": module.Emg}, [Peak], subject=[], db=db, progress=False)
    assert state(db, Peak) == "up to date"

    project.edit("df * 1", "df * 2")
    assert "constant 1 -> 2 in Emg.migrate()" in db.status(Peak).records[0].reason


# ---------------------------------------------------------------- defaults


@both_stores
def test_a_default_on_which_a_call_relied(db: DatabaseManager, project: Project) -> None:
    """A new default makes stale what relied on it, and leaves alone what was given the value."""
    module = project.write("def peak(x, k=0.2):\n    return k * max(x)\n")
    db.save(Force, [1.0, 2.0], subject=1)
    with db.as_current():
        force = Force.load_one(subject=1)
        Peak.save(thunk(module.peak)(force), subject=1)
        Smooth.save(thunk(module.peak)(force, k=0.2), subject=1)
    assert db.status().is_green

    project.edit("k=0.2", "k=0.3")
    [found] = db.status(Peak).records
    assert (found.state, found.reasons[0].kind) == ("code changed", "default")
    assert found.reason == "default of k in peak(): 0.2 -> 0.3"
    assert found.reason in str(db.explain(Peak, subject=1))
    assert state(db, Smooth) == "up to date"
    project.edit("k=0.3", "k")
    assert db.status(Peak).records[0].reason == "default of k in peak(): 0.2 -> none"
    assert state(db, Smooth) == "up to date"


def test_a_default_in_the_midst_of_a_chain(db: DatabaseManager, project: Project) -> None:
    """The default of a thunk whose result was handed on unsaved is the root cause."""
    module = project.write("def smooth(x, k=1):\n    return [k * v for v in x]\n\n\ndef peak(x):\n    return max(x)\n")
    db.save(Force, [1.0, 2.0], subject=1)
    with db.as_current():
        Peak.save(thunk(module.peak)(thunk(module.smooth)(Force.load_one(subject=1))), subject=1)
    project.edit("k=1", "k=2")

    [found] = db.status(Peak).records
    assert (found.state, found.reasons[0].root.kind) == ("input changed", "default")


@pytest.mark.parametrize("inputs", [{"force": Force}, {"force": Force, "width": 3}])
def test_for_each_tells_them_apart(db: DatabaseManager, project: Project, inputs: dict[str, Any]) -> None:
    """A constant that was given is no default, whatever the default is now."""
    db.save(Force, [1.0, 2.0], subject=1)
    for_each(project.module.smooth, inputs, [Smooth], subject=[], db=db, progress=False)
    project.edit("width=3", "width=4")

    assert state(db, Smooth) == ("up to date" if "width" in inputs else "code changed")


def test_no_values_for_an_open_list_are_no_default(db: DatabaseManager, project: Project) -> None:
    """``*args`` and ``**kwargs`` that got nothing have no default that could change."""
    module = project.write("def peak(x, *more, **options):\n    return max(x)\n")
    db.save(Force, [1.0, 2.0], subject=1)
    with db.as_current():
        Peak.save(thunk(module.peak)(Force.load_one(subject=1)), subject=1)

    assert db.status().is_green
