"""Whether records are what they claim to be: their content, and the id that follows from it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from scidb.exceptions import SciDBError, SerializationError
from scidb.hashing import ids
from scidb.maintenance.verifying import contents, expected_id, parts
from scidb.store import Wrapper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scidb.store import Store
    from scidb.store.model import Batch, Chunk, Record

__all__ = ["Verified"]

# Fewer bytes are verified sooner than a thread begins.
_MEANWHILE: Final = 4 * 2**20


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
        checked = [chunk for chunk in batch.chunks if chunk.table is not None and len(chunk.records)]
        if sum(chunk.table.get_total_buffer_size() for chunk in checked if chunk.table is not None) < _MEANWHILE:
            self._check_all(checked)
            return super().write(batch)
        for variable in {record.variable for chunk in checked for record in chunk.records}:
            self._identity(variable)
        # What is large is looked at while it is being stored, and is committed only when that has come to its end.
        with ThreadPoolExecutor(1, "scidb-verifying") as threads:
            checking = threads.submit(self._check_all, checked)
            try:
                return super().write(replace(batch, check=checking.result))
            except SciDBError:
                checking.result()  # which says better what is wrong
                raise

    def _check_all(self, chunks: Sequence[Chunk]) -> None:
        for chunk in chunks:
            for part in parts(chunk):
                self._check(part)

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
