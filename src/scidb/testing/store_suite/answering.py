"""Writes under a key of the caller's own are stored once.

Only who serves a store gives it such writes; a client cannot. So these cases need a store that is here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from scidb.exceptions import ConflictError, SchemaKeyError
from scidb.store.model import Answer, Answered, Answers, Batch, Entries, KeyTyped, Tagged, Tags, TypeInfo
from scidb.testing.store_suite.base import StoreCases
from scidb.testing.store_suite.samples import KEYS, Clock, log, record, scalars

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scidb.store.model import Event, Record
    from scidb.store.protocol import Store

__all__ = ["AnswerCases"]

_DAY = 24 * 3600.0


class Clocked(NamedTuple):
    """A store and the clock that it goes by."""

    store: Store
    clock: Clock


def write(store: Store, key: str, value: float, *events: Event, digest: str = "d", user_id: str | None = "ada") -> str:
    """Save one value under a key, and return its instant."""
    entry = record("Force", value, {"subject": 1})
    first = Answered(key, digest, user_id)
    [stored] = store.write(Batch(chunks=(scalars([entry], [value]),), events=(first, *events)))
    return stored.timestamp


class AnswerCases(StoreCases):
    """Cases of ``Answered`` and ``Answers``."""

    @pytest.fixture
    def clocked(self, tmp_path: Path) -> Iterator[Clocked]:
        """Return an empty store with the variable Force, and its clock."""
        clock = Clock()
        store = self.make_clocked_store(KEYS, tmp_path, clock)
        store.register(TypeInfo("Force"))
        yield Clocked(store, clock)
        store.close()

    def test_an_answer_is_kept_with_its_batch(self, clocked: Clocked) -> None:
        """What was asked for, by whom, under which key and when: in the batch's own instant, and for good."""
        stamp = write(clocked.store, "k", 1.0, digest="abc")
        store = self.reopen(clocked.store)

        assert store.find(Answers("k", "ada")) == [Answer("k", "abc", "ada", stamp)]
        assert store.find(Answers("other", "ada")) == []
        store.close()

    def test_a_key_that_is_there(self, clocked: Clocked) -> None:
        """The same key again is refused, whatever comes with it, and nothing of that batch is stored (N6)."""
        stamp = write(clocked.store, "k", 1.0)
        before: list[Record] = log(clocked.store)
        for digest in ("d", "other"):
            with pytest.raises(ConflictError, match="'k'"):
                write(clocked.store, "k", 2.0, Tagged("late"), digest=digest)

        assert (log(clocked.store), clocked.store.find(Tags())) == (before, [])
        assert clocked.store.find(Answers("k", "ada")) == [Answer("k", "d", "ada", stamp)]

    def test_keys_are_of_their_caller(self, clocked: Clocked) -> None:
        """Two callers may choose the same key, and one that is not known by name is a caller, too."""
        stamps = [write(clocked.store, "k", 1.0, user_id=user) for user in ("ada", "bob", None)]

        for user, stamp in zip(("ada", "bob", None), stamps, strict=True):
            assert clocked.store.find(Answers("k", user)) == [Answer("k", "d", user, stamp)]
        assert len(clocked.store.find(Entries())) == 3

    def test_a_batch_that_is_refused(self, clocked: Clocked) -> None:
        """Of a batch that could not be stored there is no answer: its key may be given again."""
        with pytest.raises(SchemaKeyError):
            write(clocked.store, "k", 1.0, KeyTyped("subject", "str"))

        assert clocked.store.find(Answers("k", "ada")) == []
        write(clocked.store, "k", 1.0)

    def test_a_batch_of_nothing_else(self, clocked: Clocked) -> None:
        """A batch that stores nothing beside its key has an instant all the same, and no later one is before it."""
        clocked.store.write(Batch(events=(Answered("k", "d"),)))
        [answer] = clocked.store.find(Answers("k"))
        store = self.reopen(clocked.store)

        assert write(store, "later", 1.0) > answer.timestamp
        store.close()

    def test_a_day_later(self, clocked: Clocked) -> None:
        """An answer is kept for a day, and forgotten in the course of later ones."""
        write(clocked.store, "first", 1.0)
        clocked.clock.move(_DAY - 1)
        for number in range(70):
            clocked.store.write(Batch(events=(Answered(f"a{number}", "d"),)))
        assert len(clocked.store.find(Answers("first", "ada"))) == 1
        clocked.clock.move(2)
        for number in range(70):
            clocked.store.write(Batch(events=(Answered(f"b{number}", "d"),)))

        assert clocked.store.find(Answers("first", "ada")) == []
        assert len(clocked.store.find(Answers("a0"))) == 1
        write(clocked.store, "first", 1.0)
