"""A store that is behind HTTP: the verbs, each one request."""

from __future__ import annotations

import itertools
import os
import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from scidb._version import __version__
from scidb.exceptions import (
    ConflictError,
    FormatVersionError,
    NetworkError,
    QueryError,
    SerializationError,
    ServerError,
    StorageError,
    UnsupportedOperationError,
)
from scidb.store.model import (
    Checked,
    Compaction,
    Entries,
    KeyTyped,
    Latest,
    Records,
    Removed,
    Stored,
    StoreInfo,
    Trace,
    TypeInfo,
)
from scidb.store.names import check_same_keys
from scidbnet.client.requests import FOREIGN, RETRY_FOR, Requests
from scidbnet.client.transport import Transport
from scidbnet.wire.batches import batch_bytes, records_of_answer
from scidbnet.wire.chunks import chunks_from, table_from
from scidbnet.wire.claims import ClaimAsked, Claimed
from scidbnet.wire.coding import dump, load
from scidbnet.wire.errors import error_from_json
from scidbnet.wire.framing import PARTS_TYPE, Parts
from scidbnet.wire.maintenance import CheckAsked
from scidbnet.wire.messages import FETCHED, QUERIES, TRACE_QUERY, answer_from_json, trace_from_json
from scidbnet.wire.parameters import parameters_to_json
from scidbnet.wire.plain import to_text
from scidbnet.wire.snapshots import KNOWN_TYPE, digests_to, snapshot_from
from scidbnet.wire.versions import API_VERSION, DESCRIPTION, IDEMPOTENCY_KEY, PREFIX, description_tag

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    import pyarrow as pa

    from scidb.database.core import LineageMode
    from scidb.store.model import Batch, Chunk, Query, Record, Removal, SchemaKey, Snapshot, TraceQuery
    from scidbnet.wire.framing import Bytes, Envelope

__all__ = ["HttpStore"]

T = TypeVar("T")

_JSON: Final = {"Content-Type": "application/json"}
_PARTS: Final = {"Content-Type": PARTS_TYPE}
_MAINTENANCE: Final = 24 * 3_600.0
"""Seconds for which work on the database as a whole is waited for."""

_FRESH: Final = 1.0
"""Seconds for which a description is not asked for again; whoever goes by one that changed meanwhile is refused."""


