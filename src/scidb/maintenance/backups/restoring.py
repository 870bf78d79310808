"""Making a plain database file of a backup: every block compared, opened and checked, then given its name."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from scidb.exceptions import CorruptDatabaseError, StorageError
from scidb.maintenance.backups.files import create, plain_path, translated
from scidb.maintenance.backups.folder import BackupFolder
from scidb.store import is_open_here
from scidb.store.disk import DRAFT, flush_file, flush_folder, log_of, remove_draft, require_room

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from scidb.maintenance.backups.folder import Manifest
    from scidb.maintenance.backups.packs import Pack
    from scidb.store.duck.copied import Seen

__all__ = ["Restored", "restore", "snapshots", "try_out"]


@dataclass(frozen=True, slots=True)
class Restored:
    """A database that was made of a backup."""

    path: str
    taken: str
    nbytes: int
    format_version: int
    counts: Mapping[str, int]
    problems: tuple[str, ...]  # what a check found in it, which was backed up with it
    seconds: float


def snapshots(folder: str | os.PathLike[str]) -> list[Manifest]:
    """Return the points in time that a backup folder has, oldest first.

    Raises
    ------
    StorageError
        When it is no backup folder.
    CorruptDatabaseError
        When the file of a point in time is damaged.

    """
    with translated(plain_path(folder)):
        return BackupFolder.open(folder).manifests()


def restore(
    folder: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    at: str | dt.datetime | None = None,
    force: bool = False,
) -> Restored:
    """Make a database file of a backup.

    Parameters
    ----------
    folder
        The backup folder.
    target
        The file to make.
    at
        A moment, for the newest backup of then or before; or the beginning of one, such as a day. Left out, the
        newest backup.
    force
        Put it in the place of a file that is there.

    Raises
    ------
    CorruptDatabaseError
        When a block of the backup is damaged or missing, which is named. Nothing is written then.
    DatabaseLockedError
        When another process has `target` open.
    NotFoundError
        When there is no such backup.
    StorageError
        When `target` is there, the disk is full, or the folder is no backup.

    """
    started = time.monotonic()
    path = plain_path(target)
    with translated(path):
        source = BackupFolder.open(folder)
        _check_target(path, force=force)
        manifest = source.manifest(at)
        draft = path.with_name(f".{path.name}.{uuid4().hex}{DRAFT}")
        try:
            seen = _put_together(source, manifest, draft)
            _check_target(path, force=force)
            _publish(draft, path, force=force)
        finally:
            remove_draft(draft)
        nbytes = path.stat().st_size
    seconds = time.monotonic() - started
    return Restored(
        path=str(path),
        taken=manifest.taken,
        nbytes=nbytes,
        format_version=seen.format_version,
        counts=manifest.counts,
        problems=seen.problems,
        seconds=seconds,
    )


def try_out(source: BackupFolder, manifest: Manifest) -> tuple[str, ...]:
    """Make a database of a backup as `restore` does, and throw it away; return what a check found in it."""
    draft = source.path / f"{uuid4().hex}{DRAFT}"
    with translated(source.path):
        try:
            return _put_together(source, manifest, draft).problems
        finally:
            remove_draft(draft)


def _check_target(path: Path, *, force: bool) -> None:
    if path.is_dir():
        raise StorageError(f"{path} is a folder; name a file in it, such as {path / 'study.duckdb'}.", path=str(path))
    if not path.parent.is_dir():
        raise StorageError(f"There is no folder {path.parent}; make it first.", path=str(path))
    if not path.exists():
        return
    if not force:
        raise StorageError(
            f"{path} is there already and was left as it is. Choose another path, or say --force (force=True) to put "
            "the backup in its place.",
            path=str(path),
        )
    if is_open_here(path):
        raise StorageError(f"{path} is open in this process; close it first.", path=str(path))
    from scidb.store.duck.copied import check_free

    check_free(path)


def _put_together(source: BackupFolder, manifest: Manifest, draft: Path) -> Seen:
    """Write a database as it was, and look at it: it must be what was backed up, whatever is wrong with that."""
    packs, damaged = source.packs()
    missing = [digest for digest in manifest.blocks if digest not in packs]
    if missing:
        why = " ".join(str(error) for error in damaged) or "A file of packs/ was taken away."
        raise CorruptDatabaseError(
            f"The backup of {manifest.taken} cannot be restored: {len(set(missing))} of its blocks are not there, the "
            f"first of them {missing[0][:12]}. {why}",
            path=str(source.path),
            block=missing[0],
        )
    require_room(draft, manifest.nbytes, f"the database of {manifest.taken}")
    _write(draft, manifest.database, packs)
    if manifest.log:
        _write(log_of(draft), manifest.log, packs)
    from scidb.store.duck.copied import look_at

    try:
        seen = look_at(draft, checked=True)
    except CorruptDatabaseError as error:
        raise CorruptDatabaseError(
            f"The backup of {manifest.taken} has all its blocks, but DuckDB cannot open what they make. It was written "
            f"by DuckDB {manifest.duckdb_version}: is that newer than yours? Restore another point in time.",
            path=str(source.path),
        ) from error
    if dict(seen.counts) != dict(manifest.counts):
        tables = sorted(name for name, count in manifest.counts.items() if seen.counts.get(name) != count)
        raise CorruptDatabaseError(
            f"The backup of {manifest.taken} makes another database than was backed up: the numbers of rows differ in "
            f"{', '.join(tables) or 'tables that it did not have'}. Restore another point in time.",
            path=str(source.path),
        )
    flush_file(draft)
    return seen


def _write(path: Path, blocks: Sequence[str], packs: Mapping[str, Pack]) -> None:
    with create(path) as file:
        for digest in blocks:
            file.write(packs[digest].read(digest))


def _publish(draft: Path, path: Path, *, force: bool) -> None:
    if force:
        # What the old file had not taken in yet must not be taken for what the new one has not.
        log_of(path).unlink(missing_ok=True)
        draft.replace(path)
    else:
        _link(draft, path)
    flush_folder(path.parent)


def _link(draft: Path, path: Path) -> None:
    """Give a file its name unless somebody else's has got it meanwhile."""
    try:
        os.link(draft, path)
    except FileExistsError as error:
        raise StorageError(f"{path} was made by somebody else meanwhile, and left as it is.", path=str(path)) from error
    except OSError:  # of a file system without links
        if path.exists():
            raise
        draft.rename(path)
