"""What stored code takes from libraries, by the dotted names that are recorded."""

from __future__ import annotations

import functools
import importlib
from typing import Any, Final

from scidb.provenance.reproduction.calls import CannotRunError

__all__ = ["USUAL", "library"]

USUAL: Final = {
    **{name: f"dataclasses.{name}" for name in ("dataclass", "field")},
    **{name: f"functools.{name}" for name in ("cache", "cached_property", "lru_cache", "wraps", "partial")},
    **{name: f"contextlib.{name}" for name in ("contextmanager",)},
    **{name: f"enum.{name}" for name in ("Enum", "IntEnum", "StrEnum", "Flag", "auto")},
    **{name: f"abc.{name}" for name in ("ABC", "abstractmethod")},
    **{name: f"typing.{name}" for name in ("NamedTuple", "ClassVar", "Any")},
    **{name: name for name in ("abc", "contextlib", "dataclasses", "enum", "functools", "typing")},
}
"""Names of the standard library that definitions use, where a manifest does not say what they are."""


def library(name: str) -> Any:
    """Return what a dotted name of a library stands for; its modules are imported.

    Raises
    ------
    CannotRunError
        When it is not installed.

    """
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError as error:
            if not f"{'.'.join(parts[:length])}.".startswith(f"{error.name}."):
                raise CannotRunError(f"it needs {name}, whose import fails: {error}") from error
            continue
        except ImportError as error:
            raise CannotRunError(f"it needs {name}, whose import fails: {error}") from error
        try:
            return functools.reduce(getattr, parts[length:], found)
        except AttributeError:
            break
    raise CannotRunError(f"it needs {name}, which is not installed here")
