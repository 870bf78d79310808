"""Lineage of a thunk's result, under the import path that scripts know."""

from __future__ import annotations

from typing import Any

from scidb.thunk import PipelineThunk, ThunkOutput
from scidb.thunk.lineage import chain, unsaved

__all__ = ["extract_lineage", "find_unsaved_variables", "get_raw_value"]


def extract_lineage(output: ThunkOutput) -> list[PipelineThunk]:
    """Return the calls behind a result that a save records, upstream first.

    Examples
    --------
    >>> from scidb.thunk import thunk
    >>> @thunk
    ... def double(x):
    ...     return 2 * x
    >>> [call.thunk.name for call in extract_lineage(double(double(1)))]
    ['double', 'double']

    """
    return list(chain(output))


def find_unsaved_variables(output: ThunkOutput) -> list[str]:
    """Return the path to each variable behind a result that was never saved."""
    return unsaved(output)


def get_raw_value(data: Any) -> Any:
    """Return the value of a thunk's result; anything else as it is."""
    return data.data if isinstance(data, ThunkOutput) else data
