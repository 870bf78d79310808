"""The data tables: that each holds what its comment says, and of each record as many rows as it must."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from scidb.store.duck.checking.findings import UNREADABLE
from scidb.store.duck.sql import literal, quote
from scidb.store.duck.types import Shape

if TYPE_CHECKING:
    from scidb.store.duck.checking.findings import Findings

__all__ = ["ORPHANS", "check_layouts", "data_tables"]

ORPHANS: Final = "delete the rows of no record"
_DATA_TABLE: Final = re.compile(r"(?P<variable>.+)_data(_\d+)?\Z")
_LAST_ROW: Final = 3_000_000_000  # whose square fits into 8 bytes
_NO_SHAPE: Final = (ValueError, TypeError, LookupError)


def data_tables(found: Findings) -> dict[str, str | None]:
    """Return the tables of values, with their comments."""
    rows = found.connection.rows(
        "SELECT table_name, comment FROM duckdb_tables() WHERE NOT internal AND NOT starts_with(table_name, '_')"
    )
    return dict(sorted(rows))


def check_layouts(found: Findings) -> None:
    """Check every data table, and that every record has one."""
    tables = data_tables(found)
    variables = {name for (name,) in found.ask("_variables", "SELECT variable_name FROM _variables")}
    shapes = {}
    for table, comment in tables.items():
        shape = _shape(found, table, comment, variables)
        if shape is not None:
            shapes[table] = shape
    if not found.has("_records"):
        return
    named = ", ".join(map(literal, tables)) or "''"
    rows = found.ask(
        "_records",
        "SELECT record_id, 'The record names a table of values that is not there: ' || coalesce(layout, 'none') || '.' "
        f"FROM _records WHERE layout IS NULL OR layout NOT IN ({named})",
    )
    found.add_each("layout", rows, "_records")
    for table, shape in shapes.items():
        variable = literal(_variable_of(table) or "")
        rows = found.ask(
            "_records",
            f"SELECT record_id, 'The value is in the table of another variable: ' || layout || '.' FROM _records WHERE "
            f"layout = {literal(table)} AND variable_name <> {variable}",
        )
        found.add_each("layout", rows, "_records")
        _check_rows(found, table, shape)


def _variable_of(table: str) -> str | None:
    matched = _DATA_TABLE.match(table)
    return matched["variable"] if matched else None


def _shape(found: Findings, table: str, comment: str | None, variables: set[str]) -> Shape | None:
    """Return what is in a table; None if it is no table of values, or not what it says."""
    variable = _variable_of(table)
    if comment is None and (variable is None or variable not in variables):
        found.notes.append(f"{table} is no table of SciDB's; it was left out.")
        return None
    if variable is None or (variable not in variables and "_variables" not in found.damaged):
        found.add("layout", f"The table of values {table} belongs to no variable.", table=table, variable=variable)
        return None
    try:
        shape = Shape.from_json(comment or "")
        owner = {"record_no": "BIGINT"} | ({"row": "BIGINT"} if shape.lists else {})
        expected = owner | dict(shape.physical())
        for column in shape.columns:
            shape.column_type(column)
    except _NO_SHAPE:
        found.add("layout", f"The comment on {table} does not say what is in it.", table=table, variable=variable)
        return None
    if found.columns.get(table) != expected:
        found.add(
            "layout", f"The columns of {table} are not those that its comment names.", table=table, variable=variable
        )
        return None
    return shape


def _check_rows(found: Findings, table: str, shape: Shape) -> None:
    """Compare the rows of each record with the record, and find those of none."""
    orphans = found.ask(
        table,
        f"SELECT count(*), count(DISTINCT t.record_no) FROM {quote(table)} t WHERE NOT EXISTS "
        f"(SELECT 1 FROM _records r WHERE r.record_no = t.record_no AND r.layout = {literal(table)})",
    )
    for rows, records in orphans:
        if rows:
            what = f"{table} has {rows:,} rows of {records:,} records that are not there."
            found.add("orphan", what, table=table, variable=_variable_of(table), repair=ORPHANS)
    found.counts["values"] = found.counts.get("values", 0) + sum(
        count for (count,) in found.ask(table, f"SELECT count(*) FROM {quote(table)}")
    )
    rows = found.ask(table, _flat_rows(table) if not shape.lists else _list_rows(table, _width(shape)))
    found.add_each("rows", rows, table)


def _flat_rows(table: str) -> str:
    return (
        f"SELECT r.record_id, 'The record has ' || coalesce(c.n, 0) || ' rows of values; it must have one.' FROM "
        f"_records r LEFT JOIN (SELECT record_no, count(*) AS n FROM {quote(table)} GROUP BY ALL) c USING (record_no) "
        f"WHERE r.layout = {literal(table)} AND coalesce(c.n, 0) <> 1"
    )


def _list_rows(table: str, width: int | None) -> str:
    """Return a query for records whose rows are not 0, 1, 2 ..., or not as many as their size says.

    That is known where each row takes the same number of bytes, as some record of that encoding shows; and two records
    of one encoding and one size have as many rows. Who is in the minority is named.

    Whether rows are 0 to n - 1 is told by the sums of their numbers and of the squares: two wrong ones never fit, and
    more of them hardly ever. To count the distinct ones keeps all of them in memory, four times the size of the file.
    """
    squares = f'sum(CASE WHEN "row" BETWEEN 0 AND {_LAST_ROW} THEN "row" * "row" END)'
    ordered = (
        f'min("row") = 0 AND max("row") = count(*) - 1 AND sum("row") = n::HUGEINT * (n - 1) // 2 AND {squares} = '
        "n::HUGEINT * (n - 1) * (2 * n - 1) // 6"
    )
    counted = (
        "SELECT r.record_id, r.encoding, r.nbytes, coalesce(c.n, 0) AS n, coalesce(c.ordered, true) AS ordered FROM "
        f"_records r LEFT JOIN (SELECT record_no, count(*) AS n, {ordered} AS ordered FROM {quote(table)} "
        "GROUP BY record_no) c USING (record_no) "
        f"WHERE r.layout = {literal(table)}"
    )
    exact = f"n * {width} = nbytes" if width else "false"
    judged = (
        f"SELECT *, {exact} AS exact, bool_or({exact} AND n > 0) OVER (PARTITION BY encoding) AS is_exact, "
        f"mode(n) OVER (PARTITION BY encoding, nbytes) AS usual FROM ({counted})"
    )
    fixed = "true" if width else "false"
    return (
        "SELECT record_id, CASE WHEN NOT ordered THEN 'The ' || n || ' rows of the value are not numbered 0, 1, 2 and "
        "so on.' ELSE 'The value has ' || n || ' rows, which is not what its size of ' || nbytes || ' bytes comes to.' "
        f"END FROM ({judged}) WHERE NOT ordered OR (is_exact AND NOT exact) OR ({fixed} AND n <> usual) "
        "OR (nbytes = 0 AND n > 0 AND is_exact)"
    )


def _width(shape: Shape) -> int | None:
    """Return the bytes of a row whose columns are all of whole bytes and one width."""
    kinds = [column.arrow for column in shape.columns]
    if not kinds or not all(pa.types.is_primitive(kind) and kind.bit_width % 8 == 0 for kind in kinds):
        return None
    return sum(int(kind.bit_width) // 8 for kind in kinds)


def records_in_the_dark(found: Findings, table: str) -> list[str]:
    """Return the records of a data table whose rows cannot be read, found by reading record by record."""
    try:
        numbers = found.connection.rows(
            "SELECT record_no, record_id FROM _records WHERE layout = ? ORDER BY record_no", [table]
        )
    except UNREADABLE:
        return []
    pending = [numbers] if numbers else []
    dark: list[str] = []
    while pending:
        part = pending.pop()
        first, last = part[0][0], part[-1][0]
        try:
            found.connection.table(f"SELECT * FROM {quote(table)} WHERE record_no BETWEEN {first} AND {last}")
        except UNREADABLE:
            if len(part) == 1:
                dark.append(part[0][1])
            else:
                half = len(part) // 2
                pending += [part[half:], part[:half]]
    return dark
