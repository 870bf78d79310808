"""The tree of a filter: comparisons as leaves, joined by AND, OR and NOT.

Built by operators of variables and keys, evaluated by stores; here it is only checked, named and written down.
"""

from __future__ import annotations

import reprlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from scidb.exceptions import FilterError, SerializationError
from scidb.filters.values import value_from_json, value_to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["CompoundFilter", "Filter", "NotFilter", "checked_filter", "written_as"]

F = TypeVar("F", bound="type[Filter]")

_DEEPEST: Final = 200
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
        parts = {part.name: getattr(self, part.name) for part in fields(self) if part.init}  # type: ignore[arg-type]
        return {"filter": _NAMES[type(self)], **{name: _part_to_json(name, value) for name, value in parts.items()}}

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
        return _from_json(data, 1)

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


_NAMES: Final[dict[type[Filter], str]] = {}
_CLASSES: Final[dict[str, Callable[..., Filter]]] = {}


def written_as(name: str) -> Callable[[F], F]:
    """Return a decorator that gives a class of filters its name in JSON."""

    def register(kind: F) -> F:
        _NAMES[kind] = name
        _CLASSES[name] = kind
        return kind

    return register


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


@written_as("compound")
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


@written_as("not")
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
    if depth > _DEEPEST:
        raise FilterError(
            f"A filter of more than {_DEEPEST} levels is too deep. For one of many values, use isin([...]); join "
            "other filters in pairs."
        )
    return depth


# ------------------------------------------------------------------ JSON


def _part_to_json(name: str, value: object) -> object:
    if isinstance(value, Filter):
        return value.to_json()
    if name == "version":
        return [[key, list(texts)] for key, texts in value]  # type: ignore[attr-defined]
    if isinstance(value, tuple):
        return [value_to_json(one) for one in value]
    return value if value is None else value_to_json(value)  # type: ignore[arg-type]


def _from_json(data: object, level: int) -> Filter:
    name = data.get("filter") if isinstance(data, dict) else None
    kind = _CLASSES.get(name) if isinstance(name, str) else None
    if not isinstance(data, dict) or kind is None:
        raise SerializationError(f"This is no filter: {reprlib.repr(data)}.")
    if level > _DEEPEST:
        raise SerializationError(f"A filter has at most {_DEEPEST} levels; this one has more.")
    parts = {part.name for part in fields(kind) if part.init}  # type: ignore[arg-type]
    given = {name for name in data if name != "filter"}
    if given != parts:
        raise SerializationError(
            f"A filter {name!r} has the parts {sorted(parts)}, not {sorted(map(str, given))}: something is missing, "
            "or too much."
        )
    return kind(**{part: _part_from_json(part, data[part], level) for part in parts})


def _part_from_json(part: str, data: object, level: int) -> object:
    match part:
        case "left" | "right" | "inner":
            return _from_json(data, level + 1)
        case "value":
            return value_from_json(data)
        case "values":
            if not isinstance(data, list):
                raise SerializationError(f"The values of a filter are a list, not {reprlib.repr(data)}.")
            return tuple(value_from_json(one) for one in data)
    return data
