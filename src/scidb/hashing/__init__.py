"""Identity: the canonical content hash, every id formula, and the fingerprint of code.

Knows nothing of databases, variables or thunks.
"""

from __future__ import annotations

from scidb.hashing.canonical.encode import canonical_hash
from scidb.hashing.canonical.registered import register
from scidb.hashing.settings import configure

__all__ = ["canonical_hash", "configure", "register"]
