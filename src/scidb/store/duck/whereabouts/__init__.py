"""Where a database file lies, and what that asks for: a warning, room on the disk, files for its owner alone.

Nothing here knows DuckDB or what the tables mean.
"""

from __future__ import annotations

from scidb.store.duck.whereabouts.private import discard_empty_log, prepare_log, private_folder, restrict, sole_folder
from scidb.store.duck.whereabouts.room import check_room
from scidb.store.duck.whereabouts.spill import spill_folder
from scidb.store.duck.whereabouts.warning import warn_if_shared

__all__ = [
    "check_room",
    "discard_empty_log",
    "prepare_log",
    "private_folder",
    "restrict",
    "sole_folder",
    "spill_folder",
    "warn_if_shared",
]
