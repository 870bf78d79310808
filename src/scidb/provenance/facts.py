"""What the state of results depends on, gathered from a store in a few statements, however many results there are."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from scidb.exceptions import AmbiguousVersionError, NotFoundError
from scidb.hashing.ids import canonical_json, generated_id
from scidb.provenance.generated import standing
from scidb.store.model import (
    Acceptances,
    Calls,
    Failures,
    GeneratedFiles,
    Invalidations,
    Latest,
    Marks,
    Match,
    Pruned,
    Records,
    Runs,
    Sources,
    TraceQuery,
    Varying,
)
from scidb.variable.migration import restoring_parts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from scidb.provenance.generated import GeneratedFile
    from scidb.store.model import (
        Acceptance,
        Call,
        Computation,
        Edge,
        Failure,
        Invalidation,
        KeyValue,
        Record,
        Run,
        SchemaKey,
        Source,
    )
    from scidb.store.protocol import Store

__all__ = ["Facts", "Place", "gather", "gather_by_hand", "is_selected", "place_of", "written_file"]

Place: TypeAlias = tuple[str, str, frozenset[tuple[str, "KeyValue"]]]
"""Variable, version keys and location: what has one latest entry."""


@dataclass(frozen=True)
class Facts:
    """The latest entries of some variables and of all that they were made from, their calls, and what befell them."""

    keys: tuple[SchemaKey, ...]
    entries: Sequence[Record]
    calls: Mapping[str, Call]
    earlier: Mapping[str, Record]  # records that were used, and are no longer the latest
    removed: Mapping[str, str]  # those of them that were pruned, and when
    varying: frozenset[str]
    failures: Mapping[tuple[str, frozenset[tuple[str, KeyValue]]], Failure]  # the newest per version keys and location
    runs: Mapping[str, Run]
    sources: Sequence[Source]
    acceptances: Sequence[Acceptance]
    invalidations: Sequence[Invalidation]
    flagged: frozenset[str]  # records that rest on bad data, which a run may have left out on purpose
    generated: Sequence[GeneratedFile]
    changed_at: Mapping[str, str]  # by every name that a variable has had: when it last changed

    @cached_property
    def by_id(self) -> Mapping[str, Record]:
        """The entries by their ids."""
        return {entry.record_id: entry for entry in self.entries}

    @cached_property
    def _successors(self) -> Mapping[Place, Record]:
        """The entries at the places of what was used and is no longer the latest: few, as a rule."""
        wanted = {place_of(one) for one in self.earlier.values()}
        return {place: entry for entry in self.entries if (place := place_of(entry)) in wanted}

    def latest_at(self, place: Place) -> Record | None:
        """Return what is the latest at a place."""
        return next((entry for entry in self.entries if place_of(entry) == place), None)

    def now_at(self, record_id: str) -> tuple[Record | None, Record | None]:
        """Return a record that was used, and what is the latest at its place now; None for what is not known."""
        if (latest := self.by_id.get(record_id)) is not None:
            return latest, latest
        used = self.earlier.get(record_id)
        return used, None if used is None else self._successors.get(place_of(used))

    def set_aside(self, computation: Computation, codes: Collection[str], timestamp: str) -> Invalidation | None:
        """Return what set a result aside since it was made: by its computation, or by one of these codes."""
        for one in reversed(self.invalidations):
            by_code = one.lineage_id is None and one.function_hash in codes
            if (by_code or one.lineage_id == computation.lineage_id) and one.timestamp >= timestamp:
                return one
        return None

    def failure_at(self, version_keys: str, schema: Mapping[str, KeyValue]) -> Failure | None:
        """Return the newest failure of a combination."""
        return self.failures.get((version_keys, frozenset(schema.items())))


def written_file(store: Store, record_id: str, as_of: str | None) -> GeneratedFile:
    """Return what a function wrote, by the id that stands for it, ``generated:...``, or the beginning of that.

    Raises
    ------
    NotFoundError, AmbiguousVersionError
        When it is not exactly one.

    """
    written = [one for one in store.find(GeneratedFiles(as_of=as_of)) if one.computation.writes_file]
    meant = [one for one in written if generated_id(one.computation.lineage_id).startswith(record_id)]
    if len(meant) != 1:
        what = f"{len(meant)} files" if meant else "No file"
        error = AmbiguousVersionError if meant else NotFoundError
        raise error(
            f"{what} that a function wrote: an id that begins with {record_id!r}. db.status() lists them.",
            record_id=record_id,
        )
    [file] = gather(store, [], as_of, lineage_ids=(meant[0].computation.lineage_id,)).generated
    return file


def place_of(entry: Record) -> Place:
    """Return variable, version keys and location of an entry."""
    return entry.variable, entry.version_keys, frozenset(entry.schema.items())


def gather(
    store: Store,
    variables: Sequence[str] | None,
    as_of: str | None,
    more: Iterable[Record] = (),
    lineage_ids: tuple[str, ...] | None = None,
) -> Facts:
    """Return what the states of these variables' latest entries (None: of all) depend on, and of generated files.

    `more` are entries that need not be the latest; `lineage_ids` the computations of which the files are meant, if
    not those of the variables.
    """
    entries: list[Record] = []
    extra = list(more)
    loaded: set[str] = set()
    written = store.find(GeneratedFiles(lineage_ids, as_of))
    edges = store.trace(TraceQuery(edges=True)).edges if written or variables is not None else ()
    pending = None if variables is None else _upstream(edges, variables)
    if variables is not None and lineage_ids is None:
        written = _named_by(written, edges, variables)
    calls = {call.call_id: call for call in written}
    if pending is not None:
        pending |= _variables_of(written)
    is_first = True
    while is_first or pending:
        is_first = False
        names = None if pending is None else tuple(sorted(pending))
        found = store.find(Latest(Match(names, as_of=as_of)))
        entries += found
        wanted = {entry.call_id for entry in (*found, *extra) if entry.call_id} - calls.keys()
        if wanted:
            calls.update((call.call_id, call) for call in store.find(Calls(tuple(sorted(wanted)))))
        if pending is None:
            break
        loaded |= pending
        pending = _variables_of(calls.values()) - loaded
    latest = {entry.record_id for entry in entries}
    used = {one.record_id for call in calls.values() for one in call.inputs if one.record_id} - latest
    earlier = store.find(Records(Match(record_ids=tuple(sorted(used))))) if used else []
    info = store.describe()
    lost = used - {one.record_id for one in earlier} if info.has_pruned else set()
    pruned = store.find(Pruned(Match(record_ids=tuple(sorted(lost))))) if lost else []
    gone = {one.record.record_id: one for one in reversed(pruned)}
    earlier += [one.record for one in gone.values()]
    known = {record.record_id: record for record in (*entries, *earlier)} if written else {}
    failures = [one for one in store.find(Failures()) if as_of is None or one.timestamp <= as_of]
    types = store.types()
    marks = store.find(Marks(as_of=as_of)) if info.has_flags else []
    changed = {one.name: one.last_change or "" for one in types}
    return Facts(
        keys=info.schema_keys,
        entries=entries,
        calls=calls,
        earlier={record.record_id: record for record in earlier},
        removed={record_id: one.removed for record_id, one in gone.items()},
        varying=frozenset(one.lineage_id for one in store.find(Varying(as_of))),
        failures={(one.version_keys, frozenset(one.schema.items())): one for one in failures},
        runs={run.run_id: run for run in store.find(Runs())} if failures else {},
        sources=_sources(store, calls.values()),
        acceptances=store.find(Acceptances()),
        invalidations=store.find(Invalidations()),
        flagged=frozenset(one.record_id for one in marks),
        generated=standing(written, edges, known, [key.name for key in info.schema_keys]),
        changed_at={**{old: changed.get(new, "") for old, new in info.renamed.items()}, **changed},
    )


def gather_by_hand(store: Store, entry: Record, as_of: str | None) -> Facts | None:
    """Return what the state of an entry depends on that was saved by hand: nothing but what stands at its place.

    None when it was not, so that there is more to know.
    """
    if entry.call_id is not None:
        return None
    keys = store.describe().schema_keys
    here = {key.name: (entry.schema.get(key.name),) for key in keys}
    match = Match((entry.variable,), here, version_keys={entry.variable: (entry.version_keys,)}, as_of=as_of)
    found = store.find(Latest(match))
    if any(one.record_id == entry.record_id and one.call_id is not None for one in found):
        return None
    return Facts(
        keys=keys,
        entries=found,
        calls={},
        earlier={},
        removed={},
        varying=frozenset(),
        failures={},
        runs={},
        sources=(),
        acceptances=(),
        invalidations=(),
        flagged=frozenset(),
        generated=(),
        changed_at={},
    )


def _sources(store: Store, calls: Iterable[Call]) -> list[Source]:
    """Return the code of calls, and that of classes through which their inputs came."""
    hashes = {call.computation.function_hash for call in calls if call.computation.function_hash}
    restoring = {one.code_hash for call in calls for one in call.inputs if one.code_hash}
    hashes.update(part for code in restoring for part in restoring_parts(code))
    return store.find(Sources(tuple(sorted(hashes)))) if hashes else []


def _named_by(written: Sequence[Call], edges: Iterable[Edge], variables: Collection[str]) -> list[Call]:
    """Return the calls whose files were saved as one of these variables, and what handed them results unsaved."""
    functions = {edge.function_name for edge in edges if edge.target in variables}
    by_id = {call.call_id: call for call in written}
    found: dict[str, Call] = {}
    is_meant = (one for one in written if one.computation.writes_file)
    pending = [one.call_id for one in is_meant if one.computation.function_name in functions]
    while pending:
        call = by_id.get(pending.pop())
        if call is not None and call.call_id not in found:
            found[call.call_id] = call
            pending += [one.input_call_id for one in call.inputs if one.input_call_id]
    return [call for call in written if call.call_id in found]


def _variables_of(calls: Iterable[Call]) -> set[str]:
    return {one.type_name for call in calls for one in call.inputs if one.kind == "record" and one.type_name}


def _upstream(edges: Iterable[Edge], names: Iterable[str]) -> set[str]:
    """Return these variables and those that the pipeline makes them from; what it does not say is found on the way."""
    sources: dict[str, list[str]] = defaultdict(list)
    for edge in edges:
        sources[edge.target].append(edge.source)
    found: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += sources[name]
    return found


def is_selected(match: Match, variable: str, schema: Mapping[str, KeyValue], version_keys: str) -> bool:
    """Say whether something at this place is asked for; what is missing there has no entry to be found by."""
    if match.variables is not None and variable not in match.variables:
        return False
    if not all(schema.get(name) in wanted for name, wanted in match.schema.items()):
        return False
    if not match.version:
        return True
    texts = {name: canonical_json(value) for name, value in json.loads(version_keys).items()}
    return all(texts.get(name) in wanted for name, wanted in match.version.items())
