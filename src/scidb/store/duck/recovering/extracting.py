"""From a damaged file to a sound one with all the rows that could be read, right or wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from scidb.exceptions import CorruptDatabaseError, StorageError
from scidb.store.disk import log_of
from scidb.store.duck.connection import Connection
from scidb.store.duck.creating import create_file
from scidb.store.duck.recovering.blocks import cut_log, find_damage, seal, use_older_header

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Extracted", "extract"]

# Another process finds this SciDB where this one does.
_READER: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from scidb.store.duck.recovering.copying import main; main(*sys.argv[2:])"
)
_CUTS: Final = 3
_PATIENCE: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class Extracted:
    """What was read, and how."""

    rows: Mapping[str, int] = field(default_factory=dict)  # that could not be read, by table
    unread: tuple[str, ...] = ()  # tables of which nothing could
    notes: tuple[str, ...] = ()


def extract(path: Path, target: Path, *, lock_timeout: float = 10.0) -> Extracted:
    """Copy every row of a file that can be read to a new file; the damaged one is only read.

    Raises
    ------
    CorruptDatabaseError
        When nothing can be read.
    DatabaseLockedError
        When another process has the file.
    StorageError
        When there is no such file, or the target is there already, or there is no room.

    """
    if not path.is_file():
        raise StorageError(f"There is no file {path} to recover.", path=str(path))
    if target.exists():
        raise StorageError(f"{target} is there already; name a new file.", path=str(target))
    with suppress(CorruptDatabaseError, StorageError):  # to be refused if another process has it
        Connection.open(path, read_only=True, lock_timeout=lock_timeout).close()
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.recovering-") as folder:
            return _Attempts(path, target, Path(folder)).run()
    except OSError as error:
        raise StorageError(f"{path} could not be copied: {error.strerror or error}.", path=str(path)) from error


def _is_something(said: Mapping[str, Any]) -> bool:
    """Say whether anything was read without which all else is of no use."""
    return all(said["tables"].get(name, {"copied": 0})["copied"] for name in ("_records", "_record_metadata"))


class _Attempts:
    """Ways to have a copy read, the gentlest first."""

    def __init__(self, path: Path, target: Path, folder: Path) -> None:
        self._path, self._target, self._folder = path, target, folder
        self._copy = folder / "copy.duckdb"
        self._log = log_of(self._copy)
        self._sound = folder / "sound.duckdb"
        self._notes: list[str] = []

    def run(self) -> Extracted:
        damage = find_damage(self._path)
        self._notes.append(f"{self._path}: {damage.words()}.")
        create_file(self._sound, ["CREATE TABLE nothing (i INTEGER)"])
        ways: list[tuple[str, Callable[[], bool]]] = [("", lambda: True)]
        if damage:
            # What a damaged block holds is mostly right, and every value is compared with its hash afterwards.
            ways.insert(0, ("", self._seal))
        ways += [
            ("It was read as it was at the checkpoint before the last one.", self._seal_older),
            ("What was written since the last checkpoint could not be read.", self._without_log),
        ]
        said: dict[str, Any] = {}
        for words, prepare in ways:
            self._begin()
            if not prepare():
                continue
            said = self._read()
            if "error" not in said and (_is_something(said) or not damage):
                notes = [*self._notes, *([words] if words else [])]
                rows = {name: one["lost"] for name, one in said["tables"].items() if one["lost"]}
                return Extracted(rows, tuple(said["unread"]), tuple(notes))
        self._target.unlink(missing_ok=True)
        why = f"DuckDB says: {said['error']}" if "error" in said else "of the records or the log no line is left"
        raise CorruptDatabaseError(
            f"Nothing can be read out of {self._path}: {damage.words()}; {why}. "
            "It was left as it is. Restore a backup (`scidb restore`); if there is none, keep the file and its .wal: "
            "the disk, a snapshot of the file system or a synchronised copy may have an earlier state.",
            path=str(self._path),
        )

    def _begin(self) -> None:
        for one in (self._copy, self._log, self._target, log_of(self._target)):
            one.unlink(missing_ok=True)
        shutil.copyfile(self._path, self._copy)
        log = log_of(self._path)
        if log.exists():
            shutil.copyfile(log, self._log)

    def _seal(self) -> bool:
        if mended := seal(self._copy, self._sound):
            self._notes.append(
                f"{mended:,} of them were mended: one byte was wrong, and the checksum tells what it was."
            )
        return True

    def _seal_older(self) -> bool:
        seal(self._copy, self._sound)
        self._log.unlink(missing_ok=True)
        return use_older_header(self._copy)

    def _without_log(self) -> bool:
        seal(self._copy, self._sound)
        had = self._log.exists()
        self._log.unlink(missing_ok=True)
        return had

    def _read(self) -> dict[str, Any]:
        """Have another process read the copy; cut its log where that cannot be replayed."""
        for _ in range(_CUTS):
            said = self._run()
            if "error" not in said or not self._log.exists() or "WAL" not in said["error"]:
                return said
            gone = cut_log(self._log, said["error"])
            self._notes.append(f"{gone:,} bytes of {log_of(self._path).name}, the newest writes, could not be read.")
        return self._run()

    def _run(self) -> dict[str, Any]:
        self._target.unlink(missing_ok=True)
        places = json.dumps([os.path.abspath(place) for place in sys.path])  # noqa: PTH100 - texts on both sides
        command = [sys.executable, "-c", _READER, places, str(self._copy), str(self._target)]
        try:
            done = subprocess.run(  # noqa: S603 - our own words
                command, capture_output=True, text=True, check=False, timeout=_PATIENCE
            )
        except subprocess.TimeoutExpired:
            return {"error": f"reading took longer than {_PATIENCE:g} s"}
        if done.returncode:
            last = done.stderr.strip().rpartition("\n")[2]
            return {"error": f"reading ended with {done.returncode}: {last[-300:]}"}
        said: dict[str, Any] = json.loads(done.stdout)
        return said
