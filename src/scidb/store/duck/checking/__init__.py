"""Whether a file is what it must be: its tables, what refers to what, how many rows there are, the chain of its log."""

from scidb.store.duck.checking.file import check_connection, check_path

__all__ = ["check_connection", "check_path"]
