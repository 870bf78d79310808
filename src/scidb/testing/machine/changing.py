"""What changes a store: saving, labelling, removing, renaming."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from scidb.exceptions import SciDBError
from scidb.maintenance.erasing import erase
from scidb.maintenance.pruning import Conditions, prune
from scidb.store.model import (
    Batch,
    Chunk,
    Edge,
    Entries,
    Failed,
    Flagged,
    Flags,
    Grouped,
    KeyAdded,
    Marks,
    Match,
    Pruned,
    Removals,
    Renamed,
    RunEnded,
    RunStarted,
    SchemaKey,
    Tagged,
    Tags,
    Unflagged,
    Ungrouped,
)
from scidb.testing.machine.pair import KEYS, SESSION_TYPED, StorePair
from scidb.testing.store_suite.drafts import VARIABLES, Draft, chunks_of, drafts
from scidb.testing.store_suite.samples import call, digest, record, used

if TYPE_CHECKING:
    from scidb.store.model import Event

__all__ = ["Changing"]


class Changing(StorePair):
    """Do the same to both stores."""

    @rule(seconds=st.sampled_from([-3600.0, 0.000001, 1.0]))
    def move_clock(self, seconds: float) -> None:
        """Let time pass, or set the clock back."""
        self.clock.move(seconds)

    @rule(drafts=st.lists(drafts(), min_size=1, max_size=4))
    def save(self, drafts: list[Draft]) -> None:
        """Save several values in one batch."""
        self.write(drafts, None)

    @rule(data=st.data(), drafts=st.lists(drafts(), min_size=0, max_size=2))
    @precondition(lambda self: self.saved)
    def compute(self, data: st.DataObject, drafts: list[Draft]) -> None:
        """Save what a call made of stored records, or log a call whose results stay unsaved."""
        inputs = data.draw(st.lists(st.sampled_from(self.saved), max_size=2))
        function = data.draw(st.sampled_from(["f", "g"]))
        made = call(f"c{len(self.calls)}", *(used(one) for one in inputs), function=function)
        self.calls.append(made)
        self.write(drafts, made)

    @rule(data=st.data())
    @precondition(lambda self: self.saved)
    def save_again(self, data: st.DataObject) -> None:
        """Log a stored record once more, without its data."""
        entry = data.draw(st.sampled_from(self.saved))
        if entry.piece is None:
            self.send(Batch(chunks=(Chunk((entry,), None),)))

    @rule(subject=st.sampled_from([1, 2]), pieces=st.integers(1, 3), value=st.sampled_from([1.5, 2.5]))
    def distribute(self, subject: int, pieces: int, value: float) -> None:
        """Save the pieces of one result."""
        entries = [
            record("Force", value, {"subject": subject, "trial": piece}, seq=piece, piece=piece, pieces=pieces)
            for piece in range(1, pieces + 1)
        ]
        self.send(Batch(chunks=(Chunk(tuple(entries), pa.table({"value": [value] * pieces})),)))

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
        batch = Batch(chunks=(fine, bad), events=(SESSION_TYPED, RunStarted("refused", "f", "h", 1)))
        with pytest.raises(SciDBError) as expected:
            self.oracle.write(batch)
        with pytest.raises(expected.type):
            self.tested.write(batch)

    @rule(after=st.sampled_from([None, "subject", "trial"]))
    @precondition(lambda self: len(self.oracle.describe().schema_keys) == len(KEYS))
    def add_key(self, after: str | None) -> None:
        """Add a schema key, and save something with it."""
        added = KeyAdded(SchemaKey("lab", "float"), after)
        entry = record("Force", 0.5, {"subject": 1, "lab": 0.5})
        self.send(Batch(chunks=(Chunk((entry,), pa.table({"value": [0.5]})),), events=(added,)))

    @rule(source=st.sampled_from(["Raw", "Force"]), function=st.sampled_from(["f", "g"]))
    def run(self, source: str, function: str) -> None:
        """Begin a run that draws an edge and has a failure."""
        run_id = f"r{len(self.runs)}"
        self.runs.append(run_id)
        events: tuple[Event, ...] = (
            RunStarted(run_id, function, "h", total=2),
            Failed(run_id, {"subject": 1}, "{}", "ValueError", run_id, "Traceback", 0.25),
        )
        self.send(Batch(edges=(Edge(source, "Emg", function, "h"),), events=events))

    @rule(data=st.data())
    @precondition(lambda self: self.runs)
    def end_run(self, data: st.DataObject) -> None:
        """End a run."""
        run_id = data.draw(st.sampled_from(self.runs))
        self.send(Batch(events=(RunEnded(run_id, 1, 2, 3, 4, 5),)))

    @rule(data=st.data(), name=st.sampled_from(["submitted", "T1", "revised"]))
    def tag(self, data: st.DataObject, name: str) -> None:
        """Name this instant, or that of a former write; or be refused, since the name is taken."""
        at = data.draw(st.none() | st.sampled_from(self.instants)) if self.instants else None
        is_new = self.both([Batch(events=(Tagged(name, at[side] if at else None),)) for side in (0, 1)])
        if is_new and at is None:
            tested, oracle = (
                next(tag.timestamp for tag in store.find(Tags()) if tag.name == name)
                for store in (self.tested, self.oracle)
            )
            self.instants.append((tested, oracle))

    @rule(group=st.sampled_from(["a", "b"]), names=st.lists(st.sampled_from([*VARIABLES, "Other"]), max_size=3))
    def group(self, group: str, names: list[str]) -> None:
        """Put variables into a group, or be refused, since one is unknown."""
        self.both([Batch(events=(Grouped(group, tuple(names)),))] * 2)

    @rule(group=st.sampled_from(["a", "b"]), name=st.sampled_from(VARIABLES))
    def ungroup(self, group: str, name: str) -> None:
        """Take a variable out of a group, or be refused, since it is not in it."""
        self.both([Batch(events=(Ungrouped(group, (name,)),))] * 2)

    @rule(data=st.data(), reason=st.sampled_from(["bad", "odd"]), kind=st.sampled_from([Flagged, Flagged, Unflagged]))
    @precondition(lambda self: self.saved)
    def flag(self, data: st.DataObject, reason: str, kind: Any) -> None:
        """Flag a record, or take a flag back; then the same rests on what is flagged."""
        entry = data.draw(st.sampled_from(self.saved))
        self.both([Batch(events=(kind((entry.record_id,), reason, data.draw(st.booleans())),))] * 2)
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
                [self.numbered([line.record], side) for line in store.find(query)]
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
