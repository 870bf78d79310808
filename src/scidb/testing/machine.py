"""Random operations on a store, with the reference store as the oracle.

A store's tests give the machine a way to make one, and run it::

    class MyMachine(StoreMachine):
        def make_store(self, schema_keys, folder, clock):
            return MyStore(folder / "study", schema_keys, clock=clock)

    def test_random_operations():
        run_state_machine_as_test(MyMachine)

Instants are compared by the number of the write that they belong to, so a store may count its own.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pyarrow as pa
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from scidb.exceptions import SciDBError
from scidb.maintenance.erasing import erase
from scidb.maintenance.pruning import Conditions, prune
from scidb.store.memory import MemoryStore
from scidb.store.model import (
    Batch,
    Call,
    Changes,
    Chunk,
    Edge,
    Entries,
    Failed,
    Failures,
    Flagged,
    Flags,
    Grouped,
    Groups,
    Hit,
    Invalidated,
    KeyAdded,
    KeyTyped,
    Latest,
    Locations,
    Marks,
    Match,
    MemoEntries,
    Pruned,
    Record,
    Records,
    Removals,
    Renamed,
    Results,
    RunEnded,
    Runs,
    RunStarted,
    SchemaKey,
    Tagged,
    Tags,
    TraceQuery,
    TypeInfo,
    Unflagged,
    Ungrouped,
)
from scidb.testing.store_suite.drafts import VARIABLES, Draft, chunks_of, drafts, filters, matches
from scidb.testing.store_suite.samples import Clock, call, digest, record, used

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence

    from scidb.filters import Filter
    from scidb.store.model import Change, Event, Trace
    from scidb.store.protocol import Store

__all__ = ["StoreMachine"]

RecordQuery: TypeAlias = Latest | Records | Entries

_KEYS: Final = (SchemaKey("subject", "int"), SchemaKey("session"), SchemaKey("trial", "int"))
_SESSION_TYPED: Final = KeyTyped("session", "str")


# ------------------------------------------------------------------ the machine


class StoreMachine(RuleBasedStateMachine):
    """Do the same to a store and to the reference store; they must never differ."""

    def make_store(self, schema_keys: Sequence[SchemaKey], folder: Path, clock: Callable[[], dt.datetime]) -> Store:
        """Return the store under test, new and empty."""
        raise NotImplementedError

    def reopen(self, store: Store) -> Store:
        """Close and open again a store that outlives its handle; here it does not, so it stays open."""
        return store

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.folder = Path(tempfile.mkdtemp(prefix="scidb-"))
        self.tested = self.make_store(_KEYS, self.folder, self.clock)
        self.oracle: Store = MemoryStore(_KEYS, clock=self.clock)
        self.instants: list[tuple[str, str]] = []  # of each write: in the tested store, in the oracle
        self.saved: list[Record] = []  # not stamped
        self.calls: list[Call] = []
        self.runs: list[str] = []
        for name in VARIABLES:
            self.register(name, 1)

    def teardown(self) -> None:
        """Close the stores and remove the files."""
        self.tested.close()
        self.oracle.close()
        shutil.rmtree(self.folder)

    # -------------------------------------------------------------- changing

    @rule(seconds=st.sampled_from([-3600.0, 0.000001, 1.0]))
    def move_clock(self, seconds: float) -> None:
        """Let time pass, or set the clock back."""
        self.clock.move(seconds)

    @rule(name=st.sampled_from(VARIABLES), schema_version=st.integers(1, 2))
    def register(self, name: str, schema_version: int) -> None:
        """Register a variable, or change what its class declares."""
        info = TypeInfo(name, schema_version, f"version {schema_version}", {"x": "m"})
        assert _declared(self.tested.register(info)) == _declared(self.oracle.register(info))

    @rule(drafts=st.lists(drafts(), min_size=1, max_size=4))
    def save(self, drafts: list[Draft]) -> None:
        """Save several values in one batch."""
        self._write(drafts, None)

    @rule(data=st.data(), drafts=st.lists(drafts(), min_size=0, max_size=2))
    @precondition(lambda self: self.saved)
    def compute(self, data: st.DataObject, drafts: list[Draft]) -> None:
        """Save what a call made of stored records, or log a call whose results stay unsaved."""
        inputs = data.draw(st.lists(st.sampled_from(self.saved), max_size=2))
        function = data.draw(st.sampled_from(["f", "g"]))
        made = call(f"c{len(self.calls)}", *(used(one) for one in inputs), function=function)
        self.calls.append(made)
        self._write(drafts, made)

    @rule(data=st.data())
    @precondition(lambda self: self.saved)
    def save_again(self, data: st.DataObject) -> None:
        """Log a stored record once more, without its data."""
        entry = data.draw(st.sampled_from(self.saved))
        if entry.piece is None:
            self._send(Batch(chunks=(Chunk((entry,), None),)))

    @rule(subject=st.sampled_from([1, 2]), pieces=st.integers(1, 3), value=st.sampled_from([1.5, 2.5]))
    def distribute(self, subject: int, pieces: int, value: float) -> None:
        """Save the pieces of one result."""
        entries = [
            record("Force", value, {"subject": subject, "trial": piece}, seq=piece, piece=piece, pieces=pieces)
            for piece in range(1, pieces + 1)
        ]
        self._send(Batch(chunks=(Chunk(tuple(entries), pa.table({"value": [value] * pieces})),)))

    @rule(draft=drafts(), fault=st.sampled_from(["variable", "key", "type", "data"]))
    def save_wrongly(self, draft: Draft, fault: str) -> None:
        """Save something that must be refused, together with something fine."""
        [fine] = chunks_of([draft], None)
        entry = replace(fine.records[0], record_id=digest(fault), seq=1)
        match fault:
            case "variable":
                bad = Chunk((replace(entry, variable="Other"),), fine.table)
            case "key":
                bad = Chunk((replace(entry, schema={"nowhere": 1}),), fine.table)
            case "type":
                bad = Chunk((replace(entry, schema={"subject": "1"}),), fine.table)
            case _:
                bad = Chunk((entry,), None)
        batch = Batch(chunks=(fine, bad), events=(_SESSION_TYPED, RunStarted("refused", "f", "h", 1)))
        with pytest.raises(SciDBError) as expected:
            self.oracle.write(batch)
        with pytest.raises(expected.type):
            self.tested.write(batch)

    @rule(after=st.sampled_from([None, "subject", "trial"]))
    @precondition(lambda self: len(self.oracle.describe().schema_keys) == len(_KEYS))
    def add_key(self, after: str | None) -> None:
        """Add a schema key, and save something with it."""
        added = KeyAdded(SchemaKey("lab", "float"), after)
        entry = record("Force", 0.5, {"subject": 1, "lab": 0.5})
        self._send(Batch(chunks=(Chunk((entry,), pa.table({"value": [0.5]})),), events=(added,)))

    @rule(source=st.sampled_from(["Raw", "Force"]), function=st.sampled_from(["f", "g"]))
    def run(self, source: str, function: str) -> None:
        """Begin a run that draws an edge and has a failure."""
        run_id = f"r{len(self.runs)}"
        self.runs.append(run_id)
        events: tuple[Event, ...] = (
            RunStarted(run_id, function, "h", total=2),
            Failed(run_id, {"subject": 1}, "{}", "ValueError", run_id, "Traceback", 0.25),
        )
        self._send(Batch(edges=(Edge(source, "Emg", function, "h"),), events=events))

    @rule(data=st.data())
    @precondition(lambda self: self.runs)
    def end_run(self, data: st.DataObject) -> None:
        """End a run."""
        run_id = data.draw(st.sampled_from(self.runs))
        self._send(Batch(events=(RunEnded(run_id, 1, 2, 3, 4, 5),)))

    @rule(data=st.data(), name=st.sampled_from(["submitted", "T1", "revised"]))
    def tag(self, data: st.DataObject, name: str) -> None:
        """Name this instant, or that of a former write; or be refused, since the name is taken."""
        at = data.draw(st.none() | st.sampled_from(self.instants)) if self.instants else None
        is_new = self._both([Batch(events=(Tagged(name, at[side] if at else None),)) for side in (0, 1)])
        if is_new and at is None:
            tested, oracle = (
                next(tag.timestamp for tag in store.find(Tags()) if tag.name == name)
                for store in (self.tested, self.oracle)
            )
            self.instants.append((tested, oracle))

    @rule(group=st.sampled_from(["a", "b"]), names=st.lists(st.sampled_from([*VARIABLES, "Other"]), max_size=3))
    def group(self, group: str, names: list[str]) -> None:
        """Put variables into a group, or be refused, since one is unknown."""
        self._both([Batch(events=(Grouped(group, tuple(names)),))] * 2)

    @rule(group=st.sampled_from(["a", "b"]), name=st.sampled_from(VARIABLES))
    def ungroup(self, group: str, name: str) -> None:
        """Take a variable out of a group, or be refused, since it is not in it."""
        self._both([Batch(events=(Ungrouped(group, (name,)),))] * 2)

    @rule(data=st.data(), reason=st.sampled_from(["bad", "odd"]), kind=st.sampled_from([Flagged, Flagged, Unflagged]))
    @precondition(lambda self: self.saved)
    def flag(self, data: st.DataObject, reason: str, kind: Any) -> None:
        """Flag a record, or take a flag back; then the same rests on what is flagged."""
        entry = data.draw(st.sampled_from(self.saved))
        self._both([Batch(events=(kind((entry.record_id,), reason, data.draw(st.booleans())),))] * 2)
        tested, oracle = ([replace(one, timestamp="") for one in s.find(Flags())] for s in (self.tested, self.oracle))
        assert tested == oracle
        assert self.tested.find(Marks(reasons=(reason,))) == self.oracle.find(Marks(reasons=(reason,)))

    @rule(variables=st.sampled_from([None, ("Force",), ("Emg",)]), unreachable=st.booleans())
    @precondition(lambda self: self.saved)
    def prune(self, variables: tuple[str, ...] | None, *, unreachable: bool) -> None:
        """Remove superseded records, or some of them; then both say the same of what went and of what stays."""
        meant = Conditions(variables, superseded=True, unreachable=unreachable)
        plans = [prune(store, meant, dry_run=dry) for dry in (True, False) for store in (self.tested, self.oracle)]
        assert [replace(plan, done=False) for plan in plans] == [plans[0]] * 4
        self._after_removing()

    @rule(subject=st.sampled_from([1, 2, 9]))
    @precondition(lambda self: self.saved)
    def erase(self, subject: int) -> None:
        """Erase a subject, with everything that was made from it; then both say the same of what stays."""
        try:
            expected = erase(self.oracle, {"subject": subject}, dry_run=False)
        except SciDBError as refusal:
            with pytest.raises(type(refusal)):
                erase(self.tested, {"subject": subject}, dry_run=False)
            return
        assert erase(self.tested, {"subject": subject}, dry_run=False) == expected
        assert not self.oracle.find(Entries(Match(schema={"subject": (subject,)})))
        self._after_removing()

    def _after_removing(self) -> None:
        left = {one.record_id for one in self.oracle.find(Entries())}
        self.saved = [one for one in self.saved if one.record_id in left]
        for query in (Pruned(), Pruned(Match(("Force",)), standing=True)):
            tested, oracle = (
                [self._numbered([line.record], side) for line in store.find(query)]
                for side, store in enumerate((self.tested, self.oracle))
            )
            assert tested == oracle
        proofs = [
            [(one.kind, one.entries, one.records, one.nbytes, one.is_rewritten) for one in store.find(Removals())]
            for store in (self.tested, self.oracle)
        ]
        assert proofs[0] == proofs[1]

    @rule()
    def open_again(self) -> None:
        """Close the store under test, and go on with what it kept."""
        self.tested = self.reopen(self.tested)

    @rule(there=st.booleans(), new=st.sampled_from(["Push", "Force", "Emg"]))
    def rename(self, *, there: bool, new: str) -> None:
        """Rename a variable and give it its name back, or ask for a name that it cannot have."""
        batch = Batch(events=(Renamed("Force", new),))
        try:
            self.oracle.write(batch)
        except SciDBError as refusal:
            with pytest.raises(type(refusal)):
                self.tested.write(batch)
            return
        self.tested.write(batch)
        self.the_same_types_and_latest()
        if there:
            self.tested = self.reopen(self.tested)
        back = Batch(events=(Renamed(new, "Force"),))
        self.oracle.write(back)
        self.tested.write(back)

    # -------------------------------------------------------------- comparing

    @rule(data=st.data(), match=matches(), limit=st.none() | st.integers(0, 3))
    def ask(self, data: st.DataObject, match: Match, limit: int | None) -> None:
        """Find and fetch the same entries in the same order, now or as of a former write."""
        self._compare_all(data, match, limit)

    @rule(data=st.data(), match=matches(), where=filters(), limit=st.none() | st.integers(0, 3))
    @precondition(lambda self: self.saved)
    def ask_with_a_filter(self, data: st.DataObject, match: Match, where: Filter, limit: int | None) -> None:
        """Find and fetch the same where a filter holds, or refuse it alike."""
        entry = data.draw(st.sampled_from(self.saved))
        narrow = Match((entry.variable,), {name: (value,) for name, value in entry.schema.items()})
        self._compare_all(data, replace(data.draw(st.sampled_from([match, narrow])), where=where), limit)

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
        self._compare_all(data, data.draw(st.sampled_from(conditions)), limit)

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
        self._compare(Latest(match), Latest(match))

    @rule(data=st.data(), direction=st.sampled_from(["up", "down"]), depth=st.none() | st.integers(0, 2))
    @precondition(lambda self: self.saved)
    def trace(self, data: st.DataObject, direction: Any, depth: int | None) -> None:
        """Trace the same calls, records and edges."""
        chosen = data.draw(st.lists(st.sampled_from(self.saved), max_size=2))
        query = TraceQuery(tuple(one.record_id for one in chosen), direction, depth, edges=True)
        tested, oracle = self.tested.trace(query), self.oracle.trace(query)
        assert self._numbered_trace(tested, 0) == self._numbered_trace(oracle, 1)

    @rule(data=st.data(), match=matches())
    @precondition(lambda self: self.instants)
    def ask_for_changes(self, data: st.DataObject, match: Match) -> None:
        """Find the same differences between two instants, whichever is earlier, and the same former locations."""
        since = data.draw(st.sampled_from(self.instants))
        until = data.draw(st.none() | st.sampled_from(self.instants))
        tested, oracle = (
            self._numbered_changes(
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
        self._both([Batch(events=(Hit(ids[0], 2), Invalidated(name, None, chosen, "why", "ada")))] * 2)

    @rule()
    @precondition(lambda self: self.calls)
    def ask_for_results(self) -> None:
        """Find the same results that count, twice, and the same use of them."""
        ids = tuple(dict.fromkeys(one.computation.lineage_id for one in self.calls))
        for _ in range(2):
            tested, oracle = (
                [(one.computation, self._numbered(one.records, side)) for one in store.find(Results(ids))]
                for side, store in enumerate((self.tested, self.oracle))
            )
            assert tested == oracle
        used, expected = (
            [
                (one.computation, self._number(one.saved, side), one.nbytes, one.hits)
                for one in store.find(MemoEntries())
            ]
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

    @invariant()
    def the_same_types_and_latest(self) -> None:
        """Keys, counts and the latest entries agree after every step."""
        assert self.tested.describe().schema_keys == self.oracle.describe().schema_keys
        assert self.tested.describe().renamed == self.oracle.describe().renamed
        tested, oracle = (
            [(_declared(info), self._number(info.last_change, side)) for info in store.types()]
            for side, store in enumerate((self.tested, self.oracle))
        )
        assert tested == oracle
        found = [self._numbered(store.find(Latest()), side) for side, store in enumerate((self.tested, self.oracle))]
        assert found[0] == found[1]
        assert self.tested.find(Groups()) == self.oracle.find(Groups())
        assert self.tested.find(Marks()) == self.oracle.find(Marks())
        tags = [
            [(tag.name, self._number(tag.timestamp, side)) for tag in store.find(Tags())]
            for side, store in enumerate((self.tested, self.oracle))
        ]
        assert tags[0] == tags[1]

    # -------------------------------------------------------------- how

    def _write(self, drafts: list[Draft], made: Call | None) -> None:
        calls = () if made is None else (made,)
        self._send(Batch(chunks=tuple(chunks_of(drafts, made)), calls=calls, events=(_SESSION_TYPED,)))

    def _send(self, batch: Batch) -> None:
        tested, oracle = self.tested.write(batch), self.oracle.write(batch)
        if oracle:
            instants = tested[0].timestamp, oracle[0].timestamp
            if self.instants:
                assert instants[0] > self.instants[-1][0]
            self.instants.append(instants)
        assert self._numbered(tested, 0) == self._numbered(oracle, 1)
        self.saved.extend(replace(entry, timestamp="") for entry in oracle)

    def _both(self, batches: Sequence[Batch]) -> bool:
        """Write events to both stores, or see both refuse them in one way; say which."""
        try:
            self.oracle.write(batches[1])
        except SciDBError as refusal:
            with pytest.raises(type(refusal)):
                self.tested.write(batches[0])
            return False
        self.tested.write(batches[0])
        return True

    def _compare_all(self, data: st.DataObject, match: Match, limit: int | None) -> None:
        at = data.draw(st.none() | st.sampled_from(self.instants)) if self.instants else None
        exclude: Any = data.draw(st.sampled_from([False, False, True, ("bad",)]))
        tested, oracle = (replace(match, as_of=at[side] if at else None, exclude=exclude) for side in (0, 1))
        self._compare(Latest(tested), Latest(oracle))
        self._compare(Records(tested), Records(oracle))
        self._compare(Entries(tested, limit), Entries(oracle, limit))

    def _compare(self, tested: RecordQuery, oracle: RecordQuery) -> None:
        try:
            self.oracle.find(oracle)
        except SciDBError as refusal:
            with pytest.raises(type(refusal)):
                self.tested.find(tested)
            return
        found = self._numbered(self.tested.find(tested), 0)
        assert found == self._numbered(self.oracle.find(oracle), 1)
        fetched = list(self.tested.fetch(tested))
        assert self._numbered([entry for chunk in fetched for entry in chunk.records], 0) == found
        assert _payloads(fetched) == _payloads(self.oracle.fetch(oracle))

    def _number(self, timestamp: str | None, side: int) -> int | None:
        numbers = {instants[side]: number for number, instants in enumerate(self.instants)}
        return numbers.get(timestamp or "")

    def _numbered(self, entries: Sequence[Record], side: int) -> list[Record]:
        return [replace(one, timestamp=f"write {self._number(one.timestamp, side)}") for one in entries]

    def _numbered_changes(self, changes: Sequence[Change], side: int) -> object:
        return [
            (
                [self._numbered([one], side) for one in (change.before, change.after) if one],
                change.before is None,
                change.is_return,
            )
            for change in changes
        ]

    def _numbered_trace(self, trace: Trace, side: int) -> object:
        return (
            sorted((replace(one, timestamp="") for one in trace.calls), key=lambda one: one.call_id),
            sorted(self._numbered(trace.records, side), key=lambda one: one.record_id),
            sorted((replace(one, timestamp="") for one in trace.edges), key=repr),
        )


def _declared(info: TypeInfo) -> TypeInfo:
    """Leave out what a store may say in its own way."""
    return replace(info, created_at="", dtype="", last_change=None)


def _payloads(chunks: Any) -> list[object]:
    return [value for chunk in chunks for value in chunk.table.column(0).to_pylist()]
