"""The reference store: every rule of the protocol, in plain Python over a log in memory."""

from __future__ import annotations

from scidb.store.memory.store import MemoryStore

__all__ = ["MemoryStore"]
