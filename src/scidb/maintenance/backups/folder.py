"""A backup folder: several points in time of one database, whose common parts are there once.

``snapshots/`` has a small file for each point in time, which names the blocks of the database then, in order; the
blocks lie in ``packs/``. Nothing that is there is ever written again, so what goes wrong later leaves it whole.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from scidb.exceptions import CorruptDatabaseError, NotFoundError, StorageError
from scidb.maintenance.backups.files import LOCK, create, plain_path, publish
from scidb.maintenance.backups.packs import Pack, PackWriter
from scidb.records import instant
from scidb.store.disk import DRAFT, flush_folder

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["BackupFolder", "Manifest"]

_MARK: Final = "scidb-backup.json"
_VERSION: Final = 1
_ABOUT: Final = "A backup that SciDB made: change nothing here. `scidb restore FOLDER TARGET` makes a database of it."


@dataclass(frozen=True, slots=True)
class Manifest:
    """One point in time: which blocks the database had, in their order, and what must come out of them."""

    taken: str
    target: str
    origin: str | None
    format_version: int
    scidb_version: str
    duckdb_version: str
    nbytes: int
    counts: Mapping[str, int]  # the rows of each table
    database: tuple[str, ...]
    log: tuple[str, ...]

    @property
    def blocks(self) -> tuple[str, ...]:
        """The digests of all blocks."""
        return self.database + self.log

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{self.taken.replace(':', '-')}.json"


class BackupFolder:
    """A folder with backups of one database."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.packs_path, self.snapshots_path = path / "packs", path / "snapshots"

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> BackupFolder:
        """Open a folder that has backups.

        Raises
        ------
        StorageError
            When there is none, or it is something else.

        """
        folder = cls(plain_path(path))
        folder._check_is_folder()
        if not (folder.path / _MARK).is_file():
            why = f"it has no {_MARK}" if folder.path.exists() else "there is no such folder"
            raise StorageError(
                f"{folder.path} is no backup folder: {why}. Name the folder that `scidb backup` wrote.",
                path=str(folder.path),
            )
        folder._check_version()
        return folder

    @classmethod
    def make(cls, path: str | os.PathLike[str]) -> BackupFolder:
        """Open a folder that has backups, or make one of an empty folder.

        Raises
        ------
        StorageError
            When it is a file, or has something else in it.

        """
        folder = cls(plain_path(path))
        folder._check_is_folder()
        if (folder.path / _MARK).is_file():
            folder._check_version()
        else:
            folder._begin()
        return folder

    def _check_is_folder(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise StorageError(
                f"{self.path} is a file. A backup is a folder: name one that is empty, or not there yet, or has "
                "backups of this database.",
                path=str(self.path),
            )

    def _begin(self) -> None:
        if not self.path.parent.is_dir():
            raise StorageError(
                f"There is no folder {self.path.parent}; make it first. (Is the disk for backups there?)",
                path=str(self.path),
            )
        self.path.mkdir(mode=0o700, exist_ok=True)
        # What an interrupted first backup leaves is not somebody else's.
        own = {self.packs_path.name, self.snapshots_path.name, LOCK}
        others = sorted(one.name for one in self.path.iterdir() if one.name not in own)
        others = [name for name in others if DRAFT not in name]
        if others:
            listed = ", ".join(others[:5]) + (", ..." if len(others) > 5 else "")
            raise StorageError(
                f"{self.path} has other things in it ({listed}), and no "
                f"{_MARK} of a backup. Nothing was written. Name an empty folder, or one that is not there yet.",
                path=str(self.path),
            )
        self.packs_path.mkdir(mode=0o700, exist_ok=True)
        self.snapshots_path.mkdir(mode=0o700, exist_ok=True)
        self._write(self.path / _MARK, {"kind": "scidb backup", "version": _VERSION, "about": _ABOUT})

    def _check_version(self) -> None:
        path = self.path / _MARK
        try:
            said = json.loads(path.read_bytes())
            version = said["version"]
        except (ValueError, LookupError, TypeError) as error:
            raise CorruptDatabaseError(f"{path} is damaged. Use another backup.", path=str(path)) from error
        if version != _VERSION:
            raise StorageError(
                f"{self.path} was written by another version of SciDB (backups of version {version}; this one knows "
                f"{_VERSION}). Use that SciDB, or another folder.",
                path=str(self.path),
            )

    # -------------------------------------------------------------- points in time

    def manifests(self) -> list[Manifest]:
        """Return the points in time, oldest first.

        Raises
        ------
        CorruptDatabaseError
            When the file of one is damaged.

        """
        return [_manifest(path) for path in sorted(self.snapshots_path.glob("*.json"))]

    def manifest(self, at: str | dt.datetime | None) -> Manifest:
        """Return the newest point in time, or the newest at or before a moment or within what begins so.

        Raises
        ------
        NotFoundError
            When there is none.
        CorruptDatabaseError
            When its file is damaged.

        """
        paths = sorted(self.snapshots_path.glob("*.json"))
        meant = paths if at is None else _meant(paths, at)
        if not meant:
            times = [_time(path) for path in paths]
            known = f"The oldest of {len(times)} is of {times[0]}" if times else "There is none"
            raise NotFoundError(
                f"{self.path} has no backup{'' if at is None else f' of {at} or before'}. {known}. "
                "`scidb restore FOLDER --list` shows all.",
                path=str(self.path),
            )
        return _manifest(meant[-1])

    def add(self, manifest: Manifest) -> int:
        """Add a point in time, whose blocks are all there; return how many bytes that took."""
        return self._write(self.snapshots_path / manifest.name, _sealed(asdict(manifest)))

    def _write(self, path: Path, data: object) -> int:
        draft = path.with_name(f"{uuid4().hex}{DRAFT}")
        text = json.dumps(data, indent=None).encode()
        with create(draft) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        publish(draft, path)
        return len(text)

    # -------------------------------------------------------------- blocks

    def packs(self) -> tuple[dict[str, Pack], list[CorruptDatabaseError]]:
        """Return in which pack each block is, and what is wrong with packs that cannot be read."""
        packs, damaged = Pack.all_in(self.packs_path)
        return {digest: pack for pack in packs for digest in pack.places}, damaged

    def keep(self, count: int) -> tuple[Manifest, ...]:
        """Keep the newest points in time, and remove the others with the blocks that only they have.

        Each step leaves what is kept whole: first the old points in time go, then blocks that none names.

        Raises
        ------
        CorruptDatabaseError
            When the file of a point in time is damaged, so that nobody knows which blocks it needs.

        """
        manifests = self.manifests()
        old = manifests[: max(0, len(manifests) - count)]
        for manifest in old:
            (self.snapshots_path / manifest.name).unlink()
        flush_folder(self.snapshots_path)
        self._remove_unused({digest for manifest in manifests[len(old) :] for digest in manifest.blocks})
        return tuple(old)

    def _remove_unused(self, used: set[str]) -> None:
        emptied: list[Path] = []
        wanted = set(used)  # a block that is there twice is kept once
        writer = PackWriter(self.packs_path)
        try:
            for pack in Pack.all_in(self.packs_path)[0]:
                live = wanted & pack.places.keys()
                wanted -= live
                stored = sum(place.stored for place in pack.places.values())
                if 2 * sum(pack.places[digest].stored for digest in live) >= stored:
                    continue
                for digest in sorted(live, key=lambda one: pack.places[one].offset):
                    writer.add_stored(digest, pack.read_stored(digest), pack.places[digest].nbytes)
                emptied.append(pack.path)
            writer.finish()
        finally:
            writer.drop()
        for path in emptied:
            path.unlink()


# ------------------------------------------------------------------ the file of a point in time


def _sealed(snapshot: dict[str, Any]) -> dict[str, object]:
    return {"sha256": _seal(snapshot), "snapshot": snapshot}


def _seal(snapshot: object) -> str:
    return hashlib.sha256(json.dumps(snapshot, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _manifest(path: Path) -> Manifest:
    try:
        said = json.loads(path.read_bytes())
        snapshot = said["snapshot"]
        found = {field.name: snapshot[field.name] for field in fields(Manifest)}
        manifest = Manifest(**{**found, "database": tuple(found["database"]), "log": tuple(found["log"])})
        is_whole = said["sha256"] == _seal(snapshot)
    except (ValueError, LookupError, TypeError) as error:
        raise _damaged(path) from error
    if not is_whole:
        raise _damaged(path)
    return manifest


def _damaged(path: Path) -> CorruptDatabaseError:
    return CorruptDatabaseError(
        f"The backup of {_time(path)} is damaged: {path} was changed. Restore another point in time; move that file "
        "away to work with the others.",
        path=str(path),
    )


def _time(path: Path) -> str:
    day, _, time = path.name.removesuffix(".json").partition("T")
    return f"{day}T{time.replace('-', ':')}"


def _meant(paths: Sequence[Path], at: object) -> list[Path]:
    within = [path for path in paths if isinstance(at, str) and at.strip() and _time(path).startswith(at.strip())]
    moment = instant(at) if not within else ""
    return within or [path for path in paths if _time(path) <= (moment or "")]