class HttpStore:
    """A store that a server keeps.

    Parameters
    ----------
    base_url
        Where the server is, such as ``http://lab:8765``.
    token
        What proves who asks; without one, the environment variable ``SCIDB_TOKEN``.
    timeout
        Seconds to wait for the server, at most, for each next piece of an answer.
    retry_for
        Seconds for which a request is tried again when the connection breaks or the server is not there.
    compress
        Whether what is sent and answered is compressed; None compresses for a server on another machine.

    """

    def __init__(
        self,
        base_url: str,
        token: str | None = None,
        timeout: float = 30.0,
        *,
        retry_for: float = RETRY_FOR,
        compress: bool | None = None,
    ) -> None:
        self._url = base_url.rstrip("/")
        self._transport = Transport(self._url, token or os.environ.get("SCIDB_TOKEN"), timeout, compress=compress)
        self._requests = Requests(self._transport, retry_for)
        self._described: tuple[StoreInfo, str, float] | None = None
        self._closed = False
        self.lineage_mode: LineageMode = "strict"
        """What the owner of the server wants of those who do not say; known once it is opened."""

    @classmethod
    def open(
        cls,
        target: str,
        schema_keys: Sequence[SchemaKey] | None = None,
        *,
        token: str | None = None,
        timeout: float = 30.0,
        retry_for: float = RETRY_FOR,
        compress: bool | None = None,
    ) -> HttpStore:
        """Connect to a server, when it speaks as this client does and has these keys.

        Raises
        ------
        NetworkError
            When it cannot be reached.
        FormatVersionError
            When it is of another version.
        SchemaKeyError
            When its database has other keys.

        """
        store = cls(target, token, timeout, retry_for=retry_for, compress=compress)
        try:
            store._check_version()
            check_same_keys(target, store.describe().schema_keys, schema_keys)
        except BaseException:
            store.close()
            raise
        return store

    def _check_version(self) -> None:
        health: Any = None
        try:
            health, _ = self._requests.json("GET", f"{PREFIX}/health", {})
        except (SerializationError, ServerError) as error:
            if isinstance(error, ServerError) and error.code != FOREIGN:
                raise
        spoken = health.get("api_version") if isinstance(health, dict) else None
        if type(spoken) is not int:
            raise NetworkError(
                f"What answers at {self._url} is not a server of SciDB. Is the address right? `scidb serve` says its "
                "own when it starts.",
                url=self._url,
                code=FOREIGN,
            )
        if spoken != API_VERSION:
            raise FormatVersionError(
                f"{self._url} speaks version {spoken} of SciDB's API, and this client (SciDB {__version__}) version "
                f"{API_VERSION}. Install the SciDB of the server ({health.get('version')}), or update the server.",
                url=self._url,
                version=spoken,
            )
        self.lineage_mode = "ephemeral" if health.get("lineage_mode") == "ephemeral" else "strict"

    # -------------------------------------------------------------- description

    def describe(self) -> StoreInfo:
        """Return schema keys, format version, abilities and whether it is read-only."""
        self._check_open()
        known = self._described
        if known is not None and time.monotonic() - known[2] < _FRESH:
            return known[0]
        data, _ = self._requests.json("GET", f"{PREFIX}/store/describe", {})
        info = replace(load(data, StoreInfo, "The description"), target=self._url)
        self._described = (info, description_tag(info), time.monotonic())
        return info

    def register(self, info: TypeInfo) -> TypeInfo:
        """Add or update a variable type; return it as stored, with its identity_name."""
        return load(self._json("register", dump(info)), TypeInfo, "The type")

    def types(self) -> list[TypeInfo]:
        """Return every registered type by name, with counts and last change."""
        self._check_open()
        data, _ = self._requests.json("GET", f"{PREFIX}/store/types", {})
        return [load(one, TypeInfo, f"type {number}") for number, one in enumerate(data)]

    # -------------------------------------------------------------- reading and writing

    def write(self, batch: Batch) -> list[Record]:
        """Store a batch in one transaction and return its records, time-stamped, in order of `seq`.

        One key stands for it however often it is sent, so that it is stored once.
        """
        headers = {**_PARTS, **self._tag(), IDEMPOTENCY_KEY: uuid.uuid4().hex}
        self._check_open()
        data, answered = self._send("POST", f"{PREFIX}/store/write", headers, batch_bytes(batch), stores=True)
        self._learn(answered)
        if any(isinstance(event, KeyTyped) for event in batch.events):  # which the tag does not tell
            self._described = None
        return records_of_answer(batch, data)

    def find(self, query: Query[T]) -> list[T]:
        """Return the rows that answer the query, without payloads."""
        return answer_from_json(query, self._json("find", QUERIES.write(query)))

    def fetch(self, query: Query[Record]) -> Iterator[Chunk]:
        """Stream the records that answer the query with their payloads, in the query's order."""
        if not isinstance(query, Latest | Records | Entries | Stored):
            raise UnsupportedOperationError(f"Records cannot be fetched by a {type(query).__name__}.")
        self._check_open()
        headers = {**_JSON, **self._tag()}
        body = [to_text(FETCHED.write(query))]

        def begin() -> tuple[Chunk | None, Iterator[Chunk]]:
            answer = self._stream("POST", f"{PREFIX}/store/fetch", headers, body)
            chunks = chunks_from(_checked(Parts(answer.source())), given=True)
            return next(chunks, None), chunks

        # Whoever has got a chunk has worked with it; until then the question can be asked again.
        first, others = self._requests.tried(begin)
        return iter(()) if first is None else itertools.chain([first], others)

    def trace(self, query: TraceQuery) -> Trace:
        """Walk the provenance up- or downstream."""
        return trace_from_json(self._json("trace", TRACE_QUERY.write(query)))

    def sql(
        self,
        query: str,
        parameters: Sequence[object] | Mapping[str, object] = (),
        *,
        max_rows: int | None = None,
        max_seconds: float | None = None,
    ) -> pa.Table:
        """Run one SELECT and return its result, within the limits of the server, which may as well answer no SQL."""
        self._check_open()
        if not isinstance(query, str):
            raise QueryError(f"A query is a text, not {type(query).__name__}.")
        asked = {"query": query, "parameters": parameters_to_json(parameters)}
        limits = {"max_rows": max_rows, "max_seconds": max_seconds}
        body = [to_text(asked | {name: limit for name, limit in limits.items() if limit is not None})]
        return self._requests.tried(
            lambda: table_from(self._stream("POST", f"{PREFIX}/ability/sql", _JSON, body).read())
        )

    def snapshot(self, known: Collection[str] = frozenset()) -> Snapshot:
        """Return the database as it is now in pieces; those that are known do not come over the network."""
        self._check_open()
        body = [digests_to(known)]

        def begin() -> Snapshot:
            answer = self._stream("POST", f"{PREFIX}/ability/snapshot", {"Content-Type": KNOWN_TYPE}, body)
            return replace(snapshot_from(_checked(Parts(answer))), target=self._url)

        return self._requests.tried(begin)

    def claim(
        self, lineage_ids: Sequence[str], owner: str, seconds: float = 60.0, *, most: int | None = None
    ) -> list[str]:
        """Claim these computations, or at most so many of them; return those obtained."""
        return self._ask_claims("claim", ClaimAsked(tuple(lineage_ids), owner, seconds, most))

    def renew(self, lineage_ids: Sequence[str], owner: str, seconds: float = 60.0) -> list[str]:
        """Keep these claims for that time from now on; return those that the owner still has."""
        return self._ask_claims("renew", ClaimAsked(tuple(lineage_ids), owner, seconds))

    def release(self, lineage_ids: Sequence[str], owner: str) -> None:
        """Give these claims up."""
        self._ask_claims("release", ClaimAsked(tuple(lineage_ids), owner))

    def _ask_claims(self, action: str, asked: ClaimAsked) -> list[str]:
        self._check_open()
        body = [to_text(dump(asked))]
        answer, _ = self._requests.json("POST", f"{PREFIX}/ability/claims/{action}", _JSON, body)
        return list(load(answer, Claimed, "The answer").lineage_ids)

    def check(self, *, repair: bool = False, head: str | None = None) -> Checked:
        """Have the server say what of its database is not as it must be; see `scidb.store.Maintenance`."""
        return load(self._maintain("check", dump(CheckAsked(repair, head))), Checked, "The answer")

    def remove(self, removal: Removal) -> Removed:
        """Remove lines of the log, and what goes with them; sent again, nothing is removed twice."""
        return load(self._maintain(removal.kind, dump(removal)), Removed, "The answer")

    def compact(self) -> Compaction:
        """Have the server write its file anew."""
        return load(self._maintain("compact", {}), Compaction, "The answer")

    def _maintain(self, action: str, data: Any) -> Any:
        """Ask for work that may take hours; one key stands for it, so that sent again it is not done again."""
        self._check_open()
        path, headers = f"{PREFIX}/ability/maintenance/{action}", {**_JSON, IDEMPOTENCY_KEY: uuid.uuid4().hex}
        answer, _ = self._requests.json("POST", path, headers, [to_text(data)], wait=_MAINTENANCE)
        self._described = None
        return answer

    def close(self) -> None:
        """Release this handle; closing twice does nothing."""
        self._closed = True
        self._transport.close()

    # -------------------------------------------------------------- requests

    def _json(self, verb: str, data: Any) -> Any:
        self._check_open()
        answer, headers = self._send("POST", f"{PREFIX}/store/{verb}", {**_JSON, **self._tag()}, [to_text(data)])
        self._learn(headers)
        return answer

    def _send(
        self, method: str, path: str, headers: Mapping[str, str], body: Sequence[Bytes], *, stores: bool = False
    ) -> tuple[Any, Mapping[str, str]]:
        try:
            return self._requests.json(method, path, headers, body, stores=stores)
        except ConflictError:
            self._described = None
            raise

    def _stream(self, method: str, path: str, headers: Mapping[str, str], body: Sequence[Bytes]) -> Any:
        try:
            answer = self._requests.answer(method, path, headers, body)
        except ConflictError:
            self._described = None
            raise
        self._learn(answer.headers)
        return answer

    def _tag(self) -> dict[str, str]:
        known = self._described
        return {DESCRIPTION: known[1]} if known is not None else {}

    def _learn(self, headers: Mapping[str, str]) -> None:
        """Forget a description that is not the server's any more."""
        known = self._described
        if known is not None and headers.get(DESCRIPTION, known[1]) != known[1]:
            self._described = None

    def _check_open(self) -> None:
        if self._closed:
            raise StorageError(f"This handle is closed; open {self._url} again to go on.", path=self._url)


def _checked(parts: Parts) -> Iterator[Envelope]:
    """Return parts; one that says that the server failed is raised."""
    for one in parts:
        if one.kind == "error":
            raise error_from_json(one.header.get("error"))
        yield one
