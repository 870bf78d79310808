"""Making a backup: what the folder has not is written into it, then the point in time that names it all."""

from __future__ import annotations

import errno
import logging
import shutil
import socket
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scidb._version import __version__
from scidb.exceptions import SciDBError, StorageError, UnsupportedOperationError
from scidb.maintenance.backups.files import alone, plain_path, remove_drafts, translated
from scidb.maintenance.backups.folder import BackupFolder, Manifest
from scidb.maintenance.backups.packs import PackWriter
from scidb.maintenance.backups.restoring import try_out
from scidb.store import Snapshots, is_remote
from scidb.store.model import BackedUp, Batch

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from scidb.maintenance.backups.packs import Pack
    from scidb.store.model import Snapshot
    from scidb.store.protocol import Store

__all__ = ["BackupReport", "back_up"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BackupReport:
    """A backup that was made."""

    path: str
    taken: str  # the instant as of which the database is in it
    nbytes: int  # of the database
    written: int  # into the folder
    blocks: int
    new_blocks: int
    is_verified: bool  # whether a database was made of it, to try
    problems: tuple[str, ...]  # what a check found in it: they are in the database, too
    removed: tuple[str, ...]  # older points in time
    seconds: float


def back_up(
    store: Store,
    path: str | os.PathLike[str],
    *,
    keep: int | None = None,
    verify: bool = True,
    user_id: str | None = None,
) -> BackupReport:
    """Copy a database, as it is at one instant, into a backup folder; see `scidb.database.Admin.backup`."""
    started = time.monotonic()
    if keep is not None and (type(keep) is not int or keep < 1):
        raise SciDBError(f"keep={keep!r}: a backup keeps a number of points in time, at least 1.")
    info = store.describe()
    if not isinstance(store, Snapshots) or "snapshots" not in info.abilities:
        raise UnsupportedOperationError(
            f"The store {info.target!r} cannot be backed up; it is no database file. Keep the data in one.",
            ability="snapshots",
        )
    with translated(plain_path(path)):
        folder = BackupFolder.make(path)
    with translated(folder.path), alone(folder.path):
        remove_drafts(folder.path)
        manifests = folder.manifests()
        packs, damaged = folder.packs()
        for error in damaged:
            _log.warning("%s", error)
        snapshot = store.snapshot(packs.keys())
        with closing(snapshot.pieces):
            _check_origin(folder, manifests, snapshot)
            manifest, writer = _write(folder, snapshot, packs)
        is_verified = verify and _has_room(folder, manifest)
        problems = try_out(folder, manifest) if is_verified else ()
        if problems:
            _log.warning(
                "%s is backed up as it is, and a check finds %d problems in it; `scidb fsck` says more. First: %s",
                manifest.target,
                len(problems),
                problems[0],
            )
        written = writer.written + folder.add(manifest)
        removed = folder.keep(keep) if keep is not None else ()
    if not info.read_only:
        where = f"{socket.gethostname()}:{folder.path}" if is_remote(info.target) else str(folder.path)
        store.write(Batch(events=(BackedUp(where, manifest.nbytes, written, user_id),)))
    return BackupReport(
        path=str(folder.path),
        taken=manifest.taken,
        nbytes=manifest.nbytes,
        written=written,
        blocks=len(manifest.blocks),
        new_blocks=writer.blocks,
        is_verified=is_verified,
        problems=problems,
        removed=tuple(one.taken for one in removed),
        seconds=time.monotonic() - started,
    )


def _check_origin(folder: BackupFolder, manifests: list[Manifest], snapshot: Snapshot) -> None:
    known = {one.origin: one for one in manifests if one.origin is not None}
    if snapshot.origin is None or not known or snapshot.origin in known:
        return
    other = manifests[-1]
    raise StorageError(
        f"{folder.path} has backups of another database ({other.target}, last on {other.taken}), not of "
        f"{snapshot.target}. Nothing was written. Name a folder of its own for each database.",
        path=str(folder.path),
    )


def _has_room(folder: BackupFolder, manifest: Manifest) -> bool:
    has_room = shutil.disk_usage(folder.path).free > manifest.nbytes
    if not has_room:
        _log.warning(
            "The backup of %s is whole, but %s has no room to make a database of it and try that out.",
            manifest.taken,
            folder.path,
        )
    return has_room


def _write(folder: BackupFolder, snapshot: Snapshot, packs: Mapping[str, Pack]) -> tuple[Manifest, PackWriter]:
    parts: dict[str, list[str]] = {"database": [], "log": []}
    writer = PackWriter(folder.packs_path)
    try:
        for piece in snapshot.pieces:
            parts[piece.part].append(piece.digest)
            if piece.data is not None and piece.digest not in writer and piece.digest not in packs:
                writer.add(piece.digest, piece.data)
        writer.finish()
    except BaseException as error:
        writer.drop()
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            writer.undo()  # a full disk is not left full
        raise
    manifest = Manifest(
        taken=snapshot.taken,
        target=snapshot.target,
        origin=snapshot.origin,
        format_version=snapshot.format_version,
        scidb_version=__version__,
        duckdb_version=snapshot.duckdb_version,
        nbytes=snapshot.nbytes,
        counts=dict(snapshot.counts),
        database=tuple(parts["database"]),
        log=tuple(parts["log"]),
    )
    return manifest, writer
