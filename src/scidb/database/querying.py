"""SQL over the views of the database, and what there is to query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scidb.database.finding import Finding
from scidb.exceptions import NotFoundError, UnsupportedOperationError
from scidb.extras import require
from scidb.store.protocol import Sql

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    import pyarrow as pa

    from scidb.database.core import VariableLike

__all__ = ["QueryResult", "Querying"]


class QueryResult:
    """The rows that a SQL query returned, as Arrow, pandas or polars.

    Columns to which SQL gave one name are told apart by a number: ``a``, ``a_2``.
    """

    def __init__(self, table: pa.Table) -> None:
        self._table = table.rename_columns(_told_apart(table.column_names))

    def to_arrow(self) -> pa.Table:
        """Return the rows as an Arrow table."""
        return self._table

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows as a DataFrame.

        Whole numbers stay whole numbers: a column of them in which some are missing gets one of pandas'
        nullable dtypes (``Int64``), and SQL's sums of them are ``int64`` where they fit.
        """
        table = _narrow(self._table)
        frame = table.to_pandas()
        nullable = _nullable_dtypes()
        for position, column in enumerate(table.columns):
            if column.null_count and column.type in nullable:
                # Not through the float64 that pandas makes of it, which rounds beyond 2**53.
                frame.isetitem(position, column.to_pandas(types_mapper=nullable.get))
        return frame

    def to_polars(self) -> Any:
        """Return the rows as a polars DataFrame; needs the extra ``polars``."""
        return require("polars", "polars").from_arrow(self._table)

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __repr__(self) -> str:
        return repr(self.to_pandas())

    def _repr_html_(self) -> str:
        return str(self.to_pandas()._repr_html_())


def _told_apart(names: Sequence[str]) -> list[str]:
    apart: list[str] = []
    for name in names:
        number, unique = 1, name
        while unique in apart:
            number += 1
            unique = f"{name}_{number}"
        apart.append(unique)
    return apart


def _narrow(table: pa.Table) -> pa.Table:
    """Return DuckDB's sums of integers, which have 128 bits, as int64 where all of them fit."""
    import pyarrow as pa

    for position, field in enumerate(table.schema):
        if field.type == pa.decimal128(38, 0):
            try:
                narrow = table.column(position).cast(pa.int64())
            except pa.ArrowInvalid:
                continue
            table = table.set_column(position, field.name, narrow)
    return table


def _nullable_dtypes() -> dict[pa.DataType, Any]:
    import pandas as pd
    import pyarrow as pa

    return {
        pa.int8(): pd.Int8Dtype(),
        pa.int16(): pd.Int16Dtype(),
        pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.uint8(): pd.UInt8Dtype(),
        pa.uint16(): pd.UInt16Dtype(),
        pa.uint32(): pd.UInt32Dtype(),
        pa.uint64(): pd.UInt64Dtype(),
    }


class Querying(Finding):
    """query, tables, schema."""

    def query(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> QueryResult:
        """Run one statement that reads: ``SELECT subject, avg(value) FROM StepLength GROUP BY subject``.

        Each variable has a view of its name with one row per record, and ``Name__rows`` with one row per
        sample or frame row. Nothing can be written, and neither files nor the network nor variables of the
        program can be reached.

        Parameters
        ----------
        sql
            SELECT, WITH, FROM, VALUES, PIVOT, DESCRIBE, SUMMARIZE, SHOW or EXPLAIN, in DuckDB's dialect.
        parameters
            A list with a value for each ``?``, or a dict with one for each ``$name``.

        Raises
        ------
        QueryError
            When the statement fails, or does anything but read this database.

        """
        if not isinstance(self._store, Sql):
            raise UnsupportedOperationError(
                f"The store {self.target!r} answers no SQL. Ask with find or load_all, or open a DuckDB file.",
                ability="sql",
            )
        return QueryResult(self._store.sql(sql, parameters))

    def tables(self) -> list[str]:
        """Return the names of the variables that hold values; each can be queried under its name."""
        return [info.name for info in self._store.types() if info.records]

    def schema(self, variable: VariableLike) -> pd.DataFrame:
        """Return the columns that a variable has in SQL, and their types.

        Parameters
        ----------
        variable
            A class, the name of one, or ``Name__rows`` for the view with one row per sample.

        Raises
        ------
        NotRegisteredError
            When the database knows no variable of that name.
        NotFoundError
            When no value of it was saved yet.

        """
        view = variable if isinstance(variable, str) else self._named(variable)[0]
        name = view.removesuffix("__rows")
        self._registered(name)
        if name not in self.tables():
            raise NotFoundError(f"No value of {name} was saved yet, so it has no columns.", variable=name)
        # A registered name is an identifier and needs no escape.
        columns = self.query(f'DESCRIBE "{view}"').to_pandas()
        return columns[["column_name", "column_type"]].set_axis(["column", "type"], axis=1)
