"""Which entries of a variable a combination means."""

from __future__ import annotations

from collections import defaultdict
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from scidb.exceptions import AmbiguousVersionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from scidb.foreach.protocols import Entry

__all__ = ["MatchIndex"]

_Index: TypeAlias = "tuple[Callable[[Mapping[str, Any]], Any], dict[Any, list[Entry]]]"
"""What is taken of a location, and the entries by that."""


class MatchIndex:
    """The entries of one variable, arranged so that each combination finds its own at once.

    An entry belongs to a combination when they agree on every key that both have, and one is at the same,
    a coarser or a finer level than the other. The same level wins over finer ones, these over coarser ones;
    entries that lack a key of the combination and have another one beside cannot be compared.
    """

    def __init__(self, name: str, entries: Iterable[Entry], keys: Sequence[str]) -> None:
        self._name = name
        self._keys = frozenset(keys)
        levels: dict[frozenset[str], list[Entry]] = defaultdict(list)
        for entry in entries:
            levels[frozenset(entry.schema)].append(entry)
        self._same = self._index([level for level in levels if level == self._keys], levels)
        self._finer = [self._index([level], levels) for level in levels if level > self._keys]
        coarser = sorted((level for level in levels if level < self._keys), key=len, reverse=True)
        self._coarser = [self._index([level], levels) for level in coarser]

    def _index(self, chosen: list[frozenset[str]], levels: Mapping[frozenset[str], list[Entry]]) -> _Index:
        shared = sorted(chosen[0] & self._keys) if chosen else []
        values = itemgetter(*shared) if shared else _nothing
        index: dict[Any, list[Entry]] = defaultdict(list)
        for level in chosen:
            for entry in levels[level]:
                index[values(entry.schema)].append(entry)
        return values, index

    def find(self, combination: Mapping[str, Any]) -> tuple[list[Entry], bool]:
        """Return the entries of a combination, and whether they are finer ones that belong together.

        Raises
        ------
        AmbiguousVersionError
            When entries at several levels could be meant.

        """
        if same := _at(self._same, combination):
            return same, False
        finer = [found for index in self._finer if (found := _at(index, combination))]
        if len(finer) > 1:
            raise self._several_levels(combination, finer)
        if finer:
            return finer[0], True
        coarser = [found for index in self._coarser if (found := _at(index, combination))]
        if len(coarser) > 1 and not set(coarser[0][0].schema) > set(coarser[1][0].schema):
            raise self._several_levels(combination, coarser[:2])
        return (coarser[0] if coarser else []), False

    def _several_levels(self, combination: Mapping[str, Any], found: list[list[Entry]]) -> AmbiguousVersionError:
        levels = [", ".join(entries[0].schema) or "no key" for entries in found]
        extra = sorted(set(found[-1][0].schema) - set(found[0][0].schema))[:1]
        way = f"for example Fixed({self._name}, {extra[0]}=None)" if extra else "with Fixed"
        return AmbiguousVersionError(
            f"{self._name} is stored at several levels below or above {dict(combination)}: by {'; by '.join(levels)}. "
            f"Say which one is meant, {way}, where None means that the key is not set.",
            variable=self._name,
        )


def _at(index: _Index, combination: Mapping[str, Any]) -> list[Entry]:
    values, entries = index
    return entries.get(values(combination), [])


def _nothing(_: Mapping[str, Any]) -> None:
    return None
