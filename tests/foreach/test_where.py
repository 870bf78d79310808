"""``for_each(..., where=f)``: which combinations are visited, with which inputs, and as which variant."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from scidb import (
    AmbiguousVersionError,
    BaseVariable,
    DatabaseManager,
    FilterError,
    Fixed,
    ForEachConfig,
    PathInput,
    for_each,
    raw_sql,
    schema_key,
)
from scidb.current import current
from scidb.store.memory import MemoryStore
from scidb.store.model import SchemaKey
from scidb.store.wrap import Wrapper

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scidb.store.model import Chunk, Query, Record

pytestmark = pytest.mark.above_stores


class Signal(BaseVariable):
    """A number at each trial."""


class Hand(BaseVariable):
    """The hand of a trial."""


class Group(BaseVariable):
    """The group of a person."""


class Result(BaseVariable):
    """What is computed."""


@pytest.fixture(autouse=True)
def _trials(db: DatabaseManager) -> None:
    """Save two people with three trials each, of which the last is left-handed."""
    assert current() is db
    for subject in (1, 2):
        Group.save("AB"[subject - 1], subject=subject)
        for trial in (1, 2, 3):
            Signal.save(10 * subject + trial, subject=subject, trial=trial)
            Hand.save("R" if trial < 3 else "L", subject=subject, trial=trial)


def _same(signal: Any) -> Any:
    return signal


def _mean(signal: list[float]) -> float:
    return float(np.mean(signal))


def _results(**metadata: Any) -> dict[tuple[Any, ...], Any]:
    return {tuple(result.schema.values()): result.data for result in Result.load_all(**metadata)}


def test_only_combinations_that_pass_are_visited() -> None:
    """What the filter leaves out is no combination and no missing input; the report says how many there were."""
    report = for_each(_same, {"signal": Signal}, [Result], where=Hand == "L", subject=[], trial=[])
    assert (report.completed, report.skipped, report.left_out) == (2, 0, 4)
    assert len(report.combinations) == 2
    assert "4 left out by the filter" in str(report)
    assert _results() == {(1, 3): 13, (2, 3): 23}
    again = for_each(_same, {"signal": Signal}, [Result], where=Hand == "L", subject=[], trial=[])
    assert (again.up_to_date, again.left_out) == (2, 4)


def test_missing_inputs_are_still_missing() -> None:
    """A combination that lacks an input is skipped, one that the filter leaves out is not counted so."""
    report = for_each(_same, {"signal": Signal}, [Result], where=Hand == "L", subject=[1, 7], trial=[2, 3])
    assert (report.completed, report.skipped, report.left_out) == (1, 2, 1)


def test_a_filter_that_leaves_out_everything_is_loud(caplog: pytest.LogCaptureFixture) -> None:
    """A8: a filter for which nothing passes is said loudly, as what it is."""
    with caplog.at_level(logging.WARNING):
        report = for_each(_same, {"signal": Signal}, [Result], where=Hand == "X", subject=[], trial=[])
    assert (report.completed, report.left_out) == (0, 6)
    assert "the filter left out ALL 6 combinations" in caplog.text


def test_dry_run_shows_what_is_left_out() -> None:
    """dry_run plans with the filter and runs nothing."""
    report = for_each(_same, {"signal": Signal}, [Result], dry_run=True, where=Hand == "L", subject=[], trial=[])
    assert str(report).startswith("_same: 2 would compute, 4 left out by the filter")


def test_aggregation_gets_what_passes() -> None:
    """With fewer keys than the data has, the function gets only the matches for which the filter holds."""
    for_each(_mean, {"signal": Signal}, [Result], where=Hand == "R", subject=[])
    assert _results() == {(1,): 11.5, (2,): 21.5}
    where = schema_key("trial") >= 2
    table = for_each(_rows, {"table": Signal}, [Result], as_table=True, save=False, where=where, subject=[])
    assert table.values == [(2,), (2,)]


def _rows(table: Any) -> int:
    return len(table)


def test_coarser_filters_and_coarser_inputs() -> None:
    """A coarser filter expands downwards; an input coarser than the filter serves each combination that is left."""
    report = for_each(_same, {"signal": Signal}, [Result], where=Group == "B", subject=[], trial=[])
    assert (report.completed, report.left_out) == (3, 3)

    def both(signal: int, group: str) -> str:
        return f"{group}{signal}"

    for_each(both, {"signal": Signal, "group": Group}, [Result], where=Hand == "L", subject=[], trial=[])
    assert _results(where=Hand == "L") == {(1, 3): "A13", (2, 3): "B23"}


def test_fixed_inputs_are_not_filtered() -> None:
    """A Fixed input stays what it is, whatever the filter says of its place."""

    def change(signal: int, base: int) -> int:
        return signal - base

    inputs = {"signal": Signal, "base": Fixed(Signal, trial=1)}
    for_each(change, inputs, [Result], where=Hand == "L", subject=[], trial=[])
    assert _results() == {(1, 3): 2, (2, 3): 2}


def test_a_filter_that_filters_nothing_is_refused(tmp_path: Path) -> None:
    """A7: where every input is fixed, a constant, a file or coarser than the filter, it is never ignored."""
    (tmp_path / "1.csv").write_text("a")
    inputs: Any
    for inputs in (
        {"signal": Group},
        {"signal": Fixed(Signal, trial=1)},
        {"signal": 3},
        {"signal": PathInput("{subject}.csv", tmp_path)},
    ):
        with pytest.raises(FilterError, match="filters no input"):
            for_each(_same, inputs, [Result], where=Hand == "L", subject=[1])
    with pytest.raises(FilterError, match="where= takes a filter"):
        for_each(_same, {"signal": Signal}, [Result], where=Hand, subject=[])  # type: ignore[arg-type]


def test_a_filter_that_does_not_cover_is_refused() -> None:
    """A7: an input at a place of which the filter knows nothing is an error, and nothing has run."""
    Signal.save(99, subject=3, trial=1)
    with pytest.raises(FilterError, match="subject=3, trial=1"):
        for_each(_same, {"signal": Signal}, [Result], where=Hand == "L", subject=[], trial=[])
    report = for_each(_same, {"signal": Signal}, [Result], where=Hand == "L", subject=[1, 2], trial=[])
    assert report.completed == 2


@pytest.mark.every_store
def test_verification_4_another_filter_is_another_variant() -> None:
    """Verification 4: another input, function or filter makes another set of version keys, each with its latest."""

    def other(signal: int) -> int:
        return -signal

    for where in (None, Hand == "L", schema_key("trial") == 3):
        for_each(_same, {"signal": Signal}, [Result], where=where, subject=[1], trial=[3])
    for_each(other, {"signal": Signal}, [Result], subject=[1], trial=[3])
    for_each(_same, {"signal": Fixed(Signal, trial=1)}, [Result], subject=[1], trial=[3])
    found = Result.load(subject=1, trial=3)
    configurations = {
        (
            result._all_version_keys["__fn"],
            result._all_version_keys["__inputs"],
            result._all_version_keys.get("__where"),
        )
        for result in found
    }
    assert len(found) == len(configurations) == 5
    assert {where for _, _, where in configurations} == {None, "Hand == 'L'", "schema_key('trial') == 3"}
    assert Result.load_one(params={"__where": "Hand == 'L'"}).data == 13


def test_the_filter_is_part_of_the_configuration() -> None:
    """ForEachConfig holds the text of the filter, under a name that no parameter can have."""
    keys = ForEachConfig(_same, {"signal": Signal}, where=Hand == "L").to_version_keys()
    assert keys["__where"] == "Hand == 'L'"
    assert "__where" not in ForEachConfig(_same, {"signal": Signal}).to_version_keys()


def test_a_chain_of_steps_under_one_filter() -> None:
    """The next step under a filter takes what the step before made under it, where both variants are there."""

    class Doubled(BaseVariable):
        pass

    def double(signal: int) -> int:
        return 2 * signal

    right = Hand == "R"
    for_each(double, {"signal": Signal}, [Doubled], subject=[], trial=[])
    for_each(double, {"signal": Signal}, [Doubled], where=right, subject=[1], trial=[])
    with pytest.raises(AmbiguousVersionError, match="__where"):
        for_each(_same, {"signal": Doubled}, [Result], subject=[], trial=[])
    report = for_each(_same, {"signal": Doubled}, [Result], where=right, subject=[], trial=[])
    assert (report.completed + report.recalled, report.left_out) == (4, 2)
    assert _results() == {(1, 1): 22, (1, 2): 24, (2, 1): 42, (2, 2): 44}


@pytest.mark.every_store
def test_raw_sql(target: str) -> None:
    """A condition in SQL is one on the view of each input."""
    if target != "memory:":
        report = for_each(_same, {"signal": Signal}, [Result], where=raw_sql("value > 20"), subject=[], trial=[])
        assert (report.completed, report.left_out) == (3, 3)


class _Counting(Wrapper):
    """A store that counts the questions it is asked."""

    asked = 0

    def find(self, query: Query[Any]) -> list[Any]:
        self.asked += 1
        return super().find(query)

    def fetch(self, query: Query[Record]) -> Iterator[Chunk]:
        self.asked += 1
        return super().fetch(query)


def test_the_number_of_look_ups_does_not_depend_on_the_combinations() -> None:
    """However many combinations there are, a filtered call asks the store the same number of questions."""
    asked = []
    for people in (2, 40):
        store = _Counting(MemoryStore([SchemaKey("subject"), SchemaKey("trial")]))
        with DatabaseManager(store) as db:
            places = [{"subject": subject, "trial": trial} for subject in range(people) for trial in (1, 2)]
            Signal.save_many([(10.0 * place["subject"] + place["trial"], place) for place in places], db=db)
            Hand.save_many([("L", place) for place in places], db=db)
            store.asked = 0
            report = for_each(
                _same, {"signal": Signal}, [Result], where=(Hand == "L") & (Signal > 0), db=db, subject=[], trial=[]
            )
            assert report.completed == 2 * people
            asked.append(store.asked)
    assert asked[0] == asked[1] <= 9
