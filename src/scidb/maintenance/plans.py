"""What is removed, or would be, as people read it before they say yes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from scidb.store.model import Record

__all__ = ["Counted", "Erasing", "Removing", "count"]


@dataclass(frozen=True, slots=True)
class Counted:
    """Records of one variable: how many, how many lines of the log they have, and the size of their values."""

    variable: str
    records: int
    entries: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class _Plan:
    """What every plan says."""

    variables: tuple[Counted, ...]
    done: bool

    @property
    def records(self) -> int:
        """How many records."""
        return sum(one.records for one in self.variables)

    @property
    def entries(self) -> int:
        """How many lines of the log."""
        return sum(one.entries for one in self.variables)

    @property
    def nbytes(self) -> int:
        """How many bytes their values have; the file shrinks by them when it is compacted."""
        return sum(one.nbytes for one in self.variables)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        totals = {"records": self.records, "entries": self.entries, "nbytes": self.nbytes}
        return {**asdict(self), **totals}


@dataclass(frozen=True, slots=True)
class Removing(_Plan):
    """What a pruning removes, or with ``dry_run`` would; what `Admin.prune` returns.

    Attributes
    ----------
    variables
        The records that go, by variable: records, entries and nbytes of each, most bytes first.
    kept
        Records for which the conditions hold and that stay, by reason: ``latest``, ``tagged``, ``pinned``.
    losing
        Records that stay and were made, directly or not, from one that goes, by variable. They load as before; where
        they came from says "removed" from then on, and they cannot be reproduced from the database alone.
    done
        Whether it was done, or only planned.

    """

    kept: dict[str, int]
    losing: tuple[Counted, ...]


@dataclass(frozen=True, slots=True)
class Erasing(_Plan):
    """What an erasure removes, or with ``dry_run`` would; what `Admin.erase` returns.

    Attributes
    ----------
    variables
        All records that go, by variable, most bytes first; they are also in one of the next two.
    here
        The records at the place itself, by variable.
    derived
        The records elsewhere that were made from them, by variable: group means, for example. They go, too.
    failures, runs
        Failed combinations that go, and runs whose settings name the place and are forgotten.
    generated, exports, backups, copies
        Files that hold it, outside of the database: what functions wrote, what records were exported to, backups, and
        copies beside the file, made before it was brought to a newer format or repaired. They are never touched: see
        to them yourself.
    mentions
        Variables with records that stay, and whose version keys name the place, such as a filter that left it out.
    done
        Whether it was done, or only planned.

    """

    here: tuple[Counted, ...]
    derived: tuple[Counted, ...]
    failures: int
    runs: int
    generated: tuple[str, ...]
    exports: tuple[str, ...]
    backups: tuple[str, ...]
    copies: tuple[str, ...]
    mentions: tuple[str, ...]


def count(records: Iterable[Record], lines: Callable[[Record], int]) -> tuple[Counted, ...]:
    """Return distinct records counted by variable, most bytes first; `lines` says how many lines each has."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.variable, []).append(record)
    found = [_counted(name, group, lines) for name, group in groups.items()]
    return tuple(sorted(found, key=lambda one: (-one.nbytes, one.variable)))


def _counted(name: str, group: Sequence[Record], lines: Callable[[Record], int]) -> Counted:
    return Counted(name, len(group), sum(map(lines, group)), sum(one.nbytes for one in group))
