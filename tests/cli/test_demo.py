"""`scidb demo`: its numbers, what it computes and when, and what it leaves alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from importlib.resources import files
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import scidb
from scidb.cli.app import app
from scidb.cli.demo import _imported, demo
from scidb.current import current
from scidb.exceptions import PipelineError, StorageError
from scidb.session import open_database

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scidb.foreach import ForEachReport

STEPS: Final = ["read_day", "subtract", "fit_line", "summarise"]
STEP: Final = re.compile(rf"^    ({'|'.join(STEPS)}): (.*) \([0-9.]+ s\)$", re.MULTILINE)
FIRST_SUBJECT: Final = 308


def shipped(name: str) -> str:
    return files("scidb.cli.demo_files").joinpath(name).read_text(encoding="utf-8")


def slopes_by_numpy(first_day: int) -> dict[int, float]:
    table = pd.read_csv(StringIO(shipped("sleepstudy.csv")))
    used = table[table["day"] >= first_day]
    return {
        int(subject): float(np.polyfit(one["day"], one["reaction_ms"], 1)[0])
        for subject, one in used.groupby("subject")
    }


def run_demo(folder: Path) -> str:
    text = StringIO()
    with redirect_stdout(text):
        demo(folder)
    return text.getvalue()


def acts(text: str) -> list[list[str]]:
    """Return what the four steps reported, one list per run of the pipeline."""
    found = STEP.findall(text)
    assert [name for name, _ in found] == STEPS * 3
    said = [outcome for _, outcome in found]
    return [said[start : start + len(STEPS)] for start in range(0, len(said), len(STEPS))]


NOTHING: Final = ["180 up to date", "180 up to date", "18 up to date", "1 up to date"]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Run the demo in a folder, once; return the folder and what was printed."""
    folder = tmp_path_factory.mktemp("first") / "scidb-demo"
    return folder, run_demo(folder)


@pytest.fixture
def folder(first: tuple[Path, str], tmp_path: Path) -> Path:
    """Copy that folder, to change it."""
    return Path(shutil.copytree(first[0], tmp_path / "moved"))


