"""Tags, reads of the past, and what changed between two moments."""

from __future__ import annotations

import datetime as dt
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scidb
from scidb import BaseVariable, exceptions, for_each, thunk
from scidb.database.differing import difference
from scidb.store.duck.store import DuckStore
from scidb.store.memory import MemoryStore
from scidb.store.model import SchemaKey
from scidb.testing.store_suite.samples import Clock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scidb import DatabaseManager
    from scidb.store.model import Chunk, Query, Record


class Mass(BaseVariable):
    """Body mass."""

    units = "kg"


class Signal(BaseVariable):
    """A recording."""


class Doubled(BaseVariable):
    """Twice the mass."""


def twice(mass: float) -> float:
    return 2 * mass


@thunk
def doubled(mass: float) -> float:
    return 2 * mass


@thunk
def added_to_itself(mass: float) -> float:
    return mass + mass


def rows(diff: Any) -> list[tuple[Any, ...]]:
    return [(row.variable, row.schema, row.change, row.difference) for row in diff]


# ---------------------------------------------------------------- tags and as_of


def test_a_tag_goes_wherever_a_timestamp_goes(db: DatabaseManager) -> None:
    """Every read that gives values or entries takes a tag, and sees what was the latest then."""
    first = Mass.save(70.5, subject=1)
    instant = db.tag("submitted")
    Mass.save(71.0, subject=1)
    Mass.save(80.0, subject=2, trial=1)

    assert db.tags() == {"submitted": instant}
    for then in ("submitted", instant):
        assert Mass.load(as_of=then).data == 70.5
        assert Mass.load_one(as_of=then).record_id == first
        assert [item.data for item in Mass.load_all(as_of=then)] == [70.5]
        assert list(Mass.load_all(as_df=True, as_of=then)["Mass"]) == [70.5]
        assert [entry["record_id"] for entry in Mass.list_versions(as_of=then)] == [first]
        assert db.find_record(Mass, as_of=then).record_id == first
        assert db.find_record_by_id(first[:12], as_of=then).record_id == first
        assert len(db.log(as_of=then)) == len(db.log(Mass, as_of=then)) == 1
        assert db.distinct_schema_values("subject", as_of=then) == [1]
        assert db.distinct_schema_combinations(["subject", "trial"], as_of=then) == []
        assert db.get_provenance(Mass, as_of=then) is None


def test_the_log_of_all_variables_is_narrowed(db: DatabaseManager) -> None:
    """Keys narrow the log of all variables as they do that of one; none is ignored."""
    Mass.save(70.5, subject=1)
    Signal.save([1.0], subject=2, gain=3)

    assert [entry.variable for entry in db.log(subject=2)] == ["Signal"]
    assert [entry.variable for entry in db.log(gain=3)] == ["Signal"]
    with pytest.raises(exceptions.SchemaKeyError, match="subject"):
        db.log(subjct=2)


def test_provenance_is_that_of_then(db: DatabaseManager) -> None:
    """Of a record that two functions made in turn, provenance as of then names the first one."""
    Mass.save(2.0, subject=1)
    record_id = Doubled.save(doubled(Mass.load_one()), subject=1)
    db.tag("then")
    assert Doubled.save(added_to_itself(Mass.load_one()), subject=1) == record_id

    for as_of, name in (("then", "doubled"), (None, "added_to_itself")):
        made = db.get_provenance(Doubled, as_of=as_of)
        assert made is not None
        assert made["function_name"] == name
        assert f"{name}()" in db.get_lineage_graph(Doubled, as_of=as_of).to_text()


def test_an_unknown_tag_is_named(db: DatabaseManager) -> None:
    """A8: a misspelt tag is an error with the nearest one and the list, never another moment."""
    Mass.save(70.5, subject=1)
    db.tag("submitted")
    db.tag("revised")
    with pytest.raises(exceptions.SciDBError, match=r"'submited' is no moment .*Did you mean 'submitted'.*revised, s"):
        list(Mass.load_all(as_of="submited"))
    with pytest.raises(exceptions.SciDBError, match="no moment"):
        db.diff("rev")


def test_a_tag_is_given_once(db: DatabaseManager) -> None:
    """A tag that exists is an error that names its instant; it never moves in silence."""
    instant = db.tag("submitted")
    with pytest.raises(exceptions.ConflictError, match=instant):
        db.tag("submitted")
    assert db.tags() == {"submitted": instant}


def test_a_tag_of_an_earlier_moment(db: DatabaseManager) -> None:
    """A tag names a timestamp, a datetime in any zone, or what another tag names."""
    Mass.save(70.5, subject=1)
    then = Mass.load_one().timestamp
    assert then is not None
    away = dt.datetime.fromisoformat(then).astimezone(dt.timezone(dt.timedelta(hours=5)))

    assert db.tag("text", at=then) == db.tag("datetime", at=away) == db.tag("tag", at="text") == then
    assert list(db.tags()) == ["datetime", "tag", "text"]
    with pytest.raises(exceptions.SciDBError, match="later than now"):
        db.tag("to come", at="2999-01-01")


