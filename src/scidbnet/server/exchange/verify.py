"""Whether records are what they claim to be: their content, and the id that follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scidb.exceptions import SerializationError
from scidb.hashing import ids
from scidb.maintenance.verifying import contents, expected_id, parts
from scidb.store import Wrapper

if TYPE_CHECKING:
    from scidb.store import Store
    from scidb.store.model import Batch, Chunk, Record

__all__ = ["Verified"]


class Verified(Wrapper):
    """A store that computes again what identifies records, before they are stored."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._identities: dict[str, str] = {}

    def write(self, batch: Batch) -> list[Record]:
        """Write to the store inside what is what it claims to be.

        Raises
        ------
        SerializationError
            When a hash or an id is not that of its value, or an encoding is unknown here (code
            ``unknown_encoding``).

        """
        for chunk in batch.chunks:
            if chunk.table is not None and len(chunk.records):
                for part in parts(chunk):
                    self._check(part)
        return super().write(batch)

    def _check(self, chunk: Chunk) -> None:
        for record, value in zip(chunk.records, contents(chunk), strict=True):
            content = ids.content_hash(value)
            if content != record.content_hash:
                raise SerializationError(
                    f"The value of {record.variable} that came is not the one that was sent: its hash is "
                    f"{content[:12]}, not {record.content_hash[:12]}. Send it again.",
                    variable=record.variable,
                )
            self._check_id(record)

    def _check_id(self, record: Record) -> None:
        identity = self._identity(record.variable)
        if identity is None:  # for the store to refuse
            return
        expected = expected_id(record, identity)
        if expected != record.record_id:
            raise SerializationError(
                f"A record of {record.variable} has the id {record.record_id[:12]}, which is not that of its value and "
                "place. Is the client of another version of SciDB?",
                variable=record.variable,
            )

    def _identity(self, variable: str) -> str | None:
        if variable not in self._identities:
            self._identities = {info.name: info.identity_name for info in self.types()}
        return self._identities.get(variable)
