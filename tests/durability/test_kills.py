"""Whatever was acknowledged survives SIGKILL, bit for bit; what is beyond it is whole or absent."""

from __future__ import annotations

import json
import logging
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.durability import victim
from tests.durability.dumping import dump

import scidb
from scidb.store.duck import DuckStore
from scidb.store.model import Entries, Exports, Flags, Groups, Invalidations, Match, Runs, Tags

if TYPE_CHECKING:
    from collections.abc import Container
    from multiprocessing.context import ForkServerContext

    from scidb.database import DatabaseManager

_log = logging.getLogger(__name__)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL here")


@dataclass
class Told:
    """What the processes said."""

    done: dict[int, str] = field(default_factory=dict)
    begun: dict[int, str] = field(default_factory=dict)  # and killed before their end
    renamed: int = 0  # how often, as far as it was acknowledged or seen
    kills: Counter[str] = field(default_factory=Counter)
    last: int = 0

    def hear(self, messages: list[tuple[str, str, int]]) -> None:
        """Take in what one process said until it was killed."""
        open_write = None
        for what, kind, number in messages:
            self.last = max(self.last, number)
            if what == "begins":
                self.begun[number] = kind
                open_write = kind
            elif what == "is done":
                self.done[number] = self.begun.pop(number)
                self.renamed += kind == "rename"
                open_write = None
        self.kills[open_write or ("between two" if messages else "while opening")] += 1


def kill_one(processes: ForkServerContext, path: Path, told: Told, seed: int) -> None:
    """Start a process, kill it at some moment, and hear what it said."""
    chance = random.Random(seed)
    here, there = processes.Pipe(duplex=False)
    process = processes.Process(target=victim.work, args=(str(path), told.last + 1, seed, there))
    process.start()
    there.close()
    messages = []
    try:
        if chance.random() > 0.05:  # else it is killed while it opens the file
            here.poll(60)
        deadline = time.monotonic() + chance.uniform(0.0, 0.8)
        while (left := deadline - time.monotonic()) > 0:
            if here.poll(left):
                messages.append(tuple(json.loads(here.recv_bytes())))
        process.kill()
        while True:
            messages.append(tuple(json.loads(here.recv_bytes())))
    except EOFError:
        told.hear(messages)
    finally:
        process.kill()
        process.join()
        here.close()
    assert process.exitcode == -signal.SIGKILL  # it has not ended by itself


class Found:
    """What is in the file: which writes are there whole, and which in part."""

    def __init__(self, db: DatabaseManager, numbers: set[int]) -> None:
        self.db = db
        self.numbers = numbers
        self.types = {info.name for info in db.types()}
        find = db._store.find
        self.tags = {tag.name for tag in find(Tags())}
        self.flags = {flag.reason for flag in find(Flags())}
        self.groups = Counter(group.name for group in find(Groups()) for _ in group.variables)
        self.exports = {Path(export.path).stem for export in find(Exports())}
        self.aside = {one.reason for one in find(Invalidations())}
        self.runs = list(find(Runs()))
        self.values = {
            name: self._values(name) for name in ("KillNumber", "KillMany", "KillArray", "KillFrame", "KillMade")
        }

    def _values(self, name: str) -> dict[int, list[Any]]:
        """Return the values of each write, in order of the trials, and no entry twice."""
        if name not in self.types:
            return {}
        subjects = sorted(self.numbers)
        found: dict[int, list[Any]] = {}
        for one in self.db.load_all(name, subject=subjects) if subjects else ():
            found.setdefault(one.metadata["subject"], []).append(one)
        for several in found.values():
            several.sort(key=lambda one: one.metadata.get("trial", 0))
        return {number: [one.data for one in several] for number, several in found.items()}

    def has(self, kind: str, number: int) -> bool:
        """Say whether a write is there; fail if it is there in part, or not as it was written."""
        match kind:
            case "number":
                return self._is("KillNumber", number, [number * 1.5])
            case "array":
                return self._is("KillArray", number, [victim.array(number)])
            case "frame":
                return self._is("KillFrame", number, [victim.frame(number)])
            case "many":
                return self._is("KillMany", number, [value for value, _ in victim.many(number)])
            case "run" | "threads":
                got = self.values["KillMade"].get(number, [])
                whole = [victim.made(number, trial) for trial in range(victim.RUN)]
                assert set(got) <= set(whole)
                assert len(got) == len(set(got))
                return got == whole
            case "group":
                assert self.groups[f"group{number}"] in {0, 2}
        there: dict[str, Container[str]] = {
            "key": self.db.schema_keys,
            "tag": self.tags,
            "flag": self.flags,
            "KillType": self.types,
            "reason": self.aside,
            "export": self.exports,
            "group": self.groups,
        }
        shown = {"register": "KillType", "invalidate": "reason"}.get(kind, kind)
        return f"{shown}{number}" in there[shown]

    def _is(self, name: str, number: int, expected: list[Any]) -> bool:
        got = self.values[name].get(number, [])
        if not got:
            return False
        assert len(got) == len(expected)
        for one, other in zip(got, expected, strict=True):
            if isinstance(other, np.ndarray):
                assert one.dtype == other.dtype
                assert one.tobytes() == other.tobytes()
            elif isinstance(other, float):
                assert one == other
            else:
                assert list(one.columns) == list(other.columns)
                assert all(one[name].tolist() == other[name].tolist() for name in other)
                assert (one.dtypes == other.dtypes).all()
        return True


