"""``scidb sql``: one reading statement over the views of the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from scidb.cli.context import DatabaseOption, JsonOption, open_for_reading, settings_of
from scidb.cli.jsonlines import print_json_lines
from scidb.cli.tables import Column, is_terminal, note, print_table, value_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

__all__ = ["sql"]


def sql(
    ctx: typer.Context,
    query: Annotated[str, typer.Argument(metavar="SELECT", help="One SELECT, in quotes.")],
    limit: Annotated[int | None, typer.Option("-n", "--limit", min=1, help="How many rows; 100 on a terminal.")] = None,
    db: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a SELECT, or another statement that only reads, over the variables.

    Each variable is a view of its name, with a column for each schema key and one for the value:
    SELECT subject, avg(value) FROM StepLength GROUP BY subject
    """
    settings = settings_of(ctx, db, as_json)
    with open_for_reading(settings) as database:
        table = database.query(query).to_arrow()
    total = table.num_rows
    if limit is None and not settings.as_json and is_terminal():
        limit = 100
    table = table if limit is None else table.slice(0, limit)
    if settings.as_json:
        print_json_lines(dict(zip(table.column_names, row, strict=True)) for row in _rows(table))
        return
    columns = [Column(field.name, right=_is_number(field.type), too_wide="cut") for field in table.schema]
    print_table(columns, ([_cell(value) for value in row] for row in _rows(table)))
    if table.num_rows < total:
        note(f"\nThe first {table.num_rows} of {total} rows; -n shows more.")


def _rows(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    """Yield rows of Python values."""
    for batch in table.to_batches(max_chunksize=1_000):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value if value.isprintable() else ascii(value)[1:-1]
    return value_text(value)


def _is_number(kind: pa.DataType) -> bool:
    from pyarrow import types

    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))
