"""Files that functions wrote: their state, what they rest on, and what befalls what they were made from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.net.serving import where
from tests.provenance.conftest import Force, Mean, Smooth, both_stores

from scidb import BaseVariable, PathInput, for_each, thunk
from scidb.exceptions import AmbiguousVersionError, NotFoundError

if TYPE_CHECKING:
    from tests.provenance.conftest import Project

    from scidb import DatabaseManager
    from scidb.provenance import RecordStatus


class Figure(BaseVariable):
    """A plot."""


PLOT = """
def plot(force, path):
    path.write_text(f"sum {sum(force)}")


def total(force):
    return sum(force)
"""


@pytest.fixture(params=["memory", "http"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return where(request, tmp_path)


@pytest.fixture
def plots(db: DatabaseManager, project: Project, tmp_path: Path) -> Project:
    """Return a project whose plot was made for two subjects by for_each."""
    project.write(PLOT)
    db.save_many(Force, [([1.0, 2.0], {"subject": subject}) for subject in (1, 2)])
    run(db, project, tmp_path)
    return project


def run(db: DatabaseManager, project: Project, folder: Path) -> Any:
    path = PathInput("plot_{subject}.txt", root_folder=folder)
    write = thunk(generates_file=True)(project.module.plot)
    inputs = {"force": Force, "path": path}
    return for_each(write, inputs, [Figure], subject=[], db=db, progress=False, pass_metadata=False)


def figures(db: DatabaseManager, **keys: Any) -> list[RecordStatus]:
    return list(db.status(Figure, **keys).records)


# ---------------------------------------------------------------- status


@both_stores
def test_a_file_is_up_to_date(db: DatabaseManager, plots: Project) -> None:
    """What a function wrote is listed beside the records, under its variable, keys and id."""
    found = figures(db)

    assert [(one.variable, dict(one.schema), one.state, one.function_name) for one in found] == [
        ("Figure", {"subject": subject}, "up to date", "plot") for subject in (1, 2)
    ]
    assert all(str(one.record_id).startswith("generated:") for one in found)
    assert db.status().counts == {"saved by hand": 2, "up to date": 2}
    assert len(figures(db, subject=1)) == 1
    assert len(db.status(Force)) == 2


@both_stores
def test_a_file_that_is_gone(db: DatabaseManager, plots: Project, tmp_path: Path) -> None:
    """A file that is not there any more is missing: in states, roll-up and explanation, until it is made again."""
    (tmp_path / "plot_1.txt").unlink()

    first, second = figures(db)
    assert (first.state, second.state) == ("missing", "up to date")
    assert (first.reasons[0].kind, first.reason) == ("file", "the file plot_1.txt that plot() wrote is gone")
    [rolled] = db.status(Figure).roll_up()
    assert (rolled.state, rolled.is_green) == ("missing", False)
    assert first.reason in str(db.explain(str(first.record_id)))
    assert not db.status().is_green
    assert [(run(db, plots, tmp_path).completed, db.status().is_green)] == [(1, True)]


@both_stores
def test_a_file_whose_input_changed(db: DatabaseManager, plots: Project, tmp_path: Path) -> None:
    """A new value of an input makes the file stale; the file that is then written takes the place of the old one."""
    db.save(Force, [9.0], subject=2)

    first, second = figures(db)
    assert (first.state, second.state) == ("up to date", "input changed")
    assert second.reason.startswith("force = Force (subject=2) has another value since")
    explained = db.explain(str(second.record_id))
    assert str(explained) == str(db.explain(Figure, subject=2))
    assert explained.made.startswith("written by plot() on ")
    assert explained.superseded_by is None
    run(db, plots, tmp_path)
    assert db.status().counts == {"saved by hand": 2, "up to date": 2}
    again = db.explain(str(second.record_id))
    assert again.superseded_by == figures(db)[1].record_id
    assert "it is not the latest any more" in str(again)


def test_a_file_of_other_code(db: DatabaseManager, plots: Project, tmp_path: Path) -> None:
    """Edited code makes all its files stale, with what differs."""
    plots.edit("sum {", "total {")

    assert [one.state for one in figures(db)] == ["code changed", "code changed"]
    assert "constant 'sum ' -> 'total '" in str(db.explain(str(figures(db)[0].record_id)))
    run(db, plots, tmp_path)
    assert db.status().is_green


def test_files_of_results_that_are_stale(db: DatabaseManager, project: Project, tmp_path: Path) -> None:
    """A file is as stale as what it was made from."""
    module = project.write(PLOT)
    db.save(Force, [1.0, 2.0], subject=1)
    for_each(module.total, {"force": Force}, [Mean], subject=[], db=db, progress=False)

    def show(mean: float, path: Path) -> None:
        path.write_text(str(mean))

    write = thunk(generates_file=True)(show)
    with db.as_current():
        Figure.save(write(Mean.load_one(subject=1), path=tmp_path / "a.txt"), subject=1)
    assert [(one.state, dict(one.schema)) for one in figures(db)] == [("up to date", {"subject": 1})]
    project.edit("return sum(force)", "return sum(force) + 1")

    [found] = figures(db)
    assert (found.state, found.reasons[0].root.kind) == ("input changed", "code")


def test_one_more_value_for_an_average(db: DatabaseManager, project: Project, tmp_path: Path) -> None:
    """A value that for_each would now take in makes the file stale; a list that a script chose is left alone."""

    def plot(forces: list[float], subject: Any) -> None:
        (tmp_path / f"{subject}.txt").write_text(str(forces))

    write = thunk(generates_file=True)(plot)
    db.save_many(Force, [(float(trial), {"subject": 1, "trial": trial}) for trial in (1, 2)])
    for_each(write, {"forces": Force}, [Figure], subject=[], db=db, progress=False)
    with db.as_current():
        some = list(Force.load_all(subject=1))
        Smooth.save(write(some, subject=5), subject=5)
    assert [one.state for one in db.status().records if one.function_name] == ["up to date", "up to date"]
    assert "pass them as Path arguments" in str(figures(db)[0].remarks)
    db.save(Force, 3.0, subject=1, trial=3)

    found = {one.schema.get("subject"): one for one in db.status().records if one.function_name}
    assert {str(key): one.state for key, one in found.items()} == {"1": "input changed", "5": "up to date"}
    assert [one.reason for one in found.values() if one.reasons] == [
        "forces: Force (subject=1, trial=3) would now be used, too"
    ]


def test_a_file_of_a_result_that_was_never_saved(db: DatabaseManager, project: Project, tmp_path: Path) -> None:
    """What a chain of thunks wrote belongs where the data at its beginning belong, and is as stale as its code."""
    module = project.write(PLOT)
    db.save(Force, [1.0, 2.0], subject=1)
    total, plot = thunk(module.total), thunk(generates_file=True)(module.plot)
    with db.as_current():
        Figure.save(plot([total(Force.load_one(subject=1))], path=tmp_path / "a.txt"), subject=1)
    assert [(dict(one.schema), one.state) for one in figures(db)] == [({"subject": 1}, "up to date")]
    project.edit("return sum(force)", "return sum(force) + 1")

    [found] = figures(db)
    assert (found.state, found.reasons[0].root.subject) == ("input changed", "total()")


def test_a_file_of_a_call_that_cannot_be_recognised(db: DatabaseManager, tmp_path: Path) -> None:
    """It is listed, and never green, since nobody can say whether it would be written again."""

    def draw(canvas: object, path: Path) -> None:
        path.write_text("x")

    write = thunk(generates_file=True)(draw)
    with pytest.warns(UserWarning, match="runs every time"):
        Figure.save(write(object(), tmp_path / "a.txt"), db=db)
    saved = Figure.save(write(object(), tmp_path / "a.txt"), db=db)

    [found] = figures(db)
    assert (found.state, found.record_id) == ("code not checked", saved)
    assert db.has_lineage(saved)


def test_a_relative_path(db: DatabaseManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path is looked for where it was written, wherever the program runs now."""
    monkeypatch.chdir(tmp_path)

    def draw(x: int, path: Path) -> None:
        path.write_text(str(x))

    write = thunk(generates_file=True)(draw)
    Figure.save(write(1, Path("draw.txt")), db=db)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert [(one.state, dict(one.version_keys)) for one in figures(db)] == [("up to date", {"x": 1})]
    (tmp_path / "draw.txt").unlink()
    assert [one.state for one in figures(db)] == ["missing"]


