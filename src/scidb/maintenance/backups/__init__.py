"""Backups: several points in time of a database in one folder, and files made of them again."""

from scidb.maintenance.backups.folder import Manifest
from scidb.maintenance.backups.restoring import Restored, restore, snapshots
from scidb.maintenance.backups.saving import BackupReport, back_up

__all__ = ["BackupReport", "Manifest", "Restored", "back_up", "restore", "snapshots"]
