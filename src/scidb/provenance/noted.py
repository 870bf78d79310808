"""The inputs of a for_each call, read from the texts that it noted among its version keys."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scidb.hashing.inputs import CallInput

__all__ = ["NotedInput", "noted_inputs", "shared_out"]

# A text in quotes, which may hold any sign, or one sign.
_SIGN: Final = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"|.""", re.DOTALL)
_DEPTH: Final = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


@dataclass(frozen=True, slots=True)
class NotedInput:
    """What one parameter, or one part of a merge, was given: a variable, perhaps columns, perhaps with keys fixed."""

    variable: str
    fixed: tuple[str, ...] = ()
    columns: tuple[str | int, ...] = ()
    is_single: bool = False  # one column, not as a table


def noted_inputs(text: str) -> list[NotedInput]:
    """Return the input that a text stands for, or the parts of a merge.

    Examples
    --------
    >>> noted_inputs("Fixed(Gait['knee'], session='a, b')")
    [NotedInput(variable='Gait', fixed=('session',), columns=('knee',), is_single=True)]
    >>> [part.variable for part in noted_inputs("Merge(Gait['x', 'y'], Fixed(Speed, k=0.2), Weight)")]
    ['Gait', 'Speed', 'Weight']

    """
    if text.startswith("Merge("):
        return [_one(part) for part in _split(_inside(text))]
    return [_one(text)]


def _one(text: str) -> NotedInput:
    source, *pairs = _split(_inside(text)) if text.startswith("Fixed(") else [text]
    fixed = tuple(pair.partition("=")[0] for pair in pairs)
    name, bracket, _ = source.partition("[")
    if not bracket:
        return NotedInput(name, fixed)
    labels = source.removeprefix(f"{name}[").removesuffix("]")
    found = tuple(ast.literal_eval(f"[{labels}]"))
    return NotedInput(name, fixed, found, is_single=len(found) == 1 and not labels.endswith(","))


def _inside(text: str) -> str:
    return text[text.index("(") + 1 : -1]


def _split(text: str) -> list[str]:
    """Return what stands between the commas that are in no brackets and no quotes."""
    parts, depth = [""], 0
    for sign in _SIGN.findall(text):
        depth += _DEPTH.get(sign, 0)
        if sign == "," and not depth:
            parts.append("")
        else:
            parts[-1] += sign
    return [part.strip() for part in parts]


def shared_out(origins: Sequence[CallInput], count: int) -> list[list[CallInput]] | None:
    """Return the origins of one parameter by the parts of a merge, in whose order they were noted.

    None where nobody can tell: several matches of the same variable, in several parts.
    """
    if count == 1:
        return [list(origins)]
    if len(origins) == count:
        return [[one] for one in origins]
    runs = [list(run) for _, run in groupby(origins, key=lambda one: one.type_name)]
    return runs if len(runs) == count else None
