"""Where a number came from: by call and record, with who, when, where and which code."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import scidb
from scidb import BaseVariable, for_each, thunk
from scidb.database import environment
from scidb.exceptions import AmbiguousVersionError, DatabaseNotConfiguredError, NotFoundError, SciDBError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scidb import DatabaseManager

pytestmark = pytest.mark.above_stores

SCALE = 2.0


class Raw(BaseVariable):
    """What was measured."""


class Calibration(BaseVariable):
    """The factor of a device."""


class Scaled(BaseVariable):
    """What was measured, in units."""


class Grand(BaseVariable):
    """The mean over everybody."""


def helper(value: float) -> float:
    """Return a value times a constant of the module."""
    return value * SCALE


@thunk
def scaled(raw: float, factor: float, offset: float = 0.5) -> float:
    return helper(raw) * factor + offset


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


@pytest.fixture
def study(db: DatabaseManager) -> DatabaseManager:
    """Two subjects with equal data, whose results are computed once (M6a)."""
    Calibration.save(10.0)
    for subject in (1, 2):
        Raw.save(3.0, subject=subject)
    for_each(scaled, {"raw": Raw, "factor": Calibration, "offset": 1.0}, [Scaled], subject=[])
    return db


def input_ids(made: dict[str, Any] | None) -> dict[str, str]:
    assert made is not None
    return {one["name"]: one["record_id"] for one in made["inputs"]}


# ------------------------------------------------------------------ what is said


def test_the_keys_of_the_plan(study: DatabaseManager) -> None:
    """Provenance has the keys of the plan; where that says vhash, both record_id and vhash are there."""
    made = study.get_provenance(Scaled, subject=1)
    raw = study.find_record(Raw, subject=1)
    assert made is not None
    assert (made["function_name"], len(made["function_hash"])) == ("scaled", 64)
    assert made["record_id"] == made["vhash"] == study.find_record(Scaled, subject=1).record_id
    assert {"name", "type", "record_id", "vhash", "metadata"} <= made["inputs"][0].keys()
    assert made["inputs"][0] == {
        "name": "raw",
        "type": "Raw",
        "record_id": raw.record_id,
        "vhash": raw.record_id,
        "value_hash": raw.content_hash,
        "metadata": {"subject": 1},
    }
    assert [(one["name"], one["value_repr"]) for one in made["constants"]] == [("offset", "1.0")]
    assert len(made["constants"][0]["value_hash"]) == 64
    assert json.loads(json.dumps(made)) == made


def test_m6a_each_names_its_own_inputs(study: DatabaseManager) -> None:
    """M6a: of two subjects with equal data each result names its own input, also where the result was recalled."""
    for subject in (1, 2):
        made = study.get_provenance(Scaled, subject=subject)
        assert input_ids(made)["raw"] == study.find_record(Raw, subject=subject).record_id
        [derived] = study.get_derived_from(Raw, subject=subject)
        assert derived["metadata"]["subject"] == subject
        labels = {node.label for node in study.get_lineage_graph(Scaled, subject=subject).nodes}
        assert f"Raw (subject={subject})" in labels
        assert f"Raw (subject={3 - subject})" not in labels


def test_m6a_for_thunks(study: DatabaseManager) -> None:
    """M6a: so does the result of a thunk that was recalled from another subject's."""
    for subject in (1, 2):
        made = scaled(Raw.load_one(subject=subject), Calibration.load_one(), 7.0)
        assert made.was_cached is (subject == 2)
        Scaled.save(made, subject=subject, trial=1)
    second = study.get_provenance(Scaled, subject=2, trial=1)
    first = study.get_provenance(Scaled, subject=1, trial=1)
    assert first is not None
    assert second is not None
    assert second["recalled_from"] == first["call_id"]
    assert input_ids(second)["raw"] == study.find_record(Raw, subject=2).record_id


def test_every_entry(study: DatabaseManager) -> None:
    """all=True returns what made each entry of a record, newest first; one that was saved by hand made nothing."""
    inputs = {"raw": Raw, "factor": Calibration, "offset": 1.0}
    for_each(scaled, inputs, [Scaled], subject=[1], force=True)
    record = study.find_record(Scaled, subject=1)
    found = study.get_provenance(Scaled, all=True, subject=1)
    assert [one["record_id"] for one in found] == [record.record_id] * 2
    assert found[0] == study.get_provenance(Scaled, subject=1)
    assert found[0]["timestamp"] > found[1]["timestamp"]
    assert found[0]["run_id"] != found[1]["run_id"]
    assert study.get_provenance(Raw, all=True, subject=1) == []
    assert study.get_provenance(Scaled, all=True, as_of=found[1]["timestamp"], subject=1) == [found[1]]


