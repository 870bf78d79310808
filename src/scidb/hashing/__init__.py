"""Identity: the canonical content hash, every id formula, and the fingerprint of code.

Knows nothing of databases, variables or thunks.
"""

from __future__ import annotations

from scidb.hashing.encode import canonical_hash

__all__ = ["canonical_hash"]
