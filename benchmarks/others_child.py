"""One of those that we are compared with, in a process of its own: ``others_child.py NAME FOLDER FIGURES.json``.

Runs as a script, since one of them has an environment of its own; what it needs is imported where it is used.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import pickle
import sys
import time
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PLACES", "TIMES", "main"]

TIMES: Final = 20


def main(name: str, folder: Path, figures: Path) -> None:
    """Write the seconds of each work that it can do."""
    folder.mkdir()
    place = PLACES[name](folder)
    rng = np.random.default_rng(0)
    kinds: dict[str, list[Any]] = {
        "a number": [float(n) for n in range(TIMES + 1)],
        "an array of 10,000": [rng.random(10_000) for _ in range(TIMES + 1)],
    }
    found: dict[str, float] = {}
    if place.stores:
        for kind, values in kinds.items():
            found[f"save {kind}"] = _timed(lambda n, kind=kind, values=values: place.put(kind, n, values[n]))  # type: ignore[misc]
        for kind in kinds:
            if place.reads:
                found[f"load {kind}"] = _timed(lambda n, kind=kind: place.get(kind, n))  # type: ignore[misc]
    if place.remembers:
        call = place.remembering()
        for n in range(TIMES + 1):
            call(float(n))
        found["call a second time"] = _timed(lambda n: call(float(n)))
        found["call a third time"] = _timed(lambda n: call(float(n)))
    figures.write_text(json.dumps(found))


def _timed(work: Callable[[int], object]) -> float:
    """Return the seconds of doing it with each number; once before, with the last one, to warm up."""
    work(TIMES)
    started = time.perf_counter()
    for n in range(TIMES):
        work(n)
    return time.perf_counter() - started


def doubled(number: float) -> float:
    """Return twice the number."""
    return 2 * number


class Place:
    """Somewhere to put values under a kind and a number and to get them from, or to remember calls."""

    module: ClassVar[str]
    stores: ClassVar[bool] = True
    reads: ClassVar[bool] = True
    remembers: ClassVar[bool] = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def library(cls) -> Any:
        """Import what it is about."""
        return importlib.import_module(cls.module)

    def file(self, kind: str, number: int) -> Path:
        """Return the file of a value, for those that write one for each."""
        return self.folder / f"{kind} {number}"

    def put(self, kind: str, number: int, value: Any) -> object:
        """Store a value."""
        raise NotImplementedError

    def get(self, kind: str, number: int) -> object:
        """Return a value."""
        raise NotImplementedError

    def remembering(self) -> Callable[[float], object]:
        """Return `doubled` in a form that remembers what it was called with."""
        raise NotImplementedError


class _SciDB(Place):
    module = "scidb"
    remembers = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        scidb = self._scidb = self.library()
        self._db = scidb.open(folder / "db.duckdb", {"subject": int})
        self._db.set_current_db()
        base: Any = scidb.BaseVariable
        kinds = {"a number": "BenchOne", "an array of 10,000": "BenchSignal", "doubled": "BenchDoubled"}
        self._types: dict[str, Any] = {kind: type(name, (base,), {}) for kind, name in kinds.items()}

    def put(self, kind: str, number: int, value: Any) -> object:
        return self._types[kind].save(value, subject=number)

    def get(self, kind: str, number: int) -> object:
        return self._types[kind].load(subject=number)

    def remembering(self) -> Callable[[float], object]:
        thunk = self._scidb.Thunk(doubled)

        def call(number: float) -> object:
            result = thunk(number)
            if not result.was_cached:
                self._types["doubled"].save(result, subject=int(number))
            return result

        return call


class _SciStack(Place):
    module = "scidb"
    reads = False

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        library = self.library()
        library.configure_database(str(folder / "db.duckdb"), ["subject"])
        kinds = {"a number": "BenchOne", "an array of 10,000": "BenchSignal"}
        base: Any = library.BaseVariable
        self._types: dict[str, Any] = {kind: type(name, (base,), {"schema_version": 1}) for kind, name in kinds.items()}

    def put(self, kind: str, number: int, value: Any) -> object:
        return self._types[kind].save(value, subject=str(number))


class _Pickle(Place):
    module = "pickle"

    def put(self, kind: str, number: int, value: Any) -> object:
        return self.file(kind, number).write_bytes(pickle.dumps(value))

    def get(self, kind: str, number: int) -> object:
        return pickle.loads(self.file(kind, number).read_bytes())


class _Parquet(Place):
    module = "pyarrow.parquet"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._arrow: Any = importlib.import_module("pyarrow")
        self._parquet = self.library()

    def put(self, kind: str, number: int, value: Any) -> object:
        self._parquet.write_table(self._arrow.table({"value": np.atleast_1d(value)}), self.file(kind, number))
        return None

    def get(self, kind: str, number: int) -> object:
        return self._parquet.read_table(self.file(kind, number)).column(0).to_numpy()


class _Flight(Place):
    """A server in a thread that keeps tables in memory."""

    module = "pyarrow.flight"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._arrow: Any = importlib.import_module("pyarrow")
        flight = self._flight = self.library()
        tables: dict[bytes, Any] = {}

        class Server(flight.FlightServerBase):  # type: ignore[misc, name-defined]
            def do_put(self, _context: Any, descriptor: Any, reader: Any, _writer: Any) -> None:
                tables[descriptor.command] = reader.read_all()

            def do_get(self, _context: Any, ticket: Any) -> Any:
                return flight.RecordBatchStream(tables[ticket.ticket])

        server = Server("grpc://127.0.0.1:0")
        Thread(target=server.serve, daemon=True).start()
        self._client = flight.connect(f"grpc://127.0.0.1:{server.port}")

    def put(self, kind: str, number: int, value: Any) -> object:
        table = self._arrow.table({"value": np.atleast_1d(value)})
        descriptor = self._flight.FlightDescriptor.for_command(f"{kind} {number}")
        writer, reader = self._client.do_put(descriptor, table.schema)
        writer.write_table(table)
        writer.done_writing()
        reader.read()
        writer.close()
        return None

    def get(self, kind: str, number: int) -> object:
        return self._client.do_get(self._flight.Ticket(f"{kind} {number}")).read_all().column(0).to_numpy()


class _Joblib(Place):
    module = "joblib"
    remembers = True

    def put(self, kind: str, number: int, value: Any) -> object:
        return self.library().dump(value, self.file(kind, number))

    def get(self, kind: str, number: int) -> object:
        return self.library().load(self.file(kind, number))

    def remembering(self) -> Callable[[float], object]:
        remembered: Callable[[float], object] = self.library().Memory(self.folder / "memory", verbose=0).cache(doubled)
        return remembered


class _DiskCache(Place):
    module = "diskcache"
    remembers = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._cache: Any = self.library().Cache(str(folder))

    def put(self, kind: str, number: int, value: Any) -> object:
        self._cache[kind, number] = value
        return None

    def get(self, kind: str, number: int) -> object:
        found: object = self._cache[kind, number]
        return found

    def remembering(self) -> Callable[[float], object]:
        remembered: Callable[[float], object] = self._cache.memoize()(doubled)
        return remembered


class _Zarr(Place):
    module = "zarr"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._group: Any = self.library().open_group(str(folder), mode="w")

    def put(self, kind: str, number: int, value: Any) -> object:
        data = np.atleast_1d(np.asarray(value))
        self._group.create_array(f"{kind} {number}", shape=data.shape, dtype=data.dtype)[:] = data
        return None

    def get(self, kind: str, number: int) -> object:
        found: object = self._group[f"{kind} {number}"][:]
        return found


class _Signac(Place):
    module = "signac"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._project: Any = self.library().init_project(str(folder))

    def _job(self, kind: str, number: int) -> Any:
        return self._project.open_job({"kind": kind, "subject": number})

    def put(self, kind: str, number: int, value: Any) -> object:
        job = self._job(kind, number)
        job.init()
        if isinstance(value, float):
            job.document["value"] = value
        else:
            np.save(job.fn("value.npy"), value)
        return None

    def get(self, kind: str, number: int) -> object:
        job = self._job(kind, number)
        file = Path(job.fn("value.npy"))
        return np.load(file) if file.exists() else job.document["value"]


class _Arctic(Place):
    module = "arcticdb"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._library: Any = self.library().Arctic(f"lmdb://{folder}").create_library("bench")

    def put(self, kind: str, number: int, value: Any) -> object:
        write = self._library.write_pickle if isinstance(value, float) else self._library.write
        return write(f"{kind} {number}", value)

    def get(self, kind: str, number: int) -> object:
        found: object = self._library.read(f"{kind} {number}").data
        return found


class _Redun(Place):
    module = "redun"
    stores = False
    remembers = True

    def remembering(self) -> Callable[[float], object]:
        redun, config = self.library(), importlib.import_module("redun.config")
        logging.disable()  # it tells of every call
        task = redun.task(namespace="bench")(doubled)
        uri = f"sqlite:///{self.folder / 'redun.db'}"
        scheduler = redun.Scheduler(config.Config({"backend": {"db_uri": uri}}))
        scheduler.load()
        return lambda number: scheduler.run(task(number))


PLACES: Final[dict[str, type[Place]]] = {
    "SciDB": _SciDB,
    "pickle files": _Pickle,
    "Parquet files": _Parquet,
    "Arrow Flight, in memory": _Flight,
    "joblib": _Joblib,
    "diskcache": _DiskCache,
    "zarr": _Zarr,
    "signac": _Signac,
    "ArcticDB": _Arctic,
    "redun": _Redun,
    "scistack-db": _SciStack,
}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
    # Some leave threads behind that would keep the process.
    sys.stdout.flush()
    os._exit(0)
