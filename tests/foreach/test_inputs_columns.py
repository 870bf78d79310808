"""Columns as inputs of for_each: what the function receives, what identifies it, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from scidb import BaseVariable, Fixed, ForEachConfig, exceptions, for_each, thunk
from scidb.foreach.columns import selected

if TYPE_CHECKING:
    import scidb

pytestmark = pytest.mark.above_stores


class Gait(BaseVariable):
    """A table per trial."""


class Events(BaseVariable):
    """A structured array per trial."""


class Plain(BaseVariable):
    """A number per trial."""


class Result(BaseVariable):
    """What is computed."""


@pytest.fixture
def tables(db: scidb.DatabaseManager) -> scidb.DatabaseManager:
    """Save a table for each of two trials of two people."""
    places = [{"subject": subject, "trial": trial} for subject in (1, 2) for trial in (1, 2)]
    Gait.save_many([(pd.DataFrame({"knee": list(at.values()), "hip": [0.5, 1.5], 3: ["a", "b"]}), at) for at in places])
    Plain.save_many([(10 * at["subject"] + at["trial"], at) for at in places])
    return db


in_memory = pytest.mark.parametrize("target", ["memory:"])  # what the store has no part in


def _seen(value: Any) -> Any:
    """Describe what was received in a value that can be saved."""
    if isinstance(value, pd.Series):
        return ["series", value.name, value.tolist()]
    if isinstance(value, pd.DataFrame):
        return ["frame", list(value.columns), len(value)]
    return [_seen(one) for one in value] if isinstance(value, list) else ["other", value]


def _received(spec: Any, **options: Any) -> Any:
    report = for_each(_seen, {"value": spec}, [Result], save=False, **options)
    assert not report.failed, report.failures
    return [values[0] for values in report.values if values]


def test_one_column_is_a_series_and_several_are_a_table(tables: scidb.DatabaseManager) -> None:
    """The function gets the column, or the columns in the order that was asked for."""
    at = {"subject": 1, "trial": [1, 2]}
    assert _received(Gait["knee"], **at) == [["series", "knee", [1, 1]], ["series", "knee", [1, 2]]]
    assert _received(Gait[["hip", "knee"]], **at) == [["frame", ["hip", "knee"], 2]] * 2
    assert _received(Gait[["hip"]], **at) == [["frame", ["hip"], 2]] * 2
    assert _received(Gait[3], **at)[0] == ["series", 3, ["a", "b"]]


def test_columns_of_every_kind_of_table(db: scidb.DatabaseManager) -> None:
    """A column comes as the table's own library has it."""
    array = np.array([(1, 2.0), (3, 4.0)], dtype=[("a", "i4"), ("b", "f8")])
    assert selected(array, Events["b"]).tolist() == [2.0, 4.0]
    assert selected(array, Events[["a"]]).dtype.names == ("a",)
    table = pa.table({"a": [1], "b": [2]})
    assert selected(table, Events["b"]).to_pylist() == [2]
    assert selected(table, Events[["b"]]).to_pydict() == {"b": [2]}
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"a": [1], "b": [2]})
    assert selected(frame, Events["b"]).to_list() == [2]
    assert selected(frame, Events[["b"]]).columns == ["b"]
    Events.save(array, subject=1, trial=1)
    assert for_each(lambda b: float(b.sum()), {"b": Events["b"]}, [Result], subject=1, trial=1).completed == 1
    assert Result.load_one(subject=1, trial=1).data == 6.0


@in_memory
def test_several_matches_are_a_list_of_columns(tables: scidb.DatabaseManager) -> None:
    """Aggregation gives the column of each match; as_table puts them into the column of the variable."""
    assert _received(Gait["knee"], subject=2) == [[["series", "knee", [2, 1]], ["series", "knee", [2, 2]]]]

    def cells(table: pd.DataFrame) -> Any:
        return [list(table.columns), [cell.tolist() for cell in table["Gait"]]]

    report = for_each(cells, {"table": Gait["knee"]}, [Result], as_table=True, save=False, subject=2)
    assert report.values == [([["subject", "trial", "Gait"], [[2, 1], [2, 2]]],)]


@in_memory
def test_fixed_columns(tables: scidb.DatabaseManager) -> None:
    """Fixed takes columns, and keeps them."""
    assert _received(Fixed(Gait["knee"], trial="2"), subject=[]) == [
        ["series", "knee", [1, 2]],
        ["series", "knee", [2, 2]],
    ]
    nested = Fixed(Fixed(Gait["knee"], trial=2), subject=1)
    assert nested.to_key() == "Fixed(Gait['knee'], subject=1, trial=2)"
    assert _received(nested) == [["series", "knee", [1, 2]]]


@in_memory
def test_a_function_cannot_spoil_the_next_combination(tables: scidb.DatabaseManager) -> None:
    """What a function changes in its column, no other combination sees."""

    def spoil(column: pd.Series[Any], plain: int) -> float:
        column.iloc[0] += 100
        return float(column.iloc[0])

    for_each(spoil, {"column": Fixed(Gait["knee"], subject=1, trial=1), "plain": Plain}, [Result], subject=[], trial=[])
    assert [item.data for item in Result.load_all()] == [101.0] * 4


@in_memory
def test_a_view_of_an_array_is_not_shared(tables: scidb.DatabaseManager) -> None:
    """A field of a structured array is a view, and is copied where other combinations use it, too."""
    Events.save(np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]), subject=1, trial=1)

    def spoil(field: Any, plain: int) -> float:
        field += 100
        return float(field[0])

    inputs = {"field": Fixed(Events["b"], subject=1, trial=1), "plain": Plain}
    for_each(spoil, inputs, [Result], subject=[], trial=[])
    assert [item.data for item in Result.load_all()] == [102.0] * 4


