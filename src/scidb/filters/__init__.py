"""Filters as data: what a value elsewhere has to be, for an entry to be wanted.

A frozen tree with a text that identifies it and a form in JSON. Knows nothing of stores or variable classes.
"""

from scidb.filters.leaves import (
    ColumnFilter,
    InFilter,
    KeyFilter,
    KeyInFilter,
    MissingFilter,
    RawFilter,
    VariableFilter,
    comparison,
)
from scidb.filters.levels import coarser_than
from scidb.filters.operands import Operand, VariableOperand, raw_sql, schema_key, subject_of
from scidb.filters.selection import ColumnSelection
from scidb.filters.subject import Reduce, Subject, Version, subject_text
from scidb.filters.tree import CompoundFilter, Filter, NotFilter, checked_filter
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
    "Subject",
    "Value",
    "VariableFilter",
    "VariableOperand",
    "Version",
    "checked_filter",
    "coarser_than",
    "comparison",
    "kind_of",
    "raw_sql",
    "schema_key",
    "subject_of",
    "subject_text",
]
