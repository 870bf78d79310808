"""`scidb run`: a script's for_each calls collected, planned and run; `scidb runs` and `scidb retry` for what failed."""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import pytest
from typer.testing import CliRunner

from scidb.cli import app
from scidb.current import current
from scidb.foreach.call import collector
from scidb.pipeline import Pipeline, PipelineReport
from scidb.session import open_database

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from typer.testing import Result

HEAD: Final = """
from scidb import BaseVariable, configure_database, for_each

class RunRaw(BaseVariable):
    pass

class RunDouble(BaseVariable):
    pass

class RunMean(BaseVariable):
    pass

def double(x):
    return 2 * x

def mean(xs):
    return sum(xs) / len(xs)
"""
CONFIGURE: Final = """
db = configure_database("run.duckdb")
"""
STEPS: Final = """
print("talking")
for_each(mean, {"xs": RunDouble}, [RunMean])
for_each(double, {"x": RunRaw}, [RunDouble], subject=[])
"""
FUNCTION: Final = """
def pipeline(db):
    for_each(mean, {"xs": RunDouble}, [RunMean])
    for_each(double, {"x": RunRaw}, [RunDouble], subject=[])

if __name__ == "__main__":
    1 / 0
"""


class Script(Protocol):
    """Write a script, run `scidb run` on it, and forget its modules as another process would."""

    def __call__(self, text: str, *words: str, expect: int = 0) -> Result: ...


@pytest.fixture
def study_of_script(here: Path) -> Path:
    """Make a database with the data of two subjects, in a folder of its own."""
    from scidb import BaseVariable

    raw = type("RunRaw", (BaseVariable,), {})
    with open_database(here / "run.duckdb", {"subject": int}) as db:
        db.save_many(raw, [(float(s), {"subject": s}) for s in (1, 2)])
    return here


