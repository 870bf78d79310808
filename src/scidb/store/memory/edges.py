"""The arrows of the pipeline: those that count, and those that were seen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scidb.store.pipeline import edge_sets, new_sets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scidb.store.memory.state import State
    from scidb.store.model import Edge

__all__ = ["current_edges", "see_edges"]


def current_edges(state: State) -> list[Edge]:
    """Return the edges that no newer set has taken the place of."""
    newest = {(edge.target, edge.function_name): edge.timestamp for edge in state.edges}
    current = [edge for edge in state.edges if edge.timestamp == newest[edge.target, edge.function_name]]
    return sorted(current, key=lambda edge: (edge.target, edge.function_name, edge.source))


def see_edges(state: State, edges: Iterable[Edge], stamp: str) -> None:
    """Store those sets of edges that are not as the current ones."""
    new = new_sets(edge_sets(current_edges(state)), edges)
    state.edges += [replace(edge, timestamp=stamp) for own in new.values() for edge in own.values()]
