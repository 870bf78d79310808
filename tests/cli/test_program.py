"""The program as a whole: exit codes, errors, pipes, help."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import scidb as package
from scidb import BaseVariable
from scidb.session import open_database

if TYPE_CHECKING:
    from tests.cli.conftest import Scidb


class Note(BaseVariable):
    pass


@pytest.fixture(scope="module")
def open_study(study: Path) -> Path:
    """Leave the small database closed: here, other processes open it."""
    return study


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("ls", "Reactoin"), "Did you mean 'Reaction'?"),
        (("show", "Reactoin", "subject=1"), "Did you mean 'Reaction'?"),
        (("log", "Reactoin"), "Did you mean 'Reaction'?"),
        (("ls", "Reaction", "subjet=1"), "Did you mean 'subject'?"),
        (("ls", "Reaction", "version=1"), "reserved"),
        (("show", "Reaction", "subject=one"), "subject"),
        (("show", "Reaction", "subject=9"), "subject=1"),
        (("show", "Reaction", "subject=1"), "3 records of Reaction match"),
        (("lineage", "Reaction"), "6 records of Reaction match"),
        (("show", "0123456789ab"), "0123456789ab"),
        (("sql", "SELECT * FROM Nothing"), "Nothing"),
        (("sql", "DROP VIEW Reaction"), "SELECT"),
        (("ls", "--db", "none.duckdb"), "does not exist"),
    ],
)
def test_failures_are_messages(scidb: Scidb, words: tuple[str, ...], said: str) -> None:
    """An error of ours is a message on stderr and exit code 1, without a traceback."""
    result = scidb(*words, expect=1)

    assert said in result.stderr
    assert result.stderr.startswith("scidb: ")
    assert "Traceback" not in result.output
    assert result.stdout == ""


@pytest.mark.parametrize(
    "words",
    [
        ("lss",),
        ("ls", "--nope"),
        ("ls", "Reaction", "subject"),
        ("ls", "Reaction", "=1"),
        ("show",),
        ("log", "-n", "0"),
    ],
)
def test_misuse_is_exit_code_2(scidb: Scidb, words: tuple[str, ...]) -> None:
    """Usage errors are told apart from failures."""
    scidb(*words, expect=2)


def test_help_and_version(scidb: Scidb) -> None:
    """--help lists every verb; --version says the version."""
    out = scidb("--help").stdout

    assert all(
        f"  {verb} " in out for verb in ("demo", "flag", "impact", "lineage", "log", "ls", "runs", "show", "sql")
    )
    assert scidb("--version").stdout == f"scidb {package.__version__}\n"


def test_a_table_on_a_terminal_fits_and_keeps_ids_whole(scidb: Scidb, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a narrow terminal no line is too wide, no id is cut, and nothing is taken for markup."""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "80")
    ids = [json.loads(line)["record_id"][:12] for line in scidb("log", "--json").stdout.splitlines()]

    out = scidb("log").stdout

    assert max(map(len, out.splitlines())) <= 80
    assert all(record_id in out for record_id in ids)
    assert "[bold]x[/bold]" in scidb("sql", "SELECT '[bold]x[/bold]' AS a").stdout


