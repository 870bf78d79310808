"""What client and server must agree on before anything else, and the names of their headers."""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING, Final

from scidbnet.wire.plain import plain_to_json, to_text

if TYPE_CHECKING:
    from scidb.store.model import StoreInfo

__all__ = ["API_VERSION", "DESCRIPTION", "IDEMPOTENCY_KEY", "PREFIX", "USER", "description_tag"]

API_VERSION: Final = 2
"""What the two ends of one SciDB say to each other."""

PREFIX: Final = "/api/v1"
"""Where a server answers. A client of another version must find there that it is one."""

IDEMPOTENCY_KEY: Final = "Idempotency-Key"
"""The header with which a write says which one it is, so that sent twice it is stored once."""

DESCRIPTION: Final = "SciDB-Description"
"""The header with which a client says which state of the schema it goes by, and a server which one there is."""

USER: Final = "SciDB-User"
"""The header with which a client without a token says who works there, percent-encoded; nobody checks it."""


def description_tag(info: StoreInfo) -> str:
    """Return a text that is another one when keys or names of variables change, or first flags and prunings come.

    Examples
    --------
    >>> from scidb.store.model import SchemaKey, StoreInfo
    >>> one, other = (StoreInfo("x", (SchemaKey(name),), 1) for name in ("subject", "session"))
    >>> description_tag(one) == description_tag(other)
    False

    """
    names = tuple([key.name for key in info.schema_keys])
    return _tag(names, tuple(info.renamed.items()), info.has_flags, info.has_pruned)


@functools.lru_cache(maxsize=64)  # a server is asked for it twice a request
def _tag(names: tuple[str, ...], renamed: tuple[tuple[str, str], ...], *has: bool) -> str:
    state = plain_to_json([list(names), dict(renamed), *has])
    return hashlib.sha256(to_text(state)).hexdigest()[:16]
