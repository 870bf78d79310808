"""Variables: the kinds of values that an analysis keeps."""

from scidb.variable.base import BaseVariable
from scidb.variable.facade import Database, database_or_current

__all__ = ["BaseVariable", "Database", "database_or_current"]
