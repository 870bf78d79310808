"""How the reference store decides a filter: place by place, value by value.

Plain on purpose, since every other store is compared with it.
"""

from __future__ import annotations

import datetime as dt
import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pyarrow as pa

from scidb.exceptions import UnsupportedOperationError
from scidb.filters import (
    COMPARE,
    ColumnFilter,
    CompoundFilter,
    InFilter,
    KeyFilter,
    KeyInFilter,
    MissingFilter,
    NotFilter,
    RawFilter,
    VariableFilter,
)
from scidb.store.filter_checks import (
    check_column,
    check_leaves,
    column_kind,
    column_of,
    held_in,
    lacks_column,
    not_one_value,
    other_kind,
    reduce_of,
    uncovered,
    wanted_kind,
)
from scidb.store.names import unique_columns
from scidb.store.versions import version_fits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from scidb.filters import Filter
    from scidb.store.filter_checks import KeyLeaf, VariableLeaf
    from scidb.store.memory.state import State
    from scidb.store.model import KeyValue, Record

__all__ = ["where_it_holds"]

Place: TypeAlias = "frozenset[tuple[str, KeyValue]]"
Targets: TypeAlias = "dict[Place, Mapping[str, KeyValue]]"

_PER_SECOND: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_EPOCH: Final = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - of times without a zone
_MICROSECOND: Final = dt.timedelta(microseconds=1)


def where_it_holds(state: State, where: Filter, entries: Sequence[Record], latest: Sequence[Record]) -> list[Record]:
    """Return those of the entries at whose location the filter holds.

    `latest` are the newest entries of every variable, at the time that the question is about.
    """
    if any(isinstance(leaf, RawFilter) for leaf in where.leaves()):
        raise UnsupportedOperationError(
            "The memory store answers no SQL, so it cannot decide raw_sql(...). Filter by comparisons, or open a "
            "DuckDB file.",
            ability="sql",
        )
    check_leaves(where, state.keys, state.types, state.renamed)
    targets = {_place(entry): entry.schema for entry in entries}
    holding = _decide(state, where, targets, latest)
    return [entry for entry in entries if _place(entry) in holding]


def _place(entry: Record) -> Place:
    return frozenset(entry.schema.items())


def _decide(state: State, node: Filter, targets: Targets, latest: Sequence[Record]) -> set[Place]:
    """Return the targets for which a filter holds; every leaf is decided, since each may be refused."""
    match node:
        case CompoundFilter(op=op, left=left, right=right):
            one, other = (_decide(state, part, targets, latest) for part in (left, right))
            return one & other if op == "AND" else one | other
        case NotFilter(inner=inner):
            return set(targets) - _decide(state, inner, targets, latest)
        case KeyFilter() | KeyInFilter():
            return {place for place, schema in targets.items() if _key_fits(node, schema)}
        case VariableFilter() | ColumnFilter() | InFilter() | MissingFilter():
            return _decide_variable(state, node, targets, latest)
    raise AssertionError(node)  # pragma: no cover - there are no other filters


def _key_fits(leaf: KeyLeaf, schema: Mapping[str, KeyValue]) -> bool:
    if leaf.key not in schema:
        return False
    value = _ordered(schema[leaf.key])
    if isinstance(leaf, KeyInFilter):
        return any(value == _ordered(one) for one in leaf.values)
    return COMPARE[leaf.op](value, _ordered(leaf.value))


def _ordered(value: Any) -> Any:
    """Return what compares; a datetime without a zone counts as UTC, and comes before an equal one that has one."""
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=value.tzinfo or dt.UTC), value.tzinfo is not None
    return value


# ------------------------------------------------------------------ a variable