def test_a_file_that_other_arguments_wrote_again(db: DatabaseManager, tmp_path: Path) -> None:
    """Of two calls that wrote one path, the later one made what is there; two paths are two files."""

    def draw(x: int, path: Path) -> None:
        path.write_text(str(x))

    write = thunk(generates_file=True)(draw)
    for x, name in ((1, "a.txt"), (2, "a.txt"), (1, "b.txt")):
        Figure.save(write(x, tmp_path / name), db=db)

    assert [dict(one.version_keys) for one in figures(db)] == [{"x": 2}, {"x": 1}]


def test_as_it_was(db: DatabaseManager, plots: Project, tmp_path: Path) -> None:
    """With as_of, files and inputs are those of then."""
    db.tag("first")
    db.save(Force, [9.0], subject=2)
    run(db, plots, tmp_path)

    assert len(figures(db, as_of="first")) == 2
    assert figures(db, as_of="first")[1].record_id != figures(db)[1].record_id
    with pytest.raises(NotFoundError, match="No file that a function wrote"):
        db.explain("generated:nothing")
    with pytest.raises(AmbiguousVersionError, match="3 files that a function wrote"):
        db.explain("generated:")
    with pytest.raises(AmbiguousVersionError, match="2 files were written as Figure"):
        db.explain(Figure)
    with pytest.raises(NotFoundError, match="No function wrote a file as Figure there"):
        db.explain(Figure, subject=9)
    assert str(db.explain(str(figures(db)[0].record_id)[:16])) == str(db.explain(Figure, subject=1))


