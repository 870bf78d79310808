"""The views of a variable, for any DuckDB client: one row per record, and one row per sample.

A value appears once where its layouts unify without loss, else once per layout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from scidb.store.duck.sql import kept_pieces, literal, located, quote, same_result
from scidb.store.duck.types import KEY_SQL_TYPES
from scidb.store.names import unique_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scidb.store.duck.connection import Connection
    from scidb.store.duck.state import Layout, State
    from scidb.store.duck.types import Column
    from scidb.store.model import SchemaKey

__all__ = ["create_views"]

_INTEGERS: Final = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")
_UNSIGNED: Final = ("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
_FITS_DOUBLE: Final = ("FLOAT", "TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER")


def create_views(connection: Connection, state: State, variables: Iterable[str]) -> None:
    """Make, or make anew, both views of these variables."""
    for name in variables:
        layouts = list(state.variables[name].layouts.values())
        if layouts:
            connection.execute(_view(state, name, name, layouts, by_element=False))
            connection.execute(_view(state, f"{name}__rows", name, layouts, by_element=True))


@dataclass(frozen=True, slots=True)
class _Value:
    """A column of a view: the physical column behind it in each layout that has one."""

    name: str
    kind: str
    sources: dict[str, Column]


def _view(state: State, view: str, variable: str, layouts: Sequence[Layout], *, by_element: bool) -> str:
    values = _values(layouts, by_element=by_element)
    # Schema keys have their names to themselves, and so have our own columns.
    names = unique_columns([value.name for value in values], reserved=[key.name for key in state.keys])
    shown = [f"m.shown{number} AS {quote(key.name)}" for number, key in enumerate(state.keys)]
    shown += ["m.version_keys", "m.record_id", "m.timestamp"]
    if by_element:
        shown.append('d."row"')
    if by_element or not any(layout.shape.lists for layout in layouts):
        cells, data = _flat_cells(values), _joined(layouts, values, by_element=by_element)
    else:
        cells, data = _list_cells(layouts, values), _joined_lists(layouts, values)
    shown += [f"{cell} AS {quote(name)}" for cell, name in zip(cells, names, strict=True)]
    pieces = kept_pieces(state.keys, f"m.variable_name = {literal(variable)}")
    return (
        f"CREATE OR REPLACE VIEW {quote(view)} AS SELECT {', '.join(shown)} FROM ({_newest(state, variable)}) m {data} "
        f"LEFT JOIN ({pieces}) c ON {same_result(state.keys)} "
        "WHERE m.piece IS NULL OR c.pieces IS NULL OR m.piece <= c.pieces"
    )


def _newest(state: State, variable: str) -> str:
    """Return a query for the latest entries of a variable, keys in their own type as ``shown`` and a number."""
    keys = [
        f", TRY_CAST(s.{quote(key.name)} AS {_key_type(state, key)}) AS shown{number}"
        for number, key in enumerate(state.keys)
    ]
    # The location says it all; only, a condition on what is not in the partition would come after the window.
    places = "".join(f", m.shown{number}" for number in range(len(keys)))
    return (
        f"SELECT * FROM (SELECT {located(state.keys)}{''.join(keys)} FROM _record_metadata m "
        f"JOIN _schema s USING (schema_id) WHERE m.variable_name = {literal(variable)}) m QUALIFY row_number() OVER "
        f"(PARTITION BY m.schema_id, m.version_keys{places} ORDER BY m.timestamp DESC, m.seq DESC) = 1"
    )


def _key_type(state: State, key: SchemaKey) -> str:
    return state.wide.get(key.name, KEY_SQL_TYPES[key.value_type])


# ------------------------------------------------------------------ data that are there row by row


def _flat_cells(values: Sequence[_Value]) -> list[str]:
    return [f"d.v{number}" for number in range(len(values))]


def _joined(layouts: Sequence[Layout], values: Sequence[_Value], *, by_element: bool, kind: str = "JOIN") -> str:
    # By name, so that no layout has to list the columns of all others.
    data = " UNION ALL BY NAME ".join(_data(layout, values, by_element=by_element) for layout in layouts)
    return f"{kind} ({data}) d ON d.record_no = m.record_no"


def _data(layout: Layout, values: Sequence[_Value], *, by_element: bool) -> str:
    row = ['t."row"' if layout.shape.lists else '0 AS "row"'] if by_element else []
    cells = [
        f"CAST(t.{quote(column.name)} AS {value.kind}) AS v{number}"
        for number, value in enumerate(values)
        if (column := value.sources.get(layout.table))
    ]
    return f"SELECT {', '.join(['t.record_no', *row, *cells])} FROM {quote(layout.table)} t"


# ------------------------------------------------------------------ data that must be gathered into lists


def _joined_lists(layouts: Sequence[Layout], values: Sequence[_Value]) -> str:
    """Return joins that gather only the lists of those records that are asked for."""
    tables = ", ".join(literal(layout.table) for layout in layouts)
    joins = [f"JOIN _records r ON r.record_no = m.record_no AND r.layout IN ({tables})"]
    flat = [layout for layout in layouts if not layout.shape.lists]
    if flat:
        joins.append(_joined(flat, values, by_element=False, kind="LEFT JOIN"))
    for position, layout in enumerate(layouts):
        columns = [
            f'list(t.{quote(column.name)} ORDER BY t."row") AS v{number}'
            for number, value in enumerate(values)
            if (column := value.sources.get(layout.table))
        ]
        if layout.shape.lists:
            query = f"SELECT {', '.join(columns)} FROM {quote(layout.table)} t WHERE t.record_no = m.record_no"
            joins.append(f"LEFT JOIN LATERAL ({query}) l{position} ON true")
    return " ".join(joins)


def _list_cells(layouts: Sequence[Layout], values: Sequence[_Value]) -> list[str]:
    cells = []
    for number, value in enumerate(values):
        if not value.kind.endswith("[]"):
            cells.append(f"d.v{number}")
            continue
        # An empty array has no rows, and yet is a value.
        cases = [
            f"WHEN {literal(layout.table)} THEN CAST(coalesce(l{position}.v{number}, []) AS {value.kind})"
            for position, layout in enumerate(layouts)
            if layout.table in value.sources
        ]
        cells.append(f"CASE r.layout {' '.join(cases)} END")
    return cells


# ------------------------------------------------------------------ columns of several layouts


def _values(layouts: Sequence[Layout], *, by_element: bool) -> list[_Value]:
    """Gather the columns of all layouts by name, as far as their types unify without loss."""
    values: list[_Value] = []
    for number, layout in enumerate(layouts, start=1):
        suffix = "[]" if layout.shape.lists and not by_element else ""
        for column in layout.shape.columns:
            kind = column.duck + suffix
            for position, value in enumerate(values):
                common = _common(value.kind, kind)
                if column.name in {one.name for one in value.sources.values()} and common:
                    values[position] = _Value(value.name, common, {**value.sources, layout.table: column})
                    break
            else:
                taken = {value.name for value in values}
                name = f"{column.name}_{number}" if column.name in taken else column.name
                values.append(_Value(name, kind, {layout.table: column}))
    return values


def _common(one: str, other: str) -> str | None:
    """Return a type that holds every value of both, if there is one.

    Examples
    --------
    >>> _common("BIGINT", "DOUBLE"), _common("INTEGER", "DOUBLE"), _common("TINYINT", "BIGINT")
    (None, 'DOUBLE', 'BIGINT')

    """
    if one.endswith("[]") or other.endswith("[]"):
        if not (one.endswith("[]") and other.endswith("[]")):
            return None
        element = _common(one.removesuffix("[]"), other.removesuffix("[]"))
        return f"{element}[]" if element else None
    if one == other:
        return one
    for family in (_INTEGERS, _UNSIGNED):
        if one in family and other in family:
            return max(one, other, key=family.index)
    both = {one, other}
    if "DOUBLE" in both and both - {"DOUBLE"} <= set(_FITS_DOUBLE):
        return "DOUBLE"
    return None
