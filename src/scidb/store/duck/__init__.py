"""The embedded default store: one DuckDB file."""

from __future__ import annotations

from scidb.store.duck.store import DuckStore

__all__ = ["DuckStore"]