def _decide_variable(state: State, leaf: VariableLeaf, targets: Targets, latest: Sequence[Record]) -> set[Place]:
    version = dict(leaf.version)
    own = [entry for entry in latest if entry.variable == leaf.variable and version_fits(entry.version_keys, version)]
    ever = [entry for entry in state.log if entry.variable == leaf.variable]
    check_column(leaf, (name for entry in ever for name in _columns(state, entry)))
    covering = {
        place: _finest([entry for entry in own if entry.schema.items() <= schema.items()])
        for place, schema in targets.items()
    }
    if bare := [targets[place] for place, entries in covering.items() if not entries]:
        raise uncovered(leaf, bare, [entry.schema for entry in own])
    columns = {place: [_columns(state, entry) for entry in entries] for place, entries in covering.items()}
    if lacking := [targets[place] for place, lists in columns.items() if any(column_of(leaf) not in x for x in lists)]:
        raise lacks_column(leaf, lacking, (name for lists in columns.values() for names in lists for name in names))
    cells = {place: list(_cells(state, entries, column_of(leaf))) for place, entries in covering.items()}
    if other := [targets[place] for place, found in cells.items() if any(_is_other(leaf, cell) for cell in found)]:
        raise other_kind(
            leaf, other, (cell.held for found in cells.values() for cell in found if _is_other(leaf, cell))
        )
    answers = {place: [_test(leaf, cell) for cell in found] for place, found in cells.items()}
    if reduce_of(leaf) is None and (not_one := [place for place, one in answers.items() if len(one) != 1]):
        first = not_one[0]
        raise not_one_value(leaf, [targets[place] for place in not_one], len(answers[first]), len(covering[first]))
    reduced = any if reduce_of(leaf) == "any" else all
    return {place for place, one in answers.items() if reduced(one)}


def _finest(entries: Sequence[Record]) -> Sequence[Record]:
    """Leave only entries of the level that has all keys of the others; where none has, all of them."""
    finest = [entry for entry in entries if all(other.schema.keys() <= entry.schema.keys() for other in entries)]
    return finest or entries


class _Cell:
    """One value in one row, and the kind of its column."""

    def __init__(self, kind: pa.DataType, scalar: Any) -> None:
        self.kind = column_kind(kind)
        self.held = held_in(kind)
        self.value = _exact(kind, scalar)


def _columns(state: State, entry: Record) -> list[str]:
    return unique_columns(state.payloads[entry.record_id].row.schema.names)


def _cells(state: State, entries: Sequence[Record], column: object) -> Iterator[_Cell]:
    for entry in entries:
        row = state.payloads[entry.record_id].row
        values = row.column(_columns(state, entry).index(str(column))).combine_chunks()
        if pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
            values = values.flatten()
        for scalar in values:
            yield _Cell(values.type, scalar)


def _exact(kind: pa.DataType, scalar: Any) -> Any:
    """Return a cell as Python compares it exactly, or None if it is missing."""
    if not scalar.is_valid:
        return None
    if pa.types.is_timestamp(kind):
        return Fraction(scalar.value, _PER_SECOND[kind.unit])  # a Python datetime holds neither all nor every one
    if pa.types.is_date(kind):
        return scalar.value
    value = scalar.as_py()
    return None if isinstance(value, float) and math.isnan(value) else value


def _comparable(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return Fraction((value - _EPOCH) // _MICROSECOND, 10**6)
    if isinstance(value, dt.date):
        return (value - _EPOCH.date()).days
    return value


def _is_other(leaf: VariableLeaf, cell: _Cell) -> bool:
    wanted = wanted_kind(leaf)
    return cell.value is not None and wanted is not None and cell.kind != wanted


def _test(leaf: VariableLeaf, cell: _Cell) -> bool:
    match leaf:
        case MissingFilter(missing=missing):
            return (cell.value is None) == missing
        case _ if cell.value is None:
            return False
        case InFilter(values=values):
            return any(cell.value == _comparable(one) for one in values)
        case VariableFilter() | ColumnFilter():
            return COMPARE[leaf.op](cell.value, _comparable(leaf.value))
