"""The program ``scidb-server``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the database file that is named first, on this machine alone."""
    import uvicorn

    from scidbnet.server.app import create_app

    [path] = sys.argv[1:] if arguments is None else arguments
    uvicorn.run(create_app(path), host="127.0.0.1", port=8765)
