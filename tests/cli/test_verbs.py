"""What each verb prints, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.cli.conftest import GroupSlope, Reaction, Slope, lines, mean_of

from scidb import for_each
from scidb.session import open_database

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Scidb


def columns(line: str) -> list[str]:
    return [cell for cell in line.split("  ") if cell]


# ---------------------------------------------------------------- ls


def test_ls_lists_variables_for_people(scidb: Scidb) -> None:
    """One line a variable: name, how many, at which level, units, first line of the description."""
    out = scidb("ls").stdout.splitlines()

    assert [line.split()[0] for line in out] == ["variable", "GroupSlope", "Reaction", "Samples", "Slope", "Trace"]
    reaction = columns(out[2])
    assert [text.strip() for text in reaction[:4]] == ["Reaction", "6", "day", "ms"]
    assert reaction[-1].strip() == "Mean reaction time of a day."
    assert "second paragraph" not in "".join(out)


def test_ls_lists_variables_for_programs(scidb: Scidb) -> None:
    """With --json: one object a line, with typed counts."""
    found = {row["variable"]: row for row in lines(scidb("ls", "--json"))}

    assert found["Reaction"]["records"] == 6
    assert found["Reaction"]["level"] == "day"
    assert found["GroupSlope"]["level"] is None
    assert found["Slope"]["units"] == "ms/day"


def test_ls_of_a_variable_lists_its_records(scidb: Scidb) -> None:
    """One line a record: keys, value, short id, time; in natural order."""
    head, *rows = scidb("ls", "Reaction").stdout.splitlines()

    assert head.split()[:4] == ["subject", "day", "Reaction", "record"]
    assert [row.split()[:3] for row in rows[:2]] == [["1", "0", "251.5"], ["1", "1", "261.5"]]
    assert len(rows) == 6
    assert len(rows[0].split()[3]) == 12


def test_ls_chooses_by_key_and_value(scidb: Scidb) -> None:
    """KEY=VALUE chooses; the same key twice means any of its values; texts become the key's type."""
    assert len(lines(scidb("ls", "Reaction", "subject=2", "--json"))) == 3
    assert [
        row["schema"]["day"] for row in lines(scidb("ls", "Reaction", "subject=1", "day=0", "day=2", "--json"))
    ] == [0, 2]


@pytest.mark.parametrize(("word", "days"), [("day=1..2", [1, 2]), ("day=1..", [1, 2]), ("day=..1", [0, 1])])
def test_ls_takes_a_range_of_a_key(scidb: Scidb, word: str, days: list[int]) -> None:
    """KEY=LOW..HIGH is from LOW to HIGH, both included; either may be left out."""
    assert [row["schema"]["day"] for row in lines(scidb("ls", "Reaction", "subject=1", word, "--json"))] == days


def test_dots_in_a_text_are_dots(scidb: Scidb, here: Path) -> None:
    """Among texts nothing is a range, so that a file can be named as it is."""
    with open_database(here / "files.duckdb", {"file": str}) as db:
        db.save_many("Trace", [(1.0, {"file": "a..c"}), (2.0, {"file": "b"})])
    found = lines(scidb("--db", str(here / "files.duckdb"), "ls", "Trace", "file=a..c", "--json"))
    assert [row["value"] for row in found] == [1.0]


@pytest.mark.parametrize(
    ("word", "count"), [("gain=0.5", 1), ("gain=2", 1), ("gain=2.0", 1), ("site=lab A", 2), ("gain=", 0)]
)
def test_version_keys_match_as_number_or_text(scidb: Scidb, word: str, count: int) -> None:
    """A version key's value is found whether a number or a text was saved."""
    assert len(lines(scidb("ls", "Samples", word, "--json"))) == count


def test_ls_shows_version_keys(scidb: Scidb) -> None:
    """Version keys have a column, written as they are typed."""
    out = scidb("ls", "Samples").stdout

    assert "lab A" in out
    assert "float64 array (2)" in out


def test_ls_stops_at_the_limit_and_says_so(scidb: Scidb) -> None:
    """-n shows the first few and says that there are more, beside the output."""
    result = scidb("ls", "Reaction", "-n", "2")

    assert len(result.stdout.splitlines()) == 3
    assert "first 2 only" in result.stderr
    assert scidb("ls", "Reaction", "-n", "6").stderr == ""
    assert len(lines(scidb("ls", "Reaction", "-n", "2", "--json"))) == 2


