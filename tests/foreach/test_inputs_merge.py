"""`Merge` as an input of for_each: one table of several inputs, against plain pandas, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from scidb import BaseVariable, EachOf, Fixed, ForEachConfig, Merge, PathInput, exceptions, for_each, thunk
from scidb.foreach.merged import Part, merged

if TYPE_CHECKING:
    from pathlib import Path

    import scidb

pytestmark = pytest.mark.above_stores


class Angles(BaseVariable):
    """A table per trial."""


class Force(BaseVariable):
    """An array per trial."""


class Speed(BaseVariable):
    """A number per trial."""


class Weight(BaseVariable):
    """A number per person."""


class Sheet(BaseVariable):
    """What the function received."""


class Count(BaseVariable):
    """A number that a function made."""


@pytest.fixture
def data(db: scidb.DatabaseManager) -> scidb.DatabaseManager:
    """Save two people with two trials each."""
    places = [{"subject": subject, "trial": trial} for subject in (1, 2) for trial in (1, 2)]
    Weight.save_many([(60 + subject, {"subject": subject}) for subject in (1, 2)])
    Angles.save_many([(pd.DataFrame({"knee": list(at.values()), "hip": [0.5, 1.5]}), at) for at in places])
    Force.save_many([(np.array([10.0 * at["subject"], 10.0 * at["trial"]]), at) for at in places])
    Speed.save_many([(at["subject"] + at["trial"] / 10, at) for at in places])
    return db


any_merge: Any = Merge  # for what type checkers refuse
any_fixed: Any = Fixed
in_memory = pytest.mark.parametrize("target", ["memory:"])  # what the store has no part in


def same(table: pd.DataFrame) -> pd.DataFrame:
    return table


def size(table: pd.DataFrame) -> int:
    return int(table.size)


def received(spec: Any, **options: Any) -> pd.DataFrame:
    """Return the table that the function gets for the last combination."""
    report = for_each(same, {"table": spec}, [Sheet], save=False, **options)
    assert not report.failed, report.failures[0].traceback
    table = report.values[-1]
    assert table is not None
    return table[0]


# ------------------------------------------------------------------ the table


def test_columns_arrays_and_single_values(data: scidb.DatabaseManager) -> None:
    """Columns keep their labels; what has none is named after its variable; a coarser number stands in every row."""
    spec = Merge(Angles["hip"], Force, Weight, Fixed(Speed, trial=1), Fixed(Angles[["knee"]], trial=2))
    assert_frame_equal(
        received(spec, subject=2, trial=1),
        pd.DataFrame({"hip": [0.5, 1.5], "Force": [20.0, 10.0], "Weight": [62, 62], "Speed": 2.1, "knee": [2, 2]}),
    )
    assert_frame_equal(received(Merge(Weight, Speed), subject=1, trial=2), pd.DataFrame({"Weight": [61], "Speed": 1.2}))
    assert list(received(Merge(Merge(Angles, Weight), Force), subject=1, trial=1)) == ["knee", "hip", "Weight", "Force"]


def test_a_merged_table_is_saved_recalled_and_up_to_date(data: scidb.DatabaseManager) -> None:
    """R4: what a merge holds identifies the call; a change in one part computes its combination alone."""
    spec = Merge(Angles, Weight)

    def run() -> tuple[int, int, int]:
        report = for_each(size, {"table": spec}, [Count], subject=[], trial=[])
        return report.completed, report.recalled, report.up_to_date

    assert run() == (4, 0, 0)
    assert run() == (0, 0, 4)
    Weight.save(99, subject=1)
    assert run() == (2, 0, 2)
    Weight.save(61, subject=1)
    assert run() == (0, 2, 2)
    assert Count.load_one(subject=1, trial=1).data == 6


@in_memory
def test_what_a_column_is_called_is_part_of_identity(db: scidb.DatabaseManager) -> None:
    """The same numbers under another name are another table."""
    for variable in (Speed, Weight, Force):
        variable.save(1.5, subject=1)

    def first(table: pd.DataFrame) -> str:
        return str(table.columns[0])

    for spec, name in ((Merge(Speed, Force), "Speed"), (Merge(Weight, Force), "Weight")):
        for_each(first, {"table": spec}, [Count], subject=1)
        assert name in [item.data for item in Count.load_all(subject=1)]
    assert sorted(item.data for item in Count.load_all(subject=1)) == ["Speed", "Weight"]


@in_memory
def test_a_function_may_change_its_table(data: scidb.DatabaseManager) -> None:
    """What a function does to its table, no other combination sees."""

    def spoil(table: pd.DataFrame) -> int:
        table["Weight"] += 1
        table.loc[0, "knee"] += 100
        return int(table["Weight"].iloc[0] + table["knee"].iloc[0])

    spec = Merge(Weight, Fixed(Angles, subject=1, trial=1))
    for_each(spoil, {"table": spec}, [Count], subject=[], trial=[])
    assert [item.data for item in Count.load_all()] == [61 + 1 + 101] * 2 + [62 + 1 + 101] * 2


def test_the_text_of_a_merge() -> None:
    """Version keys hold the text of the plan; a merge in a merge stands for its parts."""
    spec = Merge(Angles["knee"], Merge(Force, Fixed(Weight, subject=1)), Fixed(Angles[["hip", "x"]], k=0.2))
    text = "Merge(Angles['knee'], Force, Fixed(Weight, subject=1), Fixed(Angles['hip', 'x'], k=0.2))"
    assert spec.to_key() == repr(spec) == text
    assert ForEachConfig(size, {"table": spec}).to_version_keys()["__inputs"] == f'{{"table": "{text}"}}'


def test_lineage_names_every_record(data: scidb.DatabaseManager) -> None:
    """Each record of a merge is an input of the call, and each variable a source of the pipeline, once per call."""
    spec = Merge(Angles["knee"], Weight, Fixed(Speed, trial=1))
    for_each(size, {"table": spec}, [Count], subject=[], trial=[])
    made = data.get_provenance(Count, subject=2, trial=2)
    assert made is not None
    assert [(item["name"], item["type"], item["metadata"]) for item in made["inputs"]] == [
        ("table", "Angles", {"subject": 2, "trial": 2}),
        ("table", "Weight", {"subject": 2}),
        ("table", "Speed", {"subject": 2, "trial": 1}),
    ]
    edges = data.get_pipeline_structure()
    assert sorted(edge["source"] for edge in edges) == ["Angles", "Speed", "Weight"]
    assert len({edge["timestamp"] for edge in edges}) == 1


# ------------------------------------------------------------------ with the other options


def test_where_and_missing_parts(data: scidb.DatabaseManager) -> None:
    """A filter leaves combinations out; a part that is missing skips its combination, and says which."""
    spec = Merge(Force, Weight)
    report = for_each(size, {"table": spec}, [Count], where=Speed > 2, subject=[], trial=[])
    assert (report.completed, report.left_out) == (2, 2)
    report = for_each(size, {"table": spec}, [Count], subject=[1, 3], trial=[1], dry_run=True)
    assert (report.completed, report.skipped) == (1, 1)
    assert report.combinations[1].reason == "no Force at subject=3, trial=1"


@in_memory
def test_pass_metadata_and_flags(data: scidb.DatabaseManager) -> None:
    """Keys may be passed beside a merge, and a flagged part skips what needs it."""

    def label(table: pd.DataFrame, subject: int, trial: int) -> str:
        return f"{subject}/{trial}: {list(table)}"

    for_each(label, {"table": Merge(Force, Weight)}, [Count], subject=2, trial=1, pass_metadata=True)
    assert Count.load_one(subject=2, trial=1).data == "2/1: ['Force', 'Weight']"
    data.flag(Weight.load_one(subject=1), "scale broken")
    report = for_each(size, {"table": Merge(Force, Weight)}, [Count], subject=[], trial=[], exclude=True)
    assert (report.completed, report.excluded) == (2, 2)


def test_as_table_puts_places_one_below_the_other(data: scidb.DatabaseManager) -> None:
    """With as_table, keys come first, the finest parts say which places there are, and coarser ones serve each."""
    spec = Merge(Speed, Weight, Angles["knee"])
    table = received(spec, subject=2, as_table=True)
    assert_frame_equal(
        table,
        pd.DataFrame(
            {
                "subject": 2,
                "trial": [1, 1, 2, 2],
                "Speed": [2.1, 2.1, 2.2, 2.2],
                "Weight": 62,
                "knee": [2, 1, 2, 2],
            }
        ),
    )
    # A part that is fixed elsewhere goes by its other keys.
    fixed = received(Merge(Speed, Fixed(Force, trial=1)), subject=1, trial=2, as_table=["table"])
    assert fixed["trial"].tolist() == [2, 2]
    assert fixed["Force"].tolist() == [10.0, 10.0]
    assert received(spec, as_table=True)["subject"].tolist() == [1] * 4 + [2] * 4
    report = for_each(size, {"table": spec}, [Count], subject=[], as_table=True)
    assert (report.completed, report.failed) == (2, 0)
    assert for_each(size, {"table": spec}, [Count], subject=[], as_table=True).up_to_date == 2


@in_memory
def test_a_function_that_writes_a_file(data: scidb.DatabaseManager, tmp_path: Path) -> None:
    """A merge and a file to be written go together; what was written is not written again."""

    @thunk(generates_file=True)
    def write(table: pd.DataFrame, path: Path, subject: int, trial: int) -> None:
        path.write_text(f"{subject} {trial} {table.size}")

    files = PathInput("{subject}-{trial}.txt", root_folder=tmp_path)
    inputs = {"table": Merge(Force, Weight), "path": files}
    assert for_each(write, inputs, [], subject=[], trial=[]).completed == 4
    assert (tmp_path / "2-1.txt").read_text() == "2 1 4"
    assert for_each(write, inputs, [], subject=[], trial=[]).up_to_date == 4


@in_memory
def test_flags_leave_places_out_of_the_whole_table(data: scidb.DatabaseManager) -> None:
    """What is flagged in one part leaves its place out of every part; a coarser part, all places below it."""
    data.flag(Speed.load_one(subject=1, trial=2), "slipped")
    data.flag(Weight.load_one(subject=2), "scale broken")
    spec = Merge(Speed, Weight, Force)
    report = for_each(same, {"table": spec}, [Sheet], save=False, as_table=True, subject=[1, 2], exclude=True)
    assert (report.completed, report.excluded) == (1, 1)
    assert report.values[0] is not None
    assert report.values[0][0]["trial"].tolist() == [1, 1]


@in_memory
def test_tables_of_places_that_do_not_fit(data: scidb.DatabaseManager) -> None:
    """With as_table, a part that lacks a place, and tables of other columns, fail the combination."""
    Force.save(np.zeros(2), subject=1, trial=3)
    Angles.save(pd.DataFrame({"toe": [1, 2]}), subject=2, trial=2)
    report = for_each(size, {"table": Merge(Force, Speed)}, [Count], subject=[], as_table=True)
    assert (report.completed, report.failed) == (1, 1)
    assert "Speed has no value at subject=1, trial=3" in str(report.failures[0].error)
    report = for_each(size, {"table": Merge(Force, Angles)}, [Count], subject=2, as_table=True)
    assert "different columns" in str(report.failures[0].error)


@in_memory
def test_several_values_need_as_table(data: scidb.DatabaseManager) -> None:
    """A merge takes one value of each part; with fewer keys than the data have, it says what to do."""
    with pytest.raises(exceptions.PipelineError, match=r"Force has 2 at subject=1. Add the keys to for_each \(trial\)"):
        for_each(size, {"table": Merge(Weight, Force)}, [Count], subject=[])
    assert data.runs() == []


@in_memory
def test_variants_are_never_mixed(data: scidb.DatabaseManager) -> None:
    """Parts that differ only in version keys are an error, which names Fixed and EachOf."""
    for k in (1, 2):
        Speed.save(0.5, subject=1, trial=1, k=k)
    with pytest.raises(exceptions.AmbiguousVersionError, match=r"'table'.*Fixed\(Speed, k=2\).*EachOf\(Fixed\(Speed"):
        for_each(size, {"table": Merge(Force, Speed)}, [Count], subject=1, trial=1)
    assert received(Merge(Force, Fixed(Speed, k=2)), subject=1, trial=1)["Speed"].tolist() == [0.5, 0.5]


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Merge, "nothing to merge"),
        (lambda: any_merge(Angles, 0.2), "got 0.2. Pass it as an input of its own"),
        (lambda: any_merge([Angles, Force]), r"one after the other: Merge\(A, B\)"),
        (lambda: any_merge(Angles, PathInput("{subject}.csv")), "input of its own"),
        (lambda: any_merge(Angles, EachOf(Force, Speed)), r"EachOf\(Merge\(A, B\), Merge\(A, C\)\)"),
        (lambda: any_merge(Angles, Force, session="pre"), r"Merge\(Fixed\(A, session='pre'\), B\)"),
        (lambda: any_merge(Angles, Force, Angles), "names Angles twice"),
        (lambda: any_fixed(Merge(Angles, Force), session="pre"), r"Fix keys of what is merged: Merge\(Fixed\(A"),
        (lambda: any_merge(Angles == 3, Force), "takes variable classes"),
    ],
)
def test_what_cannot_be_merged(make: Any, message: str) -> None:
    """A merge says what it takes, and the way out."""
    with pytest.raises(exceptions.PipelineError, match=message):
        make()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (Merge(Angles, Fixed(Angles, trial=1)), r"called 'knee'; Angles and Fixed\(Angles, trial=1\) both have one"),
        (Merge(Speed, Fixed(Speed, trial=1)), "called 'Speed'"),
        (Merge(Angles["hip"], Fixed(Angles[["knee", "hip"]], trial=1)), r"'hip'; Angles\['hip'\] and Fixed"),
        (Merge(Force, Angles["toe"]), "no column 'toe'"),
    ],
)
def test_columns_that_cannot_be_are_refused_before_anything_runs(
    data: scidb.DatabaseManager, spec: Any, message: str
) -> None:
    """Equal names of columns name both parts, as far as the database tells without loading them."""
    with pytest.raises(exceptions.PipelineError, match=message):
        for_each(size, {"table": spec}, [Count], subject=[], trial=[])
    assert data.runs() == []


@in_memory
def test_rows_that_do_not_fit_fail_their_combination(data: scidb.DatabaseManager) -> None:
    """R2: unequal lengths fail one combination, with the lengths; the others are computed."""
    Force.save(np.zeros(3), subject=1, trial=2)
    report = for_each(size, {"table": Merge(Angles, Force, Weight)}, [Count], subject=[], trial=[])
    assert (report.completed, report.failed) == (3, 1)
    assert "Angles has 2, Force has 3" in str(report.failures[0].error)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([{"a": 1}, 2], "dict"),
        ([pa.table({"a": [1]}), 2], "Table.*makes one .to_pandas."),
        ([np.zeros((2, 2, 2)), 1], "3 dimensions"),
        ([pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])), 1], "several levels"),
        ([pd.DataFrame([[1, 2]], columns=["x", "x"]), 1], "P0 has two"),
        ([pd.DataFrame({"P1": [1]}), 2], "P0 and P1 both"),
        ([pd.Series([1, 2], index=["a", "b"]), pd.Series([1, 2], index=["b", "a"])], "different labels"),
        ([[], [1]], "P0 has 0, P1 has 1"),
    ],
)
def test_values_that_cannot_be_put_together(values: list[Any], message: str) -> None:
    """Whatever would have to be guessed is refused, with the part to blame."""
    with pytest.raises(exceptions.PipelineError, match=message):
        merged([Part(f"P{n}", f"P{n}", value) for n, value in enumerate(values)])


@in_memory
def test_no_merge_of_whole_variables(data: scidb.DatabaseManager) -> None:
    """A thunk that receives variables whole gets no merged table."""

    @thunk(unwrap=False)
    def whole(table: Any) -> int:
        return 1

    with pytest.raises(exceptions.PipelineError, match="receives variables whole"):
        for_each(whole, {"table": Merge(Angles, Force)}, [Count], subject=[], trial=[])


# ------------------------------------------------------------------ against pandas


def test_kinds_of_values() -> None:
    """Every kind of column and single value keeps its type; rows keep the labels that one part has."""
    when = pd.Timestamp("2026-01-02", tz="UTC")
    index = pd.Index(["a", "b"], name="row")
    values = [
        np.array([[1, 2], [3, 4]], dtype="i2"),
        np.array([(1, 2.0), (3, 4.0)], dtype=[("f", "i4"), ("g", "f8")]),
        [None, 1],
        ("x", "y"),
        pd.Series(["u", "v"], index=index, dtype="category"),
        pd.array([1, None], dtype="Int64"),
        np.float32(0.5),
        when,
        None,
        np.array(7),
    ]
    table = merged([Part(f"P{n}", f"P{n}", value) for n, value in enumerate(values)])
    assert list(table) == ["P0_0", "P0_1", "f", "g", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9"]
    assert table.index.equals(index)
    assert table.index.name == "row"
    dtypes = {name: str(dtype) for name, dtype in table.dtypes.items()}
    assert [dtypes[name] for name in ("P0_0", "f", "g", "P2", "P4", "P5", "P6", "P8")] == [
        "int16", "int32", "float64", "object", "category", "Int64", "float32", "object",
    ]  # fmt: skip
    assert table["P2"].tolist() == [None, 1]
    assert table["P7"].tolist() == [when, when]
    assert table["P9"].tolist() == [7, 7]
    labelled = pd.DataFrame({"a": [1, 2, 3]}, index=[5, 5, 6])
    assert merged([Part("A", "A", labelled), Part("B", "B", 1)]).index.tolist() == [5, 5, 6]


_numbers = st.one_of(st.integers(-5, 5), st.floats(allow_nan=False, width=32), st.text(max_size=2), st.booleans())


@st.composite
def _parts(draw: st.DrawFn) -> tuple[list[Part], pd.DataFrame]:
    """Draw parts of a merge, and the table that pandas makes of them."""
    rows = draw(st.integers(0, 4))
    parts: list[Part] = []
    expected: list[pd.DataFrame | pd.Series[Any]] = []
    has_rows = False
    for number in range(draw(st.integers(1, 4))):
        name = f"V{number}"
        kind = draw(st.sampled_from(["frame", "array", "series", "matrix", "scalar"]))
        has_rows |= kind != "scalar"
        made: Any
        if kind == "frame":
            made = pd.DataFrame({f"{name}{c}": draw(_column(rows)) for c in draw(st.sets(st.sampled_from("abc")))})
            made = made.reindex(range(rows)) if not len(made.columns) else made
            expected.append(made)
        elif kind == "matrix":
            made = np.arange(rows * 2.0).reshape(rows, 2)
            expected.append(pd.DataFrame(made, columns=[f"{name}_0", f"{name}_1"]))
        elif kind == "scalar":
            made = draw(_numbers)
            expected.append(pd.Series([made], name=name))
        else:
            made = pd.Series(draw(_column(rows)), name="other")
            expected.append(made.rename(name))
            made = made.to_numpy() if kind == "array" else made
        parts.append(Part(name, name, made))
    rows = rows if has_rows else 1
    whole = [
        one.repeat(rows).reset_index(drop=True) if part_is_scalar else one
        for one, part_is_scalar in zip(expected, (np.ndim(part.value) == 0 for part in parts), strict=True)
    ]
    return parts, pd.concat([pd.DataFrame(one).reset_index(drop=True) for one in whole], axis=1)


@st.composite
def _column(draw: st.DrawFn, rows: int) -> list[Any]:
    return draw(
        st.lists(draw(st.sampled_from([st.integers(-9, 9), st.floats(width=32)])), min_size=rows, max_size=rows)
    )


@given(_parts())
def test_merge_is_what_pandas_makes(drawn: tuple[list[Part], pd.DataFrame]) -> None:
    """A merge equals plain pandas: single values repeated, everything side by side."""
    parts, expected = drawn
    assert_frame_equal(merged(parts), expected, check_dtype=bool(len(expected)), check_column_type=False)
