"""What keeps a query of somebody else within limits: of rows, and of time."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import duckdb
import pyarrow as pa

from scidb.exceptions import LimitExceededError, QueryError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["limited", "stopped_after"]

_BATCH_ROWS: Final = 16_384
# An interrupt that comes between two statements, or two batches, is forgotten.
_AGAIN: Final = 0.05


@contextmanager
def stopped_after(cursor: duckdb.DuckDBPyConnection, seconds: float | None) -> Iterator[None]:
    """Interrupt what a cursor does within this block when it takes longer.

    Raises
    ------
    LimitExceededError
        Saying so.

    """
    if seconds is None:
        yield
        return
    is_over, is_late = threading.Event(), threading.Event()

    def watch() -> None:
        if is_over.wait(seconds):
            return
        is_late.set()
        while not is_over.is_set():
            with suppress(duckdb.Error):  # of a cursor that was closed meanwhile
                cursor.interrupt()
            is_over.wait(_AGAIN)

    watching = threading.Thread(target=watch, name="scidb-query-limit", daemon=True)
    watching.start()
    try:
        yield
    except (duckdb.InterruptException, QueryError) as error:
        if not is_late.is_set():
            raise
        raise LimitExceededError(
            f"The query took longer than {seconds:g} s and was stopped. Ask for less, for example with WHERE or LIMIT.",
            seconds=seconds,
        ) from error
    finally:
        is_over.set()
        watching.join()


def limited(
    cursor: duckdb.DuckDBPyConnection, query: str, parameters: list[object] | dict[str, object], max_rows: int
) -> pa.Table:
    """Run a query and return its rows, without ever having more than a batch more than allowed.

    Raises
    ------
    LimitExceededError
        When it has more.
    QueryError
        When it fails on the way.

    """
    source: Any
    if parameters and int(duckdb.__version__.split(".")[0]) == 1:
        source = cursor.execute(query, parameters)  # as a relation with parameters it would be whole before it begins
    else:
        source = cursor.sql(query, params=parameters) if parameters else cursor.sql(query)
    reader = source.to_arrow_reader(_BATCH_ROWS)
    batches, count = [], 0
    try:
        for batch in reader:
            count += batch.num_rows
            if count > max_rows:
                raise LimitExceededError(
                    f"The query has more than {max_rows:,} rows. Ask for fewer, for example with WHERE or LIMIT, or "
                    "for a summary of them (GROUP BY).",
                    max_rows=max_rows,
                )
            batches.append(batch)
    except OSError as error:
        raise QueryError(str(error), query=query[:200]) from error  # what DuckDB says, by way of Arrow
    return pa.Table.from_batches(batches, reader.schema)
