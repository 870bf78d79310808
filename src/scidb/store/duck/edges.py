"""The arrows of the pipeline: those that count, those of a run, and those that were seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scidb.store.duck.insert import insert_rows
from scidb.store.duck.tables import TABLES
from scidb.store.model import Edge
from scidb.store.pipeline import edge_sets, new_sets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scidb.store.duck.connection import Connection
    from scidb.store.duck.state import State
    from scidb.store.model import EdgesSeen

__all__ = ["add_edges", "current_edges", "see_edges"]


def current_edges(connection: Connection) -> list[Edge]:
    """Return the edges that no newer set has taken the place of."""
    rows = connection.rows(
        "SELECT source, target, function_name, function_hash, timestamp FROM _lineage "
        "QUALIFY timestamp = max(timestamp) OVER (PARTITION BY target, function_name) "
        "ORDER BY target, function_name, source"
    )
    return [Edge(*row) for row in rows]


def add_edges(connection: Connection, draft: State, edges: Iterable[Edge], stamp: str) -> None:
    """Store edges, whether they are the current ones or not."""
    _insert(connection, edges, stamp)
    draft.pipeline = None


def see_edges(connection: Connection, draft: State, event: EdgesSeen, stamp: str) -> None:
    """Store those sets of edges that are not as the current ones, which are remembered: each save has some."""
    known = edge_sets(current_edges(connection)) if draft.pipeline is None else draft.pipeline
    new = new_sets(known, event.edges)
    _insert(connection, (edge for own in new.values() for edge in own.values()), stamp)
    draft.pipeline = {**known, **new}


def _insert(connection: Connection, edges: Iterable[Edge], stamp: str) -> None:
    rows = ((edge.source, edge.target, edge.function_name, edge.function_hash, stamp) for edge in edges)
    insert_rows(connection, TABLES["_lineage"], list(dict.fromkeys(rows)))
