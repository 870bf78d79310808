"""Iteration over combinations of key values. Knows no storage: it asks the current database."""

from scidb.foreach.config import ForEachConfig
from scidb.foreach.execute import for_each
from scidb.foreach.inputs import Fixed, PathInput
from scidb.foreach.report import ForEachReport

__all__ = ["Fixed", "ForEachConfig", "ForEachReport", "PathInput", "for_each"]
