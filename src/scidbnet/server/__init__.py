"""The server: a store behind HTTP."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from scidbnet.server.app import create_app, store_app

__all__ = ["create_app", "store_app"]

# Imported when they are asked for: the command line shows the settings of a server without its libraries.
_HOME: Final = "scidbnet.server.app"


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME), name)