def test_ls_of_nothing_says_so(scidb: Scidb) -> None:
    """No match is a sentence for people and no line for programs."""
    assert "No Reaction there" in scidb("ls", "Reaction", "subject=9").stderr
    assert scidb("ls", "Reaction", "subject=9", "--json").output == ""


# ---------------------------------------------------------------- show


def test_show_tells_value_units_and_origin(scidb: Scidb) -> None:
    """A result: its value, units, size, when and by whom, and the function with constants and inputs."""
    out = scidb("show", "Slope", "subject=1").stdout

    assert out.splitlines()[0] == "Slope subject=1 k=1.0"
    assert "  value      10.0\n" in out
    assert "  units      ms/day\n" in out
    assert "8 bytes" in out
    assert "fit() in " in out
    assert "k = 1.0" in out
    assert "reaction = Reaction subject=1 day=2  (" in out


def test_show_takes_the_beginning_of_an_id(scidb: Scidb) -> None:
    """The short id that every table prints names the record."""
    (row,) = lines(scidb("ls", "Trace", "--json"))

    by_id = scidb("show", row["record_id"][:12]).stdout

    assert by_id == scidb("show", "Trace", "subject=1").stdout
    assert "Trace subject=1" in by_id
    assert "side" in by_id
    assert "made by  by hand" in by_id


def test_show_for_programs_is_one_object(scidb: Scidb) -> None:
    """With --json: the whole value with NaN as null, typed keys, encoding, provenance."""
    (row,) = lines(scidb("show", "Samples", "gain=0.5", "--json"))

    assert row["value"] == [1.0, None]
    assert row["schema"] == {"subject": 1}
    assert row["version_keys"] == {"gain": 0.5, "site": "lab A"}
    assert row["provenance"] is None
    (row,) = lines(scidb("show", "Slope", "subject=1", "--json"))
    assert row["provenance"]["function_name"] == "fit"
    (row,) = lines(scidb("show", "Trace", "--json"))
    assert row["value"] == {"columns": ["t", "side"], "index": [0, 1], "data": [[0.0, "L"], [0.1, "R"]]}


# ---------------------------------------------------------------- log


def test_log_is_newest_first(scidb: Scidb) -> None:
    """One line an entry, newest first, with what made it."""
    head, *rows = scidb("log").stdout.splitlines()

    assert head.split()[-5:] == ["variable", "where", "record", "made", "by"]
    assert len(rows) == 12
    assert "Samples" in rows[0]
    assert rows[0].endswith("by hand")
    assert rows[3].endswith("mean_of()")
    assert [row.endswith("fit()") for row in rows].count(True) == 2


def test_log_of_a_variable_and_a_number_of_lines(scidb: Scidb) -> None:
    """A variable and -n choose; --json has the function's name, null when saved by hand."""
    assert len(lines(scidb("log", "Reaction", "-n", "4", "--json"))) == 4
    assert {row["function_name"] for row in lines(scidb("log", "Slope", "--json"))} == {"fit"}
    assert {row["function_name"] for row in lines(scidb("log", "Reaction", "--json"))} == {None}


def test_log_of_a_place(scidb: Scidb) -> None:
    """Keys narrow the log, of one variable or of all; where nothing was saved, it says so."""
    assert {
        tuple(row["schema"].values()) for row in lines(scidb("log", "Reaction", "subject=1", "day=2", "--json"))
    } == {(1, 2)}
    assert {row["variable"] for row in lines(scidb("log", "subject=1", "--json"))} >= {"Reaction", "Slope", "Trace"}
    assert "Nothing was saved there" in scidb("log", "Reaction", "subject=9").stderr
    assert "Did you mean 'subject'" in scidb("log", "Reaction", "subjct=9", expect=1).stderr


def test_ls_tells_variants_apart(scidb: Scidb, here: Path) -> None:
    """Results that differ in for_each's configuration alone show it."""

    def half(x: float) -> float:
        return x / 2

    def double(x: float) -> float:
        return x * 2

    with open_database(here / "two.duckdb", {"subject": int}) as db:
        db.save(Reaction, 5.0, subject=1)
        for function in (half, double):
            for_each(function, {"x": Reaction}, [Slope], subject=[], db=db, progress=False)
    out = scidb("ls", "Slope", "--db", "two.duckdb").stdout
    assert "__fn" in out.splitlines()[0]
    assert "half" in out
    assert "double" in out


