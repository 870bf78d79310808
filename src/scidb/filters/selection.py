"""Columns of a variable, named in square brackets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scidb.exceptions import FilterError
from scidb.filters.operands import VariableOperand
from scidb.filters.subject import Subject

if TYPE_CHECKING:
    from scidb.filters.subject import Label

__all__ = ["ColumnSelection"]


class ColumnSelection(VariableOperand):
    """One column of a variable, or several; made by ``V["col"]`` and ``V[["a", "b"]]``.

    One column is compared with values to make a filter.

    Parameters
    ----------
    source
        The variable class.
    columns
        The label of one column, or a list of labels.

    Examples
    --------
    >>> from scidb import BaseVariable
    >>> class Trial(BaseVariable):
    ...     \"\"\"What was noted of a trial.\"\"\"
    >>> Trial["side"]
    Trial['side']
    >>> (Trial["side"] == "L").to_key()
    "Trial['side'] == 'L'"

    """

    __slots__ = ("columns", "is_single", "source")

    def __init__(self, source: type, columns: object) -> None:
        self.is_single = not isinstance(columns, list)
        labels: list[object] = columns if isinstance(columns, list) else [columns]
        if not labels:
            raise FilterError(f"{source.__name__}[[]] names no column.")
        self.source = source
        self.columns: tuple[Label, ...] = tuple(_label(source, label) for label in labels)

    def to_key(self) -> str:
        """Return the normalised text: ``MyVar['col']``, ``MyVar['a', 'b']``; a list of one is ``MyVar['a',]``."""
        names = ", ".join(map(repr, self.columns))
        return f"{self.source.__name__}[{names}{'' if self.is_single or len(self.columns) > 1 else ','}]"

    def _named(self) -> Subject:
        if not self.is_single:
            name = self.source.__name__
            raise FilterError(
                f"A filter compares one column: {name}[{self.columns[0]!r}] instead of {self.to_key()}. Join "
                "comparisons of several columns with & or |."
            )
        return Subject(self.source.__name__, self.columns[0])

    __repr__ = to_key


def _label(source: type, label: object) -> Label:
    plain = label.item() if isinstance(label, np.generic) else label
    if isinstance(plain, bool) or not isinstance(plain, str | int):
        raise FilterError(
            f"{source.__name__}[...] takes the label of a column, or a list of labels, each a text or an integer; "
            f"got {label!r}. Rows are selected by load(loc=...)."
        )
    return plain
