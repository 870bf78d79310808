"""Filters as data: what a value elsewhere has to be, for an entry to be wanted.

A frozen tree with a text that identifies it and a form in JSON. Knows nothing of stores or variable classes.
"""

from scidb.filters.levels import coarser_than
from scidb.filters.operands import Operand, raw_sql, schema_key
from scidb.filters.selection import ColumnSelection
from scidb.filters.tree import (
    ColumnFilter,
    CompoundFilter,
    Filter,
    InFilter,
    KeyFilter,
    KeyInFilter,
    MissingFilter,
    NotFilter,
    RawFilter,
    Reduce,
    VariableFilter,
    checked_filter,
    comparison,
)
from scidb.filters.values import COMPARE, Kind, Op, Value, kind_of

__all__ = [
    "COMPARE",
    "ColumnFilter",
    "ColumnSelection",
    "CompoundFilter",
    "Filter",
    "InFilter",
    "KeyFilter",
    "KeyInFilter",
    "Kind",
    "MissingFilter",
    "NotFilter",
    "Op",
    "Operand",
    "RawFilter",
    "Reduce",
    "Value",
    "VariableFilter",
    "checked_filter",
    "coarser_than",
    "comparison",
    "kind_of",
    "raw_sql",
    "schema_key",
]
