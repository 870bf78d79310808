"""How the reference store answers questions: which entries match, in which order, and where they came from.

Reading only; everything is decided on the log as a whole, oldest entry first.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from scidb.exceptions import UnsupportedOperationError
from scidb.hashing.ids import is_lineage_alone
from scidb.store.memory.filters import where_it_holds
from scidb.store.memory.flags import find_flags, find_marks, left_out
from scidb.store.memory.memo import find_invalidations, find_memo_entries, find_results
from scidb.store.model import (
    Acceptances,
    Answers,
    Backups,
    Calls,
    CallsGiven,
    Change,
    Changes,
    Computation,
    Computations,
    Entries,
    Environment,
    Environments,
    Exports,
    Failures,
    Flags,
    Form,
    Forms,
    GeneratedFiles,
    Group,
    Groups,
    Invalidations,
    KeptCopies,
    Latest,
    Level,
    Levels,
    Location,
    Locations,
    Marks,
    Match,
    MemoEntries,
    Pruned,
    Records,
    Removals,
    Results,
    Runs,
    Sources,
    Stored,
    Tags,
    Timing,
    Timings,
    Varying,
)
from scidb.store.versions import version_fits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from scidb.store.memory.state import State
    from scidb.store.model import Call, CallInput, KeyValue, PrunedLine, Query, Record

__all__ = ["answer"]


def answer(state: State, query: Query[Any]) -> list[Any]:  # noqa: C901, PLR0911, PLR0912 - one case per kind
    """Return the rows that answer the query, in its order."""
    match query:
        case Latest(match=match, limit=limit):
            found = _matching(state, match, _standing(state, match))
            return sorted(found, key=_natural_order(state))[:limit]
        case Records(match=match):
            newest = {entry.record_id: entry for entry in _matching(state, match, _until(state, match))}
            return sorted(newest.values(), key=_natural_order(state))
        case Stored(record_ids=ids):
            return answer(state, Records(Match(record_ids=ids)))
        case Entries(match=match, limit=limit):
            found = _matching(state, match, _until(state, match))
            return found[::-1][:limit]
        case Locations(keys=keys, as_of=as_of):
            return _locations(state, keys, as_of)
        case Forms(variables=variables):
            own = [entry for entry in state.log if entry.variable in variables]
            return sorted({Form(entry.variable, entry.encoding, entry.schema_version) for entry in own})
        case Levels(variables=variables):
            return sorted({Level(one.variable, tuple(one.schema)) for one in state.log if one.variable in variables})
        case Changes():
            return _changes(state, query)
        case Tags():
            return sorted(state.tags.values(), key=lambda tag: (tag.timestamp, tag.name))
        case Groups():
            return _groups(state)
        case Runs(limit=limit):
            return list(state.runs.values())[::-1][:limit]
        case Failures(run_id=run_id, version_keys=texts):
            of_run = [failure for failure in state.failures if run_id in {None, failure.run_id}]
            return [failure for failure in of_run if _one_of(failure.version_keys, texts)]
        case Backups():
            return list(state.backups)
        case KeptCopies():
            return []
        case Exports(record_ids=ids):
            return [one for one in state.exports if ids is None or not set(ids).isdisjoint(one.record_ids)]
        case Sources(function_hashes=hashes):
            known_code = sorted(state.sources.items())
            return [one for name in dict.fromkeys(hashes) for (found, _), one in known_code if found == name]
        case Calls(call_ids=call_ids):
            return _calls(state, call_ids)
        case GeneratedFiles():
            return _generated(state, query)
        case Computations(function_hashes=functions, inputs_hashes=inputs):
            made = _computations(state).values()
            return [one for one in made if one.function_hash in functions and one.inputs_hash in inputs]
        case Varying(as_of=as_of):
            return _varying(state, as_of)
        case Timings(function_name=name):
            return _timings(state, name)
        case Acceptances():
            return list(state.acceptances)
        case Flags():
            return find_flags(state, query)
        case Marks():
            return find_marks(state, query)
        case Environments(environment_ids=ids):
            known = state.environments
            return [Environment(name, known[name]) for name in dict.fromkeys(ids) if name in known]
        case Results():
            return find_results(state, query)
        case Invalidations():
            return find_invalidations(state, query)
        case MemoEntries():
            return find_memo_entries(state, query)
        case Removals():
            return list(state.removals)
        case CallsGiven(constants=constants):
            calls = state.calls.values() if constants else ()
            return [
                call
                for call in calls
                if constants.items() <= {(one.name, one.value_repr) for one in call.inputs if one.kind == "constant"}
            ]
        case Pruned():
            return _pruned(state, query)
        case Answers(key=key, user_id=user_id):
            return [state.answers[user_id, key]] if (user_id, key) in state.answers else []
    raise UnsupportedOperationError(f"The memory store cannot answer a {type(query).__name__}.")


def _locations(state: State, keys: tuple[str, ...], as_of: str | None) -> list[Location]:
    for name in keys:
        state.key(name)  # refuses an unknown one
    log = [entry for entry in state.log if as_of is None or entry.timestamp <= as_of]
    places = {tuple(entry.schema[key] for key in keys) for entry in log if set(keys) <= set(entry.schema)}
    # Values without a zone count as UTC, and come before equal ones that have one.
    ordered = sorted(places, key=lambda values: [(_comparable(value), _is_aware(value)) for value in values])
    return [Location(dict(zip(keys, values, strict=True))) for values in ordered]


def _groups(state: State) -> list[Group]:
    names = sorted({group for info in state.types.values() for group in info.groups})
    return [
        Group(name, tuple(sorted(info.name for info in state.types.values() if name in info.groups))) for name in names
    ]


def _changes(state: State, query: Changes) -> list[Change]:
    before, after = (
        {(entry.variable, entry.version_keys, _place(entry.schema)): entry for entry in answer(state, Latest(match))}
        for match in (replace(query.match, as_of=query.since), query.match)
    )
    logged = {entry.record_id for entry in state.log if entry.timestamp <= query.since}
    changed = []
    for key in {**before, **after}:
        old, new = before.get(key), after.get(key)
        if old is None or new is None or old.record_id != new.record_id:
            changed.append(Change(old, new, new is not None and new.record_id in logged))
    order = _natural_order(state)

    def by_variable(change: Change) -> tuple[Any, ...]:
        first = change.before or change.after
        return () if first is None else (first.variable, order(first))

    return sorted(changed, key=by_variable)


# ------------------------------------------------------------------ entries


def _until(state: State, match: Match) -> list[Record]:
    """Return the part of the log that the question is about, oldest first."""
    for name in match.schema:
        state.key(name)  # refuses an unknown one, which would match nothing in silence
    return [entry for entry in state.log if match.as_of is None or entry.timestamp <= match.as_of]


def _matching(state: State, match: Match, entries: Iterable[Record]) -> list[Record]:
    excluded = left_out(state, match)
    found = [entry for entry in entries if entry.record_id not in excluded and _matches(entry, match)]
    if match.where is None:
        return found
    return where_it_holds(state, match.where, found, list(_standing(state, match)))


def _standing(state: State, match: Match) -> Iterator[Record]:
    """Yield the newest entries, where nothing newer was pruned: none of these was the latest then."""
    pruned: dict[object, tuple[str, int]] = {}
    for one in (line.record for line in state.pruned) if match.as_of is not None else ():
        if match.as_of is not None and one.timestamp <= match.as_of:
            pruned[one.variable, one.version_keys, _place(one.schema)] = (one.timestamp, one.seq)
    for entry in _latest(_until(state, match)):
        newest = pruned.get((entry.variable, entry.version_keys, _place(entry.schema)))
        if newest is None or newest < (entry.timestamp, entry.seq):
            yield entry


def _pruned(state: State, query: Pruned) -> list[PrunedLine]:
    match = replace(query.match, where=None, exclude=False)
    lines = {(one.record.timestamp, one.record.seq): one for one in state.pruned}
    found = [one for one in lines.values() if match.as_of is None or one.record.timestamp <= match.as_of]
    if query.standing:
        newest = {(one.variable, one.version_keys, _place(one.schema)): one for one in _until(state, match)}
        place_of = {id(one): (one.record.variable, one.record.version_keys, _place(one.record.schema)) for one in found}
        last = {place_of[id(one)]: one for one in found}
        found = [
            one
            for place, one in last.items()
            if place not in newest
            or (newest[place].timestamp, newest[place].seq) < (one.record.timestamp, one.record.seq)
        ]
    matching = [one for one in found if _matches(one.record, match)]
    return sorted(matching, key=lambda one: (one.record.timestamp, one.record.seq), reverse=True)


def _latest(log: Iterable[Record]) -> Iterator[Record]:
    newest: dict[object, Record] = {}
    counts: dict[object, int | None] = {}
    for entry in log:
        newest[entry.variable, entry.version_keys, _place(entry.schema)] = entry
        if entry.piece is not None:
            counts[_distributed_from(entry)] = entry.pieces
    for entry in newest.values():
        count = None if entry.piece is None else counts[_distributed_from(entry)]
        if entry.piece is None or count is None or entry.piece <= count:
            yield entry


def _place(schema: Mapping[str, KeyValue]) -> frozenset[tuple[str, KeyValue]]:
    return frozenset(schema.items())


def _distributed_from(entry: Record) -> object:
    """Return what the pieces of one result share: all but the deepest key, which numbers them."""
    return entry.variable, entry.version_keys, _place(dict(list(entry.schema.items())[:-1]))


def _matches(entry: Record, match: Match) -> bool:
    return (
        _one_of(entry.variable, match.variables)
        and _one_of(entry.version_keys, match.version_keys.get(entry.variable))
        and _one_of(entry.record_id, match.record_ids)
        and _one_of(entry.lineage_id, match.lineage_ids)
        and _one_of(entry.call_id, match.call_ids)
        and _begins(entry.record_id, match.record_prefix)
        and all(entry.schema.get(name) in wanted for name, wanted in match.schema.items())
        and version_fits(entry.version_keys, match.version)
    )


def _begins(record_id: str, prefix: str | None) -> bool:
    return prefix is None or (prefix != "" and record_id.startswith(prefix))


def _one_of(value: str | None, wanted: tuple[str, ...] | None) -> bool:
    return wanted is None or value in wanted


def _natural_order(state: State) -> Callable[[Record], tuple[Any, ...]]:
    """Return the sort key: each schema key in its own type and absent first, version keys, time."""

    def order(entry: Record) -> tuple[Any, ...]:
        place = [(1, _comparable(entry.schema[key.name])) if key.name in entry.schema else (0, 0) for key in state.keys]
        return place, entry.version_keys, entry.timestamp, entry.seq

    return order


def _comparable(value: KeyValue) -> KeyValue:
    if isinstance(value, dt.datetime) and value.tzinfo is None:
        return value.replace(tzinfo=dt.UTC)
    return value


def _is_aware(value: KeyValue) -> bool:
    return isinstance(value, dt.datetime) and value.tzinfo is not None


# ------------------------------------------------------------------ provenance


def _calls(state: State, call_ids: Iterable[str]) -> list[Call]:
    wanted: set[str] = set()
    pending = list(call_ids)
    while pending:
        call = state.calls.get(pending.pop())
        if call is not None and call.call_id not in wanted:
            wanted.add(call.call_id)
            pending += [one.input_call_id for one in call.inputs if one.input_call_id and _is_unsaved(one)]
    return [call for call in state.calls.values() if call.call_id in wanted]


def _generated(state: State, query: GeneratedFiles) -> list[Call]:
    newest = {
        call.computation.lineage_id: call.call_id
        for call in state.calls.values()
        if call.computation.writes_file
        and call.recalled_from is None
        and (query.lineage_ids is None or call.computation.lineage_id in query.lineage_ids)
        and (query.as_of is None or call.timestamp <= query.as_of)
    }
    return _calls(state, newest.values())


def _is_unsaved(one: CallInput) -> bool:
    return one.kind == "computation" or is_lineage_alone(one.record_id)


def _computations(state: State) -> dict[str, Computation]:
    """Return every computation by lineage_id, as it was first stored."""
    first: dict[str, Computation] = {}
    for call in state.calls.values():
        first.setdefault(call.computation.lineage_id, call.computation)
    return dict(sorted(first.items()))


def _varying(state: State, as_of: str | None) -> list[Computation]:
    contents: dict[tuple[object, ...], set[tuple[str, int | None]]] = defaultdict(set)
    for entry in state.log:
        if entry.lineage_id is not None and (as_of is None or entry.timestamp <= as_of):
            output = (entry.lineage_id, entry.output_num, entry.variable, entry.schema_version, entry.piece)
            contents[output].add((entry.content_hash, entry.pieces))
    several = {str(output[0]) for output, found in contents.items() if len(found) > 1}
    return [one for lineage_id, one in _computations(state).items() if lineage_id in several]


def _timings(state: State, function_name: str) -> list[Timing]:
    made, taken = _computations(state), defaultdict(list)
    for call in state.calls.values():
        computation = made[call.computation.lineage_id]
        if computation.function_name == function_name and call.seconds is not None:
            taken[computation.function_hash].append(call.seconds)
    return [Timing(code, len(seconds), sum(seconds) / len(seconds)) for code, seconds in sorted(taken.items())]
