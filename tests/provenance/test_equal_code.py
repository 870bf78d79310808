"""Functions of one name and with equal code in several places: each result is compared with the one that made it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.net.serving import where
from tests.provenance.conftest import Force, Mean, Peak, Project, Smooth, both_stores

import scidb
from scidb import for_each, thunk
from scidb.exceptions import NotFoundError
from scidb.hashing.code.reference import reference_of
from scidb.store.model import Sources

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scidb import DatabaseManager

TEXT = "def smooth(force):\n    return [0.2 * x for x in force]\n"


@pytest.fixture(params=["memory", "http"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return where(request, tmp_path)


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Project, Project]]:
    """Return two modules with the very same text."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    made = Project(tmp_path), Project(tmp_path)
    for project in made:
        project.write(TEXT)
    yield made
    for project in made:
        project.forget()


def run(db: DatabaseManager, project: Project, output: Any) -> None:
    for_each(project.module.smooth, {"force": Force}, [output], subject=[], db=db, progress=False)


def state(db: DatabaseManager, variable: Any) -> str:
    [found] = db.status(variable).records
    return found.state


@both_stores
def test_only_the_edited_one_is_stale(db: DatabaseManager, two: tuple[Project, Project]) -> None:
    """After one of two equal functions is edited, its results are stale, those of the other are not (M5)."""
    first, second = two
    db.save(Force, [1.0, 2.0], subject=1)
    run(db, first, Smooth)
    run(db, second, Peak)  # recalled: the code is the same
    assert (state(db, Smooth), state(db, Peak)) == ("up to date", "up to date")

    second.edit("0.2", "0.3")
    assert (state(db, Smooth), state(db, Peak)) == ("up to date", "code changed")
    assert second.file.name in str(db.explain(Peak, subject=1))
    second.edit("0.3", "0.2")
    first.edit("0.2", "0.3")
    assert (state(db, Smooth), state(db, Peak)) == ("code changed", "up to date")


@both_stores
def test_one_that_is_not_imported_is_not_checked(db: DatabaseManager, two: tuple[Project, Project]) -> None:
    """That equal code is here says nothing of what is not: its file may have been edited."""
    first, second = two
    db.save(Force, [1.0, 2.0], subject=1)
    run(db, first, Smooth)
    run(db, second, Peak)
    first.edit("0.2", "0.3")
    first.forget()

    assert (state(db, Smooth), state(db, Peak)) == ("code not checked", "up to date")
    assert f"import {first.name}, or name it with --import" in db.status(Smooth).records[0].reason


def test_thunks_are_told_apart_too(db: DatabaseManager, two: tuple[Project, Project]) -> None:
    """Results of thunks that are called directly keep where their function stood."""
    first, second = two
    db.save(Force, [1.0, 2.0], subject=1)
    with db.as_current():
        force = Force.load_one(subject=1)
        Smooth.save(thunk(first.module.smooth)(force), subject=1)
        Peak.save(thunk(second.module.smooth)(force), subject=1)
    first.edit("0.2", "0.3")

    assert (state(db, Smooth), state(db, Peak)) == ("code changed", "up to date")


def test_accepting_one_of_them(db: DatabaseManager, two: tuple[Project, Project]) -> None:
    """Of two functions of one name, the one that is given is meant."""
    first, second = two
    db.save(Force, [1.0, 2.0], subject=1)
    run(db, first, Smooth)
    run(db, second, Peak)
    first.edit("0.2 * x", "x * 0.2")
    second.edit("0.2 * x", "0.4 * x")

    [accepted] = db.accept(first.module.smooth, "the same, the other way round", verify=1)

    assert (state(db, Smooth), state(db, Peak)) == ("accepted", "code changed")
    assert accepted.reason == "the same, the other way round"


def test_accepting_one_that_made_nothing(db: DatabaseManager, two: tuple[Project, Project]) -> None:
    """Results of another function of that name are not vouched for with it."""
    first, second = two
    db.save(Force, [1.0, 2.0], subject=1)
    run(db, first, Smooth)
    first.edit("0.2 * x", "0.4 * x")

    with pytest.raises(NotFoundError, match=rf"by {second.name}.smooth\(\).*those of {first.name}; give one"):
        db.accept(second.module.smooth, "the same")
    assert state(db, Smooth) == "code changed"
    assert db.accept(first.module.smooth, "the unit is another one")


def test_accepting_by_name_what_changed_alike(db: DatabaseManager, two: tuple[Project, Project]) -> None:
    """The same change in two places is one acceptance; results of both are verified."""
    db.save(Force, [1.0, 2.0], subject=1)
    for project, output in zip(two, (Smooth, Peak), strict=True):
        run(db, project, output)
    for project in two:
        project.edit("0.2 * x", "x * 0.2")

    assert len(db.accept("smooth", "the same, the other way round", verify=2)) == 1
    assert (state(db, Smooth), state(db, Peak)) == ("accepted", "accepted")


def test_the_source_is_that_of_the_right_file(db: DatabaseManager, two: tuple[Project, Project]) -> None:
    """`get_source` names the file in which the function stood that made the number."""
    first, second = two
    db.save(Force, [1.0, 2.0], subject=1)
    run(db, first, Smooth)
    run(db, second, Peak)

    assert first.file.name in str(db.get_source(Smooth, subject=1))
    assert second.file.name in str(db.get_source(Peak, subject=1))


