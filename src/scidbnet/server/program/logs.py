"""What the program logs: lines for people, or JSON for programs that collect them."""

from __future__ import annotations

import datetime as dt
import json
import logging
from typing import Final

__all__ = ["JsonFormatter", "configure_logging"]

# What every record has; the rest was given as `extra`.
_USUAL: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


class JsonFormatter(logging.Formatter):
    """Log records as JSON objects, one a line, with whatever fields came with them."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        shown: dict[str, object] = {
            "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        shown |= {name: value for name, value in vars(record).items() if name not in _USUAL and name not in shown}
        if record.exc_info:
            shown["exception"] = self.formatException(record.exc_info)
        return json.dumps(shown, default=str)


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
