"""Where a number came from, and what came from it."""

from scidb.provenance.graph import LineageGraph, Link, Node
from scidb.provenance.trace import derived_from, lineage_graph, provenance_of, source_of

__all__ = ["LineageGraph", "Link", "Node", "derived_from", "lineage_graph", "provenance_of", "source_of"]
