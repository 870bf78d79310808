"""The memo: results by computation, what is set aside, and of what use it was."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scidb.store.model import (
    Batch,
    CallInput,
    Edge,
    Hit,
    Invalidated,
    Invalidation,
    Invalidations,
    MemoEntries,
    Results,
    RunEnded,
    RunStarted,
)
from scidb.testing.store_suite.base import StoreCases
from scidb.testing.store_suite.samples import call, save, used

if TYPE_CHECKING:
    from scidb.store.model import Call, Record
    from scidb.store.protocol import Store

__all__ = ["MemoCases"]


def _made(store: Store, value: float, made: Call, number: int = 0, *, subject: int = 1) -> Record:
    return save(
        store,
        "Emg",
        value,
        calls=[made],
        lineage_id=made.computation.lineage_id,
        call_id=made.call_id,
        output_num=number,
        subject=subject,
    )


def _input(value: int) -> CallInput:
    return CallInput("x", "constant", content_hash=str(value), value_repr=str(value))


def _generated(store: Store, made: Call) -> Call:
    made = replace(made, computation=replace(made.computation, kind="generated"))
    store.write(Batch(calls=(made,)))
    return made


def _known(store: Store, *calls: Call) -> list[list[str]]:
    """Return the ids of the records that count, per computation."""
    found = store.find(Results(tuple(made.computation.lineage_id for made in calls)))
    return [[one.record_id for one in result.records] for result in found]


class MemoCases(StoreCases):
    """Cases of ``Results``, ``Invalidations`` and ``MemoEntries``, and of the events behind them."""

    def test_results_are_found_by_computation(self, store: Store) -> None:
        """One look-up answers for many computations in the order asked, and leaves out what nothing was saved of."""
        one, two, three = call("c1"), call("c2", _input(2)), call("c3", _input(3))
        first, second = _made(store, 1.0, one), _made(store, 2.0, two)
        store.write(Batch(calls=(three,)))
        found = store.find(Results((two.computation.lineage_id, "none", one.computation.lineage_id, "none")))
        assert [result.computation for result in found] == [two.computation, one.computation]
        assert [result.records for result in found] == [(second,), (first,)]
        assert _known(store, three) == []
        assert store.find(Results(())) == []

    def test_newest_entry_per_output_and_content(self, store: Store) -> None:
        """Of equal results at two places the newest entry answers, beside other outputs and contents; newest first."""
        made = call("c1")
        _made(store, 1.0, made, 0, subject=1)
        again = _made(store, 1.0, made, 0, subject=2)
        other = _made(store, 2.0, made, 1)
        redone = _made(store, 3.0, made, 0)
        assert _known(store, made) == [[redone.record_id, other.record_id, again.record_id]]
        assert _known(store, made) == [[redone.record_id, other.record_id, again.record_id]]

    def test_pieces_of_a_result(self, store: Store) -> None:
        """Equal pieces are each there, by their number, and a piece of two is not that of three."""
        made = call("c1")
        known = {"lineage_id": made.computation.lineage_id, "call_id": "c1", "output_num": 0, "calls": [made]}
        for pieces in (2, 3):
            for piece in range(1, pieces + 1):
                save(store, "Emg", 0.0, piece=piece, pieces=pieces, subject=1, trial=piece, **known)  # type: ignore[arg-type]
        [result] = store.find(Results((made.computation.lineage_id,)))
        assert [(one.piece, one.pieces) for one in result.records] == [(3, 3), (2, 3), (1, 3), (2, 2), (1, 2)]

    def test_a_result_with_another_index_is_none(self, store: Store) -> None:
        """An entry without output number has provenance, and is not what the function returned."""
        made = call("c1")
        save(store, "Emg", 1.0, calls=[made], lineage_id=made.computation.lineage_id, call_id="c1", subject=1)
        assert _known(store, made) == []

    def test_what_was_found_is_not_remembered_too_long(self, store: Store) -> None:
        """A look-up after another save, a renaming or a setting aside knows of it."""
        made = call("c1")
        first = _made(store, 1.0, made)
        assert _known(store, made) == [[first.record_id]]
        second = _made(store, 2.0, made)
        assert _known(store, made) == [[second.record_id, first.record_id]]
        store.write(Batch(events=(Invalidated(lineage_ids=(made.computation.lineage_id,)),)))
        assert _known(store, made) == []

    def test_set_aside_by_function(self, store: Store) -> None:
        """Everything of a function saved until now does not count; what is saved later does, also the same again."""
        one, two, other = call("c1"), call("c2", _input(2)), call("c3", function="g")
        record = _made(store, 1.0, one)
        _made(store, 2.0, two)
        kept = _made(store, 3.0, other)
        store.write(Batch(events=(Invalidated(function_name="f", reason="wrong filter", user_id="ada"),)))
        assert _known(store, one, two, other) == [[kept.record_id]]
        _made(store, 1.0, replace(one, call_id="c4"))
        assert _known(store, one, two, other) == [[record.record_id], [kept.record_id]]
        [row] = store.find(Invalidations())
        assert replace(row, timestamp="") == Invalidation(
            "f", one.computation.function_hash, None, "wrong filter", "", "ada"
        )

    def test_set_aside_under_another_name(self, store: Store) -> None:
        """A name stands for all code that was recorded under it: by a computation, an edge or a run."""
        made = call("c1")
        code = made.computation.function_hash
        for event, edges in ((RunStarted("r1", "renamed", code, 1), ()), (None, (Edge("A", "B", "drawn", code),))):
            name = "renamed" if event else "drawn"
            record = _made(store, 1.0, made)
            assert _known(store, made) == [[record.record_id]]
            store.write(Batch(edges=edges, events=(event,) if event else ()))
            store.write(Batch(events=(Invalidated(function_name=name),)))
            assert _known(store, made) == []

    def test_all_conditions_must_hold(self, store: Store) -> None:
        """A name together with a hash or with computations sets aside only what fulfils both."""
        one, other = call("c1"), call("c2", function="g")
        _made(store, 1.0, one)
        _made(store, 2.0, other)
        code, lineage = one.computation.function_hash, one.computation.lineage_id
        wrong = [
            Invalidated("g", code),
            Invalidated("g", lineage_ids=(lineage,)),
            Invalidated("nobody"),
            Invalidated(lineage_ids=("nothing",)),
        ]
        for event in wrong:
            store.write(Batch(events=(event,)))
        assert len(_known(store, one, other)) == 2
        assert store.find(Invalidations()) == []
        assert len(store.find(MemoEntries("f"))) == 1
        assert store.find(MemoEntries("g", code)) == []
        store.write(Batch(events=(Invalidated("f", code, (lineage, other.computation.lineage_id)),)))
        assert len(_known(store, one, other)) == 1

    def test_invalidations_of_some(self, store: Store) -> None:
        """What was set aside is found by code and by computation, oldest first."""
        one, other = call("c1"), call("c2", function="g")
        _made(store, 1.0, one)
        _made(store, 2.0, other)
        lineage = other.computation.lineage_id
        store.write(Batch(events=(Invalidated("f"),)))
        store.write(Batch(events=(Invalidated(lineage_ids=(lineage, "none")),)))
        by_code, by_lineage = store.find(Invalidations())
        assert (by_code.function_hash, by_lineage.lineage_id) == (one.computation.function_hash, lineage)
        assert store.find(Invalidations(one.computation.function_hash, ())) == [by_code]
        assert store.find(Invalidations("none", (lineage,))) == [by_lineage]

    def test_set_aside_for_good(self, store: Store) -> None:
        """What was set aside stays so when the store is opened again."""
        made = call("c1")
        _made(store, 1.0, made)
        store.write(Batch(events=(Invalidated("f"),)))
        store = self.reopen(store)
        assert _known(store, made) == []
        record = _made(store, 1.0, replace(made, call_id="c2"))
        assert _known(store, made) == [[record.record_id]]

    def test_generated_files(self, store: Store) -> None:
        """Of a file that was generated the newest execution is known; a recall is none."""
        made = _generated(store, call("c1"))
        _generated(store, replace(made, call_id="c2"))
        _generated(store, replace(made, call_id="c3", recalled_from="c2"))
        [result] = store.find(Results((made.computation.lineage_id,)))
        assert (result.records, result.call_id, bool(result.timestamp)) == ((), "c2", True)
        store.write(Batch(events=(Invalidated("f"),)))
        assert store.find(Results((made.computation.lineage_id,))) == []
        assert store.find(MemoEntries()) == []

    def test_generated_files_that_were_written_over(self, store: Store) -> None:
        """A5: once other code of the function ran on the same inputs, the file of the first is no longer there."""
        first = _generated(store, call("c1"))
        changed = replace(first.computation, lineage_id="changed", function_hash="changed")
        _generated(store, replace(first, call_id="c2", computation=changed))
        lineage_id = first.computation.lineage_id
        assert [one.computation.lineage_id for one in store.find(Results((lineage_id, "changed")))] == ["changed"]
        _generated(store, replace(first, call_id="c3"))
        assert [one.computation.lineage_id for one in store.find(Results((lineage_id, "changed")))] == [lineage_id]

    def test_generated_files_of_one_path(self, store: Store) -> None:
        """A5: a later call of the same function that wrote the same path has written over it; other functions' not."""
        path = CallInput("path", "file", value_repr="a.png")
        other_path = CallInput("path", "file", value_repr="b.png")
        read = CallInput("path", "file", content_hash="c", value_repr="a.png")
        first = _generated(store, call("c1", _input(1), path))
        _generated(store, call("c2", _input(2), other_path))
        _generated(store, call("c3", _input(3), read))
        _generated(store, call("c4", _input(4), path, function="g"))
        wanted = Results((first.computation.lineage_id,))
        assert [one.call_id for one in store.find(wanted)] == ["c1"]
        _generated(store, call("c5", _input(5), path))
        assert store.find(wanted) == []
        _generated(store, replace(first, call_id="c6"))
        assert [one.call_id for one in store.find(wanted)] == ["c6"]

    def test_entries_of_the_memo(self, store: Store) -> None:
        """An entry of the memo says when it was saved, what it takes, how often it was of use, and when last."""
        raw = save(store, "Force", 0.0, subject=1)
        made = call("c1", used(raw))
        record = _made(store, 1.0, made)
        again = _made(store, 1.0, made)
        store.write(Batch(calls=(call("c2", _input(2)),)))
        [entry] = store.find(MemoEntries())
        assert entry.computation == made.computation
        assert (entry.saved, entry.nbytes, entry.hits) == (again.timestamp, record.nbytes, 0)
        assert entry.last_used == again.timestamp
        lineage = made.computation.lineage_id
        store.write(Batch(events=(Hit(lineage, 2, "ada"), Hit("none", 1))))
        store.write(Batch(events=(Hit(lineage, 3),)))
        [entry] = store.find(MemoEntries(lineage_ids=(lineage,)))
        assert entry.hits == 5
        assert entry.last_used > entry.saved

    def test_a_run_that_finds_results_up_to_date_uses_them(self, store: Store) -> None:
        """Up to date counts as use of everything that the code gave, without a line for each result."""
        made = call("c1")
        _made(store, 1.0, made)
        code = made.computation.function_hash
        store.write(Batch(events=(RunStarted("r1", "f", code, 1), RunEnded("r1", 1, 0, 0, 0, 0))))
        [before] = store.find(MemoEntries())
        assert before.last_used == before.saved
        store.write(Batch(events=(RunStarted("r2", "f", code, 1), RunEnded("r2", 0, 0, 1, 0, 0))))
        [after] = store.find(MemoEntries())
        assert after.last_used > after.saved == before.saved
