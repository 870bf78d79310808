"""A database with some of everything, and ways to do it harm."""

from __future__ import annotations

import random
import shutil
import struct
from contextlib import closing
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pandas as pd
import pytest

import scidb
from scidb import BaseVariable, for_each

if TYPE_CHECKING:
    from pathlib import Path

BLOCKS = 3 * 4096
"""Where the blocks begin."""

BLOCK = 262_144


class Emg(BaseVariable):
    """Muscle activity."""


class Step(BaseVariable):
    """Length of a step."""


class Note(BaseVariable):
    """What was written down."""


class Table(BaseVariable):
    """A few columns."""


class Mean(BaseVariable):
    """Mean of a signal."""


class Unused(BaseVariable):
    """Registered, and never saved."""


def mean(emg: np.ndarray[Any, Any]) -> float:
    """Return the mean of a signal."""
    return float(emg.mean())


def broken(emg: object) -> float:
    """Fail."""
    raise ValueError(str(type(emg)))


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file in which all is well."""
    path: Path = tmp_path_factory.mktemp("whole") / "study.duckdb"
    rng = np.random.default_rng(7)
    with scidb.open(path, {"subject": int, "trial": int}) as db:
        Emg.save_many([(rng.normal(size=4_000), {"subject": s, "trial": t}) for s in (1, 2) for t in range(12)], db=db)
        Step.save_many([(float(rng.normal()), {"subject": s, "trial": t}) for s in (1, 2) for t in range(30)], db=db)
        note = Note.save({"text": "ok", "marks": [1, 2.5, None]}, subject=1, db=db)
        Note.save({"text": "other", "marks": [-0.0]}, subject=2, reader="anna", db=db)
        Table.save(pd.DataFrame({"t": [0.0, 0.5], "side": ["L", "R"]}), subject=1, db=db)
        Step.save(0.25, subject=1, trial=0, db=db)
        for_each(mean, {"emg": Emg}, [Mean], subject=[], trial=[], db=db, progress=False)
        for_each(broken, {"emg": Emg}, [Mean], subject=[1], trial=[0], db=db, progress=False)
        db.flag(note, "unclear")
        db.tag("submitted")
        db.add_to_var_group("signals", [Emg])
        db.export_to_csv(Step, path.with_name("steps.csv"))
        db.register(Unused)
    return path


@pytest.fixture
def study(whole: Path, tmp_path: Path) -> Path:
    """Return a copy of it, to do harm to."""
    return shutil.copyfile(whole, tmp_path / "study.duckdb")


def change(path: Path, *statements: str, **parameters: Any) -> None:
    """Change a file behind SciDB's back, so that DuckDB notices nothing."""
    with closing(duckdb.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement, parameters or None).fetchall()


def ask(path: Path, query: str) -> list[Any]:
    """Return the rows of an answer."""
    with closing(duckdb.connect(path, read_only=True)) as connection:
        return connection.execute(query).fetchall()


def flip(path: Path, position: int, bit: int = 0) -> None:
    """Turn one bit of a file over."""
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ (1 << bit)]))


def flipped(value: float, bit: int) -> float:
    """Return a number with one bit of it turned over."""
    [bits] = struct.unpack("<q", struct.pack("<d", value))
    [turned] = struct.unpack("<d", struct.pack("<Q", (bits ^ (1 << bit)) & (2**64 - 1)))
    return float(turned)


def value_bytes(path: Path, table: str = "Emg_data", column: str = "value") -> list[tuple[int, int, set[str]]]:
    """Return where the numbers of a table lie: first byte, last byte, and the records in that block."""
    segments = ask(
        path,
        f"SELECT block_id, block_offset, start + row_group_id * 122880, count FROM pragma_storage_info('{table}') "
        f"WHERE column_name = '{column}' AND segment_type = 'DOUBLE' AND block_id >= 0",
    )
    owners = [one for (one,) in ask(path, f"SELECT record_no FROM {table} ORDER BY rowid")]
    names = dict(ask(path, f"SELECT record_no, record_id FROM _records WHERE layout = '{table}'"))
    found = []
    for block, offset, start, count in segments:
        if offset or count * 6 < 0.7 * BLOCK:
            continue  # other tables may share that block
        first = BLOCKS + block * BLOCK + 8 + offset
        records = {names[one] for one in owners[start : start + count]}
        # They are compressed, to a little less.
        found.append((first, first + min(count * 6, BLOCK - 8 - offset) - 1, records))
    return found


def some(seed: int) -> random.Random:
    """Return a generator whose choices are the same in every run."""
    return random.Random(seed)
