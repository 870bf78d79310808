"""The tree of a filter: comparisons as leaves, joined by AND, OR and NOT.

Built by operators of variables and keys, evaluated by stores; here it is only checked, named and written down.
"""

from __future__ import annotations

import reprlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

import numpy as np

from scidb.exceptions import FilterError, SerializationError
from scidb.filters.values import Op, Value, check_text, normal_value, normal_values, value_from_json, value_to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "ColumnFilter",
    "CompoundFilter",
    "Filter",
    "InFilter",
    "KeyFilter",
    "KeyInFilter",
    "MissingFilter",
    "NotFilter",
    "Op",
    "RawFilter",
    "Reduce",
    "VariableFilter",
    "checked_filter",
    "comparison",
]

Reduce: TypeAlias = Literal["any", "all"]
Label: TypeAlias = str | int

_DEEPEST: Final = 200
"""Levels of a tree; a walk through more could end in a RecursionError."""


class Filter(ABC):
    """A condition for ``where=``; joined with ``&``, ``|`` and ``~``.

    Examples
    --------
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
        return {"filter": _NAMES[type(self)], **{name: _to_json(value) for name, value in parts.items()}}

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


# ------------------------------------------------------------------ comparisons with a variable


@dataclass(frozen=True, slots=True)
class VariableFilter(Filter):
    """The value of a variable compares so with a value."""

    variable: str
    op: Op
    value: Value
    reduce: Reduce | None = None

    def __post_init__(self) -> None:
        _check_leaf(self.variable, None, self.op, self.reduce)
        _set(self, "value", normal_value(self.value))

    def to_key(self) -> str:
        """Return the text that identifies the filter."""
        return f"{_subject(self.variable, None, self.reduce)} {self.op} {self.value!r}"


@dataclass(frozen=True, slots=True)
class ColumnFilter(Filter):
    """A column of a variable compares so with a value."""

    variable: str
    column: Label
    op: Op
    value: Value
    reduce: Reduce | None = None

    def __post_init__(self) -> None:
        _set(self, "column", _label(self.column))
        _check_leaf(self.variable, self.column, self.op, self.reduce)
        _set(self, "value", normal_value(self.value))

    def to_key(self) -> str:
        """Return the text that identifies the filter."""
        return f"{_subject(self.variable, self.column, self.reduce)} {self.op} {self.value!r}"


@dataclass(frozen=True, slots=True)
class InFilter(Filter):
    """A variable, or a column of it, has one of these values."""

    variable: str
    column: Label | None
    values: tuple[Value, ...]
    reduce: Reduce | None = None

    def __post_init__(self) -> None:
        _set(self, "column", None if self.column is None else _label(self.column))
        _check_leaf(self.variable, self.column, "==", self.reduce)
        _set(self, "values", normal_values(self.values))

    def to_key(self) -> str:
        """Return the text that identifies the filter."""
        return f"{_subject(self.variable, self.column, self.reduce)} IN {list(self.values)!r}"


@dataclass(frozen=True, slots=True)
class MissingFilter(Filter):
    """A variable, or a column of it, is missing (None, NaN, NaT), or is not."""

    variable: str
    column: Label | None
    missing: bool

    def __post_init__(self) -> None:
        _set(self, "column", None if self.column is None else _label(self.column))
        _check_leaf(self.variable, self.column, "==", None)
        if not isinstance(self.missing, bool):
            raise FilterError(f"A value is asked to be missing or not; {self.missing!r} is no bool.")

    def to_key(self) -> str:
        """Return the text that identifies the filter."""
        return f"{_subject(self.variable, self.column, None)}.{'isna' if self.missing else 'notna'}()"


def comparison(variable: str, column: Label | None, op: Op, value: Any, reduce: Reduce | None = None) -> Filter:
    """Return the filter for a comparison of a variable, or of a column of it."""
    if column is None:
        return VariableFilter(variable, op, value, reduce)
    return ColumnFilter(variable, column, op, value, reduce)


# ------------------------------------------------------------------ comparisons with a schema key


@dataclass(frozen=True, slots=True)
class KeyFilter(Filter):
    """A schema key of the entry itself compares so with a value."""

    key: str
    op: Op
    value: Value

    def __post_init__(self) -> None:
        check_text("A schema key", self.key)
        _check_op(self.op)
        _set(self, "value", normal_value(self.value))

    def to_key(self) -> str:
        """Return the text that identifies the filter."""
        return f"schema_key({self.key!r}) {self.op} {self.value!r}"


@dataclass(frozen=True, slots=True)
class KeyInFilter(Filter):
    """A schema key of the entry itself has one of these values."""

    key: str
    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        check_text("A schema key", self.key)
        _set(self, "values", normal_values(self.values))

    def to_key(self) -> str:
        """Return the text that identifies the filter."""
        return f"schema_key({self.key!r}) IN {list(self.values)!r}"


@dataclass(frozen=True, slots=True)
class RawFilter(Filter):
    """A condition in SQL on the view of the variable that is asked for."""

    sql: str

    def __post_init__(self) -> None:
        check_text("SQL", self.sql)

    def to_key(self) -> str:
        """Return the text that identifies the filter."""
        return f"RAW: {self.sql}"


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
        _set(self, "_depth", _level(self.left, self.right))

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
        _set(self, "_depth", _level(self.inner))

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


# ------------------------------------------------------------------ checks


def _set(one: Filter, name: str, value: object) -> None:
    object.__setattr__(one, name, value)


def _subject(variable: str, column: Label | None, reduce: Reduce | None) -> str:
    part = "" if column is None else f"[{column!r}]"
    return f"{variable}{part}{f'.{reduce}()' if reduce else ''}"


def _label(column: object) -> Label:
    plain = column.item() if isinstance(column, np.generic) else column
    if isinstance(plain, bool) or not isinstance(plain, str | int):
        raise FilterError(f"A column is named by a text or an integer, not by {column!r} ({type(column).__name__}).")
    return str.__str__(plain) if isinstance(plain, str) else int(plain)


def _check_leaf(variable: str, column: Label | None, op: str, reduce: str | None) -> None:
    check_text("A variable", variable)
    if isinstance(column, str):
        check_text("A column", column)
    _check_op(op)
    if reduce not in (None, *get_args(Reduce)):
        raise FilterError(f"Several values are reduced by any or all, not by {reduce!r}.")


def _check_op(op: str) -> None:
    if op not in get_args(Op):
        raise FilterError(f"A filter compares by one of {', '.join(get_args(Op))}, not by {op!r}.")


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


_NAMES: Final[dict[type, str]] = {
    VariableFilter: "variable", ColumnFilter: "column", InFilter: "in", MissingFilter: "missing", KeyFilter: "key",
    KeyInFilter: "key_in", CompoundFilter: "compound", NotFilter: "not", RawFilter: "raw",
}  # fmt: skip
_CLASSES: Final[dict[str, Callable[..., Filter]]] = {name: kind for kind, name in _NAMES.items()}


def _to_json(value: object) -> object:
    if isinstance(value, Filter):
        return value.to_json()
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
