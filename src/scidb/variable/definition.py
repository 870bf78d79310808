"""What a variable class may look like."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING

from scidb.exceptions import VariableDefinitionError

if TYPE_CHECKING:
    from scidb.variable.base import BaseVariable

__all__ = ["check_definition"]


def check_definition(cls: type[BaseVariable]) -> None:
    """Refuse at definition what would fail at the first save."""
    custom = {name for name in ("to_db", "from_db") if hasattr(cls, name)}
    if len(custom) == 1:
        missing = ({"to_db", "from_db"} - custom).pop()
        raise VariableDefinitionError(
            f"{cls.__name__} defines {custom.pop()} but not {missing}. Define both, or neither: "
            "to_db(self) -> DataFrame and the classmethod from_db(cls, df).",
        )
    if custom and not isinstance(inspect.getattr_static(cls, "from_db"), classmethod):
        raise VariableDefinitionError(f"{cls.__name__}.from_db must be a classmethod: write @classmethod above it.")
    units: object = cls.units
    pairs = units.items() if isinstance(units, Mapping) else [("value", units)]
    if units is not None and not all(isinstance(part, str) for pair in pairs for part in pair):
        raise VariableDefinitionError(f"{cls.__name__}.units must be a text, or a text per column, got {units!r}.")
    version = cls.schema_version
    if type(version) is not int or version < 1:
        raise VariableDefinitionError(f"{cls.__name__}.schema_version must be a whole number from 1, got {version!r}.")
