"""Bringing a file of an older format up to date: numbered steps, each one transaction, after a copy was kept.

A step never changes once a release has made its format: files of each are kept under ``tests/data``.
"""

from scidb.store.duck.migrations.running import migrate, preview, steps_from
from scidb.store.duck.migrations.step import Step

__all__ = ["Step", "migrate", "preview", "steps_from"]
