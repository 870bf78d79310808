"""Paths among the arguments of a call: which files are there, and which of them a call has written."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, TypeAlias

from scidb.hashing.inputs import CallInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["FileStates", "file_states", "missing_paths", "written_since"]

FileStates: TypeAlias = "Mapping[tuple[str, str], tuple[int, int, int] | None]"
"""By parameter and path: what changes when somebody writes to a file; None where there is none."""


def missing_paths(inputs: Mapping[str, object]) -> list[str]:
    """Return the paths among arguments, at any depth of lists, tuples and dicts, where there is nothing.

    Examples
    --------
    >>> from pathlib import Path
    >>> missing_paths({"x": 1, "paths": [Path("."), Path("no/such/file")]})
    ['no/such/file']

    """
    return [path for value in inputs.values() for path in _paths(value) if not os.path.exists(path)]  # noqa: PTH110


def file_states(inputs: Mapping[str, object]) -> FileStates:
    """Return the state of every file that is named by a path among arguments."""
    return {(name, path): _state(path) for name, value in inputs.items() for path in _paths(value)}


def written_since(before: FileStates) -> tuple[CallInput, ...]:
    """Return a line of provenance for each file that was written since, known by its path and not by its content."""
    return tuple(
        CallInput(name, "file", value_repr=path, root=None if os.path.isabs(path) else os.getcwd())  # noqa: PTH109, PTH117
        for (name, path), state in before.items()
        if (now := _state(path)) is not None and now != state
    )


def _paths(value: object) -> Iterator[str]:
    if isinstance(value, os.PathLike):
        yield os.fsdecode(value)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _paths(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _paths(item)


def _state(path: str) -> tuple[int, int, int] | None:
    """Return the state of a file; a folder has none, since it changes with whatever is put into it."""
    try:
        found = os.stat(path)  # noqa: PTH116 - any path-like object, not only pathlib's
    except OSError:
        return None
    return (found.st_size, found.st_mtime_ns, found.st_ino) if stat.S_ISREG(found.st_mode) else None
