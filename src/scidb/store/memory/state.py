"""What the reference store holds at one moment."""

from __future__ import annotations

import copy
import datetime as dt
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from scidb.exceptions import ConflictError, SchemaKeyError, did_you_mean
from scidb.store.model import Answer

if TYPE_CHECKING:
    import pyarrow as pa

    from scidb.store.model import (
        Acceptance,
        Answered,
        Backup,
        Call,
        Edge,
        Export,
        Failure,
        Flagged,
        Hit,
        Invalidation,
        PrunedLine,
        Record,
        Removed,
        Run,
        SchemaKey,
        Source,
        Tag,
        TypeInfo,
        Unflagged,
    )

__all__ = ["Payload", "State", "answer_once"]


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
    backups: list[Backup] = field(default_factory=list)
    pruned: list[PrunedLine] = field(default_factory=list)
    removals: list[Removed] = field(default_factory=list)
    answers: dict[tuple[str | None, str], Answer] = field(default_factory=dict)  # by caller and key

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


def answer_once(state: State, event: Answered, stamp: str) -> None:
    """Note that a batch came under a key; refuse one that is there. What is older than a day is forgotten."""
    day_before = dt.datetime.fromisoformat(stamp) - dt.timedelta(days=1)
    for place, known in list(state.answers.items()):
        if dt.datetime.fromisoformat(known.timestamp) >= day_before:
            break
        del state.answers[place]
    if (event.user_id, event.key) in state.answers:
        raise ConflictError(f"What was asked for under the key {event.key[:64]!r} is stored already.", key=event.key)
    state.answers[event.user_id, event.key] = Answer(event.key, event.digest, event.user_id, stamp)