# ---------------------------------------------------------------- lineage, impact, flags


@both_stores
def test_lineage_of_a_file(db: DatabaseManager, plots: Project) -> None:
    """`has_lineage` knows the ids of generated files."""
    found = figures(db)

    assert all(db.has_lineage(str(one.record_id)) for one in found)
    assert not db.has_lineage("generated:" + "0" * 64)
    made = db.get_provenance(str(found[1].record_id))
    assert made is not None
    assert (made["function_name"], made["type"], made["metadata"]) == ("plot", "Figure", {"subject": 2})
    assert [one["metadata"] for one in made["inputs"]] == [{"subject": 2}]
    assert [one["path"] for one in made["files"]] == ["plot_2.txt"]
    assert db.get_provenance(str(found[1].record_id), all=True) == [made]
    assert "def plot(force, path):" in str(db.get_source(str(found[1].record_id)[:20]))


@both_stores
def test_impact_and_flags_go_down_to_files(db: DatabaseManager, plots: Project, tmp_path: Path) -> None:
    """What was made from a bad recording is listed down to files that were written and exported, with its flag."""
    for_each(plots.module.total, {"force": Force}, [Mean], subject=[], db=db, progress=False)

    def show(mean: float, path: Path) -> None:
        path.write_text(str(mean))

    with db.as_current():
        for subject in (1, 2):
            mean = Mean.load_one(subject=subject)
            Smooth.save(thunk(generates_file=True)(show)(mean, path=tmp_path / f"{subject}.txt"), subject=subject)
    db.export_to_csv(Mean, tmp_path / "means.csv")
    db.flag(Force, "electrode 7 bad", subject=1)

    found = db.impact(Force, subject=1)
    listed = [(row.kind, row.name, row.flags) for row in found]
    bad = ("electrode 7 bad",)
    assert listed == [
        ("record", "Mean", bad),
        ("generated file", "of plot()", bad),
        ("generated file", "of show()", bad),
        ("export", str(tmp_path / "means.csv"), bad),
    ]
    ids = {str(one.record_id) for one in db.status().records}
    assert {row.record_id for row in found.files if row.kind == "generated file"} <= ids
    assert [row.flags for row in db.impact(Force, subject=2)] == [(), (), (), bad]  # the export holds both
    assert "electrode 7 bad" in found.to_text()
