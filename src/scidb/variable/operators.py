"""What variable classes do besides making instances: compared with values, they are filters."""

from __future__ import annotations

from abc import ABCMeta
from typing import Any

from scidb.filters.operands import VariableOperand
from scidb.filters.selection import ColumnSelection
from scidb.filters.subject import Subject

__all__ = ["VariableMeta"]


class VariableMeta(VariableOperand, ABCMeta):
    """The class of variable classes: ``V == 3`` is a filter, ``V["col"]`` a selection, ``V == W`` as ever.

    Derived from ABCMeta, so that a variable may also be an abstract class.
    """

    # Without this, __getitem__ would make an endless sequence of each class.
    __iter__ = None
    __contains__ = None
    __hash__ = type.__hash__

    def __getitem__(cls, columns: Any) -> ColumnSelection:
        """Return a column, or several; a class that is generic in its own way keeps its brackets."""
        own: Any = getattr(cls, "__class_getitem__", None)
        if own is not None:
            return own(columns)  # type: ignore[no-any-return]
        return ColumnSelection(cls, columns)

    def _named(cls) -> Subject:
        return Subject(cls.__name__)
