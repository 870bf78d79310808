"""scidb reproduce: what it prints, what it shows before it runs anything, and its exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

import scidb
from scidb.cli import app
from scidb.cli.reproduce import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typer.testing import Result

TEXT = """
    import os
    from scidb import BaseVariable, for_each

    class CliRaw(BaseVariable):
        "A number."
    class CliHalf(BaseVariable):
        "Half of it."
    class CliPid(BaseVariable):
        "What no other process gives."

    def half(x, by=2.0):
        return x / by

    def pid(x):
        return x + os.getpid()

    if __name__ == "__main__":
        raise SystemExit("not to be run")
"""


FILL = """
    import sys
    sys.path.insert(0, ".")
    import cli_steps as steps
    from scidb.session import open_database

    with open_database("study.duckdb", {"subject": int}) as db:
        steps.CliRaw.save(3.0, subject=1, db=db)
        for output, function in ((steps.CliHalf, steps.half), (steps.CliPid, steps.pid)):
            steps.for_each(function, {"x": steps.CliRaw}, [output], subject=[], db=db, progress=False)
"""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a file of code, and a database that another process filled with it."""
    path: Path = tmp_path_factory.mktemp("filled")
    (path / "cli_steps.py").write_text(dedent(TEXT), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(Path(scidb.__file__).parents[1])}
    subprocess.run([sys.executable, "-c", dedent(FILL)], cwd=path, check=True, env=environment)
    return path


@pytest.fixture
def folder(filled: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work there; what is imported from it is forgotten afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(filled)
    yield filled
    sys.modules.pop("cli_steps", None)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["reproduce", *words])


@pytest.mark.slow
def test_an_equal_record_is_exit_code_0(folder: Path) -> None:
    """With its code imported the record is computed again; --json gives a line per record."""
    shown = run("CliHalf", "subject=1", "--import", "cli_steps.py")
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert "CliHalf (subject=1), by half(): equal, with the code that is installed" in shown.stdout

    (line,) = map(json.loads, run("CliHalf", "--import", "cli_steps", "--json", "--alone").stdout.splitlines())
    assert (line["variable"], line["outcome"], line["code"]) == ("CliHalf", "equal", "installed")


@pytest.mark.slow
def test_a_difference_is_exit_code_3(folder: Path) -> None:
    """A record that depends on the process is different, by how much is said."""
    shown = run("CliPid", "--import", "cli_steps.py")

    assert shown.exit_code == 3
    assert "the value: different, by" in shown.stdout


def test_stored_code_is_shown_before_it_may_run(folder: Path) -> None:
    """Without its code a record is not reproduced (exit code 1), and the stored text is shown; then it may run."""
    shown = run("CliHalf")
    assert shown.exit_code == 1
    assert "return x / by" in shown.stderr
    assert "--run-stored-code" in shown.stdout

    agreed = run("CliHalf", "--run-stored-code")
    assert agreed.exit_code == 0
    assert "return x / by" in agreed.stderr
    assert "equal, with the stored code" in agreed.stdout


@pytest.mark.slow
def test_tolerances_and_limits_are_options(folder: Path) -> None:
    """A tolerance that is as large as the difference makes it pass; nonsense is refused."""
    assert run("CliPid", "--import", "cli_steps.py", "--atol", "1e9").exit_code == 0
    assert "tolerance is a number" in run("CliPid", "--rtol", "-1").stderr
    assert "number of seconds" in run("CliPid", "--timeout", "0").stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["feedfeed"], "No record has an id"),
        (["CliRaw", "subject=1"], "saved by hand"),
        (["CliHalf", "--import", "nowhere.py"], "does not exist"),
    ],
)
def test_what_cannot_be_asked_is_exit_code_1(folder: Path, words: list[str], said: str) -> None:
    """An unknown record, one that was saved by hand, and code that is not there are messages, no tracebacks."""
    shown = run(*words)

    assert shown.exit_code == 1
    assert said in shown.stderr
    assert "Traceback" not in shown.stderr


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a\tb\n", "a\tb\n"), ("\x1b[2J", "\\x1b[2J"), ("x = 1 \u202e# 2", "x = 1 \\u202e# 2"), ("é\u200b", "é\\u200b")],
)
def test_nothing_hides_in_what_is_shown(text: str, shown: Any) -> None:
    """Commands to the terminal, and signs that turn text around or cannot be seen, are written out."""
    assert visible(text) == shown