def test_a_long_cell_is_cut_on_a_terminal_and_whole_in_a_pipe(scidb: Scidb, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell too long for the terminal gives way to the other columns; a pipe gets all of it."""
    query = "SELECT 'begin' || repeat('x', 200) AS long, 'begin' || repeat('y', 30) AS short, 17 AS number"
    assert "x" * 200 in scidb("sql", query).stdout
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "80")

    head, row = scidb("sql", query).stdout.splitlines()

    assert head.split() == ["long", "short", "number"]
    assert len(row.rstrip()) <= 80
    assert row.split()[0].endswith("x…")
    assert row.split()[1:] == ["begin" + "y" * 30, "17"]


def test_text_cannot_steer_the_terminal(scidb: Scidb, here: Path) -> None:
    """Control characters in what was saved are shown, not sent."""
    with open_database(here / "odd.duckdb", {"subject": str}) as db:
        db.save(Note, "red \x1b[31m", subject="a\x1b[2J")

    for words in (["ls", "Note"], ["show", "Note"], ["log"], ["lineage", "Note"], ["sql", "SELECT subject FROM Note"]):
        out = scidb(*words, "--db", "odd.duckdb").stdout
        assert "\x1b" not in out
        assert "a\\x1b[2J" in out


def test_an_empty_database_says_so(scidb: Scidb, here: Path) -> None:
    """A database without variables is no error."""
    open_database(here / "empty.duckdb", ["subject"]).close()

    assert "no variables yet" in scidb("ls", "--db", "empty.duckdb").stderr
    assert "Nothing was saved" in scidb("log", "--db", "empty.duckdb").stderr
    assert "never ran" in scidb("runs", "--db", "empty.duckdb").stderr


def test_a_name_without_a_class_can_be_listed(scidb: Scidb, here: Path) -> None:
    """The command line needs no user code: a stored name is enough."""
    with open_database(here / "gone.duckdb", ["subject"]) as db:
        db.save(Note, 1.5, subject=1)
    code = "from scidb.registry import known_classes; from scidb.cli import main; assert not known_classes(); main()"

    run = _python("-c", code, "show", "Note", "--db", "gone.duckdb", "--json", cwd=here)

    assert json.loads(run.stdout)["value"] == 1.5


# ---------------------------------------------------------------- as a program of its own


def _python(*words: str, cwd: Path, read: int = -1) -> subprocess.CompletedProcess[str]:
    """Run Python there; close its output after `read` characters, if that is not negative."""
    found = os.pathsep.join([str(Path(package.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": found, "PYTHONIOENCODING": "utf-8"}
    env.pop("PYTHONUNBUFFERED", None)  # the last flush is where a closed pipe shows
    command = [sys.executable, *words]
    with subprocess.Popen(
        command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        out = running.stdout.read(read)
        running.stdout.close()
        problems = running.stderr.read()
    return subprocess.CompletedProcess(command, running.returncode, out, problems)


def test_it_runs_as_a_module(here: Path, study: Path) -> None:
    """``python -m scidb`` is the command line."""
    run = _python("-m", "scidb", "--db", str(study), "ls", "--json", cwd=here)

    assert run.returncode == 0, run.stderr
    assert [json.loads(line)["variable"] for line in run.stdout.splitlines()][1] == "Reaction"


@pytest.mark.slow
def test_an_old_terminal_is_no_failure(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the output has no letter for what was saved, a table shows a question mark and JSON escapes it."""
    with open_database(here / "old.duckdb", {"subject": str}) as db:
        db.save(Note, "5 µm", subject="Åse")
    code = "import sys; sys.stdout.reconfigure(encoding='ascii'); from scidb.cli import main; main()"

    shown = _python("-c", code, "show", "Note", "--db", "old.duckdb", cwd=here)
    row = _python("-c", code, "show", "Note", "--db", "old.duckdb", "--json", cwd=here)

    assert (shown.returncode, shown.stderr) == (0, "")
    assert "5 ?m" in shown.stdout
    assert json.loads(row.stdout)["value"] == "5 µm"


@pytest.mark.skipif(sys.platform == "win32", reason="pipes close otherwise there")
@pytest.mark.parametrize(
    "words",
    [
        ("sql", "SELECT range AS i FROM range(200000)", "--json"),
        pytest.param(("sql", "SELECT range AS i FROM range(200000)"), marks=pytest.mark.slow),
        pytest.param(("ls", "--json"), marks=pytest.mark.slow),
    ],
)
def test_a_pipe_closed_early_is_quiet(here: Path, study: Path, words: tuple[str, ...]) -> None:
    """``scidb ... | head`` prints no complaint, whether much or little is left to print."""
    run = _python("-m", "scidb", "--db", str(study), *words, cwd=here, read=0)

    assert run.stderr == ""
    assert run.returncode == 1


def test_help_brings_in_no_facade(here: Path) -> None:
    """Help is quick because the verbs import what they need when they run."""
    code = (
        "import sys, types; from pathlib import Path\n"
        "package = types.ModuleType('scidb'); package.__path__ = [sys.argv.pop(1)]\n"
        "sys.modules['scidb'] = package\n"
        "import scidb.cli\n"
        "print(*({'numpy', 'pandas', 'pyarrow', 'duckdb', 'rich', 'scidb.database'} & set(sys.modules)))"
    )

    run = _python("-c", code, str(Path(package.__file__).parent), cwd=here)

    assert (run.stdout.strip(), run.stderr) == ("", "")
