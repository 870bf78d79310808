"""How version keys are matched: exactly, by the canonical JSON text of each value."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["version_fits"]


def version_fits(version_keys: str, wanted: Mapping[str, tuple[str | None, ...]]) -> bool:
    """Say whether version keys have, by canonical JSON text, one of the wanted values for each name."""
    texts = _texts(version_keys)
    return all(texts.get(name) in values for name, values in wanted.items())


@functools.lru_cache(maxsize=1024)
def _texts(version_keys: str) -> dict[str, str]:
    return {
        name: json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        for name, value in json.loads(version_keys).items()
    }
