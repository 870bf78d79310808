"""``distribute=True``: each element or row of a result is stored one level below, and goes with it."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

import scidb
from scidb import BaseVariable, DatabaseManager, exceptions, for_each, thunk
from scidb.foreach.pieces import split
from scidb.memo import complete
from scidb.store.model import Batch, Chunk, Computation, Entries, Match, Record, Result
from scidb.testing.store_suite.samples import record

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.above_stores

# What does not depend on the store need not be tried with each.
IN_MEMORY = pytest.mark.parametrize("target", ["memory:"])


class Walk(BaseVariable):
    pass


class Step(BaseVariable):
    pass


class Pause(BaseVariable):
    pass


class Doubled(BaseVariable):
    pass


class Mean(BaseVariable):
    pass


def steps(walk: Any) -> Any:
    """Return one value for each step."""
    return [float(value) for value in walk]


def both(walk: Any) -> Any:
    """Return steps, and the pauses between them."""
    return list(walk), np.diff(walk)


def double(step: float) -> float:
    return 2 * step


def ranks(values: list[float]) -> list[int]:
    return [int(rank) for rank in np.argsort(values)]


def to_file(walk: Any, subject: int) -> None:
    raise AssertionError(walk, subject)


def mean(values: list[float]) -> float:
    return float(np.mean(values))


@pytest.fixture
def walks(db: DatabaseManager) -> DatabaseManager:
    """Two subjects with three and two steps."""
    Walk.save([1.0, 2.0, 3.0], subject=1)
    Walk.save([4.0, 5.0], subject=2)
    return db


def run(**options: Any) -> scidb.ForEachReport:
    return for_each(steps, {"walk": Walk}, [Step], subject=[], distribute=True, **options)


def counts(report: scidb.ForEachReport) -> tuple[int, int, int, int, int]:
    return report.completed, report.recalled, report.up_to_date, report.skipped, report.failed


def found(variable: type[BaseVariable] = Step, **metadata: Any) -> dict[tuple[Any, ...], Any]:
    """Return what is the latest, by subject and trial."""
    return {tuple(one.schema.values()): one.data for one in variable.load_all(**metadata)}


ALL = {(1, 1): 1.0, (1, 2): 2.0, (1, 3): 3.0, (2, 1): 4.0, (2, 2): 5.0}


def test_pieces_are_numbered_one_level_below(walks: DatabaseManager) -> None:
    """Each element is a value of its own, at the next schema key, from 1 on; the log says which of how many."""
    assert counts(run()) == (2, 0, 0, 0, 0)

    assert found() == ALL
    entry = Step.load_one(subject=1, trial=3)
    assert entry.version_keys == {}
    assert Step.load_one(subject=2, trial=2, params={"__distribute": True}).data == 5.0


def test_a_second_run_does_nothing(walks: DatabaseManager) -> None:
    """R4: a result is up to date when all of its pieces are."""
    run()
    before = {one.name: one.entries for one in walks.types()}

    assert counts(run()) == (0, 0, 2, 0, 0)
    assert {one.name: one.entries for one in walks.types()} == before


def test_fewer_pieces_take_the_others_from_the_latest(walks: DatabaseManager) -> None:
    """Pieces beyond the count of the newest run are no longer there, for whoever asks; in the past they are."""
    run()
    walks.tag("before")
    Walk.save([1.5], subject=1)

    assert counts(run()) == (1, 0, 1, 0, 0)
    assert found() == {(1, 1): 1.5, (2, 1): 4.0, (2, 2): 5.0}
    assert found(as_of="before") == ALL
    assert found(subject=1) == {(1, 1): 1.5}
    with pytest.raises(exceptions.NotFoundError):
        Step.load(subject=1, trial=3)
    assert len(Step.list_versions(subject=1, trial=3)) == 1
    assert len(walks.distinct_schema_combinations(["subject", "trial"])) == 5


@pytest.mark.every_store
def test_fewer_pieces_in_views(walks: DatabaseManager, target: str) -> None:
    """The view of a variable shows what is the latest, as everything else."""
    run()
    Walk.save([1.5], subject=1)
    run()
    if target == "memory:":
        pytest.skip("a store without SQL")
    rows = walks.query('SELECT subject, trial, value FROM "Step" ORDER BY subject, trial').to_pandas()
    assert rows.to_numpy().tolist() == [[1, 1, 1.5], [2, 1, 4.0], [2, 2, 5.0]]


def test_back_to_more_pieces(walks: DatabaseManager) -> None:
    """A5: an input and back ends with all of the earlier pieces as the latest, and runs nothing twice."""
    run()
    for walk in ([1.5], [1.0, 2.0, 3.0]):
        Walk.save(walk, subject=1)
        report = run()

    assert counts(report) == (0, 1, 1, 0, 0)
    assert found() == ALL
    assert counts(run()) == (0, 0, 2, 0, 0)


def test_equal_pieces_stay_apart(db: DatabaseManager) -> None:
    """Pieces of equal content are as many as there were, also when they are recalled, here and elsewhere."""
    Walk.save([0.0, 0.0, 0.0], subject=1)
    run()
    Walk.save([7.0], subject=1)
    run()
    Walk.save([0.0, 0.0, 0.0], subject=1)
    Walk.save([0.0, 0.0, 0.0], subject=2)

    assert counts(run()) == (0, 2, 0, 0, 0)
    assert found() == {(subject, trial): 0.0 for subject in (1, 2) for trial in (1, 2, 3)}


def test_equal_inputs_run_once_and_have_their_own_pieces(db: DatabaseManager) -> None:
    """M6a: two subjects with equal data share a computation, and not their records."""
    for subject in (1, 2):
        Walk.save([1.0, 2.0], subject=subject)

    assert counts(run()) == (1, 1, 0, 0, 0)
    assert found() == {(1, 1): 1.0, (1, 2): 2.0, (2, 1): 1.0, (2, 2): 2.0}
    provenance = db.get_provenance(Step, subject=2, trial=2)
    assert provenance is not None
    [source] = provenance["inputs"]
    assert source["metadata"] == {"subject": 2}


def test_a_piece_that_was_overwritten_is_logged_again(walks: DatabaseManager) -> None:
    """A result of which a piece is not the latest at its place is not up to date."""
    run()
    _save_over(walks)

    assert counts(run()) == (0, 1, 1, 0, 0)
    assert found() == ALL


def _save_over(database: DatabaseManager) -> None:
    """Log a value at the place of a piece, as another program might."""
    [entry] = database._store.find(Entries(Match(("Step",), {"subject": (1,), "trial": (2,)})))
    assert json.loads(entry.version_keys)["__distribute"] is True
    by_hand = replace(entry, lineage_id=None, call_id=None, output_num=None, piece=None, pieces=None, timestamp="")
    database._store.write(Batch(chunks=(Chunk((by_hand,), None),)))


def test_a_result_is_recalled_whole_or_not_at_all() -> None:
    """M2: of several calls the newest one counts of which every piece of every output is there."""
    computation = Computation("l", "f", "code", "inputs", '["distribute",2]')

    def pieces(call_id: str, output: int, *numbers: int, of: int) -> list[Record]:
        return [
            record("Step", (call_id, n), {}, call_id=call_id, lineage_id="l", output_num=output, piece=n, pieces=of)
            for n in numbers
        ]

    lacking = [
        [],
        pieces("a", 0, 1, 2, of=2),
        [*pieces("a", 0, 1, 2, of=2), *pieces("a", 1, 2, of=2)],
        [*pieces("a", 0, 1, 2, of=2), *pieces("a", 1, 1, 3, of=3)],
        [*pieces("a", 0, 1, of=1), *pieces("b", 1, 1, of=1)],
        [*pieces("a", 0, 1, 2, of=2), *pieces("a", 1, 1, of=1), *pieces("a", 2, 1, of=1)],
    ]
    assert [complete(Result(computation, tuple(records))) for records in lacking] == [None] * len(lacking)
    whole = [*pieces("a", 0, 1, 2, of=2), *pieces("a", 1, 1, of=1)]
    known = complete(Result(computation, (*pieces("b", 0, 1, of=1), *whole[::-1])))
    assert known is not None
    assert (known.call_id, known.records) == ("a", tuple(whole))


@IN_MEMORY
def test_pieces_that_were_set_aside_are_made_again(walks: DatabaseManager) -> None:
    """To set the computation of one piece aside is to set aside all that it gave."""
    run()
    assert walks.invalidate_cache(output=Step.load_one(subject=1, trial=2)) == 1
    assert counts(run()) == (1, 0, 1, 0, 0)
    assert counts(run()) == (0, 0, 2, 0, 0)


def test_several_outputs_have_their_own_counts(walks: DatabaseManager) -> None:
    """Three steps have two pauses between them; each output is split by itself, and recalled whole."""
    options: dict[str, Any] = {"subject": [], "distribute": True}
    for_each(both, {"walk": Walk}, [Step, Pause], **options)

    assert found() == ALL
    assert found(Pause) == {(1, 1): 1.0, (1, 2): 1.0, (2, 1): 1.0}
    assert counts(for_each(both, {"walk": Walk}, [Step, Pause], **options)) == (0, 0, 2, 0, 0)
    Walk.save([9.0, 8.0], subject=1)
    for_each(both, {"walk": Walk}, [Step, Pause], **options)
    assert found(Pause, subject=1) == {(1, 1): -1.0}
    Walk.save([1.0, 2.0, 3.0], subject=1)
    assert counts(for_each(both, {"walk": Walk}, [Step, Pause], **options)) == (0, 1, 1, 0, 0)
    assert found() == ALL
    assert found(Pause) == {(1, 1): 1.0, (1, 2): 1.0, (2, 1): 1.0}


@pytest.mark.parametrize("unpack", [False, True])
@IN_MEMORY
def test_thunks(walks: DatabaseManager, unpack: bool) -> None:
    """A thunk is split as a function is, with its outputs unpacked or not."""
    if unpack:
        made = thunk(unpack_output=True)(lambda walk: (list(walk), [0.5]))
        options: list[Any] = [Step, Pause]
    else:
        made = thunk(steps)
        options = [Step]
    report = for_each(made, {"walk": Walk}, options, subject=[], distribute=True)

    assert counts(report) == (2, 0, 0, 0, 0)
    assert found() == ALL
    assert counts(for_each(made, {"walk": Walk}, options, subject=[], distribute=True)) == (0, 0, 2, 0, 0)


@IN_MEMORY
def test_distributed_is_another_computation(walks: DatabaseManager) -> None:
    """Split or whole is another variant and another computation, so that neither is taken for the other."""
    assert counts(for_each(steps, {"walk": Walk}, [Step], subject=[])) == (2, 0, 0, 0, 0)
    assert counts(run()) == (2, 0, 0, 0, 0)

    assert Step.load_one(subject=1, trial=None).data == [1.0, 2.0, 3.0]
    assert Step.load_one(subject=1, trial=2).data == 2.0


def test_later_steps_read_pieces_as_any_value(walks: DatabaseManager) -> None:
    """A finer for_each reads pieces one by one; a coarser one gets those that are there now."""
    run()
    assert counts(for_each(double, {"step": Step}, [Doubled], subject=[], trial=[])) == (5, 0, 0, 0, 0)
    for_each(mean, {"values": Step}, [Mean], subject=[])
    assert [one.data for one in Mean.load_all()] == [2.0, 4.5]

    Walk.save([1.0, 2.0], subject=1)
    run()
    assert counts(for_each(mean, {"values": Step}, [Mean], subject=[])) == (1, 0, 1, 0, 0)
    assert Mean.load_one(subject=1).data == 1.5
    report = for_each(double, {"step": Step}, [Doubled], subject=[], trial=[])
    assert counts(report) == (0, 0, 4, 1, 0)
    assert "no Step at subject=1, trial=3" in list(report.to_pandas()["reason"])


@IN_MEMORY
def test_in_between_the_levels(target: str) -> None:
    """The key below the deepest iterated one numbers the pieces, whatever there is below and beside it."""
    with scidb.open(target, ["group", "subject", "session", "trial"]) as database, database.as_current():
        Walk.save([1.0, 2.0], subject=7)
        for_each(steps, {"walk": Walk}, [Step], subject=[], distribute=True)
        assert [dict(one.schema) for one in Step.load_all()] == [
            {"subject": 7, "session": 1},
            {"subject": 7, "session": 2},
        ]


@IN_MEMORY
def test_without_saving_the_pieces_are_shown(walks: DatabaseManager) -> None:
    """``save=False`` returns the pieces of each output."""
    assert run(save=False).values == [((1.0, 2.0, 3.0),), ((4.0, 5.0),)]
    assert counts(run(dry_run=True)) == (2, 0, 0, 0, 0)


# ------------------------------------------------------------------ what is split, and what is not

FRAME = pd.DataFrame({"side": ["L", "R"], "length": [0.6, 0.7], "n": [3, 4]}, index=["first", "second"])


SPLIT: list[tuple[Any, list[Any]]] = [
    ([1, "two", None], [1, "two", None]),
    ((1.5, [2.5]), [1.5, [2.5]]),
    (np.array([1.0, 2.0]), [np.float64(1.0), np.float64(2.0)]),
    (np.array([[1, 2], [3, 4]]), [np.array([1, 2]), np.array([3, 4])]),
    (np.zeros((2, 3, 4)), [np.zeros((3, 4)), np.zeros((3, 4))]),
    (pd.Series([1.5, 2.5], index=[7, 0]), [np.float64(1.5), np.float64(2.5)]),
    (FRAME, [FRAME.iloc[[0]], FRAME.iloc[[1]]]),
]


@IN_MEMORY
def test_what_is_split(db: DatabaseManager) -> None:
    """Elements of lists, tuples, arrays and Series, rows of tables: each with its type, and rows with their label."""
    Walk.save_many([(number, {"subject": number}) for number in range(len(SPLIT))])
    values = [value for value, _ in SPLIT]
    report = for_each(
        lambda subject: values[subject], {}, [Step], subject=range(len(SPLIT)), pass_metadata=True, distribute=True
    )
    assert counts(report) == (len(SPLIT), 0, 0, 0, 0)

    for subject, (_, pieces) in enumerate(SPLIT):
        loaded = [one.data for one in Step.load_all(subject=subject)]
        assert [type(one) for one in loaded] == [type(one) for one in pieces]
        for one, piece in zip(loaded, pieces, strict=True):
            if isinstance(piece, pd.DataFrame):
                pd.testing.assert_frame_equal(one, piece)
            else:
                np.testing.assert_equal(one, piece)


def test_tables_of_other_libraries() -> None:
    """Rows of polars and Arrow tables are tables of one row."""
    pa = pytest.importorskip("pyarrow")
    pl = pytest.importorskip("polars")
    columns = {"a": [1, 2], "b": ["x", "y"]}
    assert [row.to_pylist() for row in split(pa.table(columns))] == [[{"a": 1, "b": "x"}], [{"a": 2, "b": "y"}]]
    assert [row.rows() for row in split(pl.DataFrame(columns))] == [[(1, "x")], [(2, "y")]]
    assert split(pl.Series([1.5, 2.5])) == (1.5, 2.5)


WITHOUT_PIECES: list[Any] = [3.5, "text", b"bytes", {"a": 1}, {1, 2}, np.array(1.0), np.float64(2.0)]


@IN_MEMORY
def test_what_has_no_pieces_fails(db: DatabaseManager) -> None:
    """R3: what has no elements in an order fails its own combination, and nothing of it is saved."""
    results = [[1.0], *WITHOUT_PIECES]

    def made(subject: int) -> tuple[Any, Any]:
        return [1.0, 2.0], results[subject]

    report = for_each(made, {}, [Step, Pause], subject=range(len(results)), pass_metadata=True, distribute=True)

    assert counts(report) == (1, 0, 0, 0, len(WITHOUT_PIECES))
    for failure in report.failures:
        assert isinstance(failure.error, exceptions.OutputCountError)
        assert "for Pause, which has no pieces in an order" in str(failure.error)
    assert set(found()) == {(0, 1), (0, 2)}


EMPTY: list[Any] = [[], (), np.zeros((0, 2)), FRAME.iloc[:0]]


@IN_MEMORY
def test_nothing_is_a_failure(db: DatabaseManager, caplog: pytest.LogCaptureFixture) -> None:
    """A8: a result without pieces cannot be stored, and is said loudly; what was there before stays, and is named."""
    options: dict[str, Any] = {"subject": range(len(EMPTY)), "pass_metadata": True, "distribute": True}
    for_each(lambda subject: [1.0, float(subject)], {}, [Step], **options)
    with caplog.at_level(logging.WARNING, "scidb"):
        report = for_each(lambda subject: EMPTY[subject], {}, [Step], **options)

    assert counts(report) == (0, 0, 0, 0, len(EMPTY))
    assert all("returned nothing for Step" in str(failure.error) for failure in report.failures)
    assert "still have the results of an earlier run" in caplog.text
    assert found(subject=3) == {(3, 1): 1.0, (3, 2): 3.0}


@IN_MEMORY
def test_a_piece_that_cannot_be_stored_fails_all(walks: DatabaseManager) -> None:
    """V11: nothing is half saved: one bad piece fails the combination."""
    report = for_each(
        lambda walk: [1.0, object() if len(walk) == 2 else 2.0], {"walk": Walk}, [Step], subject=[], distribute=True
    )
    assert counts(report) == (1, 0, 0, 0, 1)
    assert set(found()) == {(1, 1), (1, 2)}


# ------------------------------------------------------------------ calls that cannot be


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: for_each(steps, {"walk": Walk}, [Step], distribute=True), r"such as subject=\[\]"),
        (
            lambda: for_each(steps, {"walk": Walk}, [Step], subject=[], trial=[], distribute=True),
            "below 'trial', and that is the deepest schema key",
        ),
        (
            lambda: for_each(steps, {"walk": Walk}, [Step], subject=[], distribute="trial"),  # type: ignore[arg-type]
            "it is True or False",
        ),
        (
            lambda: for_each(thunk(generates_file=True)(to_file), {"walk": Walk}, [], subject=[], distribute=True),
            "writes a file",
        ),
    ],
    ids=["no key", "deepest key", "a name", "a file"],
)  # fmt: skip
@IN_MEMORY
def test_calls_that_cannot_be(walks: DatabaseManager, call: Callable[[], Any], message: str) -> None:
    """What cannot be split is an error before anything runs."""
    with pytest.raises(exceptions.PipelineError, match=message):
        call()
    assert "Step" not in {one.name for one in walks.types()}


@pytest.mark.every_store
@pytest.mark.local
def test_the_key_of_pieces_must_hold_whole_numbers(target: str) -> None:
    """Pieces are numbered; a key of texts or of other numbers would mix two meanings."""
    for kind in (str, float):
        keys: Any = {"subject": int, "trial": kind}
        with scidb.open(f"{target}{kind.__name__}" if target != "memory:" else target, keys) as database:
            Walk.save([1.0], subject=1, db=database)
            with pytest.raises(exceptions.PipelineError, match="'trial', the key below 'subject'"):
                for_each(steps, {"walk": Walk}, [Step], subject=[], distribute=True, db=database)


# ------------------------------------------------------------------ where pieces came from


def test_provenance_and_status_of_pieces(walks: DatabaseManager) -> None:
    """Each piece names the call that made it; status knows changed code, new inputs and pieces that are gone."""
    run()
    for_each(double, {"step": Step}, [Doubled], subject=[], trial=[])
    assert walks.status().is_green
    provenance = walks.get_provenance(Step, subject=1, trial=3)
    assert provenance is not None
    assert provenance["function_name"] == "steps"
    gone = Step.load_one(subject=1, trial=3)

    Walk.save([1.0, 2.0], subject=1)
    stale = {one.place: one.state for one in walks.status("Step").records}
    assert stale["Step (subject=1, trial=2)"] == "input changed"
    assert stale["Step (subject=2, trial=1)"] == "up to date"
    run()
    assert walks.status("Step").is_green
    assert "split into fewer pieces since" in str(walks.explain(gone))
    [left] = [one for one in walks.status("Doubled").records if not one.is_green]
    assert (left.place, left.state) == ("Doubled (subject=1, trial=3)", "input changed")
    assert "is not there any more" in left.reason


@IN_MEMORY
def test_status_of_pieces_of_a_summary(walks: DatabaseManager) -> None:
    """What a summary was given is looked for where it was called, not where its pieces are."""
    run()
    for_each(ranks, {"values": Step}, [Pause], subject=[], distribute=True)
    assert walks.status().is_green

    Walk.save([4.0, 5.0, 6.0], subject=2)
    run()
    stale = [one for one in walks.status("Pause").records if not one.is_green]
    assert [one.place for one in stale] == ["Pause (subject=2, trial=1)", "Pause (subject=2, trial=2)"]
    assert "Step (subject=2, trial=3) would now be used, too" in stale[0].reason


def test_status_knows_what_is_missing_and_what_failed(walks: DatabaseManager) -> None:
    """A subject that was never split is missing; one that failed after its pieces were made has failed."""
    run()
    Walk.save([6.0], subject=3)
    [missing] = [one for one in walks.status("Step").records if not one.is_green]
    assert (missing.place, missing.state) == ("Step (subject=3)", "missing")

    Walk.save("bad", subject=1)
    assert counts(run()) == (1, 0, 1, 0, 1)
    states = {one.place: one.state for one in walks.status("Step").records}
    assert states["Step (subject=1, trial=1)"] == "failed"
    assert states["Step (subject=3, trial=1)"] == "up to date"