def test_a_record_is_named_in_several_ways(study: DatabaseManager) -> None:
    """A value, an id, the beginning of one, and a variable with keys mean the same record."""
    value = Scaled.load_one(subject=1)
    made = study.get_provenance(Scaled, subject=1)
    assert made is not None
    for named in (value, value.record_id or "", (value.record_id or "")[:10]):
        assert study.get_provenance(named) == made
    assert study.get_provenance("Scaled", subject=1) == made
    assert study.get_provenance(Scaled, version=(value.record_id or "")[:8]) == made
    with pytest.raises(AmbiguousVersionError):
        study.get_provenance(Scaled)
    with pytest.raises(NotFoundError):
        study.get_provenance(Scaled, subject=9)
    with pytest.raises(SciDBError, match="was never saved"):
        study.get_provenance(Raw(1.0))
    with pytest.raises(SciDBError, match="no variable of this database"):
        study.get_provenance("Scled", subject=1)


def test_a_value_stands_for_its_own_entry(db: DatabaseManager) -> None:
    """A value that was loaded from an older entry says what made that one."""
    Raw.save(3.0, subject=1)
    for_each(helper, {"value": Raw}, [Scaled], subject=[])
    made = Scaled.load_one(subject=1)
    Scaled.save(6.0, subject=1, params=None)
    by_hand = db.load_one(Scaled, subject=1, params={"__fn": None})
    assert db.get_provenance(made) is not None
    assert db.get_provenance(by_hand) is None
    assert db.has_lineage(made.record_id or "")
    assert not db.has_lineage(by_hand.record_id or "")
    assert not db.has_lineage("0" * 64)


def test_provenance_by_schema(study: DatabaseManager) -> None:
    """What made everything at a place, of all variables, in natural order; what was saved by hand is left out."""
    for_each(mean, {"values": Scaled}, [Grand])
    found = study.get_provenance_by_schema(subject=[1, 2])
    assert [(one["type"], one["metadata"]["subject"]) for one in found] == [("Scaled", 1), ("Scaled", 2)]
    assert found[0] == study.get_provenance(Scaled, subject=1)
    assert [one["type"] for one in study.get_provenance_by_schema(subject=None)] == ["Grand"]
    assert study.get_provenance_by_schema(subject=9) == []


def test_provenance_by_schema_asks_few_questions(study: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many questions for a hundred records as for two."""
    asked: list[str] = []
    for verb in ("find", "trace"):
        original = getattr(study._store, verb)

        def ask(query: Any, original: Any = original) -> Any:
            asked.append(type(query).__name__)
            return original(query)

        monkeypatch.setattr(study._store, verb, ask)
    study.get_provenance_by_schema()
    few = list(asked)
    Raw.save_many([(float(n), {"subject": n}) for n in range(10, 110)])
    for_each(scaled, {"raw": Raw, "factor": Calibration, "offset": 1.0}, [Scaled], subject=[])
    asked.clear()
    assert len(study.get_provenance_by_schema()) == 102
    assert asked == few


@pytest.mark.every_store
def test_derived_from(study: DatabaseManager) -> None:
    """What was computed from a record directly: also what another call has made since."""
    for_each(mean, {"values": Scaled}, [Grand])
    [of_raw] = study.get_derived_from(Raw, subject=1)
    assert (of_raw["type"], of_raw["function"], of_raw["record_id"]) == ("Scaled", "scaled", of_raw["vhash"])
    assert [one["type"] for one in study.get_derived_from(Scaled, subject=1)] == ["Grand"]
    assert study.get_derived_from(Grand) == []
    first = study.find_record(Raw, subject=1)
    Raw.save(3, subject=1)
    for_each(scaled, {"raw": Raw, "factor": Calibration, "offset": 1.0}, [Scaled], subject=[1])
    assert [one["type"] for one in study.get_derived_from(first)] == ["Scaled"]


def test_an_unsaved_result_is_named(db: DatabaseManager) -> None:
    """A result that was handed on unsaved is an input with the function that made it."""

    @thunk
    def half(value: float) -> float:
        return value / 2

    Raw.save(3.0, subject=1)
    Scaled.save(half(scaled(Raw.load_one(subject=1), 2.0)), subject=1)
    made = db.get_provenance(Scaled, subject=1)
    assert made is not None
    [given] = made["inputs"]
    assert (given["name"], given["source_function"], given["output_num"]) == ("value", "scaled", 0)


# ------------------------------------------------------------------ who, when, where


def test_who_when_and_where(study: DatabaseManager) -> None:
    """Provenance says who, when, how long, on what machine, with which Python and packages."""
    made = study.get_provenance(Scaled, subject=1)
    assert made is not None
    assert made["user_id"]
    assert made["timestamp"] == study.find_record(Scaled, subject=1).timestamp
    assert made["seconds"] >= 0
    around = made["environment"]
    assert around["python"] == ".".join(map(str, sys.version_info[:3]))
    assert around["machine"]
    assert around["packages"]["numpy"] == np.__version__


@pytest.fixture
def fresh_git() -> None:
    """Forget what is known of repositories."""
    for one in (environment._git_state, environment._repository_above, environment._repository_of_code):
        one.cache_clear()


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, fresh_git: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a git repository with a committed module that is on the path."""
    folder = tmp_path / "analysis"
    folder.mkdir()
    (folder / "steps_in_git.py").write_text("def doubled(raw):\n    return 2 * raw\n")
    try:
        git(folder, "init", "-q")
    except FileNotFoundError:
        pytest.skip("there is no git")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "First")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "steps_in_git", raising=False)
    return folder


