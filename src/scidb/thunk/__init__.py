"""Calls that remember where their values came from, and are not repeated when their result was saved.

This layer has no storage and knows no variables: it identifies a call through `scidb.hashing`, and asks
whatever database is current, through the protocol `Cache`, for a result saved earlier.

As an attribute of the package, ``scidb.thunk`` is the decorator: ``scidb/__init__.py`` imports the names
below, which replaces the module under that attribute. ``from scidb.thunk import ...`` finds the module
among the imported ones and works in either order.
"""

from __future__ import annotations

from scidb.thunk.cache import Cache, CacheWarning
from scidb.thunk.call import PipelineThunk
from scidb.thunk.core import Thunk, thunk
from scidb.thunk.lineage import chain, unsaved
from scidb.thunk.output import OutputThunk, ThunkOutput

__all__ = [
    "Cache",
    "CacheWarning",
    "OutputThunk",
    "PipelineThunk",
    "Thunk",
    "ThunkOutput",
    "chain",
    "thunk",
    "unsaved",
]
