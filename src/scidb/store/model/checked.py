"""What a check of a database finds: problems, each of a record where it is one, and what was looked at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scidb.store.model.kept import KeyValue

__all__ = ["Checked", "Problem"]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a database that is not as it must be."""

    kind: str  # one of a few words, such as "content" or "chain"
    what: str  # a sentence for people
    record_id: str | None = None  # the record concerned, if it is one, and where it stands
    variable: str | None = None
    schema: Mapping[str, KeyValue] = field(default_factory=dict)
    version_keys: str = "{}"
    timestamp: str | None = None  # of the line of the log concerned
    table: str | None = None
    repair: str | None = None  # what puts it right without guessing; None: nothing does
    repaired: bool = False


@dataclass(frozen=True, slots=True)
class Checked:
    """What a store has found out about itself."""

    problems: tuple[Problem, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)  # what was looked at: records, entries, ...
    notes: tuple[str, ...] = ()  # what is no problem, and worth knowing
    head: str | None = None  # the last link of the log's chain; None: the store has no chain, or cannot read it
    copy: str | None = None  # where the file was copied to before it was repaired
