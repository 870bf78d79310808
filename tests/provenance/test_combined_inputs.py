"""Columns, merged tables and alternatives afterwards: status, why, lineage, and made again in a fresh process."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from tests.net.serving import where

from scidb import BaseVariable, EachOf, Fixed, Merge, for_each
from scidb.provenance.noted import noted_inputs, shared_out
from scidb.session import open_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scidb import DatabaseManager

STEPS = """
from scidb import BaseVariable

class Gait(BaseVariable):
    "A table per trial."
class Speed(BaseVariable):
    "A number per trial."
class Weight(BaseVariable):
    "A number per person."
class Made(BaseVariable):
    "What is computed."

def size(table):
    return float(table.select_dtypes("number").to_numpy().sum()) + len(table.columns)

def total(column):
    return float(column.sum())

def total_of_all(columns):
    return float(sum(column.sum() for column in columns))

def scaled(column, k):
    return float(column.sum()) * k
"""


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Return a module that a fresh process can import, too."""
    folder = tmp_path_factory.mktemp("steps")
    (folder / "combined_steps.py").write_text(STEPS, encoding="utf-8")
    sys.path.insert(0, str(folder))
    yield importlib.import_module("combined_steps")
    sys.path.remove(str(folder))
    sys.modules.pop("combined_steps")


@pytest.fixture(params=["memory", "http"])
def study(request: pytest.FixtureRequest, tmp_path: Path, steps: Any) -> Iterator[DatabaseManager]:
    """Save two people with two trials each."""
    places = [{"subject": subject, "trial": trial} for subject in (1, 2) for trial in (1, 2)]
    with open_database(where(request, tmp_path), {"subject": int, "trial": int}) as db, db.as_current():
        steps.Gait.save_many(
            [(pd.DataFrame({"knee": [1.0 * at["trial"], 2], "hip": [0.5, at["subject"]]}), at) for at in places]
        )
        steps.Speed.save_many([(at["subject"] + at["trial"] / 10, at) for at in places])
        steps.Weight.save_many([(60 + subject, {"subject": subject}) for subject in (1, 2)])
        yield db


EVERYWHERE: dict[str, Any] = {"subject": [], "trial": []}


def _run(steps: Any, made: str) -> Any:
    """Run one kind of call; return its report."""
    gait, speed, weight = steps.Gait, steps.Speed, steps.Weight
    merge = Merge(gait[["hip", "knee"]], weight, Fixed(speed, trial=1))
    call: dict[str, Any] = {
        "merge": (steps.size, {"table": merge}, EVERYWHERE),
        "places": (steps.size, {"table": Merge(weight, gait["knee"], speed)}, {"subject": [], "as_table": True}),
        "column": (steps.total, {"column": gait["knee"]}, EVERYWHERE),
        "columns": (steps.total_of_all, {"columns": gait["knee"]}, {"subject": []}),
        "each": (steps.scaled, {"column": Fixed(gait["hip"], trial=2), "k": EachOf(1, 2)}, {"subject": []}),
    }
    function, inputs, more = call[made]
    report = for_each(function, inputs, [steps.Made], **more)
    assert report.completed, report.failures
    return report


KINDS = ["merge", "places", "column", "columns", "each"]


@pytest.mark.parametrize("made", KINDS)
def test_status_knows_what_would_be_used(study: DatabaseManager, steps: Any, made: str) -> None:
    """What was just computed is green; a new value, a new trial and a missing result are seen."""
    _run(steps, made)
    assert study.status(steps.Made).is_green

    table = pd.DataFrame({"knee": [7.0, 7.0], "hip": [7.0, 7.0]})
    steps.Gait.save(table, subject=1, trial=2)
    status = study.status(steps.Made)
    stale = {tuple(one.schema.values()) for one in status.not_green}
    assert stale == ({(1, 2)} if made in ("merge", "column") else {(1,)})

    for variable, value in ((steps.Gait, table), (steps.Speed, 9.0)):
        variable.save(value, subject=2, trial=3)
    counts = study.status(steps.Made).counts
    assert counts.get("missing", 0) == (1 if made in ("merge", "column") else 0)
    assert counts["input changed"] == {"merge": 1, "column": 1, "places": 2, "columns": 2, "each": 2}[made]


@pytest.mark.slow
@pytest.mark.parametrize("made", KINDS)
def test_results_are_made_again(study: DatabaseManager, steps: Any, made: str) -> None:
    """A record goes back to its very inputs, and a fresh process comes to the same number."""
    _run(steps, made)
    records = [one.record_id for one in steps.Made.load_all(subject=2)]
    found = study.reproduce(records[-1])
    assert found.outcome == "equal", str(found)


def test_explain_names_the_part(study: DatabaseManager, steps: Any) -> None:
    """The reason names the variable that changed, wherever it is in the merge; it leads to what was made from it."""
    _run(steps, "merge")
    made = study.get_derived_from(steps.Speed, subject=2, trial=1)
    assert [one["metadata"] for one in made] == [{"subject": 2, "trial": 1}, {"subject": 2, "trial": 2}]
    steps.Speed.save(99.0, subject=2, trial=1)
    assert "Speed (subject=2, trial=1)" in str(study.explain(steps.Made, subject=2, trial=2))


def test_a_renamed_variable_in_a_merge(study: DatabaseManager, steps: Any) -> None:
    """A renaming leaves results of other columns up to date, and those that hold its name reproducible."""
    _run(steps, "merge")
    study.admin.rename_variable("Speed", "Pace")
    pace = type("Pace", (BaseVariable,), {"__doc__": "A number per trial."})
    status = study.status(steps.Made)
    assert status.is_green, str(status)
    merge = Merge(steps.Gait[["hip", "knee"]], steps.Weight, Fixed(pace, trial=1))
    report = for_each(steps.size, {"table": merge}, [steps.Made], **EVERYWHERE)
    assert report.completed == 4  # the function sees another name
    assert len(list(steps.Made.load_all(subject=1, trial=1))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "Merge(Gait['x, y', \"it's)\"], Fixed(Speed[3], k='a=b, c', day=2026-01-02), Fixed(Other, k=12ab34))",
        "Fixed(Gait['a',], k=1)",
    ],
)
def test_texts_are_read_as_they_were_written(text: str) -> None:
    """Quotes, commas and brackets in labels and values do not mislead."""
    found = noted_inputs(text)
    if len(found) == 1:
        assert (found[0].columns, found[0].is_single, found[0].fixed) == (("a",), False, ("k",))
    else:
        assert [(one.variable, one.fixed, one.columns, one.is_single) for one in found] == [
            ("Gait", (), ("x, y", "it's)"), False),
            ("Speed", ("k", "day"), (3,), True),
            ("Other", ("k",), (), False),
        ]


def test_what_nobody_can_tell_is_left_open() -> None:
    """Matches of one variable in two parts cannot be shared out; equal numbers, and runs of variables, can."""
    from scidb.hashing.inputs import CallInput

    a, b = (CallInput("table", "record", type_name=name) for name in "AB")
    assert shared_out([a, b, b], 3) == [[a], [b], [b]]
    assert shared_out([a, a, b, b], 2) == [[a, a], [b, b]]
    assert shared_out([a, a, a], 2) is None
