"""The log: every save adds an entry, the data is kept once, and time only goes forward."""

from __future__ import annotations

import datetime as dt
import re
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from scidb.store.model import Batch, Entries, Latest, Match, Records, TypeInfo
from scidb.testing.store_suite.base import StoreCases
from scidb.testing.store_suite.samples import KEYS, Clock, again, log, record, save, scalars, values

if TYPE_CHECKING:
    from pathlib import Path

    from scidb.store.protocol import Store

__all__ = ["SavingCases"]

_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


class SavingCases(StoreCases):
    """Cases of ``write``."""

    def test_write_returns_what_find_returns(self, store: Store) -> None:
        """An entry comes back as it was written, with its time."""
        entry = replace(
            record("Force", 1.5, {"subject": 1, "trial": 2}, '{"gain":2}', lineage_id="l", call_id="c"),
            output_num=0,
        )
        [stored] = store.write(Batch(chunks=(scalars([entry], [1.5]),)))
        assert stored == replace(entry, timestamp=stored.timestamp)
        assert _STAMP.fullmatch(stored.timestamp)
        assert store.find(Entries()) == [stored]

    def test_schema_comes_in_schema_order(self, store: Store) -> None:
        """The keys of a location come back in schema order, however they were given."""
        save(store, "Force", 1.5, trial=2, subject=1)
        [stored] = store.find(Latest())
        assert list(stored.schema.items()) == [("subject", 1), ("trial", 2)]

    def test_empty_batch(self, store: Store) -> None:
        """A batch of nothing stores nothing."""
        assert store.write(Batch()) == []
        assert log(store) == []

    def test_same_record_twice(self, store: Store) -> None:
        """A record saved twice is logged twice and kept once (A4)."""
        first = save(store, "Force", 1.5, subject=1)
        second = save(store, "Force", 1.5, subject=1)
        assert first.record_id == second.record_id
        assert first.timestamp < second.timestamp
        assert log(store) == [first, second]
        assert store.find(Records()) == [second]

    def test_first_data_stays(self, store: Store) -> None:
        """A record_id that is already there keeps its first data and encoding."""
        first = save(store, "Force", 1.5, subject=1)
        other = replace(first, encoding='{"kind":"other"}')
        [second] = store.write(Batch(chunks=(scalars([other], [99.0]),)))
        assert second.encoding == first.encoding
        assert {entry.encoding for entry in log(store)} == {first.encoding}
        assert values(store, Entries()) == [1.5, 1.5]

    def test_same_record_twice_in_one_batch(self, store: Store) -> None:
        """Two records of one batch may share a record_id."""
        entry = record("Force", 1.5, {"subject": 1})
        stored = store.write(Batch(chunks=(scalars([entry, replace(entry, seq=1)], [1.5, 1.5]),)))
        assert [one.seq for one in stored] == [0, 1]
        assert log(store) == stored
        assert store.types()[1].records == 1

    def test_revert(self, store: Store) -> None:
        """Saving A, B and A again ends with A as the latest, three entries and two records (A4, A5)."""
        first = save(store, "Force", 1.0, subject=1)
        save(store, "Force", 2.0, subject=1)
        third = save(store, "Force", 1.0, subject=1)
        assert third.record_id == first.record_id
        assert store.find(Latest()) == [third]
        assert len(log(store)) == 3
        assert len(store.find(Records())) == 2
        assert values(store, Latest()) == [1.0]

    def test_revert_without_data(self, store: Store) -> None:
        """A chunk without a table logs a record again whose data the store has."""
        first = save(store, "Force", 1.0, subject=1)
        save(store, "Force", 2.0, subject=1)
        third = again(store, first)
        assert third == replace(first, timestamp=third.timestamp)
        assert third.timestamp > first.timestamp
        assert store.find(Latest()) == [third]
        assert values(store, Entries()) == [1.0, 2.0, 1.0]

    def test_order_within_a_batch(self, store: Store) -> None:
        """Entries of one write have one instant and keep the order of seq, across chunks (A6)."""
        entries = [record("Force", number, {"subject": 1}, seq=number) for number in range(4)]
        stored = store.write(
            Batch(chunks=(scalars([entries[2], entries[0]], [2, 0]), scalars([entries[3], entries[1]], [3, 1])))
        )
        assert [entry.seq for entry in stored] == [0, 1, 2, 3]
        assert len({entry.timestamp for entry in stored}) == 1
        assert log(store) == stored
        assert store.find(Latest()) == [stored[3]]
        assert values(store, Entries()) == [3, 2, 1, 0]

    def test_time_increases(self, store: Store) -> None:
        """Every write has a later instant than the one before, however fast they follow (A6)."""
        stamps = [save(store, "Force", float(number), subject=1).timestamp for number in range(20)]
        assert stamps == sorted(set(stamps))

    def test_clock_that_stands_or_goes_back(self, tmp_path: Path) -> None:
        """With a clock that stands still or is set back, order is save order (A6)."""
        clock = Clock()
        with closing(self.make_clocked_store(KEYS, tmp_path, clock)) as store:
            store.register(TypeInfo("Force"))
            first = save(store, "Force", 1.0, subject=1)
            second = save(store, "Force", 2.0, subject=1)
            clock.move(-3600)
            third = save(store, "Force", 3.0, subject=1)
            clock.move(+7200)
            fourth = save(store, "Force", 4.0, subject=1)
            assert [entry.timestamp for entry in (first, second, third, fourth)] == [
                "2024-03-31T01:30:00.000000Z",
                "2024-03-31T01:30:00.000001Z",
                "2024-03-31T01:30:00.000002Z",
                "2024-03-31T02:30:00.000000Z",
            ]
            assert log(store) == [first, second, third, fourth]
            assert store.find(Latest()) == [fourth]

    def test_time_is_utc(self, tmp_path: Path) -> None:
        """A clock of another time zone is brought to UTC."""
        clock = Clock()
        clock.instant = dt.datetime(2024, 6, 1, 2, 0, tzinfo=dt.timezone(dt.timedelta(hours=2)))
        with closing(self.make_clocked_store(KEYS, tmp_path, clock)) as store:
            store.register(TypeInfo("Force"))
            assert save(store, "Force", 1.0).timestamp == "2024-06-01T00:00:00.000000Z"

    def test_reopen(self, store: Store) -> None:
        """What was stored is there after the store is opened again, and time goes on."""
        entry = save(store, "Force", 1.5, '{"gain":2}', subject=1)
        keys, types = store.describe().schema_keys, store.types()
        reopened = self.reopen(store)
        assert reopened.describe().schema_keys == keys
        assert reopened.types() == types
        assert reopened.find(Entries()) == [entry]
        assert values(reopened, Latest(Match(variables=("Force",)))) == [1.5]
        later = again(reopened, entry)
        assert later.timestamp > entry.timestamp
        reopened.close()

    def test_pieces_beyond_the_latest_count(self, store: Store) -> None:
        """Pieces beyond the count of the latest call are no longer latest."""
        for piece in (1, 2, 3):
            save(store, "Force", float(piece), subject=1, trial=piece, piece=piece, pieces=3)
        other = save(store, "Force", 9.0, subject=2, trial=3, piece=3, pieces=3)
        kept = [save(store, "Force", 10.0 + piece, subject=1, trial=piece, piece=piece, pieces=2) for piece in (1, 2)]
        assert store.find(Latest()) == [*kept, other]
        assert len(log(store)) == 6

    def test_pieces_that_are_numbered_by_another_key(self, store: Store) -> None:
        """The newest count holds for all pieces of one result, by whichever key they are numbered and asked for."""
        for subject in (1, 2, 3):
            save(store, "Force", 1.0, subject=subject, piece=subject, pieces=3)
        first = store.find(Latest(Match(("Force",), {"subject": (1,)})))
        [kept] = [save(store, "Force", 2.0, trial=1, piece=1, pieces=1)]
        assert store.find(Latest(Match(("Force",), {"subject": (3,)}))) == []
        assert store.find(Latest(Match(("Force",), {"subject": (1,)}))) == first
        assert store.find(Latest(Match(("Force",), {"trial": (1,)}))) == [kept]
        assert store.find(Latest(Match(None, {"subject": (None,), "trial": (1, 2)}))) == [kept]
