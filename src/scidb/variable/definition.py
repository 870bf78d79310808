"""What a variable class may look like."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

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
    _check_migrate(cls)
    _check_display(cls)
    units: object = cls.units
    pairs = units.items() if isinstance(units, Mapping) else [("value", units)]
    if units is not None and not all(isinstance(part, str) for pair in pairs for part in pair):
        raise VariableDefinitionError(f"{cls.__name__}.units must be a text, or a text per column, got {units!r}.")
    version = cls.schema_version
    if type(version) is not int or version < 1:
        raise VariableDefinitionError(f"{cls.__name__}.schema_version must be a whole number from 1, got {version!r}.")


def _check_migrate(cls: Any) -> None:
    if not hasattr(cls, "migrate"):
        return
    shape = "@classmethod def migrate(cls, df, from_version)"
    if not isinstance(inspect.getattr_static(cls, "migrate"), classmethod):
        raise VariableDefinitionError(f"{cls.__name__}.migrate must be a classmethod: {shape}.")
    signature = inspect.signature(cls.migrate)
    try:
        signature.bind(None, 1)
    except TypeError:
        raise VariableDefinitionError(
            f"{cls.__name__}.migrate{signature} cannot be called with what was stored and its schema_version. "
            f"Write it as {shape}."
        ) from None


def _check_display(cls: type[BaseVariable]) -> None:
    display: object = cls.display
    try:
        plain = (
            isinstance(display, Mapping) and json.loads(json.dumps(display, default=dict, allow_nan=False)) == display
        )
    except (TypeError, ValueError):
        plain = False
    if not plain:
        raise VariableDefinitionError(
            f"{cls.__name__}.display must map names of hints, or of columns, to texts, numbers, lists and dicts, as in "
            f"display = {{'precision': 3}}; got {display!r}."
        )
