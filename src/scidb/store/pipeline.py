"""The type-level pipeline: which edges of a write say something new."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from scidb.store.model import Edge

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["EdgeSets", "edge_sets", "new_sets"]

EdgeSets: TypeAlias = Mapping[tuple[str, str], Mapping[str, Edge]]
"""The edges of each target and function, by source, without the time."""


def edge_sets(edges: Iterable[Edge]) -> EdgeSets:
    """Return edges by what they lead to.

    One arrow each: of two codes of one function in a single write, the later one counts.
    """
    sets: dict[tuple[str, str], dict[str, Edge]] = defaultdict(dict)
    for edge in edges:
        sets[edge.target, edge.function_name][edge.source] = replace(edge, timestamp="")
    return dict(sets)


def new_sets(current: EdgeSets, written: Iterable[Edge]) -> EdgeSets:
    """Return those sets of a write that are not as the current ones."""
    return {key: edges for key, edges in edge_sets(written).items() if current.get(key) != edges}
