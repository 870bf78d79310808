"""What else one could use: twenty numbers and twenty arrays, saved and loaded one by one. Nothing is promised.

None of them keeps versions, provenance and a log, nor waits until what it wrote is on disk; where one is faster, that
is mostly why. Each is left out, with a word, where it is not installed. ``SCIDB_SCISTACK_PYTHON`` names the Python of
an environment that has scistack-db; it is measured in a process of its own.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import scidb
from benchmarks.harness import Comparison, measure
from benchmarks.single import BenchOne, BenchSignal

if TYPE_CHECKING:
    from collections.abc import Callable

    from scidb import BaseVariable, DatabaseManager

__all__ = ["run"]

_TIMES: Final = 20
_CHILD: Final = Path(__file__).with_name("others_child.py")


class Place(Protocol):
    """Somewhere to put values under a number, and to get them from."""

    def put(self, number: int, value: Any) -> object:
        """Store a value."""

    def get(self, number: int) -> object:
        """Return it."""


def run(folder: Path, rounds: int) -> list[Comparison]:
    """Compare with each that is installed."""
    rng = np.random.default_rng(0)
    kinds: dict[str, tuple[type[BaseVariable], list[Any]]] = {
        "a number": (BenchOne, [float(n) for n in range(_TIMES)]),
        "an array of 10,000": (BenchSignal, [rng.random(10_000) for _ in range(_TIMES)]),
    }
    found = []
    for name, (module, make) in _OTHERS.items():
        if importlib.util.find_spec(module) is None:
            print(f"{name} is not installed: left out", file=sys.stderr)
            continue
        for what, (variable, values) in kinds.items():
            found += _compare(name, make, what, variable, values, folder, rounds)
    python = os.environ.get("SCIDB_SCISTACK_PYTHON")
    if python is None:
        print("scistack-db: SCIDB_SCISTACK_PYTHON names no Python that has it: left out", file=sys.stderr)
        return found
    return [*found, *_against_scistack(python, kinds, folder, rounds)]


def _compare(
    name: str,
    make: Callable[[Path], Place],
    what: str,
    variable: type[BaseVariable],
    values: list[Any],
    folder: Path,
    rounds: int,
) -> list[Comparison]:
    saving = Comparison(f"beside: save {what}, {_TIMES} times", name)
    loading = Comparison(f"beside: load {what}, {_TIMES} times", name)
    label = f"{variable.__name__}_{name.replace(' ', '_')}"

    opened: list[DatabaseManager] = []

    def ours(number: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
        db = scidb.open(folder / f"{label}_{number}.duckdb", {"subject": int})
        opened.append(db)
        variable.save(values[0], subject=-1, db=db)
        return _both(lambda n, value: variable.save(value, subject=n, db=db), lambda n: variable.load(subject=n, db=db))

    def theirs(number: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
        own = folder / f"{label}_other_{number}"
        own.mkdir(exist_ok=True)
        place = make(own)
        return _both(place.put, place.get)

    def _both(put: Callable[[int, Any], object], get: Callable[[int], object]) -> tuple[Any, Any]:
        return (
            lambda: [put(n, value) for n, value in enumerate(values)],
            lambda: [get(n) for n in range(len(values))],
        )

    sides = [{number: make_side(number) for number in range(rounds + 1)} for make_side in (ours, theirs)]
    measure(saving, lambda number: sides[0][number][0], lambda number: sides[1][number][0], rounds)
    measure(loading, lambda number: sides[0][number][1], lambda number: sides[1][number][1], rounds)
    for db in opened:
        db.close()
    return [saving, loading]


def _against_scistack(
    python: str, kinds: dict[str, tuple[type[BaseVariable], list[Any]]], folder: Path, rounds: int
) -> list[Comparison]:
    found = []
    for what, (variable, values) in kinds.items():
        comparison = Comparison(f"beside: save {what}, {_TIMES} times", "scistack-db in its own environment")

        def ours(number: int, variable: type[BaseVariable] = variable, values: list[Any] = values) -> Callable[[], Any]:
            db = scidb.open(folder / f"{variable.__name__}_scistack_{number}.duckdb", {"subject": int})
            variable.save(values[0], subject=-1, db=db)
            return lambda: [variable.save(value, subject=n, db=db) and None for n, value in enumerate(values)]

        def theirs(number: int, variable: type[BaseVariable] = variable) -> Callable[[], float]:
            file = folder / f"{variable.__name__}_theirs_{number}.duckdb"
            command = [python, str(_CHILD), str(file), variable.__name__, str(_TIMES)]
            return lambda: float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])

        found.append(measure(comparison, ours, theirs, rounds))
    return found


# ------------------------------------------------------------------ the others


class _Files:
    """A file for each value."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def file(self, number: int) -> Path:
        return self._folder / str(number)


