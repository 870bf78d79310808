"""What iteration needs from others, as protocols: variables, thunks, and a database that records.

Nothing of `scidb.foreach` imports a store, a variable or a thunk; it is tested with fakes of these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from scidb.hashing.ids import distributed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    import pandas as pd

    from scidb.filters import Filter
    from scidb.hashing.code.fingerprint import Fingerprint
    from scidb.hashing.inputs import CallInput

__all__ = [
    "Claims",
    "Done",
    "Entry",
    "Known",
    "Loadable",
    "Past",
    "Problem",
    "Recorder",
    "Rejected",
    "RunInfo",
    "ThunkLike",
    "Totals",
]


class Entry(Protocol):
    """A stored record, as far as iteration looks at it."""

    @property
    def record_id(self) -> str:
        """The content-addressed id of the record."""
        ...

    @property
    def variable(self) -> str:
        """The name of its variable."""
        ...

    @property
    def schema(self) -> Mapping[str, Any]:
        """Where it belongs."""
        ...

    @property
    def version_keys(self) -> str:
        """Which variant it is, as canonical JSON."""
        ...

    @property
    def nbytes(self) -> int:
        """The size of its value."""
        ...

    @property
    def timestamp(self) -> str:
        """When it was logged."""
        ...

    @property
    def lineage_id(self) -> str | None:
        """The computation that made it."""
        ...

    @property
    def call_id(self) -> str | None:
        """The execution that made it."""
        ...

    @property
    def output_num(self) -> int | None:
        """Which output of that computation it is."""
        ...

    @property
    def piece(self) -> int | None:
        """Which piece of that output it is, from 1 on, if it was split."""
        ...

    @property
    def pieces(self) -> int | None:
        """Into how many pieces that output was split."""
        ...


class Known(Protocol):
    """The complete result of an earlier computation."""

    @property
    def records(self) -> tuple[Entry, ...]:
        """The entries in the order of outputs; none of a generated file."""
        ...

    @property
    def call_id(self) -> str | None:
        """The execution that made it."""
        ...


@runtime_checkable
class Loadable(Protocol):
    """A variable class: what can be an input or an output."""

    __name__: str

    def origin_from(self, name: str, record: Any, *, unwrap: bool) -> CallInput:
        """Return where the input `name` comes from that is given a stored record."""
        ...

    def form_from(self, record: Any, *, unwrap: bool) -> list[Any]:
        """Return how a stored record enters the identity of a call."""
        ...


@runtime_checkable
class ThunkLike(Protocol):
    """A thunk, known by what it declares."""

    __wrapped__: Callable[..., Any]
    unwrap: bool
    generates_file: bool
    n_outputs: int | str

    def by_value(self) -> tuple[Any, ...]:
        """Return how the thunk is made again elsewhere, in the form of ``__reduce__``."""
        ...

    def uncacheable_reason(self, fingerprint: Fingerprint) -> str | None:
        """Return why no call can be recognised, if its options say so."""
        ...

    def fingerprint(self, own_classes: Iterable[type] = ()) -> Fingerprint:
        """Return the identity of the code that a call would run now."""
        ...


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One for_each call: what every result of it has in common."""

    run_id: str
    function: Fingerprint
    outputs: tuple[Loadable, ...]
    declared_outputs: int | str
    version_keys: str  # canonical JSON: the constants and the configuration
    sources: tuple[str, ...]  # of the pipeline edges, one per input
    total: int
    piece_key: str | None = None  # numbers the pieces, if outputs are split
    configuration: str | None = None  # JSON: what the call was given, from which it can be made again
    function_ref: str = ""  # where the function stands, as ``module:qualified.name``

    @property
    def identified_outputs(self) -> int | str | list[int | str]:
        """The declared outputs as they enter the identity of a computation."""
        return self.declared_outputs if self.piece_key is None else distributed(self.declared_outputs)

    def place_of(self, combination: Mapping[str, Any], piece: int | None) -> dict[str, Any]:
        """Return where a result of a combination belongs, or a piece of one."""
        return {**combination} if self.piece_key is None else {**combination, self.piece_key: piece}


@dataclass(frozen=True, slots=True)
class Done:
    """One combination that was computed or recalled.

    `values` holds one value per output, or the pieces of each; or `entries` the stored records that are to be logged
    again.
    """

    schema: Mapping[str, Any]
    lineage_id: str
    inputs_hash: str
    inputs: tuple[CallInput, ...]
    values: tuple[Any, ...] = ()
    entries: tuple[Entry, ...] = ()
    seconds: float | None = None
    recalled_from: str | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """One combination that failed."""

    schema: Mapping[str, Any]
    error: Exception
    message: str
    traceback: str
    seconds: float
    lineage_id: str | None
    inputs: tuple[CallInput, ...] = ()


@dataclass(frozen=True, slots=True)
class Past:
    """How long past calls of a function took, on average; of former code where the code of now never ran."""

    calls: int
    seconds: float
    is_same_code: bool


@dataclass(frozen=True, slots=True)
class Rejected:
    """A result that could not be stored, by its place among the results handed over."""

    position: int
    error: Exception


@dataclass(frozen=True, slots=True)
class Totals:
    """The counts of a run that ended."""

    completed: int
    recalled: int
    up_to_date: int
    skipped: int
    failed: int
    interrupted: bool = False


