"""Answers that were given lately and hold until something is saved: the same run over the same data asks again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scidb.store.model import Latest, Locations, Match

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

__all__ = ["Answers"]

# In rows; a record takes about a kilobyte.
_MOST: Final = 50_000
# A smaller answer is had as quickly from the file.
_LEAST: Final = 32


class Answers:
    """Answers by question, the newest ones up to a number of rows."""

    def __init__(self) -> None:
        self._rows: dict[Hashable, tuple[object, ...]] = {}
        self._count = 0

    def get(self, query: object) -> tuple[object, ...] | None:
        """Return what was answered to this question, if that is remembered."""
        if not self._rows:
            return None
        key = _key(query)
        return None if key is None else self._rows.get(key)

    def put(self, query: object, rows: Sequence[object]) -> None:
        """Remember an answer, unless it is small, or too large to be remembered beside anything else."""
        if not _LEAST <= len(rows) <= _MOST or (key := _key(query)) is None or key in self._rows:
            return
        self._rows[key] = tuple(rows)
        self._count += len(rows)
        while self._count > _MOST:
            self._count -= len(self._rows.pop(next(iter(self._rows))))

    def clear(self) -> None:
        """Forget everything: something was saved."""
        self._rows.clear()
        self._count = 0


def _key(query: object) -> Hashable | None:
    """Return what makes a question the same as another one; None for those that are not remembered."""
    match query:
        case Locations(keys=keys, as_of=None):
            return keys
        case Latest(match=match, limit=None):
            parts = (match.schema, match.version, match.version_keys)
            # Whatever else a match may ask for, now or in time to come, is not remembered.
            if match == Match(match.variables, *parts):
                # One, 1.0 and True are equal, and no two of them are a value of one key.
                kinds = tuple(tuple(map(type, values)) for values in match.schema.values())
                return (match.variables, kinds, *(tuple(part.items()) for part in parts))
    return None
