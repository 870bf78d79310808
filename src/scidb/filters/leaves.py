"""The leaves of a filter: comparisons with a variable, with a schema key, and conditions in SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from scidb.exceptions import FilterError
from scidb.filters.subject import Label, Reduce, Version, normal_version, subject_text
from scidb.filters.tree import Filter, written_as
from scidb.filters.values import Op, Value, check_text, normal_value, normal_values

__all__ = [
    "ColumnFilter",
    "InFilter",
    "KeyFilter",
    "KeyInFilter",
    "MissingFilter",
    "RawFilter",
    "VariableFilter",
    "comparison",
]


# ------------------------------------------------------------------ comparisons with a variable


@written_as("variable")
@dataclass(frozen=True, slots=True)
class VariableFilter(Filter):
    """The value of a variable compares so with a value."""

    variable: str
    op: Op
    value: Value
    reduce: Reduce | None = None
    version: Version = ()

    def __post_init__(self) -> None:
        _check_leaf(self.variable, None, self.op, self.reduce)
        _set(self, "version", normal_version(self.version))
        _set(self, "value", normal_value(self.value))

    def to_key(self) -> str:
        """Return the text that identifies the filter."""
        return f"{subject_text(self.variable, None, self.reduce, self.version)} {self.op} {self.value!r}"


@written_as("column")
@dataclass(frozen=True, slots=True)
class ColumnFilter(Filter):
    """A column of a variable compares so with a value."""

    variable: str
    column: Label
    op: Op
    value: Value
    reduce: Reduce | None = None
    version: Version = ()

    def __post_init__(self) -> None:
        _set(self, "column", _label(self.column))
        _check_leaf(self.variable, self.column, self.op, self.reduce)
        _set(self, "version", normal_version(self.version))
        _set(self, "value", normal_value(self.value))

    def to_key(self) -> str:
        """Return the text that identifies the filter."""
        return f"{subject_text(self.variable, self.column, self.reduce, self.version)} {self.op} {self.value!r}"


@written_as("in")
@dataclass(frozen=True, slots=True)
class InFilter(Filter):
    """A variable, or a column of it, has one of these values."""

    variable: str
    column: Label | None
    values: tuple[Value, ...]
    reduce: Reduce | None = None
    version: Version = ()

    def __post_init__(self) -> None:
        _set(self, "column", None if self.column is None else _label(self.column))
        _check_leaf(self.variable, self.column, "==", self.reduce)
        _set(self, "version", normal_version(self.version))
        _set(self, "values", normal_values(self.values))

    def to_key(self) -> str:
        """Return the text that identifies the filter."""
        return f"{subject_text(self.variable, self.column, self.reduce, self.version)} IN {list(self.values)!r}"


@written_as("missing")
@dataclass(frozen=True, slots=True)
class MissingFilter(Filter):
    """A variable, or a column of it, is missing (None, NaN, NaT), or is not."""

    variable: str
    column: Label | None
    missing: bool
    version: Version = ()

    def __post_init__(self) -> None:
        _set(self, "column", None if self.column is None else _label(self.column))
        _check_leaf(self.variable, self.column, "==", None)
        _set(self, "version", normal_version(self.version))
        if not isinstance(self.missing, bool):
            raise FilterError(f"A value is asked to be missing or not; {self.missing!r} is no bool.")

    def to_key(self) -> str:
        """Return the text that identifies the filter."""
        return f"{subject_text(self.variable, self.column, None, self.version)}.{'isna' if self.missing else 'notna'}()"


def comparison(
    variable: str, column: Label | None, op: Op, value: Any, reduce: Reduce | None = None, version: Version = ()
) -> Filter:
    """Return the filter for a comparison of a variable, or of a column of it."""
    if column is None:
        return VariableFilter(variable, op, value, reduce, version)
    return ColumnFilter(variable, column, op, value, reduce, version)


# ------------------------------------------------------------------ comparisons with a schema key


@written_as("key")
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


@written_as("key_in")
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


@written_as("raw")
@dataclass(frozen=True, slots=True)
class RawFilter(Filter):
    """A condition in SQL on the view of the variable that is asked for."""

    sql: str

    def __post_init__(self) -> None:
        check_text("SQL", self.sql)

    def to_key(self) -> str:
        """Return the text that identifies the filter."""
        return f"RAW: {self.sql}"


# ------------------------------------------------------------------ checks


def _set(one: Filter, name: str, value: object) -> None:
    object.__setattr__(one, name, value)


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
