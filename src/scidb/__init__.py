"""SciDB keeps everything that an analysis produces: typed variables, their versions, and what made them."""

from scidb._version import __version__
from scidb.database import DatabaseManager
from scidb.exceptions import *  # noqa: F403 - every error is also reachable as scidb.X
from scidb.filters import ColumnSelection, raw_sql, schema_key
from scidb.foreach import EachOf, Fixed, ForEachConfig, ForEachReport, Merge, PathInput, for_each
from scidb.hashing import canonical_hash
from scidb.hashing.version_keys import any_of
from scidb.session import configure_database, get_database, open_database
from scidb.thunk import OutputThunk, PipelineThunk, Thunk, ThunkOutput, thunk
from scidb.variable import BaseVariable

open = open_database  # noqa: A001 - as in h5py or xarray, and left out of __all__

__all__ = [
    "BaseVariable",
    "ColumnSelection",
    "DatabaseManager",
    "EachOf",
    "Fixed",
    "ForEachConfig",
    "ForEachReport",
    "Merge",
    "OutputThunk",
    "PathInput",
    "PipelineThunk",
    "Thunk",
    "ThunkOutput",
    "__version__",
    "any_of",
    "canonical_hash",
    "configure_database",
    "for_each",
    "get_database",
    "raw_sql",
    "schema_key",
    "thunk",
]
