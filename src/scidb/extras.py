"""Optional libraries, imported at the point of use; a missing one is named together with its extra."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from scidb.exceptions import UnsupportedOperationError

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["require"]


def require(module: str, extra: str) -> ModuleType:
    """Import an optional library.

    Raises
    ------
    UnsupportedOperationError
        When it is not installed, naming the extra that brings it.

    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise UnsupportedOperationError(
            f"This needs {error.name}, which is not installed. Try: pip install 'scidb[{extra}]'.",
            ability=extra,
            missing=error.name,
        ) from error
