"""The table of a `Merge`: columns of several inputs side by side, for one place or for all places together."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from scidb.exceptions import PipelineError
from scidb.hashing.inputs import preview

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["Matches", "Part", "clash", "merged", "merged_by_place"]

_PLAIN: Final = frozenset({bool, int, float, complex, str, bytes})
_WAY_OUT: Final = "Select the columns that you need, as in Merge(A[['x', 'y']], B), or give one as an input of its own."


@dataclass(frozen=True, slots=True)
class Part:
    """One input of a merge, and its value."""

    label: str  # as it is written, for people
    name: str | int  # of the column, where the value has no columns with names
    value: Any


@dataclass(frozen=True, slots=True)
class Matches:
    """All values of one input of a merge, each with its place."""

    label: str
    name: str | int
    places: Sequence[Mapping[str, Any]]  # without the keys that are fixed
    values: Sequence[Any]


@dataclass(frozen=True, slots=True)
class _Columns:
    """What one part contributes; a single value has no number of rows, and stands in each."""

    part: Part
    columns: Sequence[tuple[Any, pd.Series[Any]]]
    index: pd.Index[Any] | None = None  # None: by position
    rows: int | None = None


def merged(parts: Sequence[Part]) -> pd.DataFrame:
    """Return the values of one place as one table.

    Raises
    ------
    PipelineError
        Naming the parts whose columns have equal names, or whose rows do not belong together.

    """
    taken = [_columns_of(part) for part in parts]
    problem = clash([(one.part.label, [label for label, _ in one.columns]) for one in taken])
    if problem is not None:
        raise problem
    rows = _number_of_rows(taken)
    index = _common_index(taken, rows)
    columns = [
        (label, (column if one.rows is not None else column.repeat(rows)).array)
        for one in taken
        for label, column in one.columns
    ]
    # By position, because the labels of rows may occur twice.
    table = pd.DataFrame({place: column for place, (_, column) in enumerate(columns)}, index=index)
    table.columns = pd.Index([label for label, _ in columns], tupleize_cols=False)
    return table


def clash(named: Sequence[tuple[str, Iterable[object]]]) -> PipelineError | None:
    """Return the error for two columns of one name; given per part how it is written, and its columns."""
    owner: dict[object, str] = {}
    for label, columns in named:
        for column in columns:
            if column not in owner:
                owner[column] = label
                continue
            whose = f"{label} has two" if owner[column] == label else f"{owner[column]} and {label} both have one"
            return PipelineError(f"Merge: two columns would be called {column!r}; {whose}. {_WAY_OUT}")
    return None


def merged_by_place(matches: Sequence[Matches], keys: Sequence[str]) -> pd.DataFrame:
    """Return the values of several places as one table, which begins with the keys that tell them apart.

    The places are those of the parts with the most keys. A part with fewer is used for each of them.

    Raises
    ------
    PipelineError
        When a part has nothing at a place, or its keys do not fit those of the others.

    """
    finest = max(matches, key=lambda one: len(one.places[0]))
    level = set(finest.places[0])
    for one in matches:
        if not set(one.places[0]) <= level:
            raise PipelineError(
                f"Merge: {finest.label} is stored by {_listed(finest.places[0])} and {one.label} by "
                f"{_listed(one.places[0])}, so that nothing says which values belong together. {_WAY_OUT}"
            )
    by_place = [(one, _by_place(one)) for one in matches]
    tables = []
    for place in dict.fromkeys(_all_places(matches, len(level))):
        at = dict(place)
        parts = [Part(f"the key {key}", key, at[key]) for key in keys if key in at]
        tables.append(merged([*parts, *(_at(one, values, at) for one, values in by_place)]))
    first = list(tables[0].columns)
    if any(list(table.columns) != first for table in tables):
        different = next(list(table.columns) for table in tables if list(table.columns) != first)
        raise PipelineError(
            f"Merge: the tables of different places have different columns: {first} and {different}. {_WAY_OUT}"
        )
    return pd.concat(tables, ignore_index=True)


# ------------------------------------------------------------------ one place


def _columns_of(part: Part) -> _Columns:
    value, name = part.value, part.name
    if isinstance(value, pd.DataFrame):
        if value.columns.nlevels > 1:
            raise _refused(part, "has columns of several levels")
        found = [(label, value.iloc[:, place]) for place, label in enumerate(value.columns)]
        return _Columns(part, found, _own(value.index), len(value))
    if isinstance(value, pd.Series):
        return _Columns(part, [(name, value)], _own(value.index), len(value))
    if isinstance(value, pd.Index | pd.api.extensions.ExtensionArray):
        return _Columns(part, [(name, pd.Series(value))], None, len(value))
    if isinstance(value, np.ndarray) and value.ndim:
        return _Columns(part, list(_of_array(part, value)), None, len(value))
    if isinstance(value, list | tuple):
        return _Columns(part, [(name, _of_items(value))], None, len(value))
    if value is None or pd.api.types.is_scalar(value) or isinstance(value, np.ndarray):
        single = value.item() if isinstance(value, np.ndarray) else value
        return _Columns(part, [(name, pd.Series([single], dtype=object if single is None else None))])
    other = callable(getattr(value, "to_pandas", None))
    raise _refused(part, "is no table of pandas, but makes one (to_pandas)" if other else "has no rows and columns")


def _of_array(part: Part, value: np.ndarray[Any, Any]) -> Iterator[tuple[Any, pd.Series[Any]]]:
    if value.ndim > 2 or (value.ndim == 2 and value.dtype.names):
        raise _refused(part, f"has {value.ndim} dimensions")
    if value.dtype.names:
        yield from ((field, pd.Series(value[field])) for field in value.dtype.names)
    elif value.ndim == 1:
        yield part.name, pd.Series(value)
    else:
        yield from ((f"{part.name}_{place}", pd.Series(value[:, place])) for place in range(value.shape[1]))


def _of_items(items: Sequence[Any]) -> pd.Series[Any]:
    """Return a list as a column that changes no item of it."""
    kinds = set(map(type, items))
    return pd.Series(list(items), dtype=None if len(kinds) == 1 and kinds <= _PLAIN else object)


def _refused(part: Part, why: str) -> PipelineError:
    kind = type(part.value).__name__
    return PipelineError(
        f"Merge: the value of {part.label} is {preview(part.value)} ({kind}), which {why}. It puts together tables of "
        "pandas, Series, arrays of one or two dimensions, lists and single values. Give it as an input of its own."
    )


def _number_of_rows(taken: Sequence[_Columns]) -> int:
    """Return how many rows all have; single values alone make one row."""
    lengths = {one.part.label: one.rows for one in taken if one.rows is not None}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{label} has {rows}" for label, rows in lengths.items())
        raise PipelineError(
            f"Merge: the parts have different numbers of rows: {said}. Rows stand side by side, and only single values "
            "are repeated. Give the one that differs as an input of its own."
        )
    return next(iter(lengths.values()), 1)


def _own(index: pd.Index[Any]) -> pd.Index[Any] | None:
    """Return an index that says more than the position."""
    is_position = isinstance(index, pd.RangeIndex) and (index.start, index.step, index.name) == (0, 1, None)
    return None if is_position else index


def _common_index(taken: Sequence[_Columns], rows: int) -> pd.Index[Any]:
    labelled = [(one.part.label, one.index) for one in taken if one.index is not None]
    if not labelled:
        return pd.RangeIndex(rows)
    (first, index), *others = labelled
    for label, other in others:
        if not index.equals(other):
            raise PipelineError(
                f"Merge: the rows of {first} and of {label} have different labels (index), so that it is not clear "
                "which belong together. Give one as an input of its own, and join them in the function."
            )
    return index


# ------------------------------------------------------------------ several places


def _by_place(one: Matches) -> dict[frozenset[tuple[str, Any]], list[Any]]:
    found: dict[frozenset[tuple[str, Any]], list[Any]] = defaultdict(list)
    for place, value in zip(one.places, one.values, strict=True):
        found[frozenset(place.items())].append(value)
    return found


def _all_places(matches: Sequence[Matches], depth: int) -> Iterator[tuple[tuple[str, Any], ...]]:
    """Yield the places of all parts that are stored at the finest level."""
    for one in matches:
        if len(one.places[0]) == depth:
            yield from (tuple(sorted(place.items())) for place in one.places)


def _at(one: Matches, values: Mapping[frozenset[tuple[str, Any]], list[Any]], at: Mapping[str, Any]) -> Part:
    found = values.get(frozenset((key, at[key]) for key in one.places[0]), [])
    if len(found) != 1:
        place = ", ".join(f"{key}={value!r}" for key, value in at.items()) or "the whole dataset"
        what = f"{len(found)} values" if found else "no value"
        raise PipelineError(
            f"Merge: {one.label} has {what} at {place}, where there should be one. Leave out the place (where=, or the "
            "values of the keys), or give it as an input of its own."
        )
    return Part(one.label, one.name, found[0])


def _listed(keys: Iterable[str]) -> str:
    return ", ".join(keys) or "no key"
