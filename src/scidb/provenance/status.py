"""What state results are in, and why: plain data, and how people see it. Knows no store."""

from __future__ import annotations

import html
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

from scidb.records import place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

    from scidb.hashing.code.changes import CodeChange, SourceDiff

__all__ = ["GREEN", "STATES", "Reason", "ReasonKind", "RecordStatus", "RollUp", "State", "Status"]

State: TypeAlias = Literal[
    "failed",
    "missing",
    "code changed",
    "input changed",
    "library changed",
    "invalidated",
    "code not checked",
    "not reproducible",
    "accepted",
    "saved by hand",
    "up to date",
]
STATES: Final[tuple[State, ...]] = get_args(State)
"""Every state; of several that hold at once, the first one is shown."""

GREEN: Final[frozenset[State]] = frozenset({"accepted", "saved by hand", "up to date"})
"""The states of a result that need nothing to be done."""

ReasonKind: TypeAlias = Literal[
    "failure",
    "missing",
    "code",
    "invalidated",
    "input",
    "file",
    "default",
    "library",
    "unchecked",
    "varying",
    "acceptance",
    "by hand",
]

_SHOWN: Final = 20
_COLUMNS: Final = frozenset({"variable", "function", "state", "reason", "remarks", "record_id"})


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a result is in its state.

    Parameters
    ----------
    kind
        What sort of reason it is.
    message
        The reason in words.
    subject
        The function, input, file or parameter that it is about.
    changes
        What differs in the code, for a reason about code.
    cause
        Why the input itself is not up to date: one step nearer to the root.
    diffs
        Both texts of every function and class that differs, for a reason about code.

    """

    kind: ReasonKind
    message: str
    subject: str = ""
    changes: tuple[CodeChange, ...] = ()
    cause: Reason | None = field(default=None, repr=False)  # a chain may be longer than Python's stack
    diffs: tuple[SourceDiff, ...] = field(default=(), repr=False)

    @property
    def path(self) -> tuple[Reason, ...]:
        """The reason itself and what is behind it, down to the root cause."""
        found = [self]
        while found[-1].cause is not None:
            found.append(found[-1].cause)
        return tuple(found)

    @property
    def root(self) -> Reason:
        """The root cause."""
        return self.path[-1]

    def __str__(self) -> str:
        return " <- ".join(step.message for step in self.path)


@dataclass(frozen=True, slots=True)
class RecordStatus:
    """The state of what is the latest at one place, or is missing there."""

    variable: str
    schema: Mapping[str, Any]
    version_keys: Mapping[str, Any]
    state: State
    reasons: tuple[Reason, ...] = ()
    remarks: tuple[str, ...] = ()
    function_name: str | None = None
    record_id: str | None = None
    timestamp: str | None = None

    @property
    def is_green(self) -> bool:
        """Whether nothing needs to be done."""
        return self.state in GREEN

    @property
    def reason(self) -> str:
        """The first reason, down to the root cause, in one line."""
        if not self.reasons:
            return ""
        more = f" (and {len(self.reasons) - 1} more)" if len(self.reasons) > 1 else ""
        return f"{self.reasons[0]}{more}"

    @property
    def place(self) -> str:
        """Variable, location and version keys in words."""
        return f"{self.variable} ({place({**self.schema, **self.version_keys})})"

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "variable": self.variable,
            "schema": dict(self.schema),
            "version_keys": dict(self.version_keys),
            "record_id": self.record_id,
            "function_name": self.function_name,
            "state": self.state,
            "is_green": self.is_green,
            "reasons": [
                {"kind": one.kind, "message": one.message, "path": [step.message for step in one.path]}
                for one in self.reasons
            ],
            "remarks": list(self.remarks),
            "timestamp": self.timestamp,
        }


@dataclass(frozen=True, slots=True)
class RollUp:
    """The states of all results of one function as one variable; as bad as the worst of them."""

    variable: str
    function_name: str | None
    counts: Mapping[State, int]

    @property
    def state(self) -> State:
        """The worst of the states."""
        return next(state for state in STATES if state in self.counts)

    @property
    def is_green(self) -> bool:
        """Whether every one of them is green."""
        return GREEN.issuperset(self.counts)


@dataclass(frozen=True, slots=True)
class Status:
    """The states of results, one per place.

    Attributes
    ----------
    records
        One `RecordStatus` per variable, location and version keys.

    Examples
    --------
    >>> import scidb
    >>> class Force(scidb.BaseVariable):
    ...     \"\"\"Force during one trial.\"\"\"
    >>> with scidb.open("memory:", ["subject"]) as db:
    ...     _ = Force.save(812.0, subject=1, db=db)
    ...     status = db.status()
    >>> status.counts, status.is_green
    ({'saved by hand': 1}, True)

    """

    records: tuple[RecordStatus, ...] = ()
    as_of: str | None = field(default=None, kw_only=True)

    @property
    def counts(self) -> dict[State, int]:
        """How many are in which state, worst first."""
        found = Counter(record.state for record in self.records)
        return {state: found[state] for state in STATES if found[state]}

    @property
    def is_green(self) -> bool:
        """Whether everything is checked and nothing needs to be done."""
        return all(record.is_green for record in self.records)

    @property
    def not_green(self) -> tuple[RecordStatus, ...]:
        """Those about which something needs to be done."""
        return tuple(record for record in self.records if not record.is_green)

    def roll_up(self) -> tuple[RollUp, ...]:
        """Return the states by variable and function, in the order of the records."""
        found: dict[tuple[str, str | None], Counter[State]] = {}
        for record in self.records:
            found.setdefault((record.variable, record.function_name), Counter())[record.state] += 1
        return tuple(
            RollUp(variable, function, {state: counts[state] for state in STATES if counts[state]})
            for (variable, function), counts in found.items()
        )

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per record: variable, keys, function, state, reason and record_id."""
        import pandas as pd

        keys = list(dict.fromkeys(key for one in self.records for key in (*one.schema, *one.version_keys)))
        columns: dict[str, list[Any]] = {"variable": [one.variable for one in self.records]}
        for key in keys:
            name = f"{key}_value" if key in _COLUMNS else key
            columns[name] = [one.schema.get(key, one.version_keys.get(key)) for one in self.records]
        columns["function"] = [one.function_name for one in self.records]
        columns["state"] = [one.state for one in self.records]
        columns["reason"] = [one.reason for one in self.records]
        columns["remarks"] = ["; ".join(one.remarks) for one in self.records]
        columns["record_id"] = [one.record_id for one in self.records]
        return pd.DataFrame(columns)

    def __len__(self) -> int:
        return len(self.records)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        if not self.records:
            yield "There is nothing here yet."
            return
        rows = [(one.variable, _maker(one.function_name), _counts_text(one.counts)) for one in self.roll_up()]
        widths = [max(len(row[number]) for row in rows) for number in (0, 1)]
        for variable, function, counts in rows:
            yield f"{variable:<{widths[0]}}  {function:<{widths[1]}}  {counts}"
        bad = self.not_green
        if not bad:
            return
        yield ""
        yield f"{len(bad)} of {len(self.records)} are not known to be up to date:"
        for one in bad[:_SHOWN]:
            yield f"  {one.place}: {one.state}" + (f": {one.reason}" if one.reasons else "")
        if len(bad) > _SHOWN:
            yield f"  ... and {len(bad) - _SHOWN} more; to_pandas() lists all"

    def __repr__(self) -> str:
        return f"<Status: {_counts_text(self.counts) or 'nothing'}>"

    def _repr_html_(self) -> str:
        roll = "".join(
            f"<tr><td>{_mark(one.is_green)}</td><td>{html.escape(one.variable)}</td>"
            f"<td>{html.escape(_maker(one.function_name))}</td><td>{html.escape(_counts_text(one.counts))}</td></tr>"
            for one in self.roll_up()
        )
        bad = self.not_green
        rows = "".join(
            f"<tr><td>{html.escape(one.place)}</td><td>{html.escape(one.state)}</td>"
            f"<td>{html.escape(one.reason)}</td></tr>"
            for one in bad[:_SHOWN]
        )
        more = f"<p>... and {len(bad) - _SHOWN} more</p>" if len(bad) > _SHOWN else ""
        listed = f"<table><tr><th>record</th><th>state</th><th>why</th></tr>{rows}</table>{more}" if bad else ""
        head = "<tr><th></th><th>variable</th><th>made by</th><th>state</th></tr>"
        return f"<table>{head}{roll}</table>{listed}"


def _maker(function_name: str | None) -> str:
    return "by hand" if function_name is None else f"{function_name}()"


def _counts_text(counts: Mapping[State, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in counts.items())


def _mark(is_green: bool) -> str:
    return "&#10003;" if is_green else "&#10007;"
