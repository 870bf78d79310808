"""One store, several threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from scidb.store.model import Entries, Latest, Match
from scidb.testing.store_suite.base import StoreCases
from scidb.testing.store_suite.samples import log, save, values

if TYPE_CHECKING:
    from scidb.store.model import Record
    from scidb.store.protocol import Store

__all__ = ["SharingCases"]

_THREADS: Final = 8
_WRITES: Final = 5


class SharingCases(StoreCases):
    """Cases of several threads on one handle."""

    def test_eight_threads(self, store: Store) -> None:
        """Eight threads write and read; every save is there, each at its own instant (R5)."""

        def work(subject: int) -> list[Record]:
            saved = []
            for trial in range(_WRITES):
                saved.append(save(store, "Force", float(trial), subject=subject, trial=trial))
                own = Latest(Match(schema={"subject": (subject,)}))
                assert store.find(own) == saved
                assert values(store, own) == [float(number) for number in range(trial + 1)]
            return saved

        with ThreadPoolExecutor(_THREADS) as pool:
            saved = [entry for entries in pool.map(work, range(_THREADS)) for entry in entries]
        assert len({entry.timestamp for entry in saved}) == _THREADS * _WRITES
        assert log(store) == sorted(saved, key=lambda entry: entry.timestamp)

    def test_threads_save_the_same_record(self, store: Store) -> None:
        """Threads that save one record at once keep its data once and log it each time (A4, R5)."""
        with ThreadPoolExecutor(_THREADS) as pool:
            entries = list(pool.map(lambda _: save(store, "Force", 1.5, subject=1), range(_THREADS)))
        assert len({entry.record_id for entry in entries}) == 1
        assert store.types()[1].records == 1
        assert store.types()[1].entries == _THREADS
        assert values(store, Entries()) == [1.5] * _THREADS
