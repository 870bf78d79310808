"""Where a number came from, what came from it, and whether it is up to date."""

from scidb.provenance.accepting import Outdated, outdated_code
from scidb.provenance.facts import written_file
from scidb.provenance.graph import LineageGraph, Link, Node
from scidb.provenance.status import GREEN, STATES, Reason, RecordStatus, RollUp, Status
from scidb.provenance.trace import derived_from, lineage_graph, provenance_of, source_of
from scidb.provenance.verifying import verify
from scidb.provenance.why import Explanation, explanation_of, explanation_of_file, status_of

__all__ = [
    "GREEN",
    "STATES",
    "Explanation",
    "LineageGraph",
    "Link",
    "Node",
    "Outdated",
    "Reason",
    "RecordStatus",
    "RollUp",
    "Status",
    "derived_from",
    "explanation_of",
    "explanation_of_file",
    "lineage_graph",
    "outdated_code",
    "provenance_of",
    "source_of",
    "status_of",
    "verify",
    "written_file",
]
