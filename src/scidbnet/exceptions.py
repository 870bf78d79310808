"""The errors that a network adds; they are among all others in `scidb.exceptions`."""

from scidb.exceptions import NetworkError, SerializationError, ServerError

__all__ = ["NetworkError", "SerializationError", "ServerError"]
