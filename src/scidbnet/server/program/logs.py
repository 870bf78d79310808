"""What the program logs: lines for people, or JSON for programs that collect them."""

from __future__ import annotations

import logging

from scidbnet.server.guard.audit import JsonFormatter

__all__ = ["configure_logging"]


def configure_logging(*, as_json: bool) -> None:
    """Send the records of SciDB and of what carries it to the standard error stream."""
    handler = logging.StreamHandler()
    lines = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    handler.setFormatter(JsonFormatter() if as_json else lines)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in ("scidb", "scidbnet"):
        logging.getLogger(name).setLevel(logging.INFO)
