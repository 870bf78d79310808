"""Getting what can be read out of a damaged file into a new one."""

from scidb.store.duck.recovering.dropping import drop_records, note_removal
from scidb.store.duck.recovering.extracting import Extracted, extract
from scidb.store.duck.recovering.settling import settle

__all__ = ["Extracted", "drop_records", "extract", "note_removal", "settle"]