def test_log_never_calls_a_computed_entry_saved_by_hand(scidb: Scidb, here: Path) -> None:
    """A value that was computed and then saved by hand has two lines, told apart."""
    with open_database(here / "twice.duckdb", ["subject"]) as db, db.as_current():
        GroupSlope.save(mean_of(1.0, 3.0))
        GroupSlope.save(2.0)

    rows = lines(scidb("log", "--db", "twice.duckdb", "--json"))

    assert [row["by_hand"] for row in rows] == [True, False]
    assert "by hand" not in scidb("log", "--db", "twice.duckdb").stdout.splitlines()[2]


# ---------------------------------------------------------------- lineage


def test_lineage_goes_all_the_way(scidb: Scidb) -> None:
    """The tree of a group result shows every single value that it came from."""
    out = scidb("lineage", "GroupSlope").stdout

    assert out.startswith("GroupSlope")
    assert out.count("Reaction (") == 6
    assert out.count("fit()") == 2


def test_lineage_stops_at_a_depth(scidb: Scidb) -> None:
    """--depth counts function calls."""
    out = scidb("lineage", "GroupSlope", "--depth", "1").stdout

    assert "mean_of()" in out
    assert "fit()" not in out


def test_lineage_goes_down(scidb: Scidb) -> None:
    """--down shows what came from a value."""
    out = scidb("lineage", "Reaction", "subject=1", "day=0", "--down").stdout

    assert out.index("fit()") < out.index("Slope (subject=1") < out.index("mean_of()") < out.index("GroupSlope")


@pytest.mark.parametrize(
    ("form", "start"), [("mermaid", "flowchart"), ("dot", "digraph"), ("json", "{"), ("svg", "<svg")]
)
def test_lineage_in_other_languages(scidb: Scidb, form: str, start: str) -> None:
    """--format writes what other tools read."""
    assert scidb("lineage", "GroupSlope", "--format", form).stdout.startswith(start)


def test_lineage_for_programs_is_one_object(scidb: Scidb) -> None:
    """With --json: the whole graph on one line."""
    (graph,) = lines(scidb("lineage", "GroupSlope", "--json"))

    assert sum(node["kind"] == "call" for node in graph["nodes"]) == 3


# ---------------------------------------------------------------- sql and runs


def test_sql_prints_rows(scidb: Scidb) -> None:
    """A SELECT over a view gives a table for people."""
    out = scidb("sql", "SELECT subject, sum(day) AS days, avg(value) AS mean FROM Reaction GROUP BY subject ORDER BY 1")

    assert [line.split() for line in out.stdout.splitlines()] == [
        ["subject", "days", "mean"],
        ["1", "3", "261.5"],
        ["2", "3", "262.5"],
    ]


def test_sql_for_programs_keeps_types(scidb: Scidb) -> None:
    """Numbers stay numbers (a sum of integers too), dates are ISO text, NaN and NULL are null."""
    query = (
        "SELECT sum(i)::HUGEINT AS total, 0.5 AS half, DATE '2026-01-02' AS day, 'NaN'::DOUBLE AS nan, NULL AS none, "
        "[1, 2] AS items, 'a' AS name, 'b' AS name FROM (VALUES (1), (2)) t(i)"
    )

    (row,) = lines(scidb("sql", query, "--json"))

    names = list(row)
    assert [row[name] for name in names] == [3, 0.5, "2026-01-02", None, None, [1, 2], "a", "b"]
    assert names[:6] == ["total", "half", "day", "nan", "none", "items"]
    assert isinstance(row["total"], int)


def test_runs_lists_for_each_calls(scidb: Scidb) -> None:
    """One line a run with its counts; a run's id shows what failed in it."""
    (run,) = lines(scidb("runs", "--json"))

    assert (run["function_name"], run["completed"], run["failed"]) == ("fit", 2, 0)
    assert "fit()" in scidb("runs").stdout
    assert "Nothing failed" in scidb("runs", run["run_id"][:8]).stderr
    assert "scidb runs" in scidb("runs", "nope", expect=1).stderr
