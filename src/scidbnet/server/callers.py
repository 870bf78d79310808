"""On whose behalf a request is served: what they may do, and what bears their name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from scidb.store import Wrapper
from scidb.store.columns import column_of
from scidbnet.auth import Role, check_batch, check_verb

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from starlette.requests import Request
    from starlette.types import Scope

    from scidb.store import Sql, Store
    from scidb.store.model import (
        Batch,
        Checked,
        Chunk,
        Compaction,
        Record,
        Removal,
        Removed,
        Snapshot,
        StoreInfo,
        TypeInfo,
    )
    from scidbnet.auth import Caller

__all__ = ["CALLER", "OnBehalf", "caller_of", "on_behalf", "path_of"]

CALLER: Final = "caller"
"""Where the state of a request has its caller."""


def caller_of(request: Request) -> Caller | None:
    """Return who asks; None where nobody has to say, as for ``/health``."""
    caller: Caller | None = getattr(request.state, CALLER, None)
    return caller


def path_of(scope: Scope) -> str:
    """Return the path that is asked for, without that under which the application itself answers."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


def on_behalf(store: Store, caller: Caller | None) -> Store:
    """Return the store as a caller may use it; one whom nobody has checked may say who he is."""
    return OnBehalf(store, caller) if caller is not None and caller.is_verified else store


class OnBehalf(Wrapper):
    """A store for one caller: it refuses what the role does not allow, and all that is written bears his name."""

    def __init__(self, store: Store, caller: Caller) -> None:
        super().__init__(store)
        self._caller = caller

    def describe(self) -> StoreInfo:
        """Describe the store inside, as it is for the caller."""
        info = super().describe()
        read_only = info.read_only or self._caller.role < Role.WRITER
        return replace(info, user_id=self._caller.name, read_only=read_only)

    def register(self, info: TypeInfo) -> TypeInfo:
        """Register in the store inside."""
        check_verb(self._caller, "register")
        return super().register(info)

    def write(self, batch: Batch) -> list[Record]:
        """Write to the store inside, in the caller's name."""
        check_batch(self._caller, batch)
        return super().write(_signed(batch, self._caller.name))

    def _sql(self) -> Sql:
        check_verb(self._caller, "sql")
        return super()._sql()

    def snapshot(self, known: Collection[str] = frozenset()) -> Snapshot:
        """Return a snapshot of the store inside."""
        check_verb(self._caller, "backup")
        return super().snapshot(known)

    def claim(
        self, lineage_ids: Sequence[str], owner: str, seconds: float = 60.0, *, most: int | None = None
    ) -> list[str]:
        """Claim computations in the store inside."""
        check_verb(self._caller, "claim")
        return super().claim(lineage_ids, owner, seconds, most=most)

    def check(self, *, repair: bool = False, head: str | None = None) -> Checked:
        """Check the store inside."""
        check_verb(self._caller, "maintain")
        return super().check(repair=repair, head=head)

    def remove(self, removal: Removal) -> Removed:
        """Remove from the store inside, in the caller's name."""
        check_verb(self._caller, "maintain")
        return super().remove(replace(removal, user_id=self._caller.name))

    def compact(self) -> Compaction:
        """Compact the store inside."""
        check_verb(self._caller, "maintain")
        return super().compact()


def _signed(batch: Batch, name: str) -> Batch:
    return replace(
        batch,
        chunks=tuple(_signed_chunk(chunk, name) for chunk in batch.chunks),
        calls=tuple(replace(call, user_id=name) for call in batch.calls),
        events=tuple(_signed_event(event, name) for event in batch.events),
    )


def _signed_chunk(chunk: Chunk, name: str) -> Chunk:
    # A client says so itself, since describe() has told it; only one that lies costs more.
    if column_of(chunk.records, "user_id").count(name) == len(chunk.records):
        return chunk
    return replace(chunk, records=[replace(record, user_id=name) for record in chunk.records])


def _signed_event(event: Any, name: str) -> Any:
    return replace(event, user_id=name) if hasattr(event, "user_id") else event
