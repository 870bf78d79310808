"""Flags: said, taken back, and passed on to everything that rests on them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from scidb.filters import KeyFilter
from scidb.store.model import (
    Batch,
    CallInput,
    Changes,
    Entries,
    Environment,
    Environments,
    EnvironmentSeen,
    Exported,
    Exports,
    Flag,
    Flagged,
    Flags,
    Latest,
    Mark,
    Marks,
    Match,
    Records,
    Unflagged,
)
from scidb.testing.store_suite.base import StoreCases
from scidb.testing.store_suite.samples import call, save, used, values

if TYPE_CHECKING:
    from scidb.store.model import Record
    from scidb.store.protocol import Store

__all__ = ["FlagCases"]

BAD = "electrode 7 bad"


def _made(store: Store, value: float, call_id: str, *inputs: CallInput, subject: int = 1) -> Record:
    return save(store, "Emg", value, calls=[call(call_id, *inputs)], call_id=call_id, subject=subject)


def _flag(store: Store, *records: Record, reason: str = BAD, is_pin: bool = False) -> None:
    store.write(Batch(events=(Flagged(tuple(one.record_id for one in records), reason, is_pin, "ada"),)))


def _unflag(store: Store, *records: Record, reason: str = BAD, is_pin: bool = False) -> None:
    store.write(Batch(events=(Unflagged(tuple(one.record_id for one in records), reason, is_pin, "bob"),)))


def _resting(store: Store, query: Marks | None = None) -> set[str]:
    return {mark.record_id for mark in store.find(query or Marks())}


def _kept(store: Store, **match: object) -> set[str]:
    return {one.record_id for one in store.find(Latest(Match(**match)))}  # type: ignore[arg-type]


class FlagCases(StoreCases):
    """Cases of flags, of what rests on them, and of ``exclude``."""

    def test_flag(self, store: Store) -> None:
        """A flag has its record, its reason, who gave it and when; the store says that there are flags."""
        raw = save(store, "Force", 1.0, subject=1)
        assert (store.describe().has_flags, store.find(Flags()), store.find(Marks())) == (False, [], [])
        _flag(store, raw)
        [flag] = store.find(Flags())
        assert flag == Flag(raw.record_id, BAD, is_pin=False, timestamp=flag.timestamp, user_id="ada")
        assert flag.timestamp > raw.timestamp
        assert store.describe().has_flags

    def test_flags_in_the_order_of_flagging(self, store: Store) -> None:
        """Flags come in the order of flagging, those of one write in its order; of some records alone, if asked."""
        first, second = save(store, "Force", 1.0, subject=1), save(store, "Force", 2.0, subject=2)
        _flag(store, second, first)
        _flag(store, first, reason="a")
        found = [(flag.record_id, flag.reason) for flag in store.find(Flags())]
        assert found == [(second.record_id, BAD), (first.record_id, BAD), (first.record_id, "a")]
        assert [flag.reason for flag in store.find(Flags((first.record_id,)))] == [BAD, "a"]
        assert store.find(Flags(())) == []

    def test_flag_again(self, store: Store) -> None:
        """A flag that is given again stays as it was given first."""
        raw = save(store, "Force", 1.0, subject=1)
        _flag(store, raw)
        before = store.find(Flags())
        _flag(store, raw)
        assert store.find(Flags()) == before

    def test_unflag(self, store: Store) -> None:
        """A flag that is taken back is gone, the others stay; what is not flagged so can be unflagged, too."""
        raw, other = save(store, "Force", 1.0, subject=1), save(store, "Force", 2.0, subject=2)
        _flag(store, raw, other)
        _flag(store, raw, reason="noise")
        _unflag(store, raw, other, reason="another")
        _unflag(store, raw)
        assert [(flag.record_id, flag.reason) for flag in store.find(Flags())] == [
            (other.record_id, BAD),
            (raw.record_id, "noise"),
        ]
        assert _resting(store) == {raw.record_id, other.record_id}
        _unflag(store, raw, reason="noise")
        assert _resting(store) == {other.record_id}
        _flag(store, raw)
        assert [flag.record_id for flag in store.find(Flags())] == [other.record_id, raw.record_id]

    def test_pin_is_no_complaint(self, store: Store) -> None:
        """A pin is listed, beside a flag of the same words; nothing rests on it and nothing is left out."""
        raw = save(store, "Force", 1.0, subject=1)
        _flag(store, raw, is_pin=True)
        assert [flag.is_pin for flag in store.find(Flags())] == [True]
        assert store.find(Marks()) == []
        assert _kept(store, exclude=True) == _kept(store, exclude=(BAD,)) == {raw.record_id}
        _flag(store, raw)
        _unflag(store, raw, is_pin=True)
        assert [flag.is_pin for flag in store.find(Flags())] == [False]

    def test_flags_of_then(self, store: Store) -> None:
        """As of an instant, flags and what rests on them are those of then."""
        raw = save(store, "Force", 1.0, subject=1)
        made = _made(store, 2.0, "c1", used(raw))
        _flag(store, raw)
        [flag] = store.find(Flags())
        _unflag(store, raw)
        for as_of, count in ((made.timestamp, 0), (flag.timestamp, 1), (None, 0)):
            assert len(store.find(Flags(as_of=as_of))) == count
            assert len(_resting(store, Marks(as_of=as_of))) == 2 * count
            assert len(_kept(store, exclude=True, as_of=as_of)) == 2 - 2 * count

    def test_what_rests_on_a_flag(self, store: Store) -> None:
        """A flag reaches everything that was made of its record, and nothing beside (M6a)."""
        raw, other = save(store, "Force", 1.0, subject=1), save(store, "Force", 1.0, subject=2)
        middle = _made(store, 2.0, "c1", used(raw))
        beside = _made(store, 2.0, "c2", used(other), subject=2)
        last = _made(store, 3.0, "c3", used(middle), used(beside), subject=3)
        _flag(store, raw)
        _flag(store, middle, reason="noise")
        assert store.find(Marks()) == sorted(
            [
                *(Mark(one.record_id, raw.record_id, BAD) for one in (raw, middle, last)),
                *(Mark(one.record_id, middle.record_id, "noise") for one in (middle, last)),
            ]
        )
        assert _resting(store, Marks((last.record_id, beside.record_id))) == {last.record_id}
        assert _resting(store, Marks(reasons=("noise", "x"))) == {middle.record_id, last.record_id}
        assert _resting(store, Marks(reasons=())) == _resting(store, Marks(record_ids=())) == set()

    def test_flag_passes_unsaved_results(self, store: Store) -> None:
        """A flag also goes through a call whose result was handed on without being saved."""
        raw = save(store, "Force", 1.0, subject=1)
        handed_on = CallInput("x", "computation", input_call_id="c1", output_num=0)
        store.write(Batch(calls=(call("c1", used(raw)),)))
        last = _made(store, 3.0, "c2", handed_on)
        _flag(store, raw)
        assert _resting(store) == {raw.record_id, last.record_id}

    def test_made_anew_from_better_data(self, store: Store) -> None:
        """A record rests on what its newest entry was made of, and so does what was made of it since or before."""
        bad, good = save(store, "Force", 1.0, subject=1), save(store, "Force", 2.0, subject=2)
        middle = _made(store, 5.0, "c1", used(bad))
        last = _made(store, 6.0, "c2", used(middle), subject=2)
        _flag(store, bad)
        assert _resting(store) == {bad.record_id, middle.record_id, last.record_id}
        newest = _made(store, 5.0, "c3", used(good))
        assert newest.record_id == middle.record_id
        assert _resting(store) == {bad.record_id}
        assert _resting(store, Marks(as_of=last.timestamp)) == set()  # not flagged then

    def test_what_is_made_later(self, store: Store) -> None:
        """What is made from a flagged record later rests on the flag, too, saved or handed on; the rest does not."""
        raw, other = save(store, "Force", 1.0, subject=1), save(store, "Force", 2.0, subject=2)
        _flag(store, raw)
        assert _resting(store) == {raw.record_id}
        free = _made(store, 3.0, "c1", used(other), subject=2)
        assert _resting(store) == {raw.record_id}
        made = _made(store, 3.0, "c2", used(raw))
        assert _resting(store) == {raw.record_id, made.record_id}
        store.write(Batch(calls=(call("c3", used(made)),)))
        assert _resting(store) == {raw.record_id, made.record_id}
        last = _made(store, 4.0, "c4", CallInput("x", "computation", input_call_id="c3"), subject=3)
        assert _resting(store) == {raw.record_id, made.record_id, last.record_id}
        assert _kept(store, exclude=True) == {other.record_id, free.record_id}

    def test_a_circle_ends(self, store: Store) -> None:
        """A record that is made again from what was made of it ends the walk."""
        raw = save(store, "Emg", 0.0, subject=1)
        other = _made(store, 1.0, "c1", used(raw))
        _made(store, 0.0, "c2", used(other))
        _flag(store, raw)
        assert _resting(store) == {raw.record_id, other.record_id}

    def test_exclude(self, store: Store) -> None:
        """A match leaves out what rests on flags: on any, or on those that it names; nothing older comes back."""
        old = save(store, "Force", 0.5, subject=1)
        raw, other = save(store, "Force", 1.0, subject=1), save(store, "Force", 2.0, subject=2)
        made = _made(store, 3.0, "c1", used(raw))
        everything = {raw.record_id, other.record_id, made.record_id}
        assert _kept(store, exclude=True) == everything
        _flag(store, raw)
        assert _kept(store) == _kept(store, exclude=("noise",)) == _kept(store, exclude=()) == everything
        assert _kept(store, exclude=True) == _kept(store, exclude=(BAD, "noise")) == {other.record_id}
        for query in (Latest, Records):
            match = Match(("Force",), {"subject": (1,), "session": (None,), "trial": (None,)}, exclude=True)
            expected = [] if query is Latest else [old]
            assert (store.find(query(match)), len(list(store.fetch(query(match))))) == (expected, len(expected))
        assert [one.record_id for one in store.find(Entries(Match(exclude=True)))] == [other.record_id, old.record_id]
        assert values(store, Latest(Match(exclude=True))) == [2.0]

    def test_exclude_with_a_limit_and_a_filter(self, store: Store) -> None:
        """What is left out counts for no limit, and joins with a filter."""
        records = [save(store, "Force", float(n), subject=n) for n in (1, 2, 3)]
        _flag(store, records[0])
        match = Match(("Force",), exclude=True)
        assert store.find(Latest(match, limit=1)) == [records[1]]
        where = KeyFilter("subject", "<", 3)
        assert store.find(Latest(Match(("Force",), exclude=True, where=where))) == [records[1]]
        assert store.find(Records(Match(("Force",), exclude=(BAD,), where=~where))) == [records[2]]

    def test_exclude_in_changes(self, store: Store) -> None:
        """What was flagged since is a value that is gone."""
        raw = save(store, "Force", 1.0, subject=1)
        _flag(store, raw)
        [change] = store.find(Changes(raw.timestamp, Match(exclude=True)))
        assert (change.before, change.after) == (raw, None)
        assert store.find(Changes(raw.timestamp)) == []

    def test_flag_changes_no_entry(self, store: Store) -> None:
        """Flagging writes nothing into the log, and is kept when the store is opened again."""
        raw = save(store, "Force", 1.0, subject=1)
        _flag(store, raw)
        flags, entries = store.find(Flags()), store.find(Entries())
        assert entries == [raw]
        opened = self.reopen(store)
        assert (opened.find(Flags()), opened.find(Entries())) == (flags, entries)
        assert opened.describe().has_flags
        assert save(opened, "Force", 2.0, subject=1).timestamp > flags[0].timestamp

    def test_exports_of_some_records(self, store: Store) -> None:
        """Files are found by any of the records that were written into them."""
        store.write(Batch(events=(Exported("/a", "d", ("r1", "r2")), Exported("/b", "d", ("r3",)))))
        assert [one.path for one in store.find(Exports(("r2", "r9")))] == ["/a"]
        assert [one.path for one in store.find(Exports(("r3", "r1")))] == ["/a", "/b"]
        assert store.find(Exports(())) == []

    def test_environments(self, store: Store) -> None:
        """Environments are found by their ids, in that order; unknown ones are left out."""
        seen = {name: json.dumps({"python": name}) for name in ("e1", "e2")}
        store.write(Batch(events=tuple(EnvironmentSeen(name, text) for name, text in seen.items())))
        found = store.find(Environments(("e2", "e9", "e1", "e2")))
        assert found == [Environment("e2", seen["e2"]), Environment("e1", seen["e1"])]
        assert store.find(Environments()) == []