class _Pickle(_Files):
    def put(self, number: int, value: Any) -> None:
        self.file(number).write_bytes(pickle.dumps(value))

    def get(self, number: int) -> object:
        return pickle.loads(self.file(number).read_bytes())


class _Parquet(_Files):
    def put(self, number: int, value: Any) -> None:
        pq.write_table(pa.table({"value": np.atleast_1d(value)}), self.file(number))

    def get(self, number: int) -> object:
        return pq.read_table(self.file(number)).column(0).to_numpy()


class _Joblib(_Files):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._joblib = importlib.import_module("joblib")

    def put(self, number: int, value: Any) -> None:
        self._joblib.dump(value, self.file(number))

    def get(self, number: int) -> object:
        return self._joblib.load(self.file(number))


class _DiskCache:
    def __init__(self, folder: Path) -> None:
        self._cache: Any = importlib.import_module("diskcache").Cache(str(folder))

    def put(self, number: int, value: Any) -> None:
        self._cache[number] = value

    def get(self, number: int) -> object:
        found: object = self._cache[number]
        return found


class _Zarr:
    def __init__(self, folder: Path) -> None:
        self._group: Any = importlib.import_module("zarr").open_group(str(folder), mode="w")

    def put(self, number: int, value: Any) -> None:
        data = np.atleast_1d(np.asarray(value))
        self._group.create_array(str(number), shape=data.shape, dtype=data.dtype)[:] = data

    def get(self, number: int) -> object:
        found: object = self._group[str(number)][:]
        return found


class _Signac:
    def __init__(self, folder: Path) -> None:
        self._project: Any = importlib.import_module("signac").init_project(str(folder))

    def put(self, number: int, value: Any) -> None:
        job = self._project.open_job({"subject": number})
        job.init()
        if isinstance(value, float):
            job.document["value"] = value
        else:
            np.save(job.fn("value.npy"), value)

    def get(self, number: int) -> object:
        job = self._project.open_job({"subject": number})
        file = Path(job.fn("value.npy"))
        return np.load(file) if file.exists() else job.document["value"]


class _Arctic:
    def __init__(self, folder: Path) -> None:
        arctic: Any = importlib.import_module("arcticdb").Arctic(f"lmdb://{folder}")
        self._library = arctic.create_library("bench")

    def put(self, number: int, value: Any) -> None:
        self._library.write_pickle(str(number), value) if isinstance(value, float) else self._library.write(
            str(number), value
        )

    def get(self, number: int) -> object:
        found: object = self._library.read(str(number)).data
        return found


_OTHERS: Final[dict[str, tuple[str, Callable[[Path], Place]]]] = {
    "pickle files": ("pickle", _Pickle),
    "Parquet files": ("pyarrow", _Parquet),
    "joblib.dump": ("joblib", _Joblib),
    "diskcache": ("diskcache", _DiskCache),
    "zarr": ("zarr", _Zarr),
    "signac": ("signac", _Signac),
    "ArcticDB": ("arcticdb", _Arctic),
}
