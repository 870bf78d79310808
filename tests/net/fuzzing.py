"""Requests that are nearly right: real ones of a script, changed at random, and what a server makes of them.

``python tests/net/fuzzing.py SEED COUNT`` prints how many were taken and refused, and by how many bytes the process
grew on the way. Whatever is no `SciDBError` ends it, and so does what brings the process down.
"""

from __future__ import annotations

import json
import random
import struct
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from scidb import BaseVariable, for_each
from scidb.database import DatabaseManager
from scidb.exceptions import SciDBError
from scidb.store import Wrapper
from scidb.store.memory import MemoryStore
from scidb.store.model import SchemaKey
from scidbnet.server.exchange.verify import Verified
from scidbnet.wire.batches import batch_bytes, batch_digest, batch_from
from scidbnet.wire.framing import Parts, end, part
from scidbnet.wire.messages import FETCHED, QUERIES, TRACE_QUERY, answer_to_json, trace_to_json
from scidbnet.wire.plain import from_text, to_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scidb.store import Store
    from scidb.store.model import Batch, Chunk, Query, Record, Trace, TraceQuery

__all__ = ["Fuzzer"]

_KEYS: Final = (SchemaKey("subject", "int"), SchemaKey("day", "date"))
_FRESH: Final = 500
"""After so many requests the store is a new one, since what was taken stays in it."""

_INTEGERS: Final = (-1, 0, 1, 1000, 65536, 2**31 - 1, -(2**31))
_VALUES: Final[tuple[Any, ...]] = (
    *(
        None,
        True,
        -1,
        0,
        1,
        2**31,
        2**63,
        2**70,
        10**400,
        0.5,
        1e308,
        "",
        "x",
        "\0",
        "\ud800",
        "1" * 70,
        [],
        {},
        [[]],
        [None],
    ),
    *(
        {"all": 1},
        {"all": None},
        {"float": "nan"},
        {"date": "2026-13-01"},
        {"tuple": [1]},
        {"dict": [[[], 1]]},
        {"a": {}},
    ),
    *("2026-01-02", "float64", "<U5", "datetime64[ns]", "object", "V8", "[", '{"kind":"list"}', "array", "columns"),
)
_WORDS: Final = (b"null", b"[]", b"{}", b'""', b"-1", b"1e400", b"NaN", b"1" * 5000, b"[" * 3000, b'"\\ud800"', b"\xff")


class FuzzedValue(BaseVariable):
    """Anything."""


class FuzzedResult(BaseVariable):
    """What comes of it."""


def _half(x: float) -> float:
    return x / 2


