"""What the reference store holds at one moment."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from scidb.exceptions import SchemaKeyError, did_you_mean

if TYPE_CHECKING:
    import datetime as dt

    import pyarrow as pa

    from scidb.store.model import (
        Acceptance,
        Call,
        Edge,
        Export,
        Failure,
        Flagged,
        Hit,
        Invalidation,
        Record,
        Run,
        SchemaKey,
        Source,
        Tag,
        TypeInfo,
        Unflagged,
    )

__all__ = ["Payload", "State"]


@dataclass(frozen=True, slots=True)
class Payload:
    """The data of a record: one row, and what its first save said about it."""

    encoding: str
    nbytes: int
    row: pa.Table


@dataclass(slots=True)
class State:
    """Everything that is stored, each kind in the order of storing."""

    last: dt.datetime  # the instant of the newest write
    keys: list[SchemaKey] = field(default_factory=list)
    types: dict[str, TypeInfo] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)  # former names -> what the variable is called now
    log: list[Record] = field(default_factory=list)  # by time, then by seq
    payloads: dict[str, Payload] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    runs: dict[str, Run] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    exports: list[Export] = field(default_factory=list)
    sources: dict[tuple[str, str], Source] = field(default_factory=dict)  # by hash and place
    environments: dict[str, str] = field(default_factory=dict)
    tags: dict[str, Tag] = field(default_factory=dict)
    acceptances: list[Acceptance] = field(default_factory=list)
    flags: list[tuple[str, Flagged | Unflagged]] = field(default_factory=list)  # with the instant of each
    invalidations: list[Invalidation] = field(default_factory=list)
    hits: list[tuple[Hit, str]] = field(default_factory=list)  # each with its instant

    def copy(self) -> State:
        """Return a state whose containers are its own; what they hold is frozen."""
        return State(**{part.name: copy.copy(getattr(self, part.name)) for part in fields(self)})

    def key(self, name: str) -> SchemaKey:
        """Return the schema key of that name."""
        for key in self.keys:
            if key.name == name:
                return key
        names = [key.name for key in self.keys]
        raise SchemaKeyError(
            f"There is no schema key {name!r}; the keys are {', '.join(names) or 'none'}.{did_you_mean(name, names)}",
            name=name,
            keys=names,
        )