def run_doubled(db: DatabaseManager) -> dict[str, Any]:
    import steps_in_git  # type: ignore[import-not-found]

    Raw.save(3.0, subject=1)
    for_each(steps_in_git.doubled, {"raw": Raw}, [Scaled], subject=[])
    made = db.get_provenance(Scaled, subject=1)
    assert made is not None
    return made


def test_commit_of_the_code(repository: Path, db: DatabaseManager) -> None:
    """Provenance names the commit of the repository that the code is in; what is not tracked is no change of it."""
    (repository / "study.duckdb").write_text("x")
    made = run_doubled(db)
    assert made["git"]["commit"] == git(repository, "rev-parse", "HEAD")
    assert made["git"]["repository"] == str(repository)
    assert made["git"]["is_dirty"] is False


def test_dirty_repository(repository: Path, db: DatabaseManager) -> None:
    """A changed file that is tracked makes it dirty."""
    (repository / "steps_in_git.py").write_text("def doubled(raw):\n    return 2 * raw  # twice\n")
    assert run_doubled(db)["git"]["is_dirty"] is True


def test_git_is_called_once(repository: Path, db: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """One process asks git once, however many runs and databases it has."""
    calls: list[object] = []
    original: Callable[..., Any] = subprocess.run

    def run(command: list[str], **more: Any) -> Any:
        calls.append(command)
        return original(command, **more)

    monkeypatch.setattr(subprocess, "run", run)
    run_doubled(db)
    with scidb.open("memory:", ["subject"]) as other, other.as_current():
        run_doubled(other)
    assert len(calls) == 1


@pytest.mark.parametrize("failure", [FileNotFoundError("git"), subprocess.TimeoutExpired("git", 5)])
def test_without_git(
    repository: Path, db: DatabaseManager, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    """Where git is absent or does not answer, everything is recorded but the commit."""

    def run(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(subprocess, "run", run)
    made = run_doubled(db)
    assert made["git"] is None
    assert made["environment"]["python"]


def test_outside_of_any_repository(tmp_path: Path, fresh_git: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code and working directory in no repository have no commit, and git is not asked."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(environment, "_repository_above", lambda folder: None)
    assert environment.repository_of('{"version":"fingerprint/1","units":[]}') is None
    assert "git" not in json.loads(environment.describe_environment(None))


def test_a_repository_without_commits(tmp_path: Path, repository: Path, db: DatabaseManager) -> None:
    """A repository in which nothing was committed yet has no commit to name."""
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "-q")
    assert environment._git_state(str(empty)) is None


def test_warnings_of_the_fingerprint(db: DatabaseManager) -> None:
    """What could not be taken into account when the code was identified is shown with the provenance."""
    lock: Any = iter([1])

    def uses(raw: float) -> float:
        return raw if lock is not None else 0.0

    Raw.save(3.0, subject=1)
    for_each(uses, {"raw": Raw}, [Scaled], subject=[])
    made = db.get_provenance(Scaled, subject=1)
    assert made is not None
    assert any("lock" in warning for warning in made["warnings"])
    assert "# warning: " in str(db.get_source(Scaled, subject=1))


# ------------------------------------------------------------------ the code


def test_source_of_a_number(study: DatabaseManager) -> None:
    """The code that made a number: the function first, then what it uses, with file, line and the values it read."""
    code = study.get_source(Scaled, subject=1)
    assert code is not None
    text = str(code)
    assert [unit.name for unit in code.units] == ["scaled", "helper"]
    assert all(unit.file == __file__ and unit.line > 0 for unit in code.units)
    assert "def scaled(" in text.split("def helper(", maxsplit=1)[0]
    assert "# with SCALE = 2.0" in text
    assert f"{__file__}, line {code.units[0].line}" in text
    assert str(Scaled.load_one(subject=1).source) == text
    assert "<pre>" in code._repr_html_()


def test_source_of_what_was_saved_by_hand(study: DatabaseManager) -> None:
    """No code made what was saved by hand, and a value that was never saved has no record to ask for."""
    assert study.get_source(Raw, subject=1) is None
    assert Raw.load_one(subject=1).source is None
    with pytest.raises(SciDBError, match="was never saved"):
        _ = Raw(1.0).source


def test_source_needs_the_database(tmp_path: Path) -> None:
    """`v.source` asks the current database; without one it says so."""
    with scidb.open(tmp_path / "study.duckdb", ["subject"]) as db:
        db.save(Raw, 3.0, subject=1)
        for_each(helper, {"value": Raw}, [Scaled], subject=[], db=db)
        value = db.load_one(Scaled, subject=1)
        with pytest.raises(DatabaseNotConfiguredError):
            _ = value.source
        assert "def helper" in str(db.get_source(value))


def test_source_of_library_code(db: DatabaseManager) -> None:
    """Of a library's function there is no code of the user; the library is named with its version."""
    Raw.save(4.0, subject=1)
    Scaled.save(scidb.Thunk(np.sqrt)(Raw.load_one(subject=1)), subject=1)
    code = db.get_source(Scaled, subject=1)
    assert code is not None
    assert code.units == ()
    assert f"numpy {np.__version__}" in str(code)


def test_source_of_declared_code(db: DatabaseManager) -> None:
    """Where a version= stands for the code, that is what is known of it."""

    @thunk(version="2")
    def declared(raw: float) -> float:
        return raw

    Raw.save(4.0, subject=1)
    Scaled.save(declared(Raw.load_one(subject=1)), subject=1)
    assert "version='2' stands for its code" in str(db.get_source(Scaled, subject=1))


def test_source_with_a_class(db: DatabaseManager) -> None:
    """A method stands in the text of its class, once, with what it reads from outside."""

    class Tool:
        def run(self, raw: float) -> float:
            return raw * SCALE

    def uses_a_class(raw: float) -> float:
        return Tool().run(raw)

    Raw.save(4.0, subject=1)
    for_each(uses_a_class, {"raw": Raw}, [Scaled], subject=[])
    code = db.get_source(Scaled, subject=1)
    assert code is not None
    assert [unit.name.rpartition(".")[2] for unit in code.units] == ["uses_a_class", "Tool"]
    assert dict(code.units[1].reads) == {"SCALE": "2.0"}
    assert str(code).count("def run(") == 1


# ------------------------------------------------------------------ the graph


@pytest.mark.every_store
def test_graph_in_both_directions(study: DatabaseManager) -> None:
    """A graph goes up and down, as far as asked, from any way of naming a record."""
    for_each(mean, {"values": Scaled}, [Grand])
    up = study.get_lineage_graph(Grand)
    assert up.direction == "up"
    assert [node.kind for node in up.nodes].count("call") == 3
    near = study.get_lineage_graph(Grand.load_one(), "up", 1)
    assert [node.kind for node in near.nodes].count("call") == 1
    assert any(node.cut for node in near.nodes)
    down = study.get_lineage_graph(Raw.load_one(subject=1).record_id or "", "down")
    assert [node.label for node in down.nodes if node.kind == "call"] == ["scaled()", "mean()"]
    with pytest.raises(SciDBError, match="direction"):
        study.get_lineage_graph(Grand, "sideways")  # type: ignore[arg-type]
    for depth in (-1, True, "2"):
        with pytest.raises(SciDBError, match="depth"):
            study.get_lineage_graph(Grand, depth=depth)  # type: ignore[arg-type]


def test_graph_shows_flags(study: DatabaseManager) -> None:
    """A flag shows in every view of the graph, on the record and on all that was made from it."""
    for_each(mean, {"values": Scaled}, [Grand])
    study.flag(Raw, "electrode 7 bad", subject=1)
    graph = study.get_lineage_graph(Grand)
    assert graph.to_text().count("(flagged: electrode 7 bad)") == 3
    assert [one.get("flags") for one in graph.to_dict()["nodes"] if one["kind"] == "record"].count(
        "electrode 7 bad"
    ) == 3
    assert "flags: electrode 7 bad" in graph.to_svg()