def snapshot(folder: Path) -> Mapping[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run_pipeline(folder: Path, first_day: int = 0) -> dict[str, ForEachReport]:
    with _imported(folder / "pipeline.py") as pipeline, pipeline.open_study():
        reports: list[ForEachReport] = pipeline.run(first_day)
    return {report.function_name: report for report in reports}


def computed(report: ForEachReport) -> list[Mapping[str, Any]]:
    return [item.combination for item in report.combinations if item.state == "completed"]


# ---------------------------------------------------------------- the numbers


@pytest.mark.parametrize("first_day", [0, 2])
def test_the_numbers_are_those_of_numpy(first: tuple[Path, str], first_day: int) -> None:
    """The slope of each subject, their mean and its standard error agree with a direct fit of the table."""
    expected = slopes_by_numpy(first_day)
    values = list(expected.values())

    with open_database(first[0] / "demo.duckdb") as db:
        slopes = db.load("Slope", as_table=True, first_day=first_day)
        group = db.load_one("GroupSlope", first_day=first_day).data

    assert pytest.approx(expected) == dict(zip(slopes["subject"], slopes["Slope"], strict=True))
    assert len(expected) == group["n"] == 18
    assert pytest.approx(np.mean(values)) == group["mean"]
    assert pytest.approx(np.std(values, ddof=1) / np.sqrt(18)) == group["error"]


def test_it_prints_the_group_slopes_and_the_citation(first: tuple[Path, str]) -> None:
    """Both answers stand in the output, about 10.5 ms per day over all days, and so does the source of the data."""
    text = first[1]

    for first_day in (0, 2):
        assert f"{np.mean(list(slopes_by_numpy(first_day).values())):.2f} ms slower per day" in text
    assert "10.47 ms" in text
    assert "Belenky and others, J Sleep Res 2003;12:1-12" in text


def test_it_prints_the_lineage_down_to_the_file(first: tuple[Path, str]) -> None:
    """The tree of one slope reaches the CSV file, and says how many calls lead from there."""
    text = first[1]
    tree = text[text.index(f"Slope (subject={FIRST_SUBJECT}, first_day=0)") :]

    order = [tree.index(name) for name in ("fit_line()", "subtract()", "read_day()", "data/308.csv")]
    assert order == sorted(order)
    assert "In all 21 calls lead from" in tree  # 10 days read, 10 baselines subtracted, one fit


# ---------------------------------------------------------------- what is computed


def test_it_computes_everything_then_nothing_then_what_a_parameter_touches(first: tuple[Path, str]) -> None:
    """R4, A5: 180 + 180 + 18 + 1 results, then none, then the 18 slopes and the summary of the other first day."""
    everything = ["180 computed", "180 computed", "18 computed", "1 computed"]
    a_parameter = ["180 up to date", "180 up to date", "18 computed", "1 computed"]

    assert [everything, NOTHING, a_parameter] == acts(first[1])
    assert "Nothing was recomputed: all 379 results" in first[1]
    assert "Computed: 18 of fit_line() and 1 of summarise(). The other 360 results" in first[1]


def test_a_second_demo_recomputes_nothing(folder: Path) -> None:
    """R4, M5: neither a second run nor another place of the folder computes anything anew."""
    again = run_demo(folder)

    assert acts(again) == [NOTHING] * 3
    assert "You changed" not in again


def test_the_script_alone_recomputes_nothing(folder: Path) -> None:
    """M9: `python pipeline.py` in another process is the same code under another module name."""
    python = [sys.executable, "-W", "error", "pipeline.py"]
    env = {"PYTHONPATH": str(Path(scidb.__file__).parents[1]), "PYTHONDONTWRITEBYTECODE": "1"}

    run = subprocess.run(python, cwd=folder, env=env, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stderr
    for name, outcome in zip(STEPS, NOTHING, strict=True):
        assert f"{name}: {outcome}" in run.stdout
    assert "10.467" in run.stdout


def test_its_import_opens_no_database(folder: Path) -> None:
    """The processes of `scidb run pipeline.py --n-jobs 2` import the script while another holds the database."""
    with _imported(folder / "pipeline.py"):
        assert current() is None


@pytest.mark.slow
def test_it_runs_in_several_processes(folder: Path) -> None:
    """`scidb run pipeline.py --n-jobs 2` makes what the demo made, in a folder without a database, from elsewhere."""
    pytest.importorskip("loky")
    (folder / "demo.duckdb").unlink()
    command = [sys.executable, "-W", "error", "-m", "scidb", "run", str(folder / "pipeline.py"), "--n-jobs", "2"]
    env = {**os.environ, "PYTHONPATH": str(Path(scidb.__file__).parents[1]), "PYTHONDONTWRITEBYTECODE": "1"}

    run = subprocess.run(command, cwd=folder.parent, env=env, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout + run.stderr
    assert "In all 379 computed" in run.stdout


def test_an_edited_value_recomputes_only_what_depends_on_it(folder: Path) -> None:
    """M10: one day edited in one file reads that file again; equal days stop there (early cutoff)."""
    path = folder / "data" / "308.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[5] = "4,400.0"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    reports = run_pipeline(folder)

    assert [{"subject": 308, "day": day} for day in range(10)] == computed(reports["read_day"])
    assert computed(reports["subtract"]) == [{"subject": 308, "day": 4}]
    assert computed(reports["fit_line"]) == [{"subject": 308}]
    assert computed(reports["summarise"]) == [{}]
    assert reports["read_day"].up_to_date == 170
    assert reports["subtract"].up_to_date == 179
    assert reports["fit_line"].up_to_date == 17


def test_an_edited_baseline_recomputes_the_whole_subject(folder: Path) -> None:
    """Day 0 is an input of every day of its subject, and of nobody else's."""
    path = folder / "data" / "308.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("0,249.56\n", "0,250\n", 1), encoding="utf-8")

    reports = run_pipeline(folder)

    assert [{"subject": 308, "day": day} for day in range(10)] == computed(reports["subtract"])
    assert computed(reports["fit_line"]) == [{"subject": 308}]


def test_an_edited_step_recomputes_from_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """M4, A5: a changed body computes its step anew and what follows from other values; undone, it is recalled."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    run_pipeline(folder)
    script = folder / "pipeline.py"
    original = script.read_text(encoding="utf-8")

    time = script.stat().st_mtime
    script.write_text(original.replace("return reaction - baseline", "return reaction / baseline"), encoding="utf-8")
    os.utime(script, (time, time))  # an edit within the same second, of the same length
    changed = run_pipeline(folder)
    script.write_text(original, encoding="utf-8")
    undone = run_pipeline(folder)

    assert [changed[name].completed for name in STEPS] == [0, 180, 18, 1]
    assert [undone[name].completed for name in STEPS] == [0, 0, 0, 0]
    assert [undone[name].recalled for name in STEPS] == [0, 180, 18, 1]


def test_an_unreadable_file_fails_alone_and_is_named(folder: Path) -> None:
    """R2: the other subjects are there, the failures are shown, nothing else is recomputed."""
    (folder / "data" / "309.csv").write_text("this is no table\n", encoding="utf-8")

    text = run_demo(folder)

    assert "10 failed" in acts(text)[0][0]
    assert "170 up to date" in acts(text)[0][0]
    assert "subject=309, day=0: KeyError" in text


# ---------------------------------------------------------------- what is left alone


def test_a_changed_script_is_kept_and_said(folder: Path) -> None:
    """A pipeline.py that the user changed runs as it is, is not overwritten, and the output says so."""
    script = folder / "pipeline.py"
    changed = script.read_text(encoding="utf-8").replace("deg=1)", "deg=1)  # as before")
    script.write_text(changed, encoding="utf-8")

    text = run_demo(folder)

    assert changed == script.read_text(encoding="utf-8")
    assert f"You changed {script}" in text
    assert acts(text) == [NOTHING] * 3  # M5: a comment is no change of the code


def test_a_changed_data_file_is_kept_and_said(folder: Path) -> None:
    """The same for a data file; one that is missing is written again."""
    data = folder / "data"
    original = (data / "310.csv").read_bytes()
    (data / "309.csv").write_bytes((data / "309.csv").read_bytes() + b"10,200.0\n")
    (data / "310.csv").unlink()

    text = run_demo(folder)

    assert (data / "309.csv").read_bytes().endswith(b"10,200.0\n")
    assert original == (data / "310.csv").read_bytes()
    assert "309.csv. It is kept" in text
    assert text.count("You changed") == 1


@pytest.mark.parametrize(
    ("text", "replacement"),
    [
        (r"def run\(", "def run_all("),
        (r"\bSlope\b", "Gradient"),
        ("from scidb import", "from scidbb import"),
        (r"def read_day\(", "def read_day(("),
    ],
    ids=["no run", "a variable renamed", "a missing import", "a syntax error"],
)
def test_a_script_that_no_longer_fits_is_said_to_be_the_users(folder: Path, text: str, replacement: str) -> None:
    """When a changed script cannot be shown, the error names it, its fault and the way back; it is kept."""
    script = folder / "pipeline.py"
    script.write_text(re.sub(text, replacement, script.read_text(encoding="utf-8")), encoding="utf-8")
    before = script.read_bytes()

    with pytest.raises(PipelineError, match=r"(?s)Your version of .*pipeline\.py does not do .* delete the file"):
        demo(folder)

    assert before == script.read_bytes()
    with open_database(folder / "demo.duckdb") as db:  # it was closed
        assert db.schema_keys == ("subject", "day")


# ---------------------------------------------------------------- folders that cannot be used


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    """A DIR that is a file is refused in one line with exit code 1, and stays."""
    path = tmp_path / "notes"
    path.write_text("mine", encoding="utf-8")

    result = CliRunner().invoke(app, ["demo", str(path)])

    assert result.exit_code == 1
    assert "is a file" in result.output
    assert "scidb demo DIR" in result.output
    assert path.read_text(encoding="utf-8") == "mine"


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A DIR that the system refuses to make or write gives our error with its reason."""

    def refuse(self: Path, *args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)

    with pytest.raises(StorageError, match=r"cannot write to .*Permission denied.*scidb demo DIR"):
        demo(tmp_path / "new")


def test_a_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    """A DIR whose parent is a file gives our error, too."""
    (tmp_path / "notes").write_text("mine", encoding="utf-8")

    with pytest.raises(StorageError, match="cannot write to"):
        demo(tmp_path / "notes" / "demo")


def other_keys(path: Path) -> None:
    open_database(path, ["session"]).close()


def other_study(path: Path) -> None:
    with open_database(path, {"subject": int, "day": int}) as db:
        Heartbeat.save(61.0, db=db, subject=1, day=1)


def no_database(path: Path) -> None:
    path.write_bytes(b"not a database at all" * 500)


class Heartbeat(scidb.BaseVariable):
    """A variable of somebody's own study."""


@pytest.mark.parametrize("make", [other_keys, other_study, no_database])
def test_a_foreign_database_is_refused_and_untouched(tmp_path: Path, make: Any) -> None:
    """A demo.duckdb of something else is named in the error; nothing is written into its folder."""
    path = tmp_path / "demo.duckdb"
    make(path)
    before = snapshot(tmp_path)

    with pytest.raises(StorageError, match=r"demo\.duckdb is not the database of the demo"):
        demo(tmp_path)

    assert before == snapshot(tmp_path)


def test_a_foreign_script_is_not_run(tmp_path: Path) -> None:
    """A pipeline.py that was never the demo's is neither run nor overwritten."""
    script = tmp_path / "pipeline.py"
    script.write_text("raise SystemExit('this ran')\n", encoding="utf-8")
    before = snapshot(tmp_path)

    with pytest.raises(StorageError, match="another script"):
        demo(tmp_path)

    assert before == snapshot(tmp_path)