class _Listening(Wrapper):
    """A store that notes what it is asked, as the bodies of requests."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.heard: list[tuple[str, bytes]] = []

    def write(self, batch: Batch) -> list[Record]:
        self.heard.append(("write", b"".join(batch_bytes(batch))))
        return super().write(batch)

    def find(self, query: Query[Any]) -> list[Any]:
        self.heard.append(("find", to_text(QUERIES.write(query))))
        return super().find(query)

    def fetch(self, query: Query[Record]) -> Iterator[Chunk]:
        self.heard.append(("fetch", to_text(FETCHED.write(query))))
        return super().fetch(query)

    def trace(self, query: TraceQuery) -> Trace:
        self.heard.append(("trace", to_text(TRACE_QUERY.write(query))))
        return super().trace(query)


def _requests() -> list[tuple[str, bytes]]:
    """Return what a short script asks of a store."""
    store = _Listening(MemoryStore(_KEYS))
    db = DatabaseManager(store)
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": pd.Categorical(["u", "v"]), "d": [True, False]})
    values: list[Any] = [
        0.5,
        "text",
        np.arange(6.0).reshape(2, 3),
        {"name": [1, None, "x"]},
        frame,
        frame.assign(t=pd.Timestamp("2026-01-02", tz="UTC")),
        b"bytes",
        None,
    ]
    for number, value in enumerate(values):
        FuzzedValue.save(value, subject=number, day="2026-01-02", db=db)
    FuzzedValue.save_many([(float(n), {"subject": 100 + n, "day": "2026-01-03"}) for n in range(20)], db=db)
    for_each(_half, {"x": FuzzedValue}, [FuzzedResult], subject=list(range(100, 103)), day=["2026-01-03"], db=db)
    record = FuzzedResult.load(subject=100, day="2026-01-03", db=db)
    db.get_provenance(record)
    list(db.load_all(FuzzedValue, subject=[1, 100]))
    db.list_versions(FuzzedValue, subject=1)
    db.tag("submitted")
    db.flag(record, reason="noise")
    return store.heard


class Fuzzer:
    """A source of changed requests, the same for the same seed, and what became of them."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._requests = _requests()
        self.counts: Counter[str] = Counter()
        self.last: tuple[str, bytes] = "", b""

    def run(self, count: int) -> None:
        """Ask so many times; raises whatever a server should not have raised."""
        for number in range(count):
            if number % _FRESH == 0:
                memory = MemoryStore(_KEYS)
                store = Verified(memory)
                DatabaseManager(store).register(FuzzedValue)
            verb, body = self._random.choice(self._requests)
            self.last = verb, self._changed(verb, body)
            try:
                _VERBS[verb](store, self.last[1])
                self.counts["taken"] += 1
            except SciDBError as error:
                self.counts[type(error).__name__] += 1

    def _changed(self, verb: str, body: bytes) -> bytes:
        """Change bytes wherever they are, or what they mean, so that all but that is in order."""
        if self._random.random() < 0.3:
            return self._blurred(body)
        if verb != "write":
            return to_text(self._bent(json.loads(body)))
        meta, parts = _taken_apart(body)
        which = self._random.randrange(-1, len(parts))
        if which == -1:
            return _put_together(self._bent(meta), parts)
        header, data = parts[which]
        if data and self._random.random() < 0.5:
            data = self._blurred(data)
            header = header | {"nbytes": len(data)}
        else:
            header = self._bent(header)
        parts[which] = header, data
        return _put_together(meta, parts)

    def _blurred(self, body: bytes) -> bytes:
        changed = bytearray(body)
        for _ in range(self._random.choice((1, 1, 1, 2, 3, 8))):
            self._change(changed)
        return bytes(changed)

    def _bent(self, data: Any) -> Any:
        """Put something else in one place of JSON, also of JSON that stands in a text there."""
        pick = self._random
        if isinstance(data, str) and data[:1] in {"{", "["} and pick.random() < 0.8:
            return json.dumps(self._bent(json.loads(data)))
        if not isinstance(data, dict | list) or not data or pick.random() < 0.1:
            return pick.choice(_VALUES)
        bent = data.copy()
        at = pick.choice(list(bent)) if isinstance(bent, dict) else pick.randrange(len(bent))
        if pick.random() < 0.1:
            del bent[at]
        else:
            bent[at] = self._bent(bent[at])
        return bent

    def _change(self, body: bytearray) -> None:
        pick, at = self._random, self._random.randrange(len(body) + 1)
        match pick.randrange(7):
            case 0 | 1:
                body[at : at + 1] = bytes([pick.randrange(256)])
            case 2:
                body[at : at + 4] = struct.pack(pick.choice("<>") + "i", pick.choice(_INTEGERS))
            case 3:
                at -= at % 8
                body[at : at + 8] = struct.pack("<q", pick.choice((*_INTEGERS, 2**63 - 1, -(2**63))))
            case 4:
                del body[at : at + pick.randrange(1, 40)]
            case 5:
                body[at:at] = pick.randbytes(pick.randrange(1, 16))
            case 6:
                body[at:at] = pick.choice(_WORDS)


def _taken_apart(body: bytes) -> tuple[Any, list[tuple[Any, bytes]]]:
    length = int.from_bytes(body[:4], "big")
    parts = [(dict(one.header), bytes(one.body)) for one in Parts([body[4 + length :]])]
    return json.loads(body[4 : 4 + length]), parts


def _put_together(meta: Any, parts: list[tuple[Any, bytes]]) -> bytes:
    text = to_text(meta)
    flowing = [piece for header, data in parts for piece in part(header, data)]
    return b"".join([len(text).to_bytes(4, "big"), text, *flowing, *end(len(parts))])


def _write(store: Store, body: bytes) -> None:
    view = memoryview(body)
    batch_digest(view)
    store.write(batch_from(view))


def _find(store: Store, body: bytes) -> None:
    query = QUERIES.read(from_text(body, "The body"), "query")
    to_text(answer_to_json(query, store.find(query)))


def _fetch(store: Store, body: bytes) -> None:
    list(store.fetch(FETCHED.read(from_text(body, "The body"), "query")))


def _trace(store: Store, body: bytes) -> None:
    to_text(trace_to_json(store.trace(TRACE_QUERY.read(from_text(body, "The body"), "query"))))


_VERBS: Final[dict[str, Callable[[Store, bytes], None]]] = {
    "write": _write,
    "find": _find,
    "fetch": _fetch,
    "trace": _trace,
}


def _resident() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def main(seed: int, count: int) -> None:
    """Ask some, and then so many times; print how much memory all but the first took."""
    fuzzer = Fuzzer(seed)
    fuzzer.run(min(5_000, count // 2))
    before = _resident()
    fuzzer.run(count - min(5_000, count // 2))
    sys.stdout.write(f"{fuzzer.counts['taken']} {sum(fuzzer.counts.values())} {_resident() - before}\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
