"""What is asked of a store: entries and payloads, lineage, changes, results, runs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from scidb.store.model import (
    Batch,
    Changes,
    Failures,
    Hit,
    Invalidated,
    Latest,
    Locations,
    Match,
    MemoEntries,
    Results,
    Runs,
    TraceQuery,
)
from scidb.testing.machine.pair import StorePair
from scidb.testing.store_suite.drafts import filters, matches

if TYPE_CHECKING:
    from scidb.filters import Filter

__all__ = ["Asking"]


class Asking(StorePair):
    """Ask both stores the same."""

    @rule(data=st.data(), match=matches(), limit=st.none() | st.integers(0, 3))
    def ask(self, data: st.DataObject, match: Match, limit: int | None) -> None:
        """Find and fetch the same entries in the same order, now or as of a former write."""
        self.compare_all(data, match, limit)

    @rule(data=st.data(), match=matches(), where=filters(), limit=st.none() | st.integers(0, 3))
    @precondition(lambda self: self.saved)
    def ask_with_a_filter(self, data: st.DataObject, match: Match, where: Filter, limit: int | None) -> None:
        """Find and fetch the same where a filter holds, or refuse it alike."""
        entry = data.draw(st.sampled_from(self.saved))
        narrow = Match((entry.variable,), {name: (value,) for name, value in entry.schema.items()})
        self.compare_all(data, replace(data.draw(st.sampled_from([match, narrow])), where=where), limit)

    @rule(data=st.data(), limit=st.none() | st.integers(0, 3))
    @precondition(lambda self: self.saved)
    def ask_for_an_entry(self, data: st.DataObject, limit: int | None) -> None:
        """Find and fetch the same for what identifies an entry, superseded or not."""
        entry = data.draw(st.sampled_from(self.saved))
        conditions = [
            Match(record_ids=(entry.record_id, "0" * 64)),
            Match(record_prefix=entry.record_id[:8]),
            Match(lineage_ids=(entry.lineage_id or "none",)),
            Match(call_ids=(entry.call_id or "none", "c0")),
        ]
        self.compare_all(data, data.draw(st.sampled_from(conditions)), limit)

    @rule(data=st.data(), narrowed=st.sampled_from(["", "version", "version_keys"]))
    @precondition(lambda self: self.saved)
    def ask_for_one_place(self, data: st.DataObject, narrowed: str) -> None:
        """Find and fetch what is the latest of one variable at one complete location."""
        entry = data.draw(st.sampled_from(self.saved))
        keys = self.oracle.describe().schema_keys
        match = Match((entry.variable,), {key.name: (entry.schema.get(key.name),) for key in keys})
        if narrowed == "version":
            match = replace(match, version={"gain": (None, "1")})
        if narrowed == "version_keys":
            match = replace(match, version_keys={entry.variable: (entry.version_keys,)})
        self.compare(Latest(match), Latest(match))

    @rule(data=st.data(), direction=st.sampled_from(["up", "down"]), depth=st.none() | st.integers(0, 2))
    @precondition(lambda self: self.saved)
    def trace(self, data: st.DataObject, direction: Any, depth: int | None) -> None:
        """Trace the same calls, records and edges."""
        chosen = data.draw(st.lists(st.sampled_from(self.saved), max_size=2))
        query = TraceQuery(tuple(one.record_id for one in chosen), direction, depth, edges=True)
        tested, oracle = self.tested.trace(query), self.oracle.trace(query)
        assert self.numbered_trace(tested, 0) == self.numbered_trace(oracle, 1)

    @rule(data=st.data(), match=matches())
    @precondition(lambda self: self.instants)
    def ask_for_changes(self, data: st.DataObject, match: Match) -> None:
        """Find the same differences between two instants, whichever is earlier, and the same former locations."""
        since = data.draw(st.sampled_from(self.instants))
        until = data.draw(st.none() | st.sampled_from(self.instants))
        tested, oracle = (
            self.numbered_changes(
                store.find(Changes(since[side], replace(match, as_of=until[side] if until else None))), side
            )
            for side, store in enumerate((self.tested, self.oracle))
        )
        assert tested == oracle
        places, expected = (
            store.find(Locations(("subject",), since[side])) for side, store in enumerate((self.tested, self.oracle))
        )
        assert places == expected

    @rule(name=st.sampled_from(["f", "g", None]), data=st.data())
    @precondition(lambda self: self.calls)
    def set_aside(self, name: str | None, data: st.DataObject) -> None:
        """Set the results of a function or of some computations aside, after a hit of one of them."""
        made = data.draw(st.lists(st.sampled_from(self.calls), min_size=1, max_size=3))
        ids = tuple(one.computation.lineage_id for one in made)
        chosen = data.draw(st.sampled_from([None, ids])) if name else ids
        self.both([Batch(events=(Hit(ids[0], 2), Invalidated(name, None, chosen, "why", "ada")))] * 2)

    @rule()
    @precondition(lambda self: self.calls)
    def ask_for_results(self) -> None:
        """Find the same results that count, twice, and the same use of them."""
        ids = tuple(dict.fromkeys(one.computation.lineage_id for one in self.calls))
        for _ in range(2):
            tested, oracle = (
                [(one.computation, self.numbered(one.records, side)) for one in store.find(Results(ids))]
                for side, store in enumerate((self.tested, self.oracle))
            )
            assert tested == oracle
        used, expected = (
            [(one.computation, self.number(one.saved, side), one.nbytes, one.hits) for one in store.find(MemoEntries())]
            for side, store in enumerate((self.tested, self.oracle))
        )
        assert used == expected

    @rule()
    def ask_for_runs(self) -> None:
        """Find the same runs and failures in the same order."""
        tested, oracle = (
            [replace(run, started="", ended=run.ended and "then") for run in store.find(Runs())]
            for store in (self.tested, self.oracle)
        )
        assert tested == oracle
        first, second = (
            [replace(failure, timestamp="") for failure in store.find(Failures())]
            for store in (self.tested, self.oracle)
        )
        assert first == second