@pytest.mark.parametrize(
    "moment",
    ["2999-01-01", "2999-01-01T12:00", dt.datetime.fromisoformat("2999-01-01"), dt.datetime(2999, 1, 1, tzinfo=dt.UTC),
     pd.Timestamp("2999-01-01", tz="Europe/Berlin")],
)  # fmt: skip
def test_moments(db: DatabaseManager, moment: Any) -> None:
    """Texts and datetimes, naive (UTC) or not, are moments; what is to come is now."""
    Mass.save(70.5, subject=1)
    assert Mass.load_one(as_of=moment).data == 70.5


@pytest.mark.parametrize(
    "moment", ["", "2026-13-01", pd.NaT, 2026, dt.datetime.min.replace(tzinfo=dt.timezone(dt.timedelta(hours=1)))]
)
def test_what_is_no_moment(db: DatabaseManager, moment: Any) -> None:
    """A text or a value that names no moment is an error of our own."""
    Mass.save(70.5, subject=1)
    with pytest.raises(exceptions.SciDBError, match="no moment"):
        Mass.load_one(as_of=moment)


def test_a_moment_of_the_first_years(db: DatabaseManager) -> None:
    """Years are compared as numbers with four digits."""
    Mass.save(70.5, subject=1)
    assert list(Mass.load_all(as_of=dt.datetime(900, 1, 1, tzinfo=dt.UTC))) == []


def test_before_the_first_entry(db: DatabaseManager) -> None:
    """A read of a time before the first entry says when that was."""
    Mass.save(70.5, subject=1)
    first = Mass.load_one().timestamp
    Mass.save(71.0, subject=1)
    for load in (Mass.load, Mass.load_one):
        with pytest.raises(exceptions.NotFoundError, match=f"as of 2020-01-01. It was first saved there at {first}"):
            load(subject=1, as_of="2020-01-01")


@pytest.mark.parametrize("kind", ["memory", "duck"])
def test_a_clock_that_stands_still_and_goes_back(kind: str, tmp_path: Path) -> None:
    """A6: saves within one tick, after the clock was set back, and over a change to winter time keep their order."""
    clock = Clock()
    key = SchemaKey("subject", "int")
    path = tmp_path / "study.duckdb"
    store = MemoryStore([key], clock=clock) if kind == "memory" else DuckStore.open(path, [key], clock=clock)
    with closing(scidb.DatabaseManager(store)) as db:
        for number, seconds in enumerate((0, 0, -3600, 7200, -7200)):
            clock.move(seconds)
            db.save(Mass, float(number), subject=1)
            db.tag(f"after {number}")
        entries = db.log(Mass)[::-1]
        stamps = [
            stamp for pair in zip(entries, db.tags().values(), strict=True) for stamp in (pair[0].timestamp, pair[1])
        ]
        assert stamps == sorted(set(stamps))
        assert [db.load_one(Mass, as_of=tag).data for tag in db.tags()] == [0.0, 1.0, 2.0, 3.0, 4.0]
        assert db.load_one(Mass).data == 4.0


# ---------------------------------------------------------------- diff


def test_diff_says_what_changed_and_by_how_much(db: DatabaseManager) -> None:
    """Added, changed and reverted values are told apart; equal values saved again are no change (A4)."""
    db.save_many(Mass, [(70, {"subject": 1}), (80.5, {"subject": 2}), (90.0, {"subject": 9}), (1.0, {"subject": 3})])
    Mass.save(91.0, subject=9)
    db.tag("submitted")
    Mass.save(72, subject=1)
    Mass.save(80.5, subject=2)
    Mass.save(90.0, subject=9)
    Mass.save(60.0, subject=10)
    db.tag("revised")
    Mass.save(73, subject=1)

    diff = db.diff("submitted", "revised")

    assert rows(diff) == [
        ("Mass", {"subject": 1}, "changed", 2),
        ("Mass", {"subject": 9}, "reverted", -1.0),
        ("Mass", {"subject": 10}, "added", None),
    ]
    assert len(diff) == 3
    assert diff.counts == {"added": 1, "changed": 1, "reverted": 1, "removed": 0}
    assert rows(db.diff("submitted"))[0] == ("Mass", {"subject": 1}, "changed", 3)
    assert rows(db.diff("submitted", "submitted")) == []
    row = next(iter(diff))
    assert (row.before, row.after) == tuple(
        e["record_id"] for e in Mass.list_versions(subject=1, as_of="revised")[::-1]
    )
    assert (row.function, row.timestamp) == (None, Mass.list_versions(subject=1, as_of="revised")[0]["timestamp"])


