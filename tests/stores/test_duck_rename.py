"""Renaming in a file: what only DuckDB has (tables, views, the chain, a log of writes) goes along."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import duckdb

from scidb.store.duck.store import DuckStore
from scidb.store.model import Batch, Latest, Renamed, TypeInfo
from scidb.testing.store_suite.samples import KEYS, Clock, record, save, scalars, values

if TYPE_CHECKING:
    from pathlib import Path

_CRASH = """
import os, sys
from scidb.store.duck.store import DuckStore
from scidb.store.model import Batch, Renamed, TypeInfo
from scidb.testing.store_suite.samples import KEYS, save
store = DuckStore.open(sys.argv[1], KEYS)
store.register(TypeInfo("Force"))
save(store, "Force", 1.5, subject=1)
store.write(Batch(events=(Renamed("Force", "Push"),)))
save(store, "Push", 2.5, subject=2)
os._exit(9)
"""


def test_a_crash_after_renaming_loses_nothing(tmp_path: Path) -> None:
    """R1: a process that dies without a checkpoint leaves the renamed variable whole."""
    path = tmp_path / "study.duckdb"
    assert subprocess.run([sys.executable, "-c", _CRASH, path], check=False).returncode == 9

    with closing(DuckStore.open(path)) as store:
        assert [(info.name, info.identity_name, info.entries) for info in store.types()] == [("Push", "Force", 2)]
        assert values(store, Latest()) == [1.5, 2.5]
        assert store.describe().renamed == {"Force": "Push"}


def test_every_table_goes_by_the_new_name(tmp_path: Path) -> None:
    """A plain DuckDB shell finds data tables of all layouts, views and registrations under the new name."""
    path = tmp_path / "study.duckdb"
    with closing(DuckStore.open(path, KEYS)) as store:
        store.register(TypeInfo("Force"))
        save(store, "Force", 1.5, subject=1)
        whole = record("Force", 7, {"subject": 2}, encoding='{"kind":"int"}')
        store.write(Batch(chunks=(scalars([whole], [7]),)))
        store.write(Batch(events=(Renamed("Force", "Push"),)))
    with closing(duckdb.connect(str(path), read_only=True)) as con:
        tables = con.execute("SELECT table_name FROM duckdb_tables() WHERE table_name LIKE '%data%' ORDER BY 1")
        assert tables.fetchall() == [("Push_data",), ("Push_data_2",), ("_record_metadata",)]
        views = con.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY 1")
        assert views.fetchall() == [("Push",), ("Push__rows",)]
        assert con.execute("SELECT count(*) FROM Push").fetchall() == [(2,)]
        types = con.execute("SELECT type_name, table_name, identity_name FROM _registered_types ORDER BY 1")
        assert types.fetchall() == [("Force", "Force_data", "Force"), ("Push", "Push_data", "Force")]


def test_the_chain_does_not_depend_on_names(tmp_path: Path) -> None:
    """The digest that ties the lines of the log together is the same with and without a renaming between."""
    ends = []
    for renamed in (False, True):
        clock, path = Clock(), tmp_path / f"{renamed}.duckdb"
        with closing(DuckStore.open(path, KEYS, clock=clock)) as store:
            store.register(TypeInfo("Force"))
            save(store, "Force", 1.5, subject=1)
            if renamed:
                store.write(Batch(events=(Renamed("Force", "Push"),)))
            clock.move(1)
            entry = replace(record("Force", 2.5, {"subject": 1}), variable="Push" if renamed else "Force")
            store.write(Batch(chunks=(scalars([entry], [2.5]),)))
        with closing(duckdb.connect(str(path), read_only=True)) as con:
            ends.append(con.execute("SELECT chain FROM _record_metadata ORDER BY timestamp").fetchall())
    assert ends[0] == ends[1]
    assert len(ends[0]) == 2
