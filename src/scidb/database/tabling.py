"""Tables of other people's making, one record per row."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from scidb.database.loading import Loading
from scidb.database.querying import QueryResult
from scidb.exceptions import ReservedMetadataKeyError, SchemaKeyError, SciDBError, UnsupportedValueError, did_you_mean
from scidb.records import place

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from scidb.database.core import VariableLike
    from scidb.database.saving import Pending

__all__ = ["Tabling"]


class Tabling(Loading):
    """save_from_dataframe."""

    def save_from_dataframe(
        self, variable: VariableLike, /, df: Any, data_column: str, metadata_columns: Sequence[str], **common: Any
    ) -> list[str]:
        """Save each row of a table as one record, in one transaction; return the record ids in the order of rows.

        Takes what ``BaseVariable.save_from_dataframe`` takes.

        Raises
        ------
        SciDBError
            When a column is not there, or two rows have one place.
        SchemaKeyError
            When a row has no value, or an unsuitable one, in a metadata column.

        """
        frame = _as_frame(df)
        names = _metadata_names(metadata_columns)
        _check_columns(frame, data_column, names, common)
        target = self._target(variable)
        columns = [_plain(frame[name]) for name in names]
        for name in names:
            _check_given(frame, name)
        pending: list[Pending] = []
        seen: dict[tuple[Any, ...], int] = {}
        for number, (value, *keys) in enumerate(zip(_plain(frame[data_column]), *columns, strict=True)):
            metadata = dict(zip(names, keys, strict=True))
            try:
                item = self._pending(target, value, {**common, **metadata})
            except (SchemaKeyError, ReservedMetadataKeyError, UnsupportedValueError) as error:
                raise type(error)(f"{_row(frame, number)}: {error}", **error.details) from error
            found = (*item.address.schema.items(), item.address.version_keys)
            if (first := seen.setdefault(found, number)) != number:
                raise SciDBError(
                    f"{_row(frame, first)} and {_row(frame, number)} have the same place, {place(metadata)}, so that "
                    "one value would supersede the other. Name a column that tells them apart among the metadata "
                    f"columns ({', '.join(names)})."
                )
            pending.append(item)
        return [record.record_id for record in self._save(pending)] if pending else []


def _as_frame(df: Any) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa

    if isinstance(df, pd.DataFrame):
        return df
    if hasattr(df, "__arrow_c_stream__"):
        with suppress(pa.ArrowException):  # a Series is a stream too, but not of rows
            return QueryResult(pa.table(df)).to_pandas()
    raise SciDBError(f"save_from_dataframe takes a DataFrame, of pandas, polars or Arrow; got {type(df).__name__}.")


def _metadata_names(columns: object) -> list[str]:
    if isinstance(columns, str):
        return [columns]
    if not isinstance(columns, list | tuple) or not all(isinstance(name, str) for name in columns):
        raise SciDBError(f"metadata_columns={columns!r}: give a list of column names.")
    return list(columns)


def _check_columns(frame: pd.DataFrame, data_column: object, names: Sequence[str], common: dict[str, Any]) -> None:
    known = list(frame.columns)
    if not isinstance(data_column, str):
        raise SciDBError(
            f"data_column={data_column!r}: name one column, whose cells are the values. To save several columns as one "
            "value, save a DataFrame per place: V.save_many([(rows, {'subject': s}) for s, rows in "
            "df.groupby('subject')])."
        )
    for name in (data_column, *names):
        if known.count(name) != 1:
            what = "has no column" if name not in known else f"has {known.count(name)} columns"
            texts = [column for column in known if isinstance(column, str)]
            raise SciDBError(
                f"The table {what} {name!r}; its columns are {', '.join(map(str, known))}.{did_you_mean(name, texts)}"
            )
    if len(set(names)) < len(names) or data_column in names:
        raise SciDBError(f"A column is named twice among {', '.join((data_column, *names))}.")
    if twice := [name for name in names if name in common]:
        raise SciDBError(f"{twice[0]!r} is a column of the table, and given for all rows too: {twice[0]}=...")


def _check_given(frame: pd.DataFrame, name: str) -> None:
    missing = frame[name].isna().to_numpy()
    if missing.any():
        raise SchemaKeyError(
            f"{_row(frame, int(missing.argmax()))} has no {name!r} ({int(missing.sum())} rows have none). Leave these "
            "rows out (dropna), or save those whose key is not set in a call of their own.",
            key=name,
        )


def _plain(column: pd.Series[Any]) -> list[Any]:
    """Return the cells as Python's numbers where these are the same, so that a table saves what a loop would."""
    import numpy as np

    if (
        isinstance(column.dtype, np.dtype)
        and column.dtype.kind in "iufc"
        and column.dtype not in (np.int64, np.float64)
    ):
        return list(column.to_numpy())
    cells: list[Any] = column.tolist()
    return cells


def _row(frame: pd.DataFrame, number: int) -> str:
    label = frame.index[number]
    return f"Row {number}" if label == number else f"Row {number} ({label!r})"
