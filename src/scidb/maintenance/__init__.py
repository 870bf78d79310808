"""The owner's work on a database as a whole, over any store. Nothing here knows a file format."""

from scidb.maintenance.erasing import erase
from scidb.maintenance.maintained import maintained
from scidb.maintenance.plans import Erasing, Removing
from scidb.maintenance.pruning import Conditions, prune

__all__ = ["Conditions", "Erasing", "Removing", "erase", "maintained", "prune"]
