"""Results of which lineage alone is stored: files that functions write, and values that were never saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import scidb
from scidb import BaseVariable, DatabaseManager, PathInput, exceptions, for_each, thunk

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.above_stores


class Raw(BaseVariable):
    pass


class Out(BaseVariable):
    pass


class Figure(BaseVariable):
    """A drawing, in a file."""


runs: list[Any] = []


@pytest.fixture(autouse=True)
def _no_runs() -> None:
    runs.clear()


@thunk(generates_file=True, ignore=["runs"])
def draw(signal: Any, path: Path) -> None:
    runs.append(str(path))
    path.write_text(str(signal))


@thunk(generates_file=True, ignore=["runs"])
def draw_each(signal: Any, folder: Path, subject: int) -> None:
    runs.append(subject)
    (folder / f"{subject}.txt").write_text(str(signal))


@thunk
def scale(x: Any) -> Any:
    return 2 * x


def _raw(value: Any, subject: int = 1) -> Any:
    Raw.save(value, subject=subject)
    return Raw.load_one(subject=subject)


# ------------------------------------------------------------------ generates_file, called


def test_only_lineage_is_stored(db: DatabaseManager, tmp_path: Path) -> None:
    """A generated file has an id and provenance, and nothing to load."""
    path = tmp_path / "a.txt"
    figure = draw(_raw(1.0), path)
    lineage_id = figure.pipeline_thunk.lineage_id

    assert Figure.save(figure, subject=1) == f"generated:{lineage_id}"

    assert path.read_text() == "1.0"
    with pytest.raises(exceptions.NotRegisteredError):
        Figure.load_one(subject=1)
    assert [edge["target"] for edge in db.get_pipeline_structure() if edge["function_name"] == "draw"] == ["Figure"] * 2
    graph = db.get_lineage_graph(Raw, subject=1, direction="down")
    assert [node.label for node in graph.nodes if node.kind == "call"] == ["draw()"]
    found = db.get_cached_computation(lineage_id)
    assert found is not None
    assert (found["outputs"], found["output_vhash"]) == ([], f"generated:{lineage_id}")
    assert db.find_by_lineage(figure) == [None]


def test_a_repeat_is_skipped_while_the_file_is_there(db: DatabaseManager, tmp_path: Path) -> None:
    """A repeat does not run, unless a path among its arguments no longer exists."""
    path, raw = tmp_path / "a.txt", _raw(1.0)
    Figure(draw(raw, path)).save(subject=1)
    again = draw(raw, path)
    assert (again.was_cached, again.data, len(runs)) == (True, None, 1)
    path.unlink()
    assert not draw(raw, path).was_cached
    assert path.exists()


def test_a_file_that_was_written_over_is_written_again(db: DatabaseManager, tmp_path: Path) -> None:
    """A5: after other code has run on the same inputs, the file of the first is written again."""
    path, raw = tmp_path / "a.txt", _raw(1.0)

    def version(text: str) -> Any:
        def draw_text(signal: Any, path: Path) -> None:
            path.write_text(text)

        return scidb.Thunk(draw_text, generates_file=True)

    for text in ("one", "two", "one"):
        figure = version(text)(raw, path)
        assert not figure.was_cached
        Figure.save(figure, subject=1)
        assert path.read_text() == text
    assert version("one")(raw, path).was_cached


def test_a_file_of_other_inputs_is_written_again(db: DatabaseManager, tmp_path: Path) -> None:
    """A5: the input 1 -> 2 -> 1 with one path ends with the file of 1, whoever calls."""
    path = tmp_path / "a.txt"
    for value in (1.0, 2.0, 1.0):
        figure = draw(_raw(value), path)
        Figure.save(figure, subject=1)
        assert path.read_text() == str(value)
    assert draw(_raw(1.0), path).was_cached
    for value in (3.0, 4.0, 3.0):
        _raw(value)
        run: dict[str, Any] = {"fn": draw, "inputs": {"signal": Raw, "path": path}, "outputs": [], "subject": 1}
        assert for_each(**run, pass_metadata=False).completed == 1
        assert path.read_text() == str(value)
    assert for_each(**run, pass_metadata=False).up_to_date == 1
    path.write_text("edited by hand")
    assert for_each(**run, pass_metadata=False).up_to_date == 1


def test_generated_files_can_be_set_aside(db: DatabaseManager, tmp_path: Path) -> None:
    """An invalidation by name or by id makes the function write its file again."""
    path, raw = tmp_path / "a.txt", _raw(1.0)
    record_id = Figure.save(draw(raw, path), subject=1)
    assert db.invalidate_cache(output=record_id) == 1
    assert not draw(raw, path).was_cached
    Figure.save(draw(raw, path), subject=1)
    assert draw(raw, path).was_cached
    assert db.invalidate_cache("draw") == 1
    assert not draw(raw, path).was_cached


def test_the_same_code_with_a_value_is_another_computation(db: DatabaseManager, tmp_path: Path) -> None:
    """Whether the value counts or the file enters the identity, so that neither is taken for the other."""
    path, raw = tmp_path / "a.txt", _raw(1.0)
    as_value = scidb.Thunk(draw.function, ignore=["runs"])
    assert as_value(raw, path).hash != draw(raw, path).hash


def test_misspelt_keys_and_unsaved_inputs_are_refused(db: DatabaseManager, tmp_path: Path) -> None:
    """A1 and strict lineage hold for files, too."""
    path = tmp_path / "a.txt"
    with pytest.raises(exceptions.SchemaKeyError):
        Figure.save(draw(_raw(1.0), path), subjct=1)
    with pytest.raises(exceptions.UnsavedIntermediateError, match=r"draw\(\) -> signal"):
        Figure.save(draw(Raw(2.0), path), subject=1)


# ------------------------------------------------------------------ generates_file in for_each


def test_for_each_passes_the_keys(db: DatabaseManager, tmp_path: Path) -> None:
    """pass_metadata=None means True exactly for functions that generate files; a second run does nothing."""
    for subject in (1, 2):
        _raw(float(subject), subject)
    run: dict[str, Any] = {
        "fn": draw_each,
        "inputs": {"signal": Raw, "folder": tmp_path},
        "outputs": [Figure],
        "subject": [],
    }
    assert for_each(**run).completed == 2
    assert (tmp_path / "2.txt").read_text() == "2.0"
    again = for_each(**run)
    assert (again.up_to_date, again.completed, len(runs)) == (2, 0, 2)
    Raw.save(5.0, subject=2)
    changed = for_each(**run)
    assert (changed.up_to_date, changed.completed) == (1, 1)
    assert for_each(**run, force=True).completed == 2
    assert db.invalidate_cache("draw_each") == 3
    assert for_each(**run).completed == 2
    assert for_each(**run).up_to_date == 2
    assert [edge["target"] for edge in db.get_pipeline_structure()] == ["Figure"] * 2


def test_for_each_without_outputs(db: DatabaseManager, tmp_path: Path) -> None:
    """A function that generates files needs no variable for them."""
    _raw(1.0)
    run: dict[str, Any] = {"fn": draw_each, "inputs": {"signal": Raw, "folder": tmp_path}, "outputs": [], "subject": []}
    assert for_each(**run).completed == 1
    assert for_each(**run).up_to_date == 1
    with pytest.raises(exceptions.PipelineError, match="outputs= is empty"):
        for_each(scale, {"x": Raw}, [], subject=[])


def test_a_function_that_takes_no_keys_says_how(db: DatabaseManager, tmp_path: Path) -> None:
    """Keys that the function has no parameter for are refused, with pass_metadata=False as the way out."""
    _raw(1.0)
    inputs = {"signal": Raw, "path": tmp_path / "a.txt"}
    with pytest.raises(exceptions.PipelineError, match="pass_metadata=False"):
        for_each(draw, inputs, [Figure], subject=[])
    assert for_each(draw, inputs, [Figure], subject=[], pass_metadata=False).completed == 1


def test_path_inputs_that_are_written(db: DatabaseManager, tmp_path: Path) -> None:
    """A file that the function writes is known by its path: skipped while it is there, else written again."""
    for subject in (1, 2):
        _raw(float(subject), subject)
    run: dict[str, Any] = {
        "fn": draw,
        "inputs": {"signal": Raw, "path": PathInput("{subject}.txt", root_folder=tmp_path)},
        "outputs": [Figure],
        "pass_metadata": False,
        "subject": [],
    }
    assert for_each(**run).completed == 2
    assert for_each(**run).up_to_date == 2
    (tmp_path / "2.txt").unlink()
    again = for_each(**run)
    assert (again.up_to_date, again.completed) == (1, 1)
    assert (tmp_path / "2.txt").exists()
    assert for_each(**run).up_to_date == 2
    assert for_each(**run, force=True).completed == 2
    assert for_each(**run).up_to_date == 2


def test_path_inputs_that_are_read(db: DatabaseManager, tmp_path: Path) -> None:
    """M10: of a function that reads a file and writes another one, a changed content of the first makes it run."""

    @thunk(generates_file=True)
    def convert(source: Path, target: Path) -> None:
        target.write_text(source.read_text().upper())

    (tmp_path / "1.csv").write_text("a")
    run: dict[str, Any] = {
        "fn": convert,
        "inputs": {
            "source": PathInput("{subject}.csv", root_folder=tmp_path),
            "target": PathInput("{subject}.txt", root_folder=tmp_path),
        },
        "outputs": [Figure],
        "pass_metadata": False,
        "subject": [1],
    }
    for text in ("a", "b", "a"):
        (tmp_path / "1.csv").write_text(text)
        assert for_each(**run).completed == 1
        assert (tmp_path / "1.txt").read_text() == text.upper()
        assert for_each(**run).up_to_date == 1


# ------------------------------------------------------------------ ephemeral


@pytest.fixture
def lax(target: str) -> Any:
    """Open a database that records what was never saved by its lineage alone."""
    with scidb.open(target, ["subject", "trial"], lineage_mode="ephemeral") as db, db.as_current():
        yield db


def test_unsaved_inputs_are_recorded_by_lineage_alone(lax: DatabaseManager) -> None:
    """Ephemeral mode: what strict mode refuses is saved, and its inputs are named by their content."""
    Out.save(scale(Raw(2.0)), subject=1)
    Out.save(scale(Raw(2.0)), subject=2)
    Out.save(scale(Raw(3.0)), subject=3)

    named = []
    for subject in (1, 2, 3):
        made = lax.get_provenance(Out, subject=subject)
        assert made is not None
        [found] = made["inputs"]
        assert (found["type"], found["metadata"]) == ("Raw", {})
        named.append(found["record_id"])

    assert named[0] == named[1] != named[2]
    assert all(record_id.startswith("ephemeral:") for record_id in named)
    assert [info.name for info in lax.types()] == ["Out"]
    with pytest.raises(exceptions.NotRegisteredError):
        Raw.load_all(as_df=True)
    assert "Raw" in lax.get_lineage_graph(Out, subject=1).to_text()


def test_unsaved_intermediates_are_recorded_through_their_call(lax: DatabaseManager) -> None:
    """A variable made of a result that was never saved leads to the call that made it."""
    middle = Raw(scale(Raw(2.0)))
    Out.save(scale(middle), subject=1)

    graph = lax.get_lineage_graph(Out, subject=1)

    assert [node.label for node in graph.nodes if node.kind == "call"] == ["scale()", "scale()"]
    assert not scale(Raw(2.0)).was_cached


def test_save_ephemeral_lineage(lax: DatabaseManager) -> None:
    """Where a result came from is stored without its value, which is never recalled."""
    raw = _raw(np.arange(3.0))
    result = scale(raw)

    name = lax.save_ephemeral_lineage(Out, result)

    assert name.startswith("ephemeral:")
    assert lax.save_ephemeral_lineage(Out, Out(result)) == name
    assert not scale(raw).was_cached
    assert [info.name for info in lax.types()] == ["Raw"]
    graph = lax.get_lineage_graph(Raw, subject=1, direction="down")
    assert [node.label for node in graph.nodes if node.kind == "call"] == ["scale()"]
    assert {edge["target"] for edge in lax.get_pipeline_structure()} == {"Out"}
    assert lax.get_cache_stats()["total_entries"] == 0
    with pytest.raises(exceptions.SciDBError, match="lineage is not known"):
        lax.save_ephemeral_lineage(Out, Raw(1.0))


def test_strict_holds_for_lineage_alone(db: DatabaseManager) -> None:
    """In strict mode lineage that leads to something never saved is refused, with or without a value."""
    with pytest.raises(exceptions.UnsavedIntermediateError, match=r"scale\(\) -> x"):
        db.save_ephemeral_lineage(Out, scale(Raw(2.0)))


# ------------------------------------------------------------------ several databases


def test_what_another_database_saved_is_not_saved_here(tmp_path: Path) -> None:
    """Strict lineage names inputs by records of this database; one of another database counts as never saved."""
    with scidb.open(tmp_path / "a.duckdb", ["subject"]) as one, one.as_current():
        raw = _raw(2.0)
        result = scale(raw)
        Out.save(result, subject=1)
    with scidb.open(tmp_path / "b.duckdb", ["subject"]) as other, other.as_current():
        for foreign in (scale(raw), scale(result)):
            with pytest.raises(exceptions.UnsavedIntermediateError, match=r"scale\(\) -> x"):
                Out.save(foreign, subject=1)
        assert other.types() == []
        Raw.save(raw, subject=1)
        Out.save(scale(raw), subject=1)
        assert Out.load_one(subject=1).data == 4.0


def test_what_another_database_saved_is_ephemeral(tmp_path: Path) -> None:
    """In ephemeral mode such an input is named by its content."""
    with scidb.open(tmp_path / "a.duckdb", ["subject"]) as one, one.as_current():
        raw = _raw(2.0)
    with scidb.open(tmp_path / "b.duckdb", ["subject"], lineage_mode="ephemeral") as lax, lax.as_current():
        Out.save(scale(raw), subject=1)
        made = lax.get_provenance(Out, subject=1)
        assert made is not None
        assert made["inputs"][0]["record_id"].startswith("ephemeral:")