@pytest.fixture
def script(study_of_script: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    """Return the command."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    before = set(sys.modules)

    def forget() -> None:
        for name in set(sys.modules) - before:
            if str(study_of_script) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]

    def run(text: str, *words: str, expect: int = 0) -> Result:
        (study_of_script / "steps_run.py").write_text(text, encoding="utf-8")
        result = command("run", "steps_run.py", *words, expect=expect)
        forget()
        return result

    yield run
    forget()


def command(*words: str, expect: int = 0) -> Result:
    """Run the command line."""
    main, database = sys.modules["__main__"], current()
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == expect, result.output + repr(result.exception)
    assert sys.modules["__main__"] is main
    assert collector() is None
    close(database)
    return result


def close(before: object) -> None:
    """Close what a script has configured and left open, as the end of its process would."""
    left: Any = current()
    if left is not None and left is not before:
        left.close()
    gc.collect()


def stored(folder: Path, name: str) -> list[Any]:
    with open_database(folder / "run.duckdb") as db:
        return [one.data for one in db.load_all(name)] if name in {info.name for info in db.types()} else []


# ------------------------------------------------------------------ scripts


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(HEAD + CONFIGURE + STEPS, id="plain", marks=pytest.mark.slow),
        pytest.param(HEAD + CONFIGURE + FUNCTION, id="function"),
        pytest.param(
            HEAD + FUNCTION.replace("(db):", "():" + CONFIGURE.replace("\n", "\n    ")),
            id="opens its own",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            HEAD + "with configure_database('run.duckdb') as db:\n    db.schema_keys" + STEPS.replace("\n", "\n    "),
            id="closes",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_script_is_planned_run_and_then_up_to_date(script: Script, study_of_script: Path, text: str) -> None:
    """Every kind of script: the plan runs nothing and exits with 3, the run computes, the next plan is green."""
    planned = script(text, "--plan", expect=3)
    assert [line.split()[1] for line in planned.stdout.splitlines()[1:3]] == ["double", "mean"]
    assert stored(study_of_script, "RunDouble") == []

    ran = script(text)
    assert "double: 2 computed" in ran.stdout
    assert "In all 3 computed" in ran.stdout
    assert stored(study_of_script, "RunMean") == [3.0]

    assert "Everything that has its inputs is up to date." in script(text, "--plan").stdout


IN_A_BLOCK: Final = HEAD + CONFIGURE + "with db.pipeline() as p:" + STEPS.replace("\n", "\n    ")


@pytest.mark.parametrize(
    "text",
    [IN_A_BLOCK + "\np.run()\n", IN_A_BLOCK + "\n", HEAD + CONFIGURE + "import sys\n" + STEPS + "sys.exit(0)\n"],
    ids=["run", "not-run", "exits"],
)
def test_pipelines_of_a_script_are_collected_too(script: Script, study_of_script: Path, text: str) -> None:
    """A pipeline that the script makes is planned and run by the command, whether the script runs it or not."""
    script(text, "--plan", expect=3)
    assert stored(study_of_script, "RunDouble") == []

    assert "In all 3 computed" in script(text).stdout


def _at_noon(write: Any) -> Any:
    def write_text(path: Path, *args: Any, **kwargs: Any) -> None:
        write(path, *args, **kwargs)
        os.utime(path, (1_700_000_000, 1_700_000_000))

    return write_text


def test_one_code_whichever_way_it_runs(script: Script, study_of_script: Path) -> None:
    """A plain script, and the same steps behind `pipeline(db)`, are the same functions: nothing runs twice."""
    script(HEAD + CONFIGURE + STEPS)

    assert "3 up to date" in script(HEAD + CONFIGURE + FUNCTION).stdout


def test_only_what_changed_runs(script: Script) -> None:
    """After an edit, the plan says which step computes and what depends on it; the run computes no more."""
    text = HEAD + CONFIGURE + STEPS
    script(text)
    edited = text.replace("return 2 * x", "return 3 * x")

    plan = script(edited, "--plan", "--json", expect=3)
    rows = [json.loads(line) for line in plan.stdout.splitlines()]
    assert [(row["step"], row["completed"], row["depends_on"]) for row in rows] == [
        ("double", 2, []),
        ("mean", 0, ["double"]),
    ]
    assert rows[0]["why"] == "2 whose code or inputs changed"

    assert "double: 2 computed" in script(edited, "--until", "RunDouble").stdout
    rows = [json.loads(line) for line in script(edited, "--json").stdout.splitlines()]
    assert [(row["function_name"], row["schema"], row["state"]) for row in rows] == [
        ("double", {"subject": 1}, "up_to_date"),
        ("double", {"subject": 2}, "up_to_date"),
        ("mean", {}, "completed"),
    ]


def test_an_edit_of_equal_length_counts(script: Script, study_of_script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """M11: the file is compiled anew, also when an edit leaves its length and time as they were."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(Path, "write_text", _at_noon(Path.write_text))
    text = HEAD + CONFIGURE + FUNCTION
    script(text)
    script(text.replace("return 2 * x", "return 3 * x"))

    assert stored(study_of_script, "RunDouble") == [3.0, 6.0]


def test_what_a_script_prints_is_no_output(script: Script) -> None:
    """What the script and its functions print goes to stderr, so that a pipe gets the command's output alone."""
    text = HEAD.replace("return 2 * x", "print('inside'); return 2 * x") + CONFIGURE + STEPS

    result = script(text, "--json")

    assert all(json.loads(line) for line in result.stdout.splitlines())
    assert "talking" in result.stderr
    assert "inside" in result.stderr


def test_the_command_line_may_name_the_database(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that configures none runs on that of --db; a function also on the one that is found."""
    assert "In all 3 computed" in script(HEAD + STEPS, "--db", "run.duckdb").stdout
    assert "3 up to date" in script(HEAD + FUNCTION).stdout
    refused = script(HEAD + STEPS, expect=1)
    assert "No database is configured" in refused.stderr
    assert "scidb --db PATH run" in refused.stderr


@pytest.mark.parametrize(
    ("text", "words", "code", "said"),
    [
        (None, (), 2, "missing_run.py is no file"),
        ("x = (\n", (), 1, "is no Python that this version"),
        ("1 / 0\n", (), 1, "ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit('no data')\n", (), 1, "called sys.exit('no data') before its steps were run"),
        ("x = 1\n", (), 1, "calls for_each for nothing"),
        (HEAD + CONFIGURE + STEPS + "print(RunMean.load_one().data)\n", (), 1, "needs a function pipeline(db)"),
        (HEAD + CONFIGURE + STEPS, ("--until", "RunMeen"), 1, "Did you mean 'RunMean'"),
        (HEAD + CONFIGURE + STEPS.replace('"x": ', '"y": '), (), 1, "steps_run.py, line 23: double() has no"),
        (HEAD + CONFIGURE + STEPS.replace('"xs": RunDouble', '"xs": RunMean'), (), 0, "In all 2 computed"),
        (
            HEAD + CONFIGURE + STEPS.replace('"x": RunRaw', '"x": RunMean'),
            (),
            1,
            "mean() reads RunDouble, made by double(); double() reads RunMean, made by mean()",
        ),
        (
            HEAD + CONFIGURE + "import scidb" + STEPS.replace("subject=[]", "db=scidb.open('memory:', ['a'])"),
            (),
            1,
            "uses two databases",
        ),
    ],
)  # fmt: skip
def test_what_cannot_run_says_why(
    script: Script, study_of_script: Path, text: str | None, words: Sequence[str], code: int, said: str
) -> None:
    """Usage errors exit with 2, the user's errors with 1 and the place in their file; nothing has run then."""
    if text is None:
        result = command("run", "missing_run.py", expect=code)
    else:
        result = script(text, *words, expect=code)
        assert "script.py" not in result.stderr

    assert said in " ".join(result.output.split())
    if code:
        assert stored(study_of_script, "RunDouble") == []


def test_a_step_without_input_is_a_problem_of_the_plan(script: Script) -> None:
    """A plan in which an input is made by nobody exits with 1 and names it; a run goes on with the rest."""
    text = (
        HEAD
        + CONFIGURE
        + STEPS.replace('"xs": RunDouble', '"xs": RunOther').replace(
            "for_each(mean", "class RunOther(BaseVariable):\n    pass\nfor_each(mean"
        )
    )

    plan = script(text, "--plan", expect=1)

    assert "no step makes RunOther, and the database has none" in plan.stdout
    assert "These steps cannot run as they are: mean." in plan.stderr
    assert "double: 2 computed" in script(text).stdout


# ------------------------------------------------------------------ what fails


FAILING: Final = HEAD.replace("return 2 * x", "return 2 / (x - 2)") + CONFIGURE + STEPS


def test_a_failure_is_an_exit_code_and_can_be_looked_at_and_retried(script: Script, study_of_script: Path) -> None:
    """R2: the run exits with 1; `scidb runs` shows the traceback; after the repair, `scidb retry` runs that alone."""
    result = script(FAILING, expect=1)
    assert "double: 1 computed, 1 failed" in result.stdout
    assert "mean: 1 computed" in result.stdout
    assert "behind failures of double" in result.stdout

    [run] = [one for one in map(json.loads, command("runs", "--json").stdout.splitlines()) if one["failed"]]
    shown = command("runs", run["run_id"][:8]).stdout
    assert shown.startswith("double()  ")
    assert "subject=2\n  error   ZeroDivisionError: float division by zero\n" in shown
    assert "  inputs  x = RunRaw " in shown
    assert 'steps_run.py", line 14, in double' in shown
    [failure] = map(json.loads, command("runs", run["run_id"], "--json").stdout.splitlines())
    assert failure["inputs"][0]["type_name"] == "RunRaw"

    again = command("retry", "--import", "steps_run.py", expect=1)
    assert "double: 1 failed" in again.stdout
    del sys.modules["steps_run"]

    file = study_of_script / "steps_run.py"
    file.write_text(HEAD + CONFIGURE + FUNCTION, encoding="utf-8")
    repaired = command("retry", run["run_id"][:8], "--import", "steps_run.py", "--json")
    assert [json.loads(line)["state"] for line in repaired.stdout.splitlines()] == ["completed"]
    assert stored(study_of_script, "RunDouble") == [-2.0, 4.0]


def test_retry_says_what_it_lacks(script: Script) -> None:
    """Without the code, without failures and with an unknown run, the answer says what to do."""
    assert "No run of this database has failures" in command("retry", expect=1).stderr
    script(FAILING, expect=1)
    gc.collect()

    assert "No run has an id that begins with 'zz'" in command("retry", "zz", expect=1).stderr


def test_a_step_that_stops_the_pipeline_shows_its_traceback(script: Script) -> None:
    """With on_error="raise" in the script, the command ends with 1 and the user's traceback."""
    result = script(FAILING.replace("subject=[])", "subject=[], on_error='raise')"), expect=1)

    assert "ZeroDivisionError: float division by zero" in result.stderr
    assert "In the step double of a pipeline." in result.stderr


def test_an_interrupt_ends_cleanly(script: Script) -> None:
    """Ctrl-C says that what was done is saved, prints the report, and exits with 1; the next run goes on."""
    text = HEAD + CONFIGURE + STEPS
    stopping = text.replace("return sum(xs)", "raise KeyboardInterrupt; return sum(xs)")

    result = script(stopping, expect=1)

    assert "What was done is saved" in result.stderr
    assert "double: 2 computed" in result.stdout
    assert "double: 2 up to date" in script(text).stdout


def test_jobs_are_an_option_of_every_step(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--n-jobs` is handed to the run as it is, and no such word is when it is not given."""
    given: list[Any] = []

    def run(self: Pipeline, until: str | None = None, **options: Any) -> PipelineReport:
        given.append((until, options))
        return PipelineReport()

    monkeypatch.setattr(Pipeline, "run", run)
    script(HEAD + CONFIGURE + STEPS, "--n-jobs", "2", "--until", "RunMean")
    script(HEAD + CONFIGURE + STEPS)

    assert given == [("RunMean", {"n_jobs": 2}), (None, {})]
