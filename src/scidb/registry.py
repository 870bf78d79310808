"""Variable classes by name: what turns a stored name back into the user's class."""

from __future__ import annotations

from typing import Final

__all__ = ["known_classes", "register_class", "variable_class"]

_classes: Final[dict[str, type]] = {}


def register_class(cls: type) -> None:
    """Remember `cls` under its name; a class defined again (a notebook cell, a worker) replaces the former."""
    _classes[cls.__name__] = cls


def variable_class(name: str) -> type | None:
    """Return the class imported under `name` in this process, or None."""
    return _classes.get(name)


def known_classes() -> tuple[str, ...]:
    """Return the names of all classes of this process, sorted."""
    return tuple(sorted(_classes))