def test_equal_code_under_two_names_in_one_module(db: DatabaseManager, two: tuple[Project, Project]) -> None:
    """The name of a function does not count, and tells which of two equal ones made a result."""
    project, _ = two
    project.write(TEXT + TEXT.replace("smooth", "scale"))
    db.save(Force, [1.0, 2.0], subject=1)
    run(db, project, Smooth)
    for_each(project.module.scale, {"force": Force}, [Peak], subject=[], db=db, progress=False)
    project.write(TEXT + TEXT.replace("smooth", "scale").replace("0.2", "0.3"))

    assert (state(db, Smooth), state(db, Peak)) == ("up to date", "code changed")


# ---------------------------------------------------------------- moved


@both_stores
def test_a_module_that_was_renamed(db: DatabaseManager, two: tuple[Project, Project]) -> None:
    """A function whose module is gone is not checked, until it was used where it stands now."""
    old, new = two
    new.forget()
    db.save(Force, [1.0, 2.0], subject=1)
    run(db, old, Smooth)
    old.file.rename(new.file)
    old.forget()
    assert state(db, Smooth) == "code not checked"

    new.write(TEXT)
    assert state(db, Smooth) == "code not checked"
    run(db, new, Smooth)  # up to date: it writes nothing but where the function stands now
    [found] = db.status(Smooth).records
    assert found.state == "up to date"
    assert f"{old.name}:smooth is gone; the same code was used later as {new.name}:smooth" in found.remarks
    new.edit("0.2", "0.3")
    assert state(db, Smooth) == "code changed"


def test_a_function_that_was_renamed(db: DatabaseManager, two: tuple[Project, Project]) -> None:
    """The same within one module."""
    project, _ = two
    db.save(Force, [1.0, 2.0], subject=1)
    with db.as_current():
        Smooth.save(thunk(project.module.smooth)(Force.load_one(subject=1)), subject=1)
        project.edit("smooth", "scale")
        [found] = db.status(Smooth).records
        assert found.state == "code not checked"
        assert f"{project.name} has no smooth any more" in found.reason
        Peak.save(thunk(project.module.scale)(Force.load_one(subject=1)), subject=1)
    assert state(db, Smooth) == "up to date"
    project.edit("0.2", "0.3")
    assert (state(db, Smooth), state(db, Peak)) == ("code changed", "code changed")


# ---------------------------------------------------------------- where something stands


PLACES = """
import functools
import operator
from statistics import fmean

def plain(x, k=1): return x

class Filter:
    order = 2
    def apply(self, x): return x
    @classmethod
    def of_class(cls, x): return x
    @staticmethod
    def static(x): return x
    def __call__(self, x): return x

def make(k):
    def inner(x): return k * x
    return inner

half = functools.partial(plain, k=0.5)
double = make(2)
first = operator.itemgetter(0)
shout = "%s!".__mod__
filter_ = Filter()
apply = Filter().apply
short = lambda x: x
average = functools.partial(fmean)
_1 = functools.partial(plain, k=3)
"""


@pytest.mark.parametrize(
    ("expression", "place"),
    [
        ("plain", "plain"),
        ("Filter", "Filter"),
        ("Filter.apply", "Filter.apply"),
        ("Filter.of_class", "Filter.of_class"),
        ("Filter.static", "Filter.static"),
        ("half", "half"),
        ("double", "double"),
        ("first", "first"),
        ("shout", "shout"),
        ("filter_", "filter_"),
        ("filter_.apply", "filter_.apply"),
        ("apply", "apply"),
        ("short", "short"),
        ("average", "average"),
        ("make(3)", "make.<locals>.inner"),
        ("Filter()", "Filter"),
        ("_1", "plain"),
        ("fmean", None),
    ],
)
def test_where_something_stands(two: tuple[Project, Project], expression: str, place: str | None) -> None:
    """What a module names goes by that name; the rest by the function or class in it; a library's by nothing."""
    project, _ = two
    module = project.write(PLACES)
    function = eval(expression, vars(module))

    assert reference_of(function) == (f"{project.name}:{place}" if place else "")
    assert reference_of(thunk(function)) == (f"{project.name}:{place}" if place else "")


def test_a_partial_that_a_module_names(db: DatabaseManager, two: tuple[Project, Project]) -> None:
    """What stands under the name now is compared, also when the old one is still held by somebody."""
    project, _ = two
    text = "import functools\ndef g(k, x): return k * sum(x)\nsmooth = functools.partial(g, 2)\n"
    held = project.write(text).smooth
    db.save(Force, [1.0, 2.0], subject=1)
    for_each(held, {"x": Force}, [Mean], subject=[], db=db, progress=False)
    assert state(db, Mean) == "up to date"

    project.edit("g, 2", "g, 3")
    assert state(db, Mean) == "code changed"
    assert "bound argument 2 -> 3" in db.status(Mean).records[0].reason
    project.write("def smooth(x): return sum(x)\n")
    assert state(db, Mean) == "code changed"
    project.write("x = 1\n")
    assert state(db, Mean) == "code not checked"
    assert db.explain(Mean, subject=1).record.reason.startswith(f"{project.name} has no smooth any more")


def test_one_manifest_per_place(two: tuple[Project, Project]) -> None:
    """Equal code is kept once per place, and its text once."""
    first, second = two
    with scidb.open("memory:", ["subject"]) as db:
        db.save(Force, [1.0, 2.0], subject=1)
        for project, output in ((first, Smooth), (second, Peak), (first, Mean)):
            run(db, project, output)
        hashes = {found["function_hash"] for found in db.get_provenance_by_schema()}
        kept = db._store.find(Sources(tuple(hashes)))
    assert len(hashes) == 1
    assert {one.function_ref for one in kept} == {f"{first.name}:smooth", f"{second.name}:smooth"}
    assert len({text for one in kept for text in one.sources.values()}) == 1
