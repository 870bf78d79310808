"""Cases for removing: what goes with a line of the log, what stays of it, and that it is done once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from scidb.store.model import (
    REMOVED_CALL,
    Batch,
    Calls,
    CallsGiven,
    Entries,
    Flagged,
    Flags,
    Latest,
    Line,
    Match,
    MemoEntries,
    Pruned,
    Records,
    Removal,
    Removals,
    TraceQuery,
)
from scidb.store.protocol import Maintenance
from scidb.testing.store_suite.base import StoreCases
from scidb.testing.store_suite.samples import call, save, used

if TYPE_CHECKING:
    from scidb.store.model import Record
    from scidb.store.protocol import Store

__all__ = ["RemovingCases"]


def _lines(*entries: Record) -> tuple[Line, ...]:
    return tuple(Line(one.record_id, one.timestamp, one.seq) for one in entries)


def _maintained(store: Store) -> Maintenance:
    if "maintenance" not in store.describe().abilities or not isinstance(store, Maintenance):
        pytest.skip("This store cannot be maintained")
    return store


class RemovingCases(StoreCases):
    """Lines, records and calls that are removed."""

    def test_a_pruned_line_is_known_and_nothing_older_takes_its_place(self, store: Store) -> None:
        """Its value is gone, at no instant anything older stands for it, and the way through it is still known."""
        maintained = _maintained(store)
        made = call("c1", used(save(store, "Emg", 1.0, subject=1)))
        old = save(store, "Force", 1.0, calls=[made], lineage_id=made.computation.lineage_id, call_id="c1",
                   output_num=0, subject=1)  # fmt: skip
        between = save(store, "Force", 2.0, subject=1)
        user = call("c2", used(between))
        save(store, "Emg", 3.0, calls=[user], call_id="c2", subject=1)
        new = save(store, "Force", 3.0, subject=1)
        assert store.describe().has_pruned is False
        removed = maintained.remove(Removal("r1", "prune", _lines(between), "space", "ada"))
        assert (removed.kind, removed.entries, removed.records, removed.nbytes) == ("prune", 1, 1, 8)
        assert maintained.remove(Removal("r1", "prune", _lines(between), "space", "ada")) == removed
        store = self.reopen(store)
        assert [one.removal_id for one in store.find(Removals())] == ["r1"]
        assert store.describe().has_pruned is True
        assert store.find(Records(Match(record_ids=(between.record_id,)))) == []
        force = Match(("Force",), as_of=between.timestamp)
        assert store.find(Latest(force)) == []
        assert store.find(Latest(Match(("Force",), as_of=old.timestamp))) == [old]
        assert store.find(Latest(Match(("Force",)))) == [new]
        for query in (Pruned(Match(record_ids=(between.record_id,))), Pruned(force, standing=True)):
            [line] = store.find(query)
            assert (line.record, line.reason, line.user_id) == (between, "space", "ada")
        assert store.find(Pruned(Match(("Force",), as_of=new.timestamp), standing=True)) == []
        down = store.trace(TraceQuery((between.record_id,), "down"))
        assert [one.call_id for one in down.calls] == ["c2"]

    def test_a_pruned_value_can_be_saved_again(self, store: Store) -> None:
        """It is a record like any other then, with the data of then."""
        maintained = _maintained(store)
        first = save(store, "Force", 1.0, subject=1)
        save(store, "Force", 2.0, subject=1)
        maintained.remove(Removal("r1", "prune", _lines(first)))
        store = self.reopen(store)
        again = save(store, "Force", 1.0, subject=1)
        assert again.record_id == first.record_id
        assert store.find(Latest(Match(("Force",)))) == [again]
        [chunk] = store.fetch(Latest(Match(("Force",))))
        assert chunk.table is not None
        assert chunk.table.column(0).to_pylist() == [1.0]

    def test_an_erased_call_goes_with_its_computation_unless_somebody_else_called_it(self, store: Store) -> None:
        """Flags and results go, too; a recall by somebody else stays one, and so does the value that he has."""
        maintained = _maintained(store)
        shared = call("c1", used(save(store, "Emg", 1.0, subject=12)))
        lineage = shared.computation.lineage_id
        theirs = save(store, "Force", 1.0, calls=[shared], lineage_id=lineage, call_id="c1", output_num=0, subject=12)
        other = replace(call("c2", used(save(store, "Emg", 1.0, subject=1))), recalled_from="c1")
        save(store, "Force", 1.0, calls=[other], lineage_id=lineage, call_id="c2", output_num=0, subject=1)
        store.write(Batch(events=(Flagged((theirs.record_id,), "left"),)))
        lines = _lines(*store.find(Entries(Match(schema={"subject": (12,)}))))
        removed = maintained.remove(Removal("r1", "erase", lines, calls=("c1",), schema={"subject": 12}))
        assert (removed.entries, removed.records, removed.is_rewritten) == (2, 2, True)
        store = self.reopen(store)
        assert [one.schema for one in store.find(Latest())] == [{"subject": 1}] * 2
        [left] = store.find(Calls(("c1", "c2")))
        assert (left.call_id, left.recalled_from) == ("c2", f"{REMOVED_CALL}r1")
        assert [one.computation.lineage_id for one in store.find(MemoEntries())] == [lineage]
        assert store.find(Flags()) == []
        assert store.find(Pruned()) == []
        rest = _lines(*store.find(Entries()))
        _maintained(store).remove(Removal("r2", "erase", rest, calls=("c2",), schema={"subject": 1}))
        assert store.find(MemoEntries()) == []
        assert store.find(CallsGiven({"gain": "2"})) == []