def test_columns_are_part_of_identity(tables: scidb.DatabaseManager) -> None:
    """Another column is another computation and another variant; the same one is up to date."""

    def run(spec: Any) -> tuple[int, int, int]:
        report = for_each(_seen, {"value": spec}, [Result], subject=[], trial=[])
        return report.completed, report.recalled, report.up_to_date

    assert run(Gait["knee"]) == (4, 0, 0)
    assert run(Gait["knee"]) == (0, 0, 4)
    assert run(Gait["hip"])[0] > 0
    assert run(Gait[["knee"]])[0] == 4
    keys = ForEachConfig(_seen, {"value": Gait[["knee", "hip"]]}).to_version_keys()
    assert keys["__inputs"] == """{"value": "Gait['knee', 'hip']"}"""
    # By content of the whole table: one that is equal elsewhere is recalled.
    Gait.save(Gait.load_one(subject=1, trial=1).data, subject=1, trial=2)
    assert run(Gait["knee"]) == (0, 1, 3)


@in_memory
def test_a_change_in_another_column_computes_again(tables: scidb.DatabaseManager) -> None:
    """Columns are identified by the table that they are in, so that nothing is loaded to find what is up to date."""
    for_each(_seen, {"value": Gait["knee"]}, [Result], subject=1, trial=1)
    Gait.save(Gait.load_one(subject=1, trial=1).data.assign(hip=0.0), subject=1, trial=1)
    assert for_each(_seen, {"value": Gait["knee"]}, [Result], subject=1, trial=1).completed == 1


def test_lineage_names_the_record(tables: scidb.DatabaseManager) -> None:
    """A result of a column goes back to the record of the table, and its edge to the variable."""
    for_each(_seen, {"value": Gait["knee"]}, [Result], subject=1, trial=1)
    made = tables.get_provenance(Result, subject=1, trial=1)
    assert made is not None
    assert [item["type"] for item in made["inputs"]] == ["Gait"]
    assert {edge["source"] for edge in tables.get_pipeline_structure()} == {"Gait"}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (Gait["kne"], r"no column 'kne'; the columns are 'knee', 'hip', 3. Did you mean 'knee'"),
        (Gait[["knee", "x", "y"]], r"no columns 'x', 'y'"),
        (Gait["3"], "no column '3'"),
        (Plain["knee"], "no columns that have names"),
    ],
)
def test_missing_columns_are_refused_before_anything_runs(
    tables: scidb.DatabaseManager, spec: Any, message: str
) -> None:
    """A column that no value has is an error before the run."""
    with pytest.raises(exceptions.PipelineError, match=message):
        for_each(_seen, {"value": spec}, [Result], subject=[], trial=[])
    assert tables.runs() == []


def test_a_column_that_some_values_lack_fails_these_alone(tables: scidb.DatabaseManager) -> None:
    """R2: a combination whose table lacks the column fails, is not run, and says which columns there are."""
    Gait.save(pd.DataFrame({"hip": [1.0]}), subject=2, trial=1)
    plan = for_each(_seen, {"value": Gait["knee"]}, [Result], subject=[], trial=[], dry_run=True)
    assert (plan.completed, plan.failed) == (3, 1)
    report = for_each(_seen, {"value": Gait["knee"]}, [Result], subject=[], trial=[])
    assert (report.completed, report.failed) == (3, 1)
    assert report.failures[0].combination == {"subject": 2, "trial": 1}
    assert "no column 'knee'; the columns are 'hip'" in str(report.failures[0].error)


@in_memory
def test_columns_that_only_the_value_tells(db: scidb.DatabaseManager) -> None:
    """A column of what from_db makes is looked for when it is loaded; there, the missing one fails its combination."""
    for subject in (1, 2):
        Wrapped.save(subject, subject=subject)

    report = for_each(lambda x: int(x.iloc[0]), {"x": Wrapped["made"]}, [Result], subject=[])
    assert report.completed == 2
    report = for_each(lambda x: 1, {"x": Wrapped["stored"]}, [Result], subject=[])
    assert report.failed == 2
    assert "no column 'stored'; the columns are 'made'" in str(report.failures[0].error)


class Wrapped(BaseVariable):
    """A number, which is a table when loaded."""

    def to_db(self) -> pd.DataFrame:
        """Return the table that is stored."""
        return pd.DataFrame({"stored": [self.data]})

    @classmethod
    def from_db(cls, df: pd.DataFrame) -> pd.DataFrame:
        """Return a table with another column."""
        return df.rename(columns={"stored": "made"})


def test_columns_of_one_name_are_refused() -> None:
    """Where a table has a column twice, nobody can say which is meant."""
    with pytest.raises(exceptions.PipelineError, match="several columns are called 'a'"):
        selected(pd.DataFrame([[1, 2]], columns=["a", "a"]), Gait["a"])


@in_memory
def test_no_parts_of_whole_variables(tables: scidb.DatabaseManager) -> None:
    """A thunk that receives variables whole gets no columns of them."""

    @thunk(unwrap=False)
    def whole(value: Any) -> int:
        return 1

    for spec in (Gait["knee"], Fixed(Gait["knee"], trial=1)):
        with pytest.raises(exceptions.PipelineError, match="receives variables whole"):
            for_each(whole, {"value": spec}, [Result], subject=[], trial=[])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Fixed(Fixed(Gait, trial=1), trial=2), "fixes 'trial' twice"),
        (lambda: Fixed([1, 2], trial=2), "takes a variable class first"),  # type: ignore[arg-type]
        (lambda: Fixed(0.2, k=2), "Constants are passed as they are"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_fixed(make: Any, message: str) -> None:
    """Fixed says what it takes, and what to do instead."""
    with pytest.raises(exceptions.PipelineError, match=message):
        make()
