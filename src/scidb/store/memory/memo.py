"""How the reference store answers for the memo: what computations gave, what was set aside, what was of use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scidb.store.model import (
    Call,
    Computation,
    Invalidated,
    Invalidation,
    Invalidations,
    MemoEntries,
    MemoEntry,
    Record,
    Result,
    Results,
    SetAside,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from scidb.store.memory.state import State

__all__ = ["find_invalidations", "find_memo_entries", "find_results", "invalidate"]


def invalidate(state: State, event: Invalidated, stamp: str) -> None:
    """Note what does not count from now on: one row for each code, or for each computation."""
    said = (event.reason, stamp, event.user_id)
    if event.lineage_ids is None:
        hashes = _hashes(state, event)
        state.invalidations += [Invalidation(event.function_name, one, None, *said) for one in sorted(hashes)]
    else:
        chosen = sorted(set(event.lineage_ids) & set(_chosen(state, event)))
        state.invalidations += [Invalidation(event.function_name, None, one, *said) for one in chosen]


def _hashes(state: State, asked: Invalidated | MemoEntries) -> set[str]:
    """Return the code that is meant by a name, a hash, or both."""
    if asked.function_name is None:
        return set() if asked.function_hash is None else {asked.function_hash}
    named = [(one.function_name, one.function_hash) for one in _first(state).values()]
    named += [(edge.function_name, edge.function_hash) for edge in state.edges]
    named += [(run.function_name, run.function_hash) for run in state.runs.values()]
    return {code for name, code in named if name == asked.function_name and asked.function_hash in {None, code}}


def _first(state: State) -> dict[str, Computation]:
    """Return the computations, each as it was written first."""
    return {call.computation.lineage_id: call.computation for call in reversed(state.calls.values())}


def _chosen(state: State, asked: Invalidated | MemoEntries) -> dict[str, Computation]:
    """Return the computations that fulfil all conditions that are given."""
    hashes = _hashes(state, asked)
    is_any = asked.function_name is None and asked.function_hash is None
    return {
        lineage_id: one
        for lineage_id, one in _first(state).items()
        if (is_any or one.function_hash in hashes) and (asked.lineage_ids is None or lineage_id in asked.lineage_ids)
    }


def find_invalidations(state: State, query: Invalidations) -> list[Invalidation]:
    """Return what was set aside, oldest first."""
    return [
        row
        for row in state.invalidations
        if (row.function_hash is not None and query.function_hash in {None, row.function_hash})
        or (row.lineage_id is not None and (query.lineage_ids is None or row.lineage_id in query.lineage_ids))
    ]


def find_results(state: State, query: Results) -> list[Result]:
    """Return what counts of each of these computations."""
    found = _results(state, _chosen(state, MemoEntries(lineage_ids=query.lineage_ids)))
    return [found[one] for one in dict.fromkeys(query.lineage_ids) if one in found]


def _results(state: State, chosen: dict[str, Computation]) -> dict[str, Result]:
    aside = SetAside.of(state.invalidations)
    entries = _entries(state, chosen)
    found = {}
    for lineage_id in sorted(chosen):
        made = chosen[lineage_id]
        if made.kind == "generated":
            call = _execution(state, made)
            if call is not None and aside.counts(call.timestamp, made.function_hash, lineage_id):
                found[lineage_id] = Result(made, (), call.call_id, call.timestamp)
            continue
        counting = [one for one in entries[lineage_id] if aside.counts(one.timestamp, made.function_hash, lineage_id)]
        newest: dict[object, Record] = {}
        for one in reversed(counting):
            kind = (
                one.output_num, one.piece, one.pieces, one.content_hash, one.variable, one.encoding, one.schema_version,
            )  # fmt: skip
            newest.setdefault(kind, one)
        if newest:
            found[lineage_id] = Result(made, tuple(newest.values()))
    return found


def _entries(state: State, chosen: Collection[str]) -> dict[str, list[Record]]:
    entries: dict[str, list[Record]] = {lineage_id: [] for lineage_id in chosen}
    for entry in state.log:
        if entry.lineage_id in entries and entry.output_num is not None:
            entries[entry.lineage_id].append(entry)
    return entries


def _execution(state: State, made: Computation) -> Call | None:
    """Return the newest execution, unless the same function has written over what it wrote."""
    executed = [
        call
        for call in state.calls.values()
        if call.recalled_from is None
        and call.computation.kind == "generated"
        and call.computation.function_name == made.function_name
    ]
    own = [number for number, call in enumerate(executed) if call.computation.lineage_id == made.lineage_id]
    if not own:
        return None
    newest = executed[own[-1]]
    later = executed[own[-1] + 1 :]
    is_lost = any(
        call.computation.inputs_hash == made.inputs_hash or _written(call) & _written(newest) for call in later
    )
    return None if is_lost else newest


def _written(call: Call) -> set[str | None]:
    return {one.value_repr for one in call.inputs if one.kind == "file" and one.content_hash is None}


def find_memo_entries(state: State, query: MemoEntries) -> list[MemoEntry]:
    """Return what is in the memo, and of what use it was."""
    chosen = _chosen(state, query)
    return list(_memo_entries(state, _results(state, chosen)))


def _memo_entries(state: State, results: dict[str, Result]) -> Iterator[MemoEntry]:
    aside = SetAside.of(state.invalidations)
    entries = _entries(state, results)
    for lineage_id, result in results.items():
        made = result.computation
        counting = [one for one in entries[lineage_id] if aside.counts(one.timestamp, made.function_hash, lineage_id)]
        saved = max((one.timestamp for one in counting), default=result.timestamp)
        hits = [(hit, stamp) for hit, stamp in state.hits if hit.lineage_id == lineage_id]
        runs = [
            run.ended
            for run in state.runs.values()
            if run.ended and run.up_to_date and run.function_hash == made.function_hash
        ]
        yield MemoEntry(
            made,
            saved,
            sum({one.record_id: one.nbytes for one in counting}.values()),
            sum(hit.hits for hit, _ in hits),
            max([saved, *(stamp for _, stamp in hits), *runs]),
        )
