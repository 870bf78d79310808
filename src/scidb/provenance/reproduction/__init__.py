"""Reproducing: computing a record again in a fresh process, and saying how well it agrees."""

from scidb.provenance.reproduction.agreement import ColumnAgreement, Tolerance
from scidb.provenance.reproduction.planning import StoredCode
from scidb.provenance.reproduction.result import EnvironmentChange, ReproducedRecord, Reproduction
from scidb.provenance.reproduction.running import reproduce

__all__ = [
    "ColumnAgreement",
    "EnvironmentChange",
    "ReproducedRecord",
    "Reproduction",
    "StoredCode",
    "Tolerance",
    "reproduce",
]
