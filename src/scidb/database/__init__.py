"""The facade: addresses, encodes, identifies, records lineage, and asks a store for the rest."""

from scidb.database.diff import Diff, DiffRow
from scidb.database.manager import DatabaseManager
from scidb.database.querying import QueryResult

__all__ = ["DatabaseManager", "Diff", "DiffRow", "QueryResult"]
