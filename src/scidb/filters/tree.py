"""The tree of a filter: comparisons as leaves, joined by AND, OR and NOT.

Built by operators of variables and keys, evaluated by stores; here it is only checked and named.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from scidb.exceptions import FilterError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DEEPEST", "CompoundFilter", "Filter", "NotFilter", "checked_filter"]

DEEPEST: Final = 200
"""Levels of a tree; a walk through more could end in a RecursionError."""


class Filter(ABC):
    """A condition for ``where=``; joined with ``&``, ``|`` and ``~``.

    Examples
    --------
    >>> from scidb.filters import KeyFilter, VariableFilter
    >>> left = VariableFilter("Side", "==", "L")
    >>> (left & ~KeyFilter("subject", ">=", 3)).to_key()
    "(Side == 'L') AND (NOT (schema_key('subject') >= 3))"

    """

    __slots__ = ()

    @abstractmethod
    def to_key(self) -> str:
        """Return the text that identifies the filter."""

    @property
    def depth(self) -> int:
        """How many levels the tree has."""
        return 1

    def leaves(self) -> Iterator[Filter]:
        """Return the filters that are not made of others, from left to right."""
        yield self

    def to_json(self) -> dict[str, Any]:
        """Return the filter as JSON types, from which `from_json` makes an equal one."""
        from scidb.filters.json_form import filter_to_json

        return filter_to_json(self)

    @staticmethod
    def from_json(data: object) -> Filter:
        """Return the filter that `to_json` wrote.

        Raises
        ------
        SerializationError
            When it is something else, or too deep.
        FilterError
            When such a filter cannot be.

        """
        from scidb.filters.json_form import filter_from_json

        return filter_from_json(data)

    def __and__(self, other: object) -> CompoundFilter:
        return CompoundFilter("AND", self, other) if isinstance(other, Filter) else NotImplemented

    def __or__(self, other: object) -> CompoundFilter:
        return CompoundFilter("OR", self, other) if isinstance(other, Filter) else NotImplemented

    def __invert__(self) -> NotFilter:
        return NotFilter(self)

    def __bool__(self) -> bool:
        raise TypeError(
            f"The filter {self.to_key()[:200]} is neither true nor false by itself. Join filters with & (and), | (or) "
            "and ~ (not), never with and, or, not or a chain such as 1 < V < 2; and put each comparison in brackets: "
            "(V > 1) & (V < 2)."
        )


def checked_filter(where: object) -> Filter:
    """Return what was given as ``where=``, if it is a filter.

    Raises
    ------
    FilterError
        Saying what a filter is.

    """
    if isinstance(where, Filter):
        return where
    hint = " Two variable classes are the same or not, which is no filter." if isinstance(where, bool) else ""
    raise FilterError(
        f"where= takes a filter, such as Side == 'L' or schema_key('subject') >= 3; {where!r} "
        f"({type(where).__name__}) is none.{hint}"
    )


# ------------------------------------------------------------------ combinations


@dataclass(frozen=True, slots=True)
class CompoundFilter(Filter):
    """Both of two filters hold, or at least one."""

    op: Literal["AND", "OR"]
    left: Filter
    right: Filter
    _depth: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.op not in ("AND", "OR"):
            raise FilterError(f"Filters are joined by AND or OR, not by {self.op!r}.")
        object.__setattr__(self, "_depth", _level(self.left, self.right))

    @property
    def depth(self) -> int:
        """How many levels the tree has."""
        return self._depth

    def leaves(self) -> Iterator[Filter]:
        """Return the filters that are not made of others, from left to right."""
        yield from self.left.leaves()
        yield from self.right.leaves()

    def to_key(self) -> str:
        """Return the text that identifies the filter."""
        return f"({self.left.to_key()}) {self.op} ({self.right.to_key()})"


@dataclass(frozen=True, slots=True)
class NotFilter(Filter):
    """A filter does not hold."""

    inner: Filter
    _depth: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_depth", _level(self.inner))

    @property
    def depth(self) -> int:
        """How many levels the tree has."""
        return self._depth

    def leaves(self) -> Iterator[Filter]:
        """Return the filters that are not made of others, from left to right."""
        yield from self.inner.leaves()

    def to_key(self) -> str:
        """Return the text that identifies the filter."""
        return f"NOT ({self.inner.to_key()})"


def _level(*parts: object) -> int:
    for part in parts:
        if not isinstance(part, Filter):
            raise FilterError(
                f"Only filters can be joined; {part!r} ({type(part).__name__}) is none. A filter is a comparison such "
                "as V == 3, in brackets."
            )
    depth = 1 + max(part.depth for part in parts if isinstance(part, Filter))
    if depth > DEEPEST:
        raise FilterError(
            f"A filter of more than {DEEPEST} levels is too deep. For one of many values, use isin([...]); join "
            "other filters in pairs."
        )
    return depth
