"""A whole filter as one statement: the locations asked for, the values that each of them sees, and the tree over them.

The statement is flat, since planning it is most of what a small question costs: a variable is joined once for all its
comparisons, and coarser locations only for levels that some location has.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from scidb.filters import CompoundFilter, KeyFilter, KeyInFilter, NotFilter, RawFilter
from scidb.store.duck.compare import is_given, test
from scidb.store.duck.key_compare import test_key
from scidb.store.duck.sql import NEWEST_FIRST, Condition, latest, not_superseded, quote
from scidb.store.filter_checks import column_kind, column_of, reduce_of, wanted_kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from scidb.filters import Filter, Version
    from scidb.store.duck.sql import Question
    from scidb.store.duck.state import Layout, State
    from scidb.store.duck.types import Column
    from scidb.store.filter_checks import VariableLeaf
    from scidb.store.model import Match

__all__ = [
    "LACKING", "NOT_ONE", "OTHER", "UNCOVERED", "UNDECIDED", "Statement", "Variant", "column_in", "compiled",
    "variant_of",
]  # fmt: skip

Variant: TypeAlias = "tuple[str, Version]"
"""A variable, with the version keys that a filter names of it."""

_Groups: TypeAlias = "dict[Variant, list[tuple[int, VariableLeaf]]]"
"""The numbered comparisons with each variant: it is looked at once for all of them."""

UNCOVERED, LACKING, OTHER, NOT_ONE = range(4)
"""Why a comparison cannot be decided at a location, in the order in which that is said."""

UNDECIDED: Final = 4
"""How many reasons there are: those of leaf number n begin with n times as many."""

_COUNTED: Final = ("entries", "row_count")


@dataclass(slots=True)
class Statement:
    """The parts of the statement; its parameters in the order of the text.

    A row of the answer is a location asked for: its ``schema_id``, whether the filter ``holds``, the first reason for
    which it is ``refused``, and for each variable its number of ``entries`` and their ``row_count`` there.
    """

    parts: list[str] = field(default_factory=list)
    parameters: list[object] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    joins: list[str] = field(default_factory=list)
    last: list[object] = field(default_factory=list)
    groups: Mapping[Variant, int] = field(default_factory=dict)  # the number of each in the names of its parts

    def add(self, name: str, query: str, *parameters: object) -> None:
        """Add a named part that others refer to; it is computed once."""
        self.parts.append(f"{name} AS MATERIALIZED ({query})")
        self.parameters.extend(parameters)

    def asking(self, query: str) -> str:
        """Return a statement that asks something else of the same parts."""
        return f"WITH {', '.join(self.parts)} {query}"

    def text(self) -> str:
        """Return the statement that decides the filter; it takes the parameters, and then the last ones."""
        return self.asking(f"SELECT {', '.join(self.columns)} FROM targets t {' '.join(self.joins)}")


def variant_of(leaf: VariableLeaf) -> Variant:
    """Return the variable of a leaf, with the version keys that it names."""
    return leaf.variable, leaf.version


def compiled(
    state: State, match: Match, question: Question, version_texts: Mapping[Variant, Sequence[str]]
) -> Statement:
    """Return the statement for the filter of a match.

    `version_texts` has the texts of version keys that fit, for each variant that names some. The rows of the view
    that fulfil raw leaf number n are taken from a table ``raw<n>`` that goes with the statement.
    """
    assert match.where is not None  # noqa: S101 - else there is nothing to compile
    leaves = list(match.where.leaves())
    statement = Statement()
    statement.add(
        "targets",
        f"SELECT DISTINCT m.schema_id FROM {question.source} WHERE {question.condition}",
        *question.parameters,
    )
    groups: _Groups = {}
    answers = [_answer(number, leaf, groups, state) for number, leaf in enumerate(leaves)]
    if groups:
        statement.add("covering", _covering(state))
    for number, (variant, own) in enumerate(groups.items()):
        entries = _entries(state, match, variant[0], version_texts.get(variant))
        _add_variable(statement, state, entries, number, own)
    for number, leaf in enumerate(leaves):
        if isinstance(leaf, RawFilter):
            _add_raw(statement, question, number)
    statement.groups = {variant: number for number, variant in enumerate(groups)}
    if any(isinstance(leaf, KeyFilter | KeyInFilter) for leaf in leaves):
        statement.joins.append("JOIN _schema s ON s.schema_id = t.schema_id")
    refusals = [
        f"WHEN {condition} THEN {number * UNDECIDED + reason}"
        for number, leaf in enumerate(leaves)
        for reason, condition in _reasons(number, leaf, groups, state)
    ]
    refused = f"CASE {' '.join(refusals)} END" if refusals else "CAST(NULL AS INTEGER)"
    statement.columns = ["t.schema_id", f"{_tree(match.where, iter(answers))} AS holds", f"{refused} AS refused"]
    statement.columns += [f"c{n}.{name} AS {name}{n}" for n in statement.groups.values() for name in _COUNTED]
    statement.columns += [f"r{n}.seen AS seen{n}" for n, leaf in enumerate(leaves) if isinstance(leaf, RawFilter)]
    statement.last = [parameter for answer in answers for parameter in answer.parameters]
    return statement


def column_in(layout: Layout, leaf: VariableLeaf) -> Column | None:
    """Return the column of a layout that a leaf is about, if the layout has it."""
    return next((column for column in layout.shape.columns if column.name == column_of(leaf)), None)


# ------------------------------------------------------------------ the tree


def _tree(node: Filter, answers: Iterator[Condition]) -> str:
    match node:
        case CompoundFilter(op=op, left=left, right=right):
            return f"({_tree(left, answers)} {op} {_tree(right, answers)})"
        case NotFilter(inner=inner):
            return f"(NOT {_tree(inner, answers)})"
    return next(answers).text()


def _answer(
    number: int, leaf: Filter, groups: dict[Variant, list[tuple[int, VariableLeaf]]], state: State
) -> Condition:
    """Return whether a leaf holds at a location, of which nothing is refused."""
    match leaf:
        case KeyFilter() | KeyInFilter():
            return test_key(state.key(leaf.key), leaf)
        case RawFilter():
            return Condition([f"(r{number}.passed > 0)"])
    comparison: VariableLeaf = leaf  # type: ignore[assignment]
    groups.setdefault(variant_of(comparison), []).append((number, comparison))
    group = list(groups).index(variant_of(comparison))
    all_of_them = "0" if reduce_of(comparison) == "any" else f"c{group}.row_count - 1"
    return Condition([f"(c{group}.passed{number} > {all_of_them})"])


def _reasons(number: int, leaf: Filter, groups: _Groups, state: State) -> Iterator[tuple[int, str]]:
    """Yield on which conditions a leaf cannot be decided."""
    if isinstance(leaf, KeyFilter | KeyInFilter):
        return
    if isinstance(leaf, RawFilter):
        # What the view does not show, and what it shows as fulfilling it and as not.
        yield 0, f"r{number}.seen = 0 OR (r{number}.passed > 0 AND r{number}.passed < r{number}.seen)"
        return
    comparison: VariableLeaf = leaf  # type: ignore[assignment]
    group = list(groups).index(variant_of(comparison))
    if groups[variant_of(comparison)][0][0] == number:
        yield UNCOVERED, f"c{group}.entries IS NULL"
    layouts = state.variables[comparison.variable].layouts.values()
    if any(column_in(layout, comparison) is None for layout in layouts):
        yield LACKING, f"c{group}.lacking{number} > 0"
    if any(_is_other(layout, comparison) for layout in layouts):
        yield OTHER, f"c{group}.other{number} > 0"
    if reduce_of(comparison) is None:
        yield NOT_ONE, f"c{group}.row_count <> 1"


# ------------------------------------------------------------------ locations


def _covering(state: State) -> str:
    """Return a query for which locations each target sees: its own, and every coarser one.

    A level is a text with a 1 for each of its keys: of nested ones, the finer is the greater.
    """
    names = {key.name: quote(key.name) for key in state.keys}
    bits = " || ".join(f"CASE WHEN x.{own} IS NULL THEN '0' ELSE '1' END" for own in names.values())
    own_place = f"SELECT t.schema_id AS target, t.schema_id AS place, CAST({bits} AS BIT) AS level FROM targets t"
    parts = [f"{own_place} JOIN _schema x ON x.schema_id = t.schema_id"]
    for level in sorted(state.levels, key=sorted):
        finer = [name for name in names if name not in level]
        if not finer:
            continue  # nothing is finer than these
        bits = "".join("1" if name in level else "0" for name in names)
        same = [f"s.{own} {'= x.' + own if name in level else 'IS NULL'}" for name, own in names.items()]
        parts.append(
            f"SELECT t.schema_id, s.schema_id, CAST('{bits}' AS BIT) FROM targets t "
            "JOIN _schema x ON x.schema_id = t.schema_id "
            f"JOIN _schema s ON {' AND '.join(same)} "
            f"WHERE {' OR '.join(f'x.{names[name]} IS NOT NULL' for name in finer)}"
        )
    return " UNION ALL ".join(parts)


# ------------------------------------------------------------------ variables


def _add_variable(
    statement: Statement,
    state: State,
    entries: Condition,
    group: int,
    leaves: Sequence[tuple[int, VariableLeaf]],
) -> None:
    """Add the newest entries of a variable where targets see them, and what each target sees of their rows."""
    layouts = list(state.variables[leaves[0][1].variable].layouts.values())
    lacking = {
        number: tables
        for number, leaf in leaves
        if (tables := [layout.table for layout in layouts if column_in(layout, leaf) is None])
    }
    [query] = entries.parts
    if lacking:
        query = f"SELECT n.*, r.layout FROM ({query}) n JOIN _records r ON r.record_no = n.record_no"
    statement.add(f"e{group}", query, *entries.parameters)
    others = [number for number, leaf in leaves if any(_is_other(layout, leaf) for layout in layouts)]
    counts = ["count(*) AS entries", *(f"{_sum(name)} AS {name}" for name in _summed(leaves, others))]
    counted = Condition()
    for number, tables in lacking.items():
        counts.append(f"count_if(e.layout IN (SELECT unnest(CAST(? AS VARCHAR[])))) AS lacking{number}")
        counted.parameters.append(tables)
    rows = Condition()
    for layout in layouts:
        _add_rows(rows, layout, group, leaves, others)
    empty = ", ".join(f"0 AS {name}" for name in _summed(leaves, others))
    data = " UNION ALL ".join(rows.parts) or f"SELECT CAST(NULL AS BIGINT) AS record_no, {empty}"
    statement.add(
        f"c{group}",
        f"SELECT e.target, {', '.join(counts)} FROM ({_nearest(group)}) e "
        f"LEFT JOIN ({data}) d ON d.record_no = e.record_no GROUP BY e.target",
        *counted.parameters,
        *rows.parameters,
    )
    statement.joins.append(f"LEFT JOIN c{group} ON c{group}.target = t.schema_id")


def _nearest(group: int) -> str:
    """Return a query for the entries that count for each target: those of the level that has all keys of the others.

    Where no level has, all of them do: several values, of which none is the one.
    """
    return (
        f"SELECT v.target, o.* FROM covering v JOIN e{group} o ON o.schema_id = v.place "
        "WINDOW seen AS (PARTITION BY v.target) "
        "QUALIFY v.level = max(v.level) OVER seen OR max(v.level) OVER seen <> bit_or(v.level) OVER seen"
    )


def _summed(leaves: Sequence[tuple[int, VariableLeaf]], others: Sequence[int]) -> list[str]:
    return ["row_count", *(f"passed{number}" for number, _ in leaves), *(f"other{number}" for number in others)]


def _sum(name: str) -> str:
    # An empty array has no rows, and yet is a value.
    return f"CAST(coalesce(sum(d.{name}), 0) AS BIGINT)"


def _entries(state: State, match: Match, variable: str, version_texts: Sequence[str] | None) -> Condition:
    until = Condition()
    if match.as_of is not None:
        until.add("m.timestamp <= ?", match.as_of)
    entries = Condition(list(until.parts), list(until.parameters))
    entries.add("m.variable_name = ?", variable)
    entries.add("m.schema_id IN (SELECT place FROM covering)")
    if version_texts is not None:
        entries.one_of("m.version_keys", version_texts)
    if match.as_of is not None and state.has_pruned:
        not_superseded(entries, match.as_of)
    if state.has_pieces([variable]):
        source, kept = latest(state.keys, entries, until, pieces=True)
        query = f"SELECT m.schema_id, m.record_no FROM {source} WHERE {kept}"
    else:
        query = (
            f"SELECT m.schema_id, m.record_no FROM _record_metadata m WHERE {entries.text()} QUALIFY row_number() OVER "
            f"(PARTITION BY m.schema_id, m.version_keys ORDER BY {NEWEST_FIRST}) = 1"
        )
    return Condition([query], entries.parameters)


def _add_rows(
    rows: Condition,
    layout: Layout,
    group: int,
    leaves: Sequence[tuple[int, VariableLeaf]],
    others: Sequence[int],
) -> None:
    """Add a query for the records of one layout: how many rows each has, passes by, and has of another type."""
    is_many = layout.shape.lists is not None
    own = Condition(["count(*) AS row_count" if is_many else "1 AS row_count"])
    count = "count_if({})" if is_many else "CAST({} AS INTEGER)"
    other = []
    for number, leaf in leaves:
        column = column_in(layout, leaf)
        is_other = _is_other(layout, leaf)
        passed = Condition(["FALSE"]) if column is None or is_other else test(column, leaf)
        own.add(f"{count.format(f'({passed.text()})')} AS passed{number}", *passed.parameters)
        if number in others:
            given = is_given(column) if column is not None and is_other else "FALSE"
            other.append(f"{count.format(given)} AS other{number}")
    rows.add(
        f"SELECT t.record_no, {', '.join([*own.parts, *other])} FROM {quote(layout.table)} t "
        f"WHERE t.record_no IN (SELECT record_no FROM e{group}){' GROUP BY t.record_no' if is_many else ''}",
        *own.parameters,
    )


def _is_other(layout: Layout, leaf: VariableLeaf) -> bool:
    column, wanted = column_in(layout, leaf), wanted_kind(leaf)
    return column is not None and wanted is not None and column_kind(column.arrow) != wanted


# ------------------------------------------------------------------ SQL of the user


def _add_raw(statement: Statement, question: Question, number: int) -> None:
    """Add for each target how many of its records the view shows, and how many of these fulfil a condition."""
    statement.add(
        f"r{number}",
        "SELECT a.schema_id AS target, count(w.record_id) AS seen, count_if(coalesce(w.holds, FALSE)) AS passed FROM "
        f"(SELECT DISTINCT m.record_id, m.schema_id FROM {question.source} WHERE {question.condition}) a "
        f"LEFT JOIN raw{number} w ON w.record_id = a.record_id GROUP BY a.schema_id",
        *question.parameters,
    )
    statement.joins.append(f"JOIN r{number} ON r{number}.target = t.schema_id")
