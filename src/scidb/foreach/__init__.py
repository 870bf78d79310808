"""Iteration over combinations of key values. Knows no storage: it asks the current database."""

from scidb.foreach.config import ForEachConfig
from scidb.foreach.execute import for_each
from scidb.foreach.inputs import EachOf, Fixed, Merge
from scidb.foreach.paths import PathInput
from scidb.foreach.report import ForEachReport

__all__ = ["EachOf", "Fixed", "ForEachConfig", "ForEachReport", "Merge", "PathInput", "for_each"]
