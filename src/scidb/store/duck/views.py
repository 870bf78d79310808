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
    keys = [f"TRY_CAST(m.k{number} AS {_key_type(state, key)})" for number, key in enumerate(state.keys)]
    # Schema keys have their names to themselves, and so have our own columns.
    names = unique_columns([value.name for value in values], reserved=[key.name for key in state.keys])
    shown = [f"{expression} AS {quote(key.name)}" for expression, key in zip(keys, state.keys, strict=True)]
    shown += ["m.version_keys", "m.record_id", "m.timestamp"]
    if by_element:
        shown.append('d."row"')
    shown += [f"d.v{number} AS {quote(name)}" for number, name in enumerate(names)]
    # By name, so that no layout has to list the columns of all others.
    data = " UNION ALL BY NAME ".join(_data(layout, values, by_element=by_element) for layout in layouts)
    newest = (
        f"SELECT {located(state.keys)} FROM _record_metadata m JOIN _schema s USING (schema_id) "
        f"WHERE m.variable_name = {literal(variable)} QUALIFY row_number() OVER "
        "(PARTITION BY m.schema_id, m.version_keys ORDER BY m.timestamp DESC, m.seq DESC) = 1"
    )
    pieces = kept_pieces(state.keys, f"m.variable_name = {literal(variable)}")
    return (
        f"CREATE OR REPLACE VIEW {quote(view)} AS SELECT {', '.join(shown)} FROM ({newest}) m "
        f"JOIN ({data}) d ON d.record_no = m.record_no "
        f"LEFT JOIN ({pieces}) c ON {same_result(state.keys)} "
        "WHERE m.piece IS NULL OR c.pieces IS NULL OR m.piece <= c.pieces"
    )


def _key_type(state: State, key: SchemaKey) -> str:
    return state.wide.get(key.name, KEY_SQL_TYPES[key.value_type])


def _data(layout: Layout, values: Sequence[_Value], *, by_element: bool) -> str:
    """Return a query for the data of one layout, with those columns of the view that it has."""
    table, as_lists = quote(layout.table), bool(layout.shape.lists) and not by_element
    cells = []
    for number, value in enumerate(values):
        column = value.sources.get(layout.table)
        if column is None:
            continue
        cell = f'list(t.{quote(column.name)} ORDER BY t."row")' if as_lists else f"t.{quote(column.name)}"
        # An empty array has no rows, and yet is a value.
        cell = f"CASE WHEN count(t.record_no) = 0 THEN [] ELSE {cell} END" if as_lists else cell
        cells.append(f"CAST({cell} AS {value.kind}) AS v{number}")
    if as_lists:
        return (
            f"SELECT {', '.join(['r.record_no', *cells])} FROM _records r LEFT JOIN {table} t "
            f"ON t.record_no = r.record_no WHERE r.layout = {literal(layout.table)} GROUP BY r.record_no"
        )
    row = ['t."row"' if layout.shape.lists else '0 AS "row"'] if by_element else []
    return f"SELECT {', '.join(['t.record_no', *row, *cells])} FROM {table} t"


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