def test_diff_is_narrowed(db: DatabaseManager) -> None:
    """Variables, given by class, name or list, and keys narrow; unknown ones are refused (A1, A8)."""
    instant = db.tag("start")
    Mass.save(70.0, subject=1)
    Mass.save(71.0, subject=2, scale="b")
    Signal.save([1.0], subject=1)

    def found(*args: Any, **keys: Any) -> list[tuple[str, Any]]:
        return [(row.variable, row.schema["subject"]) for row in db.diff(instant, None, *args, **keys)]

    assert found() == [("Mass", 1), ("Mass", 2), ("Signal", 1)]
    assert found(Mass) == found("Mass") == found([Mass]) == [("Mass", 1), ("Mass", 2)]
    assert found(["Signal", Mass], subject=1) == [("Mass", 1), ("Signal", 1)]
    assert found(scale="b") == found(params={"scale": "b"}) == [("Mass", 2)]
    with pytest.raises(exceptions.NotRegisteredError, match="'Mass'"):
        db.diff("start", variable="Mas")
    with pytest.raises(exceptions.SchemaKeyError, match="'subject'"):
        db.diff("start", subjct=1)


def test_diff_of_impossible_spans(db: DatabaseManager) -> None:
    """The earlier moment comes first, and there must be one."""
    db.tag("first")
    Mass.save(70.0, subject=1)
    db.tag("second")
    with pytest.raises(exceptions.SciDBError, match=r"second .* is later than first"):
        db.diff("second", "first")
    with pytest.raises(exceptions.SciDBError, match="needs the instant"):
        db.diff(None)


def test_diff_names_the_function(db: DatabaseManager) -> None:
    """Each row says which function made the new value."""
    Mass.save(2.0, subject=1)
    for_each(twice, {"mass": Mass}, [Doubled], subject=[])
    db.tag("submitted")
    Doubled.save(5.0, subject=1)
    Mass.save(3.0, subject=1)
    for_each(twice, {"mass": Mass}, [Doubled], subject=[])

    computed, by_hand, mass = db.diff("submitted")

    assert (by_hand.variable, by_hand.function, by_hand.version_keys) == ("Doubled", None, {})
    assert (computed.variable, computed.function, computed.difference) == ("Doubled", "twice", 2.0)
    assert mass.function is None


def test_diff_of_what_was_renamed_and_of_other_versions(db: DatabaseManager) -> None:
    """A new name is no change; numbers of two schema_versions are not subtracted."""
    Mass.save(70.0, subject=1)
    db.tag("submitted")
    db.admin.rename_variable("Mass", "Weight")
    assert len(db.diff("submitted")) == 0
    weight = type("Weight", (BaseVariable,), {"schema_version": 2})
    weight.save(70000.0, subject=1)  # type: ignore[attr-defined]
    [row] = db.diff("submitted", variable="Weight")
    assert (row.change, row.difference, row.note) == ("changed", None, "schema_version was 1, is 2")


def test_diff_to_pandas(db: DatabaseManager) -> None:
    """One row per change, one column per key, of which none hides a column of ours."""
    instant = db.tag("start")
    Mass.save(1.0, subject=1, change="x")
    Mass.save(2.0, subject=2)

    table = db.diff(instant).to_pandas()

    assert list(table.columns) == [
        "variable", "subject", "change_key", "change", "difference", "note", "before", "after", "function", "timestamp"
    ]  # fmt: skip
    assert list(table["subject"]) == [1, 2]
    assert list(table["change"]) == ["added", "added"]
    assert db.diff("start", "start").to_pandas().empty


def test_a_diff_on_one_screen(db: DatabaseManager) -> None:
    """A few changes are listed, many are counted per variable, and markup in names does nothing."""
    db.tag("start")
    Mass.save(1.0, subject=1, note="<b>")
    few = db.diff("start")
    db.save_many(Mass, [(1.0, {"subject": number}) for number in range(50)])
    many = db.diff("start")

    assert repr(few).splitlines()[0].startswith("1 added since start (")
    assert "note='<b>'" in repr(few)
    assert "&lt;b&gt;" in few._repr_html_()
    assert len(repr(many).splitlines()) < 15
    assert "51" in repr(many)
    assert repr(db.diff("start", "start")).startswith("nothing changed from start (")
    assert "nothing changed" in db.diff("start", "start")._repr_html_()


class Counting(scidb.store.wrap.Wrapper):
    """Counts what is asked of a store."""

    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self.asked: list[str] = []
        self.records = 0

    def find(self, query: Query[Any]) -> list[Any]:
        self.asked.append(type(query).__name__)
        found = super().find(query)
        self.records += len(found)
        return found

    def fetch(self, query: Query[Record]) -> Iterator[Chunk]:
        self.asked.append("fetch")
        return super().fetch(query)


