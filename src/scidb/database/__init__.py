"""The facade: addresses, encodes, identifies, records lineage, and asks a store for the rest."""

from scidb.database.loading import QueryResult
from scidb.database.manager import DatabaseManager

__all__ = ["DatabaseManager", "QueryResult"]
