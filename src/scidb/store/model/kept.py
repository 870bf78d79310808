"""What a store says of itself, and what it keeps: types, records with their payloads, and their provenance."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from scidb.hashing.inputs import CallInput

__all__ = [
    "WRITES_FILE",
    "Call",
    "Chunk",
    "Computation",
    "Edge",
    "KeyType",
    "KeyValue",
    "Record",
    "SchemaKey",
    "StoreInfo",
    "TypeInfo",
]

WRITES_FILE: Final = '"file"'
"""The declared outputs of a function that writes a file, as a computation has them."""

KeyValue: TypeAlias = int | float | str | dt.date | dt.datetime
KeyType: TypeAlias = Literal["int", "float", "str", "date", "datetime"]


# ------------------------------------------------------------------ the store itself


@dataclass(frozen=True, slots=True)
class SchemaKey:
    """One ordered key of the dataset; its type is None until a first value or a declaration gives it."""

    name: str
    value_type: KeyType | None = None


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """What a store says about itself."""

    target: str
    schema_keys: tuple[SchemaKey, ...]
    format_version: int
    abilities: tuple[str, ...] = ()
    read_only: bool = False
    user_id: str | None = None  # who the store knows the caller to be; None: the caller says
    renamed: Mapping[str, str] = field(default_factory=dict)  # former names of variables -> what they are called now
    has_flags: bool = False  # whether any record was ever flagged; if not, nobody needs to ask
    has_pruned: bool = False  # whether any line of the log was ever pruned; likewise


@dataclass(frozen=True, slots=True)
class TypeInfo:
    """A variable type: what its class declares, and what the store has counted.

    The second group is filled by the store and ignored by ``register``.
    """

    name: str
    schema_version: int = 1
    description: str = ""
    units: str | Mapping[str, str] | None = None
    display: Mapping[str, object] = field(default_factory=dict)  # hints for tables and plots; JSON types

    identity_name: str = ""  # the name under which it was first registered; enters every record_id
    schema_level: str | None = None  # the deepest level seen
    dtype: str = ""
    created_at: str = ""
    groups: tuple[str, ...] = ()
    records: int = 0  # distinct records
    entries: int = 0  # lines in the log
    last_change: str | None = None


# ------------------------------------------------------------------ records and their payloads


@dataclass(frozen=True, slots=True, init=False)
class Record:
    """One entry of the log: this value of this variable was saved at this location, then.

    For ``write`` the caller leaves `timestamp` empty and numbers the entries of the batch with `seq`, in
    the order of saving; the store fills in the time.
    """

    record_id: str
    variable: str
    schema: Mapping[str, KeyValue]  # the given keys only, in schema order
    version_keys: str  # canonical JSON of an object
    content_hash: str
    schema_version: int
    encoding: str  # JSON: how the exact Python value is restored; the store only compares it
    nbytes: int
    lineage_id: str | None = None
    call_id: str | None = None
    output_num: int | None = None
    piece: int | None = None
    pieces: int | None = None
    user_id: str | None = None
    timestamp: str = ""
    seq: int = 0

    # Made by the thousand: as dataclasses make it, frozen, it takes three times as long.
    def __init__(
        self, record_id: str, variable: str, schema: Mapping[str, KeyValue], version_keys: str, content_hash: str,
        schema_version: int, encoding: str, nbytes: int, lineage_id: str | None = None, call_id: str | None = None,
        output_num: int | None = None, piece: int | None = None, pieces: int | None = None,
        user_id: str | None = None, timestamp: str = "", seq: int = 0,
    ) -> None:  # fmt: skip
        object.__setattr__(self, "__class__", _Open)  # has the same slots, and is not frozen
        this: Any = self
        this.record_id = record_id
        this.variable = variable
        this.schema = schema
        this.version_keys = version_keys
        this.content_hash = content_hash
        this.schema_version = schema_version
        this.encoding = encoding
        this.nbytes = nbytes
        this.lineage_id = lineage_id
        this.call_id = call_id
        this.output_num = output_num
        this.piece = piece
        this.pieces = pieces
        this.user_id = user_id
        this.timestamp = timestamp
        this.seq = seq
        this.__class__ = Record


class _Open:
    """A record while it is made."""

    __slots__ = Record.__slots__


@dataclass(frozen=True, slots=True)
class Chunk:
    """Records of one variable and one encoding with their payloads: one row of `table` per record, in order.

    A column of lists holds one element per sample or frame row; all list columns of one row have the same
    length. In ``write``, a table of None logs records again whose data the store already has. From ``fetch``,
    a table that is `given` is held by nobody else, so that a value may keep its memory instead of copying it.
    """

    records: Sequence[Record]
    table: pa.Table | None
    given: bool = False


# ------------------------------------------------------------------ provenance


@dataclass(frozen=True, slots=True)
class Computation:
    """A function on particular inputs, by content: the memo."""

    lineage_id: str
    function_name: str
    function_hash: str
    inputs_hash: str
    outputs: str  # JSON of the declared form: a number, or "unpack"
    kind: str = "value"  # or "generated" (the function writes a file), "uncacheable", "ephemeral"

    @property
    def writes_file(self) -> bool:
        """Whether the function writes a file, also when no call of it can be recognised."""
        return self.kind == "generated" or (self.kind == "uncacheable" and self.outputs == WRITES_FILE)


@dataclass(frozen=True, slots=True)
class Call:
    """One execution or recall of a computation, on particular records.

    Of a run it comes in one write; else it may come again, with outputs that are saved later.
    """

    call_id: str
    computation: Computation
    inputs: tuple[CallInput, ...]
    run_id: str | None = None
    user_id: str | None = None
    environment_id: str | None = None
    seconds: float | None = None
    recalled_from: str | None = None
    timestamp: str = ""
    function_ref: str | None = None  # where the function of this call stood, as ``module:qualified.name``


@dataclass(frozen=True, slots=True)
class Edge:
    """One arrow of the type-level, schema-blind pipeline; the edges of one write form one set."""

    source: str
    target: str
    function_name: str
    function_hash: str
    timestamp: str = ""
