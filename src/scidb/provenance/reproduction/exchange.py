"""What goes to the fresh process and comes back: files of plain values and Arrow tables in one folder.

The process that asks may hold the only lock on the database, so the other one never opens it.
"""

from __future__ import annotations

import functools
import json
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pyarrow as pa

from scidb import codecs
from scidb.hashing.inputs import CallInput
from scidb.store.model import Call, Chunk, Computation, Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

__all__ = ["Code", "Ended", "Journal", "Order", "Step", "read_chunk", "read_order", "write_chunk", "write_order"]

_ORDER: Final = "order.arrow"
_JOURNAL: Final = "journal.jsonl"
_NOTE: Final = b"scidb"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Code:
    """The code of one function, and where the fresh process gets it.

    `module` names what the asking process has imported, and so may be imported; else the sources are used.
    """

    function_hash: str
    manifest: str
    sources: Mapping[str, str]
    origin: str  # "installed", "this session" or "stored"
    module: str | None = None
    reference: str = ""  # where it stands, as ``module:qualified.name``
    version: str | None = None  # options of the thunk that the asking process has made of it
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One call that is made again, and the records that it made."""

    call: Call
    made: tuple[Record, ...]
    names: Mapping[str, Any] = field(default_factory=dict)  # constants that the records themselves name
    problem: str = ""  # why it cannot be run


@dataclass(frozen=True, slots=True)
class Order:
    """Everything that the fresh process is told."""

    steps: tuple[Step, ...]  # each after those whose results it takes
    codes: Mapping[str, Code]
    inputs: Mapping[str, Record]
    files: Mapping[str, str]  # record id -> file with its stored value
    classes: tuple[str, ...]  # modules that define variable classes
    path: tuple[str, ...]  # sys.path
    schema_keys: tuple[str, ...]
    root_folders: tuple[str, ...]
    settings: Mapping[str, Any]  # of fingerprints


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of one step."""

    call_id: str
    problem: str = ""
    traceback: str = ""
    origin: str = ""  # of the code that ran
    seconds: float | None = None
    contents: tuple[str | None, ...] = ()  # content hash per output
    stored: Mapping[str, str] = field(default_factory=dict)  # record id -> content hash, in the form that is stored
    files: Mapping[str, str] = field(default_factory=dict)  # record id -> file with a value that is not the stored one
    remarks: tuple[str, ...] = ()


class Journal:
    """What the fresh process has begun and ended; a line each, so that it survives a kill."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _JOURNAL

    def begin(self, call_id: str) -> None:
        """Note that a step begins."""
        self._add({"begin": call_id})

    def end(self, ended: Ended) -> None:
        """Note what became of it."""
        self._add({"end": asdict(ended)})

    def _add(self, line: Mapping[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(json.dumps(line) + "\n")

    def read(self) -> tuple[str | None, dict[str, Ended]]:
        """Return the step that was begun and never ended, and what became of the others."""
        begun, ended = None, {}
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        for line in map(_whole_line, lines):
            if "begin" in line:
                begun = line["begin"]
            elif "end" in line:
                made = _from_dict(Ended, line["end"])
                ended[made.call_id] = made
        return (None if begun in ended else begun), ended


def _whole_line(line: str) -> Mapping[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:  # the last one of a process that was killed
        return {}
    return found if isinstance(found, dict) else {}


# ------------------------------------------------------------------ files


def write_chunk(path: Path, chunk: Chunk) -> None:
    """Write stored values with their records."""
    _write(path, chunk.table, {"records": [_record_json(record) for record in chunk.records]})


def read_chunk(path: Path, record_id: str) -> Chunk:
    """Read the one record of this id out of a file of several; of its record, all but the location."""
    table, records = _opened(path)
    record, position = records[record_id]
    return Chunk((record,), table.slice(position, 1))


@functools.lru_cache(maxsize=64)
def _opened(path: Path) -> tuple[pa.Table, Mapping[str, tuple[Record, int]]]:
    table, note = _read(path)
    records = [Record(**{**one, "schema": {}}) for one in note["records"]]
    return table, {record.record_id: (record, position) for position, record in enumerate(records)}


def _record_json(record: Record) -> dict[str, Any]:
    # Locations may hold dates; whoever reads a value knows its record otherwise.
    return {name: value for name, value in asdict(record).items() if name != "schema"}


def write_order(folder: Path, order: Order) -> None:
    """Write the order; its locations and constants keep their types."""
    (encoded,) = codecs.encode([asdict(order)])
    _write(folder / _ORDER, encoded.table, {"encoding": encoded.encoding})


def read_order(folder: Path) -> Order:
    """Read what `write_order` wrote."""
    table, note = _read(folder / _ORDER)
    (found,) = codecs.decode(note["encoding"], table)
    raw: Any = found
    return Order(
        steps=tuple(_step(step) for step in raw["steps"]),
        codes={name: Code(**{**code, "ignore": tuple(code["ignore"])}) for name, code in raw["codes"].items()},
        inputs={name: Record(**record) for name, record in raw["inputs"].items()},
        **{item.name: raw[item.name] for item in fields(Order) if item.name not in {"steps", "codes", "inputs"}},
    )


def _step(raw: Mapping[str, Any]) -> Step:
    call = raw["call"]
    inputs = tuple(CallInput(**one) for one in call["inputs"])
    made = Call(**{**call, "computation": Computation(**call["computation"]), "inputs": inputs})
    return Step(made, tuple(Record(**one) for one in raw["made"]), raw["names"], raw["problem"])


def _write(path: Path, table: pa.Table | None, note: Mapping[str, Any]) -> None:
    if table is None:
        raise ValueError("a chunk without a table has no values")
    noted = table.replace_schema_metadata({**(table.schema.metadata or {}), _NOTE: json.dumps(note)})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, noted.schema) as writer:
        writer.write_table(noted)


def _read(path: Path) -> tuple[pa.Table, Any]:
    with pa.memory_map(str(path), "rb") as source:  # what is not asked for stays in the file
        table = pa.ipc.open_file(source).read_all()
    metadata = dict(table.schema.metadata or {})
    note = json.loads(metadata.pop(_NOTE))
    return table.replace_schema_metadata(metadata or None), note


def _from_dict(kind: type[T], raw: Mapping[str, Any]) -> T:
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in raw.items()})


def numbered(items: Iterable[T], stem: str) -> Iterator[tuple[str, T]]:
    """Yield items with names for their files."""
    for number, item in enumerate(items):
        yield f"{stem}-{number}.arrow", item
