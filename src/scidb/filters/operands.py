"""What stands on one side of a comparison: operators that make filters of it."""

from __future__ import annotations

import datetime as dt
import numbers
from typing import TYPE_CHECKING, Any, Final, overload

import numpy as np

from scidb.exceptions import FilterError
from scidb.filters.leaves import InFilter, KeyFilter, KeyInFilter, MissingFilter, RawFilter, comparison
from scidb.filters.subject import subject_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scidb.filters.subject import Reduce, Subject
    from scidb.filters.tree import Filter
    from scidb.filters.values import Op, Value

__all__ = ["Operand", "Reduced", "SchemaKeyOperand", "VariableOperand", "raw_sql", "schema_key", "subject_of"]

_NUMPY_YIELDS: Final = None
"""As ``__array_ufunc__``: numpy leaves a comparison to the other side, instead of making an array of it."""

# What is a value; compared with anything else, an operand does as Python does.
_DATA: Final = (
    type(None), numbers.Number, str, bytes, dt.date, dt.time, dt.timedelta, np.generic, np.ndarray,
    list, tuple, set, frozenset, dict, range,
)  # fmt: skip


class Operand:
    """Something that is compared with values; the result is a filter for ``where=``.

    Compared with a class, or with anything that is no value at all, it is what Python says: the same or not.
    """

    __slots__ = ()
    __array_ufunc__ = _NUMPY_YIELDS

    def _filter_of(self, op: Op, value: Any) -> Filter:
        raise NotImplementedError

    def _filter_of_several(self, values: Iterable[object]) -> Filter:
        raise NotImplementedError

    @overload  # type: ignore[override]
    def __eq__(self, other: type) -> bool: ...  # type: ignore[overload-overlap]
    @overload
    def __eq__(self, other: object) -> Filter: ...
    def __eq__(self, other: object) -> Any:
        return _compared(self, "==", other)

    @overload  # type: ignore[override]
    def __ne__(self, other: type) -> bool: ...  # type: ignore[overload-overlap]
    @overload
    def __ne__(self, other: object) -> Filter: ...
    def __ne__(self, other: object) -> Any:
        return _compared(self, "!=", other)

    def __lt__(self, other: object) -> Filter:
        return _compared(self, "<", other)

    def __le__(self, other: object) -> Filter:
        return _compared(self, "<=", other)

    def __gt__(self, other: object) -> Filter:
        return _compared(self, ">", other)

    def __ge__(self, other: object) -> Filter:
        return _compared(self, ">=", other)

    __hash__ = object.__hash__

    def isin(self, values: Iterable[object]) -> Filter:
        """Return the filter for having one of these values."""
        return type(self)._filter_of_several(self, values)  # noqa: SLF001 - as in _compared


def _compared(operand: Operand, op: Op, other: object) -> Filter:
    if isinstance(other, Operand) and not isinstance(other, type):
        raise FilterError(f"A filter compares with a value, not with {other!r}. Load both, and compare their values.")
    if isinstance(other, type) or not (isinstance(other, _DATA) or _is_of_a_library(other)):
        return NotImplemented  # type: ignore[no-any-return]  # so that Python goes on as it does
    if other is None:
        how = "use isna(); for the rest, notna()"
        if isinstance(operand, SchemaKeyOperand):
            how = "say that the key is not set, as in load(subject=None)"
        raise FilterError(f"Nothing compares with None. To find what is missing, {how}.")
    # Through the type, since a variable class may have members of its own of such names.
    return type(operand)._filter_of(operand, op, other)  # noqa: SLF001 - one class in two parts


def _is_of_a_library(value: object) -> bool:
    return type(value).__module__.partition(".")[0] in ("pandas", "polars", "pyarrow", "xarray")


# ------------------------------------------------------------------ variables and their columns


class VariableOperand(Operand):
    """A variable, or a column of it, which may also be missing."""

    __slots__ = ()

    def _named(self) -> Subject:
        """Return variable, column and variant."""
        raise NotImplementedError

    def _filter_of(self, op: Op, value: Any) -> Filter:
        variable, column, version = subject_of(self)
        return comparison(variable, column, op, value, None, version)

    def _filter_of_several(self, values: Iterable[object]) -> Filter:
        variable, column, version = subject_of(self)
        return InFilter(variable, column, values, None, version)  # type: ignore[arg-type]  # made a tuple there

    def isna(self) -> MissingFilter:
        """Return the filter for what is missing: None, NaN, NaT."""
        variable, column, version = subject_of(self)
        return MissingFilter(variable, column, missing=True, version=version)

    def notna(self) -> MissingFilter:
        """Return the filter for what is not missing."""
        variable, column, version = subject_of(self)
        return MissingFilter(variable, column, missing=False, version=version)

    def any(self) -> Reduced:
        """Compare all values that stand at one place: at least one must fulfil the comparison."""
        return Reduced(subject_of(self), "any")

    def all(self) -> Reduced:
        """Compare all values that stand at one place: every one must fulfil the comparison."""
        return Reduced(subject_of(self), "all")


def subject_of(operand: VariableOperand) -> Subject:
    """Return what a comparison with the operand is about."""
    return type(operand)._named(operand)  # noqa: SLF001 - as in _compared


class Reduced(Operand):
    """Any or all of the values of a variable, or of a column of it; made by ``any()`` and ``all()``."""

    __slots__ = ("_reduce", "_subject")

    def __init__(self, subject: Subject, reduce: Reduce) -> None:
        self._subject, self._reduce = subject, reduce

    def _filter_of(self, op: Op, value: Any) -> Filter:
        variable, column, version = self._subject
        return comparison(variable, column, op, value, self._reduce, version)

    def _filter_of_several(self, values: Iterable[object]) -> Filter:
        variable, column, version = self._subject
        return InFilter(variable, column, values, self._reduce, version)  # type: ignore[arg-type]  # made a tuple there

    def __repr__(self) -> str:
        variable, column, version = self._subject
        return subject_text(variable, column, self._reduce, version)


# ------------------------------------------------------------------ schema keys, and SQL


class SchemaKeyOperand(Operand):
    """A schema key of what is asked for; made by `schema_key`."""

    __slots__ = ("_key",)

    def __init__(self, key: str) -> None:
        if not isinstance(key, str):
            raise FilterError(f"A schema key is named by a text, not by {key!r} ({type(key).__name__}).")
        self._key = key

    def _filter_of(self, op: Op, value: Value) -> Filter:
        return KeyFilter(self._key, op, value)

    def _filter_of_several(self, values: Iterable[object]) -> Filter:
        return KeyInFilter(self._key, values)  # type: ignore[arg-type]  # made a tuple of values there

    def __repr__(self) -> str:
        return f"schema_key({self._key!r})"


def schema_key(name: str) -> SchemaKeyOperand:
    """Return a schema key to compare in a filter: of the very values that are asked for.

    Examples
    --------
    >>> (schema_key("subject") >= 3).to_key()
    "schema_key('subject') >= 3"

    """
    return SchemaKeyOperand(name)


def raw_sql(condition: str) -> RawFilter:
    """Return a filter that is a condition in SQL, on the view of the variable that is asked for.

    Only databases in a file have SQL.

    Examples
    --------
    >>> raw_sql("value > 0.7 AND subject < 10").to_key()
    'RAW: value > 0.7 AND subject < 10'

    """
    return RawFilter(condition)
