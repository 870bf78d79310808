"""The memo: which values an earlier, equal computation gave. A thunk's Cache over a store.

The store says what counts, every time; values are kept here, under the ids of records, whose contents never change.
"""

from __future__ import annotations

import atexit
import json
import logging
import threading
import weakref
from collections import Counter, OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from scidb.exceptions import NotFoundError, SciDBError
from scidb.hashing.inputs import PLAIN
from scidb.records import class_named, is_recallable, presented, stored_values, values_of
from scidb.store.acceptances import vouched
from scidb.store.model import (
    Acceptances,
    Batch,
    Chunk,
    Computations,
    Hit,
    Invalidations,
    Results,
    SetAside,
    Stored,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from scidb.store.model import Acceptance, Record, Result
    from scidb.store.protocol import Store

__all__ = ["Hits", "Known", "Memo", "Sought", "Values", "complete", "hits_of"]

logger = logging.getLogger("scidb.memo")

_VALUE_BYTES: Final = 64 << 20
# What an entry takes beside its value: keys, records, the objects around a small Arrow table.
_ENTRY_BYTES: Final = 4_096
# A value of so many bytes at most is kept as it is, too, if nobody can change it.
_PLAIN_BYTES: Final = 256
_UNWRITTEN: Final = 1_000


class Sought(NamedTuple):
    """A computation that is looked for: its id, and what the id was made of."""

    lineage_id: str
    function_hash: str
    inputs_hash: str


@dataclass(frozen=True, slots=True)
class Known:
    """The complete result of a computation: its records in the order of outputs, and the call that made them.

    A generated file has no records.
    """

    lineage_id: str
    records: tuple[Record, ...]
    call_id: str | None


class Memo:
    """What a database knows of computations, and the values that were asked for lately."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.cache = Values(store)
        self.hits = Hits(store)

    def known(self, sought: Sequence[Sought]) -> dict[str, Known]:
        """Return what is known of these computations, by lineage_id: complete results alone, in one look-up."""
        found: dict[str, Known] = {}
        for result in self._store.find(Results(tuple(one.lineage_id for one in sought))):
            known = complete(result)
            if known is not None:
                found[known.lineage_id] = known
        unknown = [one for one in sought if one.lineage_id not in found]
        return {**found, **self._vouched_for(unknown)} if unknown else found

    def _vouched_for(self, sought: Sequence[Sought]) -> dict[str, Known]:
        """Return what other code gave whose results were accepted as those of this code, the nearest of it."""
        acceptances = self._store.find(Acceptances())
        if not acceptances:
            return {}
        chains = {code: vouched(acceptances, code) for code in {one.function_hash for one in sought}}
        codes = tuple(sorted({old for chain in chains.values() for old in chain}))
        made = {
            (one.function_hash, one.inputs_hash): one.lineage_id
            for one in self._store.find(Computations(codes, tuple({one.inputs_hash for one in sought})))
        }
        results = {one.computation.lineage_id: one for one in self._store.find(Results(tuple(made.values())))}
        aside = SetAside.of(self._store.find(Invalidations()))
        found: dict[str, Known] = {}
        for one in sought:
            for old, chain in chains[one.function_hash].items():
                result = results.get(made.get((old, one.inputs_hash), ""))
                known = complete(result) if result is not None else None
                if known is not None and _counts(known, chain, one.lineage_id, aside):
                    found[one.lineage_id] = replace(known, lineage_id=one.lineage_id)
                    break
        return found

    def set_aside(self, function_hash: str, made: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        """Return those of these results, each a lineage_id and an instant, that were invalidated since."""
        ids = tuple(dict.fromkeys(lineage_id for lineage_id, _ in made))
        aside = SetAside.of(self._store.find(Invalidations(function_hash, ids)))
        if not aside.functions and not aside.computations:
            return set()
        return {(one, stamp) for one, stamp in made if not aside.counts(stamp, function_hash, one)}


def _counts(known: Known, chain: Sequence[Acceptance], lineage_id: str, aside: SetAside) -> bool:
    """Say whether none of the codes for which a result is to stand was set aside since it was saved."""
    return all(aside.counts(record.timestamp, one.new_hash, lineage_id) for one in chain for record in known.records)


def complete(result: Result) -> Known | None:
    """Return a result whose outputs were all saved and can be given back, or None.

    Of several contents (a function that is not deterministic, forced), the newest call that gave all of them counts:
    outputs of two executions are never mixed, unless each output has one content only.
    """
    lineage_id = result.computation.lineage_id
    if result.computation.kind == "generated":
        return Known(lineage_id, (), result.call_id)
    if len(result.records) == 1 and result.computation.outputs == "1":  # most are, and a hit is counted in microseconds
        record = result.records[0]
        return Known(lineage_id, result.records, record.call_id) if _answers(record, 0) else None
    declared = json.loads(result.computation.outputs)
    if isinstance(declared, list) and declared[0] == "distribute":
        return _complete_pieces(result, declared[1])
    expected = range(declared[1] if isinstance(declared, list) else int(declared))
    calls: dict[str | None, dict[int, Record]] = {}
    contents: dict[int, dict[str, Record]] = {}
    for record in filter(is_recallable, result.records):
        number = -1 if record.output_num is None else record.output_num
        calls.setdefault(record.call_id, {}).setdefault(number, record)
        contents.setdefault(number, {}).setdefault(record.content_hash, record)
    wanted = set(expected)
    for call_id, made in calls.items():
        if wanted and made.keys() == wanted:
            return Known(lineage_id, tuple(made[number] for number in expected), call_id)
    if not wanted or contents.keys() != wanted or any(len(found) > 1 for found in contents.values()):
        return None
    records = tuple(next(iter(contents[number].values())) for number in expected)
    return Known(lineage_id, records, records[0].call_id)


def _complete_pieces(result: Result, count: int) -> Known | None:
    """Return the pieces of the newest call all of which were saved, in the order of outputs and pieces."""
    calls: dict[str | None, dict[tuple[int, int], Record]] = {}
    for record in filter(is_recallable, result.records):
        if record.output_num is not None and record.piece is not None:
            calls.setdefault(record.call_id, {}).setdefault((record.output_num, record.piece), record)
    for call_id, made in calls.items():
        counts = {number: record.pieces or 0 for (number, _), record in made.items()}
        wanted = [(number, piece) for number in range(count) for piece in range(1, counts.get(number, 1) + 1)]
        if sorted(made) == wanted:
            return Known(result.computation.lineage_id, tuple(made[one] for one in wanted), call_id)
    return None


def _answers(record: Record, number: int) -> bool:
    return record.output_num == number and is_recallable(record)


class Values:
    """Values of records, of which those asked for lately are kept, up to a number of bytes.

    A value that can be changed is kept as it is stored and made anew each time, so that whoever has got it may do
    with it what he likes. It is kept under the id of its record, which is of its content.
    """

    def __init__(self, store: Store, limit: int = _VALUE_BYTES) -> None:
        self._store = store
        self._limit = limit
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """About how much memory is taken."""
        return self._size

    def load(self, records: Iterable[Record]) -> dict[str, Any]:
        """Return the values of records by id, each through the class that it was saved as."""
        found: dict[str, Any] = {}
        missing: dict[str, Record] = {}
        for record in records:
            kept = self._get(record.record_id)
            if kept is None:
                missing[record.record_id] = record
            else:
                stored = stored_values(kept.chunk) if kept.plain is None else [kept.plain]
                [found[record.record_id]] = presented(kept.chunk, stored, class_named(kept.chunk.records[0].variable))
        if not missing:
            return found
        for chunk in self._store.fetch(Stored(tuple(missing))):
            values = values_of(self._keep(chunk), class_named(chunk.records[0].variable))
            found.update(zip((record.record_id for record in chunk.records), values, strict=True))
        for record_id, record in missing.items():
            if record_id not in found:
                raise NotFoundError(
                    f"Record {record_id[:12]} of {record.variable} is no longer there.", record_id=record_id
                )
        return found

    def _get(self, record_id: str) -> _Kept | None:
        with self._lock:
            kept = self._kept.get(record_id)
            if kept is None:
                return None
            self._kept.move_to_end(record_id)
            return kept

    def _keep(self, chunk: Chunk) -> Chunk:
        """Keep what is stored of a single record; a part of a larger table would keep all of it."""
        if chunk.table is None or len(chunk.records) > 1:
            return chunk
        size = chunk.table.get_total_buffer_size() + _ENTRY_BYTES
        if size > self._limit:
            return chunk
        chunk = Chunk(chunk.records, chunk.table)  # not given: else the value would share its memory
        kept = _Kept(chunk, size, _plain(chunk))
        with self._lock:
            record_id = chunk.records[0].record_id
            before = self._kept.pop(record_id, None)
            self._kept[record_id] = kept
            self._size += size - (before.nbytes if before else 0)
            while self._size > self._limit:
                _, dropped = self._kept.popitem(last=False)
                self._size -= dropped.nbytes
        return chunk


def _plain(chunk: Chunk) -> object:
    if chunk.records[0].nbytes > _PLAIN_BYTES:
        return None
    [value] = stored_values(chunk)
    return value if type(value) in PLAIN else None


class _Kept(NamedTuple):
    """What is stored of a record, how many bytes that takes, and the value itself where nobody can change it."""

    chunk: Chunk
    nbytes: int
    plain: object


class Hits:
    """How often results were given back, until that is written: with other writes, in batches, and at the end."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        _unwritten.add(self)

    def add(self, lineage_id: str) -> None:
        """Note that a result was given back."""
        with self._lock:
            self._counts[lineage_id] += 1
            is_full = len(self._counts) >= _UNWRITTEN
        if is_full:
            self.write()

    def counts(self) -> Counter[str]:
        """Return what is not written yet."""
        with self._lock:
            return Counter(self._counts)

    def take(self) -> Counter[str]:
        """Return what is not written yet, for whoever writes it now; two writers never get the same."""
        with self._lock:
            taken, self._counts = self._counts, Counter()
        return taken

    def give_back(self, taken: Counter[str]) -> None:
        """Count again what could not be written."""
        with self._lock:
            self._counts += taken

    def write(self) -> None:
        """Write what was counted. It is statistics: where that fails, the computation that hit goes on."""
        taken = self.take()
        if not taken:
            return
        try:
            if not self._store.describe().read_only:
                self._store.write(Batch(events=hits_of(taken)))
        except SciDBError as error:
            logger.warning("Memo hits were counted and could not be stored: %s", error)


_unwritten: Final[weakref.WeakSet[Hits]] = weakref.WeakSet()


@atexit.register
def _write_all() -> None:
    """Write what scripts that end without closing have counted; registered after the stores, so run before them."""
    for hits in list(_unwritten):
        hits.write()


def hits_of(counts: Mapping[str, int], user_id: str | None = None) -> tuple[Hit, ...]:
    """Return counted hits as events."""
    return tuple(Hit(lineage_id, number, user_id) for lineage_id, number in counts.items())
