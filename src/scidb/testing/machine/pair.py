"""A store and the reference store side by side: the same is written to both, and what both say is compared."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from scidb.exceptions import SciDBError
from scidb.store.memory import MemoryStore
from scidb.store.model import (
    Batch,
    Call,
    Entries,
    Groups,
    KeyTyped,
    Latest,
    Marks,
    Match,
    Record,
    Records,
    SchemaKey,
    Tags,
    TypeInfo,
)
from scidb.testing.store_suite.drafts import VARIABLES, Draft, chunks_of
from scidb.testing.store_suite.samples import Clock

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence

    from scidb.store.model import Change, Trace
    from scidb.store.protocol import Store

__all__ = ["KEYS", "SESSION_TYPED", "StorePair"]

RecordQuery: TypeAlias = Latest | Records | Entries

KEYS: Final = (SchemaKey("subject", "int"), SchemaKey("session"), SchemaKey("trial", "int"))
SESSION_TYPED: Final = KeyTyped("session", "str")


class StorePair(RuleBasedStateMachine):
    """Two stores that must never differ; instants are compared by the number of the write that they belong to."""

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
        self.tested = self.make_store(KEYS, self.folder, self.clock)
        self.oracle: Store = MemoryStore(KEYS, clock=self.clock)
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

    @rule(name=st.sampled_from(VARIABLES), schema_version=st.integers(1, 2))
    def register(self, name: str, schema_version: int) -> None:
        """Register a variable, or change what its class declares."""
        info = TypeInfo(name, schema_version, f"version {schema_version}", {"x": "m"})
        assert _declared(self.tested.register(info)) == _declared(self.oracle.register(info))

    @invariant()
    def the_same_types_and_latest(self) -> None:
        """Keys, counts and the latest entries agree after every step."""
        assert self.tested.describe().schema_keys == self.oracle.describe().schema_keys
        assert self.tested.describe().renamed == self.oracle.describe().renamed
        tested, oracle = (
            [(_declared(info), self.number(info.last_change, side)) for info in store.types()]
            for side, store in enumerate((self.tested, self.oracle))
        )
        assert tested == oracle
        found = [self.numbered(store.find(Latest()), side) for side, store in enumerate((self.tested, self.oracle))]
        assert found[0] == found[1]
        assert self.tested.find(Groups()) == self.oracle.find(Groups())
        assert self.tested.find(Marks()) == self.oracle.find(Marks())
        tags = [
            [(tag.name, self.number(tag.timestamp, side)) for tag in store.find(Tags())]
            for side, store in enumerate((self.tested, self.oracle))
        ]
        assert tags[0] == tags[1]

    # -------------------------------------------------------------- writing to both

    def write(self, drafts: list[Draft], made: Call | None) -> None:
        """Save drafts in both, made by a call or by hand."""
        calls = () if made is None else (made,)
        self.send(Batch(chunks=tuple(chunks_of(drafts, made)), calls=calls, events=(SESSION_TYPED,)))

    def send(self, batch: Batch) -> None:
        """Write one batch to both stores, which must stamp and return the same entries."""
        tested, oracle = self.tested.write(batch), self.oracle.write(batch)
        if oracle:
            instants = tested[0].timestamp, oracle[0].timestamp
            if self.instants:
                assert instants[0] > self.instants[-1][0]
            self.instants.append(instants)
        assert self.numbered(tested, 0) == self.numbered(oracle, 1)
        self.saved.extend(replace(entry, timestamp="") for entry in oracle)

    def both(self, batches: Sequence[Batch]) -> bool:
        """Write events to both stores, or see both refuse them in one way; say which."""
        try:
            self.oracle.write(batches[1])
        except SciDBError as refusal:
            with pytest.raises(type(refusal)):
                self.tested.write(batches[0])
            return False
        self.tested.write(batches[0])
        return True

    def compare_all(self, data: st.DataObject, match: Match, limit: int | None) -> None:
        """Compare what is the latest, each record and each entry that matches, now or as of a former write."""
        at = data.draw(st.none() | st.sampled_from(self.instants)) if self.instants else None
        exclude: Any = data.draw(st.sampled_from([False, False, True, ("bad",)]))
        tested, oracle = (replace(match, as_of=at[side] if at else None, exclude=exclude) for side in (0, 1))
        self.compare(Latest(tested), Latest(oracle))
        self.compare(Records(tested), Records(oracle))
        self.compare(Entries(tested, limit), Entries(oracle, limit))

    def compare(self, tested: RecordQuery, oracle: RecordQuery) -> None:
        """See both find and fetch the same, or refuse alike."""
        try:
            self.oracle.find(oracle)
        except SciDBError as refusal:
            with pytest.raises(type(refusal)):
                self.tested.find(tested)
            return
        found = self.numbered(self.tested.find(tested), 0)
        assert found == self.numbered(self.oracle.find(oracle), 1)
        fetched = list(self.tested.fetch(tested))
        assert self.numbered([entry for chunk in fetched for entry in chunk.records], 0) == found
        assert _payloads(fetched) == _payloads(self.oracle.fetch(oracle))

    def number(self, timestamp: str | None, side: int) -> int | None:
        """Say to which write an instant of one side belongs."""
        numbers = {instants[side]: number for number, instants in enumerate(self.instants)}
        return numbers.get(timestamp or "")

    def numbered(self, entries: Sequence[Record], side: int) -> list[Record]:
        """Give entries the number of their write for an instant."""
        return [replace(one, timestamp=f"write {self.number(one.timestamp, side)}") for one in entries]

    def numbered_changes(self, changes: Sequence[Change], side: int) -> object:
        """Do the same to changes."""
        return [
            (
                [self.numbered([one], side) for one in (change.before, change.after) if one],
                change.before is None,
                change.is_return,
            )
            for change in changes
        ]

    def numbered_trace(self, trace: Trace, side: int) -> object:
        """Do the same to a trace, and order it."""
        return (
            sorted((replace(one, timestamp="") for one in trace.calls), key=lambda one: one.call_id),
            sorted(self.numbered(trace.records, side), key=lambda one: one.record_id),
            sorted((replace(one, timestamp="") for one in trace.edges), key=repr),
        )


def _declared(info: TypeInfo) -> TypeInfo:
    """Leave out what a store may say in its own way."""
    return replace(info, created_at="", dtype="", last_change=None)


def _payloads(chunks: Any) -> list[object]:
    return [value for chunk in chunks for value in chunk.table.column(0).to_pylist()]