class Claims(Protocol):
    """Who computes what, where several processes write to one database; a claim ends when a result is written."""

    def claim(
        self, lineage_ids: Sequence[str], owner: str, seconds: float = 60.0, *, most: int | None = None
    ) -> list[str]:
        """Claim these computations, or at most so many of them; return those obtained."""
        ...

    def renew(self, lineage_ids: Sequence[str], owner: str, seconds: float = 60.0) -> list[str]:
        """Keep these claims for that time from now on; return those that the owner still has."""
        ...

    def release(self, lineage_ids: Sequence[str], owner: str) -> None:
        """Give these claims up."""
        ...


class Recorder(Protocol):
    """The database, as far as iteration needs it. Each look-up serves a whole call, not one combination."""

    @property
    def schema_keys(self) -> tuple[str, ...]:
        """The names of the schema keys, in order."""
        ...

    @property
    def claims(self) -> Claims | None:
        """Who computes what; None where this process alone writes to the database."""
        ...

    def key_value(self, key: str, value: object) -> Any:
        """Convert a value to the type of its key, or raise SchemaKeyError."""
        ...

    def key_values(self, key: str, values: Sequence[object] | slice) -> list[Any]:
        """Convert several values to one type, that of their key or else that of the first of them.

        A slice stands for the stored ones from its start up to and including its stop.
        """
        ...

    def check_constant(self, name: str) -> None:
        """Refuse a name that no constant may have, or raise PipelineError."""
        ...

    def version_text(self, version_keys: Mapping[str, Any]) -> str:
        """Return version keys as the canonical JSON under which they are stored."""
        ...

    def distinct_schema_combinations(self, keys: Sequence[str]) -> list[dict[str, Any]]:
        """Return the combinations of these keys that exist, in natural order."""
        ...

    def latest(
        self,
        variables: Sequence[Loadable],
        schema: Mapping[str, Sequence[Any]],
        version: Mapping[str, Any],
        version_keys: Mapping[str, str],
    ) -> Sequence[Entry]:
        """Return the latest entries of variables at such key values, with these version keys among theirs.

        `version_keys` names the variables of which only one variant counts, by the whole of its version keys.
        """
        ...

    def first_named(self, where: Filter) -> Filter:
        """Return a filter that names each variable as when it was first stored, so that a renaming changes no text."""
        ...

    def filter_levels(self, where: Filter) -> Sequence[Collection[str]]:
        """Return the levels of the variables that a filter looks at, each by its keys."""
        ...

    def of_filter(self, entries: Sequence[Entry], where: Filter) -> Sequence[Entry]:
        """Return, of the variants at each location, those made under this filter, or else those under none."""
        ...

    def passing(self, variable: Loadable, schema: Mapping[str, Sequence[Any]], where: Filter) -> Sequence[Entry]:
        """Return the latest entries of a variable at such key values, where the filter holds."""
        ...

    def excluded(self, exclude: object) -> bool | tuple[str, ...]:
        """Return which flags are to be left out: all (True), none, or those of these reasons."""
        ...

    def flagged_among(self, entries: Sequence[Entry], exclude: bool | tuple[str, ...]) -> Mapping[str, str]:
        """Return why entries are left out by these flags, in words, by record id."""
        ...

    def known(self, function_hash: str, computations: Mapping[str, str]) -> Mapping[str, Known]:
        """Return what is known of these computations, given by lineage_id with the hash of their inputs.

        Complete results alone, and only what was not invalidated since it was saved.
        """
        ...

    def set_aside(self, function_hash: str, made: Collection[tuple[str, str]]) -> Collection[tuple[str, str]]:
        """Return those of these results, each a lineage_id and an instant, that were invalidated since."""
        ...

    def failed_since(self, entries: Sequence[Entry]) -> Mapping[str, str]:
        """Return the error of the newest run that failed at the place of these results after they were logged.

        By record id; one look-up, whatever the number of entries.
        """
        ...

    def known_values(self, entries: Sequence[Entry]) -> dict[str, Any]:
        """Load results of earlier computations by record id, each as the variable that it was saved as."""
        ...

    def values(self, wanted: Mapping[str, Loadable], *, unwrap: bool) -> dict[str, Any]:
        """Load records by id: raw values, or whole variables."""
        ...

    def column_labels(self, variable: Loadable, entries: Sequence[Entry]) -> Mapping[str, tuple[object, ...] | None]:
        """Return the labels of the columns of values, by record id, without loading them.

        A value that is one column without a label has (None,); None where only the value itself would tell.
        """
        ...

    def table(self, variable: Loadable, entries: Sequence[Entry], values: Sequence[Any]) -> pd.DataFrame:
        """Return keys, version keys and values as a table."""
        ...

    def past(self, function: Fingerprint) -> Past | None:
        """Return how long past calls of a function took; None where none was timed."""
        ...

    def check_run(self, run: RunInfo) -> None:
        """Refuse, before anything is computed, a run of which no result could be saved."""
        ...

    def record(
        self, run: RunInfo, done: Sequence[Done], problems: Sequence[Problem], totals: Totals | None = None
    ) -> list[Rejected]:
        """Store results and failures in one transaction; say which results could not be stored.

        The first one of a run, which may have neither, notes that it began. With totals the run ends, and the
        pipeline edges that it stands for are stored; unless a result could not be stored, so that the totals change.
        """
        ...