def check(path: Path, told: Told, *, since: int) -> None:
    """See that the file has every acknowledged write from a number on, and of the others whole ones or nothing."""
    with scidb.open(path, lock_timeout=30) as db:
        begun = {number for number in told.begun if number >= since}
        found = Found(db, {number for number in told.done if number >= since} | begun)
        for number, kind in told.done.items():
            if number >= since and kind != "rename":
                assert found.has(kind, number), (kind, number)
        for number in begun:
            if told.begun[number] == "rename":
                told.renamed += victim.name_of(told.renamed) not in found.types
            else:
                found.has(told.begun[number], number)
        assert victim.name_of(told.renamed) in found.types
        assert db.load(victim.name_of(told.renamed), subject=-1).data == 0.5
        ended = Counter(run.ended is not None for run in found.runs)
        assert ended[True] >= sum(kind in {"run", "threads"} for kind in told.done.values())


def check_whole(path: Path) -> None:
    """See that the tables fit together: numbers given once, data for each record and no other, and the chain."""
    store = DuckStore.open(path)
    rows = store._connection.rows
    for table, number in (("_records", "record_no"), ("_schema", "schema_id"), ("_calls", "call_id")):
        assert rows(f"SELECT {number} FROM {table} GROUP BY ALL HAVING count(*) > 1") == []
    tables = rows("SELECT DISTINCT layout FROM _records")
    for (table,) in tables:
        assert rows(f'SELECT count(*) FROM "{table}" WHERE record_no NOT IN (SELECT record_no FROM _records)') == [(0,)]
        missing = "SELECT count(*) FROM _records WHERE layout = ? AND record_no NOT IN (SELECT record_no FROM "
        assert rows(f'{missing}"{table}")', [table]) == [(0,)]
    for what, table, key in (("record_id", "_records", "record_id"), ("schema_id", "_schema", "schema_id")):
        query = f"SELECT count(*) FROM _record_metadata WHERE {what} NOT IN (SELECT {key} FROM {table})"
        assert rows(query) == [(0,)]
    links = [link for (link,) in rows("SELECT chain FROM _record_metadata ORDER BY timestamp, seq")]
    assert len(set(links)) == len(links) == len(store.find(Entries(Match())))
    store.close()


def kill_many(processes: ForkServerContext, folder: Path, kills: int) -> Told:
    """Kill so many times, and look after each."""
    path, told = folder / "study.duckdb", Told()
    victim.prepare(path)
    for seed in range(kills):
        since = told.last
        kill_one(processes, path, told, seed)
        check(path, told, since=since)
    check(path, told, since=0)
    check_whole(path)
    return told


def test_a_few_kills(processes: ForkServerContext, tmp_path: Path) -> None:
    """Three processes that are killed amid writes lose nothing that they acknowledged."""
    told = kill_many(processes, tmp_path, 3)

    assert told.done


_DIES = """
import os, signal, sys
import scidb
from scidb.store.duck import connection
from tests.durability.victim import KillMade, KillNumber
def twice(number):
    return 2 * number
def die(path):
    # Called when all of the batch was stated, just before it is committed.
    if db._store._store._connection.rows("SELECT 1 FROM _calls"):
        os.kill(os.getpid(), signal.SIGKILL)
    prepare(path)
with scidb.open(sys.argv[1]) as db:
    db.register(KillMade)
    prepare, connection.prepare_log = connection.prepare_log, die
    scidb.for_each(twice, {"number": KillNumber}, [KillMade], db=db, progress=False, subject=[])
"""


def test_killed_before_a_batch_is_committed(tmp_path: Path) -> None:
    """Of a batch with records, a call, lineage, code and a new table nothing is there, although all was written."""
    path = tmp_path / "study.duckdb"
    with scidb.open(path, ["subject"]) as db:
        victim.KillNumber.save_many([(0.5, {"subject": 1}), (1.5, {"subject": 2})], db=db)
        db.register(victim.KillMade)
    with closing(DuckStore.open(path)) as store:
        before = dump(store)
    run = subprocess.run([sys.executable, "-c", _DIES, str(path)], check=False, cwd=Path(__file__).parents[2])
    assert run.returncode == -signal.SIGKILL
    with closing(DuckStore.open(path)) as store:
        assert dump(store) == before


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_hundreds_of_kills(processes: ForkServerContext, tmp_path: Path) -> None:
    """220 SIGKILLs over every kind of write: everything acknowledged is there, the rest whole or absent (R1)."""
    told = kill_many(processes, tmp_path, 220)

    _log.info("%s writes acknowledged: %s", len(told.done), dict(Counter(told.done.values())))
    _log.info("killed while: %s; begun and not acknowledged: %s", dict(told.kills), len(told.begun))
    assert set(told.done.values()) == set(victim.WRITES)
    assert told.kills.total() == 220
