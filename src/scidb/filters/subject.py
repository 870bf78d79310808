"""What a comparison is about: a variable, perhaps one column of it, perhaps one variant."""

from __future__ import annotations

import json
from typing import Literal, NamedTuple, TypeAlias

from scidb.exceptions import FilterError
from scidb.filters.values import check_text

__all__ = ["Label", "Reduce", "Subject", "Version", "normal_version", "subject_text"]

Reduce: TypeAlias = Literal["any", "all"]
Label: TypeAlias = str | int
Version: TypeAlias = tuple[tuple[str, tuple[str | None, ...]], ...]
"""Per version key the canonical JSON texts of which any will do; None among them means "not set"."""


class Subject(NamedTuple):
    """A variable, or a column of it, in the variants that `version` names, or in whichever there is."""

    variable: str
    column: Label | None = None
    version: Version = ()


def subject_text(variable: str, column: Label | None, reduce: Reduce | None, version: Version = ()) -> str:
    """Return how a comparison names what it is about."""
    if version:
        keys = ", ".join(f"{name}={_any_of(texts)}" for name, texts in version)
        variable = f"Fixed({variable}, {keys})"
    part = "" if column is None else f"[{column!r}]"
    return f"{variable}{part}{f'.{reduce}()' if reduce else ''}"


def _any_of(texts: tuple[str | None, ...]) -> str:
    # None and the text of a None are the same to whoever asks.
    values = dict.fromkeys("None" if text is None else repr(json.loads(text)) for text in texts)
    return next(iter(values)) if len(values) == 1 else f"any_of({', '.join(values)})"


def normal_version(version: object) -> Version:
    """Return the version keys of a subject in one order.

    Raises
    ------
    FilterError
        When they are not names with JSON texts.

    """
    if not isinstance(version, tuple | list):
        raise FilterError(f"Version keys are pairs of a name and JSON texts, not {version!r}.")
    normal: dict[str, tuple[str | None, ...]] = {}
    for pair in version:
        if not isinstance(pair, tuple | list) or len(pair) != 2 or not isinstance(pair[1], tuple | list):
            raise FilterError(f"A version key is a pair of a name and JSON texts, not {pair!r}.")
        name, texts = pair
        check_text("A version key", name)
        normal[name] = tuple(_json_text(name, text) for text in texts)
    return tuple(sorted(normal.items()))


def _json_text(name: str, text: object) -> str | None:
    if text is None or (isinstance(text, str) and _is_json(text)):
        return text
    raise FilterError(f"The version key {name!r} takes JSON texts; {text!r} is none.")


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
