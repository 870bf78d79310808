"""Filters over a DuckDB file: decided by one statement, for all locations at once, and refused in words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from scidb.exceptions import FilterError, QueryError
from scidb.filters import ColumnFilter, InFilter, MissingFilter, RawFilter, VariableFilter
from scidb.store.duck.asking import check_condition
from scidb.store.duck.filter_sql import LACKING, OTHER, UNCOVERED, UNDECIDED, column_in, compiled, variant_of
from scidb.store.duck.rows import versions_that_fit
from scidb.store.duck.sql import Condition, quote
from scidb.store.filter_checks import (
    check_column,
    check_leaves,
    column_kind,
    held_in,
    lacks_column,
    not_one_value,
    other_kind,
    raw_undecided,
    uncovered,
    wanted_kind,
)
from scidb.store.model import Match

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from scidb.filters import Filter
    from scidb.store.duck.connection import Connection
    from scidb.store.duck.filter_sql import Statement, Variant
    from scidb.store.duck.sql import Question
    from scidb.store.duck.state import Layout, State
    from scidb.store.filter_checks import VariableLeaf
    from scidb.store.model import KeyValue

__all__ = ["where_it_holds"]


def where_it_holds(
    connection: Connection, state: State, match: Match, question: Question, as_of: str
) -> list[int] | None:
    """Return the locations at which the filter of a match holds, of those that the question finds; None for all.

    What the filter looks at is what there was at the instant `as_of`, as it is for the question.
    """
    if match.where is None:
        return None
    check_leaves(match.where, state.keys, state.variables, state.renamed)
    leaves = list(match.where.leaves())
    views = {
        f"raw{number}": _ask_view(connection, state, match, leaf)
        for number, leaf in enumerate(leaves)
        if isinstance(leaf, RawFilter)
    }
    statement = compiled(state, replace(match, as_of=as_of), question, _version_texts(connection, state, leaves))
    told = connection.table(statement.text(), [*statement.parameters, *statement.last], **views)
    first = pc.min(told["refused"]).as_py()
    for number, leaf in enumerate(leaves):
        refusal = (
            None if first is None or first // UNDECIDED != number else _Refusal(connection, state, statement, told)
        )
        match leaf:
            case VariableFilter() | ColumnFilter() | InFilter() | MissingFilter():
                layouts = state.variables[leaf.variable].layouts.values()
                check_column(leaf, (column.name for layout in layouts for column in layout.shape.columns))
                if refusal is not None:
                    raise refusal.of_variable(leaf, first % UNDECIDED, as_of)
            case RawFilter() if refusal is not None:
                raise refusal.of_raw(leaf, number)
    holds = told["holds"]
    return None if pc.all(holds, min_count=0).as_py() else told["schema_id"].filter(holds).to_pylist()


def _version_texts(connection: Connection, state: State, leaves: Iterable[Filter]) -> dict[Variant, list[str]]:
    """Return for each variant that names version keys the texts that have them."""
    found: dict[Variant, list[str]] = {}
    for leaf in leaves:
        if isinstance(leaf, VariableFilter | ColumnFilter | InFilter | MissingFilter) and leaf.version:
            match = Match((leaf.variable,), version=dict(leaf.version))
            found[variant_of(leaf)] = versions_that_fit(connection, state.keys, match) or []
    return found


# ------------------------------------------------------------------ SQL of the user


def _ask_view(connection: Connection, state: State, match: Match, leaf: RawFilter) -> pa.Table:
    """Return which records the view shows, and whether each fulfils a condition.

    A statement of its own: in the one of the filter, a condition could name the parts and take the parameters of that,
    and what DuckDB says of a mistake would show SQL that its author has not written.
    """
    variable = _variable_of(state, match, leaf)
    check_condition(leaf.sql)
    if not state.variables[variable].layouts:
        return pa.table({"record_id": pa.array([], pa.string()), "holds": pa.array([], pa.bool_())})
    # A line of its own, so that a comment in the condition ends.
    told = connection.select(f"SELECT record_id, ({leaf.sql}\n) AS holds FROM {quote(variable)}", ())
    kind = told.schema.field("holds").type
    if pa.types.is_boolean(kind):
        return told
    # A number would pass as true, and `subject` for `subject = 1` leave everything.
    raise QueryError(
        f"The condition {leaf.sql!r} gives values of type {kind}, where a condition is true or false. Compare "
        "something in it, for example value > 3.",
        query=leaf.sql,
    )


def _variable_of(state: State, match: Match, leaf: RawFilter) -> str:
    variables = match.variables
    if match.as_of is not None:
        raise FilterError(
            f"The filter {leaf.to_key()} cannot be decided as of {match.as_of}: views show the present. "
            "Filter by comparisons instead, which know the past."
        )
    if variables is None or len(variables) != 1 or variables[0] not in state.variables:
        raise FilterError(
            f"The filter {leaf.to_key()} is a condition on the view of one variable; this question is about "
            f"{'all of them' if variables is None else ', '.join(variables) or 'none'}. Ask for one that is "
            "registered."
        )
    return variables[0]


# ------------------------------------------------------------------ filters that cannot be decided


class _Refusal:
    """Says why a filter cannot be decided; only here are further statements made, to name places and types."""

    def __init__(self, connection: Connection, state: State, statement: Statement, told: pa.Table) -> None:
        self._connection = connection
        self._state = state
        self._statement = statement
        self._rows = told.filter(pc.equal(told["refused"], pc.min(told["refused"]))).sort_by("schema_id")

    def of_raw(self, leaf: RawFilter, number: int) -> FilterError:
        """Say what is wrong with a condition in SQL."""
        return raw_undecided(leaf, self._targets(), is_seen=self._rows[f"seen{number}"][0].as_py() > 0)

    def of_variable(self, leaf: VariableLeaf, reason: int, as_of: str) -> FilterError:
        """Say what is wrong with a comparison."""
        targets = self._targets()
        if reason == UNCOVERED:
            return uncovered(leaf, targets, self._all_places(leaf, as_of))
        group = self._statement.groups[variant_of(leaf)]
        if reason == LACKING:
            return lacks_column(
                leaf, targets, [column.name for layout in self._met(leaf, group) for column in layout.shape.columns]
            )
        if reason == OTHER:
            kinds = [column.arrow for layout in self._met(leaf, group) if (column := column_in(layout, leaf))]
            return other_kind(
                leaf, targets, [held_in(kind) for kind in kinds if column_kind(kind) != wanted_kind(leaf)]
            )
        entries, rows = (self._rows[f"{name}{group}"][0].as_py() for name in ("entries", "row_count"))
        return not_one_value(leaf, targets, rows, entries)

    def _met(self, leaf: VariableLeaf, group: int) -> list[Layout]:
        """Return the layouts of the values that targets see."""
        found = self._connection.rows(
            self._statement.asking(
                f"SELECT DISTINCT r.layout FROM e{group} e JOIN _records r ON r.record_no = e.record_no"
            ),
            self._statement.parameters,
        )
        met = {table for (table,) in found}
        return [one for one in self._state.variables[leaf.variable].layouts.values() if one.table in met]

    def _targets(self) -> list[Mapping[str, KeyValue]]:
        condition = Condition()
        condition.one_of("s.schema_id", self._rows["schema_id"].to_pylist())
        return self._places(f"_schema s WHERE {condition.text()}", condition.parameters)

    def _all_places(self, leaf: VariableLeaf, as_of: str) -> list[Mapping[str, KeyValue]]:
        condition = Condition()
        condition.add("m.variable_name = ?", leaf.variable)
        condition.add("m.timestamp <= ?", as_of)
        for texts in _version_texts(self._connection, self._state, [leaf]).values():
            condition.one_of("m.version_keys", texts)
        return self._places(
            f"_record_metadata m JOIN _schema s USING (schema_id) WHERE {condition.text()}", condition.parameters
        )

    def _places(self, source: str, parameters: Sequence[object]) -> list[Mapping[str, KeyValue]]:
        keys = "".join(f", s.{quote(key.name)}" for key in self._state.keys)
        found = self._connection.rows(f"SELECT DISTINCT s.schema_id{keys} FROM {source} ORDER BY ALL", parameters)
        return [self._state.show(number, tuple(texts)) for number, *texts in found]