def test_a_diff_asks_seldom() -> None:
    """One question finds all changes, and only changes; the values of many come with one more."""
    store = Counting(MemoryStore([SchemaKey("subject", "int")]))
    with scidb.DatabaseManager(store) as db:
        db.save_many(Mass, [(float(number), {"subject": number}) for number in range(200)])
        instant = db.tag("start")
        db.save_many(Mass, [(0.5, {"subject": number}) for number in range(30)])
        store.asked.clear()
        store.records = 0

        diff = db.diff(instant)
        assert (len(diff), store.asked.count("Changes"), store.records) == (30, 1, 30)
        store.asked.clear()
        assert [row.difference for row in diff] == [0.5 - number for number in range(30)]
        assert store.asked == ["fetch"]


# ---------------------------------------------------------------- by how much


@given(st.integers(), st.integers())
def test_whole_numbers_are_subtracted_exactly(before: int, after: int) -> None:
    """The difference of whole numbers of any size is exact."""
    assert difference(before, after) == (after - before, "")


@given(st.lists(st.tuples(*[st.integers(-(2**63), 2**63 - 1)] * 2), min_size=1))
def test_arrays_of_whole_numbers_are_compared_exactly(pairs: list[tuple[int, int]]) -> None:
    """The largest difference of two integer arrays is exact, also where it does not fit the type."""
    before, after = (np.array(side, np.int64) for side in zip(*pairs, strict=True))
    assert difference(before, after)[0] == max(abs(new - old) for old, new in pairs)


@pytest.mark.parametrize(
    ("before", "after", "amount", "note"),
    [
        (1, 2.5, 1.5, "was int, is float"),
        (np.uint8(3), np.uint8(1), -2, ""),
        (np.float32(0.5), np.float32(2), 1.5, ""),
        (1j, 2.0 + 1j, 2.0, ""),
        (1.0, float("nan"), None, "was 1.0, is nan"),
        (2**5000, 0.5, None, "was int, is float"),
        (True, False, None, "bool"),
        ("a", 1, None, "was str, is int"),
        (Decimal(1), Decimal(2), None, "Decimal"),
        ([1, 2], [1, 5], 3, "largest of 2"),
        ([1], [1, 2], None, "shape was (1,), is (2,)"),
        (["a"], ["b"], None, "list with more than numbers"),
        (np.zeros((2, 2)), np.zeros(4), None, "shape was (2, 2), is (4,)"),
        (np.zeros(0), np.zeros(0, np.int8), None, "no numbers; was float64, is int8"),
        (np.array(["a"]), np.array(["b"]), None, "<U1 array"),
        (np.array([1.0, np.nan, np.inf]), np.array([np.nan, np.nan, np.inf]), 0.0,
         "the numbers are equal; 1 missing in one of them"),
        (np.array([0.0, 1.0]), np.array([-1.5, 1.0]), 1.5, "largest of 2"),
        (np.array(5.0), np.array(3.0), 2.0, "largest of 1"),
        (np.array([60000], np.float16), np.array([-60000], np.float16), 120000.0, "largest of 1"),
        (np.array([1], np.int8), np.array([300], np.int16), 299, "largest of 1; was int8, is int16"),
        (pd.Series([1, 2]), pd.Series([1, 4]), 2, "largest of 2"),
        (pd.Series([1, None], dtype="Int64"), pd.Series([3, 5], dtype="Int64"), 2.0,
         "largest of 2; 1 missing in one of them"),
        (pd.DataFrame({"a": [1.0], "b": ["x"]}), pd.DataFrame({"a": [4.0], "b": ["y"]}), 3.0, "largest of 1"),
        (pd.DataFrame({"a": [1.0]}), pd.DataFrame({"b": [4.0]}), None, "other columns"),
        (pd.DataFrame({"a": ["x"]}), pd.DataFrame({"a": ["y"]}), None, "no numbers"),
        (pd.DataFrame({"a": [1.0]}), pd.Series([1.0]), None, "was DataFrame, is Series"),
        (pd.DataFrame({"a": [1]}, index=[0]), pd.DataFrame({"a": [1]}, index=[7]), 0,
         "the numbers are equal; other index"),
        (pd.Series([1, 2], index=["a", "b"]), pd.Series([2, 1], index=["b", "a"]), 1, "largest of 2; other index"),
    ],
)  # fmt: skip
def test_differences(before: Any, after: Any, amount: Any, note: str) -> None:
    """A number where one means something, and otherwise a word that says why there is none."""
    found, said = difference(before, after)
    assert (found, said) == (amount, note)
