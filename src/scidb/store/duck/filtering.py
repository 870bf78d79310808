"""Filters over a DuckDB file: one statement per variable and one per comparison, joined for all places at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
import pyarrow as pa

from scidb.exceptions import FilterError
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
from scidb.store.duck.asking import check_condition
from scidb.store.duck.compare import is_given, test
from scidb.store.duck.sql import Condition, latest, quote
from scidb.store.duck.types import key_order, key_value
from scidb.store.filter_checks import (
    check_column,
    check_leaves,
    column_kind,
    column_of,
    held_in,
    lacks_column,
    not_one_value,
    other_kind,
    raw_undecided,
    reduce_of,
    uncovered,
    wanted_kind,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from scidb.filters import Filter
    from scidb.store.duck.connection import Connection
    from scidb.store.duck.sql import Question
    from scidb.store.duck.state import Layout, State
    from scidb.store.duck.types import Column
    from scidb.store.filter_checks import KeyLeaf, VariableLeaf
    from scidb.store.model import KeyValue, Match

__all__ = ["where_it_holds"]

Answers: TypeAlias = "NDArray[np.bool_]"
"""One for each target, in the order of their numbers."""


def where_it_holds(connection: Connection, state: State, match: Match, question: Question) -> list[int] | None:
    """Return the locations at which the filter of a match holds, of those that the question finds; None for all."""
    if match.where is None:
        return None
    check_leaves(match.where, state.keys, state.variables, state.renamed)
    targets = _Targets(connection, state, match, question)
    holds = targets.decide(match.where)
    return None if holds.all() else targets.ids[holds].tolist()


@dataclass(frozen=True, slots=True)
class _Values:
    """The values of a variable that targets see: pairs of a target and one of its records, by position."""

    target: NDArray[np.int64]
    record: NDArray[np.int64]
    numbers: NDArray[np.int64]  # of the records, ascending
    layouts: Sequence[Layout]
    layout: NDArray[np.int64]  # of each pair


class _Targets:
    """The locations for which a filter is to be decided."""

    def __init__(self, connection: Connection, state: State, match: Match, question: Question) -> None:
        self._connection = connection
        self._state = state
        self._match = match
        self._question = question
        found = connection.table(
            f"SELECT DISTINCT m.schema_id FROM {question.source} WHERE {question.condition} ORDER BY ALL",
            question.parameters,
        )
        self.ids: NDArray[np.int64] = found.column(0).to_numpy()
        self._covering: pa.Table | None = None
        self._values: dict[str, _Values] = {}

    def decide(self, node: Filter) -> Answers:
        """Say for each target whether a filter holds; every leaf is decided, since each may be refused."""
        match node:
            case CompoundFilter(op=op, left=left, right=right):
                one, other = self.decide(left), self.decide(right)
                return one & other if op == "AND" else one | other
            case NotFilter(inner=inner):
                return ~self.decide(inner)
            case KeyFilter() | KeyInFilter():
                return self._decide_key(node)
            case RawFilter():
                return self._decide_raw(node)
            case VariableFilter() | ColumnFilter() | InFilter() | MissingFilter():
                return self._decide_variable(node)
        raise AssertionError(node)  # pragma: no cover - there are no other filters

    # -------------------------------------------------------------- schema keys

    def _decide_key(self, leaf: KeyLeaf) -> Answers:
        key = self._state.key(leaf.key)
        found = self._connection.table(
            f"SELECT s.{quote(key.name)} FROM targets t JOIN _schema s USING (schema_id) ORDER BY t.schema_id",
            targets=self._table(),
        )
        texts = found.column(0).combine_chunks().dictionary_encode()
        # A key that is not set is the last.
        known = [_key_fits(leaf, key_value(key.value_type, text)) for text in texts.dictionary.to_pylist()] + [False]
        answers: Answers = np.array(known, np.bool_)[texts.indices.fill_null(len(known) - 1).to_numpy()]
        return answers

    # -------------------------------------------------------------- variables

    def _decide_variable(self, leaf: VariableLeaf) -> Answers:
        layouts = self._state.variables[leaf.variable].layouts.values()
        check_column(leaf, (column.name for layout in layouts for column in layout.shape.columns))
        if leaf.variable not in self._values:
            self._values[leaf.variable] = self._load(leaf.variable)
        values = self._values[leaf.variable]
        entries = self._count(values)
        if (entries == 0).any():
            raise uncovered(leaf, self._where(entries == 0), self._all_places(leaf.variable))
        lacking = self._count(values, [_column(layout, leaf) is None for layout in values.layouts], values.layout) > 0
        if lacking.any():
            names = [column.name for layout in values.layouts for column in layout.shape.columns]
            raise lacks_column(leaf, self._where(lacking), names)
        rows, passed, other = (self._count(values, one, values.record) for one in self._ask(leaf, values))
        if (other > 0).any():
            kinds = [column.arrow for layout in values.layouts if (column := _column(layout, leaf))]
            held = [held_in(kind) for kind in kinds if column_kind(kind) != wanted_kind(leaf)]
            raise other_kind(leaf, self._where(other > 0), held)
        reduce = reduce_of(leaf)
        if reduce is None and (rows != 1).any():
            first = int(np.argmax(rows != 1))
            raise not_one_value(leaf, self._where(rows != 1), int(rows[first]), int(entries[first]))
        return passed > 0 if reduce == "any" else passed == rows

    def _count(self, values: _Values, of: Any = None, by: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """Count for each target the pairs, or what each pair stands for."""
        weights = None if by is None else np.asarray(of, np.float64)[by]
        counted = np.bincount(values.target, weights, minlength=len(self.ids))
        return counted.astype(np.int64)

    def _where(self, targets: Answers) -> list[Mapping[str, KeyValue]]:
        return self._places("targets t JOIN _schema s USING (schema_id)", (), self.ids[targets])

    def _places(
        self, source: str, parameters: Sequence[object], ids: NDArray[np.int64] | None = None
    ) -> list[Mapping[str, KeyValue]]:
        keys = "".join(f", s.{quote(key.name)}" for key in self._state.keys)
        found = self._connection.table(
            f"SELECT DISTINCT s.schema_id{keys} FROM {source} ORDER BY ALL", parameters, targets=self._table(ids)
        )
        columns = [column.to_pylist() for column in found.columns]
        return [self._state.show(number, tuple(texts)) for number, *texts in zip(*columns, strict=True)]

    def _table(self, ids: NDArray[np.int64] | None = None) -> pa.Table:
        return pa.table({"schema_id": self.ids if ids is None else ids})

    def _load(self, variable: str) -> _Values:
        if self._covering is None:
            self._covering = self._cover()
        condition = self._entries_of(variable)
        condition.add("m.schema_id IN (SELECT place FROM covering)")
        source, kept = latest(self._state.keys, condition, self._until(), pieces=self._state.has_pieces)
        found = self._connection.table(
            f"SELECT v.target, m.record_no, r.layout FROM {source} JOIN _records r ON r.record_no = m.record_no "
            f"JOIN covering v ON v.place = m.schema_id WHERE {kept}",
            condition.parameters,
            covering=self._covering,
        )
        target, number, layout = (column.combine_chunks() for column in found.columns)
        layout = layout.dictionary_encode()
        numbers, record = np.unique(number.to_numpy(), return_inverse=True)
        return _Values(
            np.searchsorted(self.ids, target.to_numpy()),
            record,
            numbers,
            [self._state.layout(variable, table) for table in layout.dictionary.to_pylist()],
            layout.indices.to_numpy().astype(np.int64),
        )

    def _ask(self, leaf: VariableLeaf, values: _Values) -> list[NDArray[np.float64]]:
        """Return for each record how many rows it has, how many pass, and how many are of another type."""
        parts = Condition()
        for layout in values.layouts:
            _add_rows(parts, leaf, layout, values.numbers)
        answers = [np.zeros(len(values.numbers)) for _ in range(3)]
        if not parts.parts:
            return answers
        found = self._connection.table(
            "SELECT record_no, count(*), count_if(passed), count_if(other) "
            f"FROM ({' UNION ALL '.join(parts.parts)}) GROUP BY record_no",
            parts.parameters,
            wanted=pa.table({"record_no": values.numbers}),
        )
        number, *counts = (column.to_numpy() for column in found.columns)
        for answer, count in zip(answers, counts, strict=True):
            answer[np.searchsorted(values.numbers, number)] = count
        return answers

    # -------------------------------------------------------------- locations

    def _cover(self) -> pa.Table:
        """Return which locations each target sees: its own, and every coarser one."""
        names = [quote(key.name) for key in self._state.keys]
        masks = self._connection.rows(f"SELECT DISTINCT {_mask('s', names)} FROM _schema s")
        parts = ["SELECT schema_id AS target, schema_id AS place FROM targets"]
        for (mask,) in masks:
            given = [name for position, name in enumerate(names) if mask >> position & 1]
            if len(given) == len(names):
                continue  # nothing is finer than these
            same = "".join(f" AND s.{name} = x.{name}" for name in given)
            parts.append(
                "SELECT t.schema_id, s.schema_id FROM targets t JOIN _schema x ON x.schema_id = t.schema_id "
                f"JOIN _schema s ON {_mask('s', names)} = {int(mask)}{same} WHERE {_mask('x', names)} <> {int(mask)}"
            )
        return self._connection.table(" UNION ALL ".join(parts), targets=self._table())

    def _until(self) -> Condition:
        until = Condition()
        if self._match.as_of is not None:
            until.add("m.timestamp <= ?", self._match.as_of)
        return until

    def _entries_of(self, variable: str) -> Condition:
        condition = self._until()
        condition.add("m.variable_name = ?", variable)
        return condition

    def _all_places(self, variable: str) -> list[Mapping[str, KeyValue]]:
        condition = self._entries_of(variable)
        source = f"_record_metadata m JOIN _schema s USING (schema_id) WHERE {condition.text()}"
        return self._places(source, condition.parameters)

    # -------------------------------------------------------------- SQL

    def _decide_raw(self, leaf: RawFilter) -> Answers:
        """Decide by the rows of the view that are among those asked for; what it does not show is undecided."""
        variable = self._variable_of(leaf)
        check_condition(leaf.sql)
        asked = self._connection.rows(
            f"SELECT m.record_id, m.schema_id FROM {self._question.source} WHERE {self._question.condition}",
            self._question.parameters,
        )
        places = np.searchsorted(self.ids, [number for _, number in asked]).tolist()
        wanted = {record_id: place for (record_id, _), place in zip(asked, places, strict=True)}
        seen, passed = (np.zeros(len(self.ids), np.int64) for _ in range(2))
        if self._state.variables[variable].layouts:
            # A line of its own, so that a comment in the condition ends.
            found = self._connection.select(
                f"SELECT record_id, CAST(({leaf.sql}\n) AS BOOLEAN) AS holds FROM {quote(variable)}", ()
            )
            for record_id, holds in zip(*(column.to_pylist() for column in found.columns), strict=True):
                if record_id in wanted:
                    seen[wanted[record_id]] += 1
                    passed[wanted[record_id]] += holds is True
        if (mixed := (seen == 0) | ((passed > 0) & (passed < seen))).any():
            raise raw_undecided(leaf, self._where(mixed), is_seen=bool(seen[np.argmax(mixed)]))
        return passed > 0

    def _variable_of(self, leaf: RawFilter) -> str:
        variables = self._match.variables
        if self._match.as_of is not None:
            raise FilterError(
                f"The filter {leaf.to_key()} cannot be decided as of {self._match.as_of}: views show the present. "
                "Filter by comparisons instead, which know the past."
            )
        if variables is None or len(variables) != 1 or variables[0] not in self._state.variables:
            raise FilterError(
                f"The filter {leaf.to_key()} is a condition on the view of one variable; this question is about "
                f"{'all of them' if variables is None else ', '.join(variables) or 'none'}. Ask for one that is "
                "registered."
            )
        return variables[0]


def _key_fits(leaf: KeyLeaf, value: KeyValue) -> bool:
    own: Any = key_order(value)
    if isinstance(leaf, KeyInFilter):
        return any(own == key_order(one) for one in cast("tuple[KeyValue, ...]", leaf.values))
    return COMPARE[leaf.op](own, key_order(cast("KeyValue", leaf.value)))


def _column(layout: Layout, leaf: VariableLeaf) -> Column | None:
    return next((column for column in layout.shape.columns if column.name == column_of(leaf)), None)


def _add_rows(parts: Condition, leaf: VariableLeaf, layout: Layout, numbers: NDArray[np.int64]) -> None:
    """Add a query for every row of some records in one layout: whether it passes, or is of another type."""
    column = _column(layout, leaf)
    if column is None or not len(numbers):
        return
    wanted = wanted_kind(leaf)
    if wanted in (None, column_kind(column.arrow)):
        passed, other = test(column, leaf), "FALSE"
    else:
        passed, other = Condition(["FALSE"]), is_given(column)
    parts.add(
        f"SELECT t.record_no, ({passed.text()}) AS passed, {other} AS other FROM {quote(layout.table)} t WHERE "
        f"t.record_no BETWEEN {int(numbers[0])} AND {int(numbers[-1])} "
        "AND t.record_no IN (SELECT record_no FROM wanted)",
        *passed.parameters,
    )


def _mask(alias: str, names: Sequence[str]) -> str:
    """Return which keys a location has, as bits of a number."""
    bits = (
        f"(CASE WHEN {alias}.{name} IS NULL THEN 0 ELSE {1 << position} END)" for position, name in enumerate(names)
    )
    return " + ".join(["CAST(0 AS BIGINT)", *bits])
