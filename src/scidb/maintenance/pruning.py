"""Pruning: which superseded records may go, what keeps them, and what would lose an ancestor."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scidb.maintenance.plans import Removing, count
from scidb.store.abilities import maintained
from scidb.store.model import Entries, Flags, Latest, Line, Match, Removal, Tags, TraceQuery

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from scidb.maintenance.plans import Counted
    from scidb.store.model import Call, Record
    from scidb.store.protocol import Store

__all__ = ["Conditions", "prune"]


@dataclass(frozen=True, slots=True)
class Conditions:
    """Which records are meant; all that is given must hold."""

    variables: tuple[str, ...] | None = None
    saved_before: str | None = None  # the newest entry of a record
    superseded: bool = False
    unreachable: bool = False


def prune(
    store: Store, conditions: Conditions, *, dry_run: bool, reason: str = "", user_id: str | None = None
) -> Removing:
    """Remove the records for which the conditions hold and that nothing keeps, or say which they would be.

    What is the latest of its place and version keys, was that at a tag, is pinned, or is what something pinned was made
    from, stays.
    """
    entries = store.find(Entries(Match(conditions.variables)))
    lines: dict[str, list[Record]] = {}
    for entry in entries:  # newest first
        lines.setdefault(entry.record_id, []).append(entry)
    latest = {one.record_id for one in store.find(Latest(Match(conditions.variables)))}
    meant = _meant(store, conditions, lines, latest)
    kept = _kept(store, conditions, meant, latest)
    gone = [record_id for record_id in meant if record_id not in kept]
    plan = Removing(
        count((lines[one][0] for one in gone), lambda one: len(lines[one.record_id])),
        done=not dry_run,
        kept=dict(sorted(Counter(kept.values()).items())),
        losing=_losing(store, gone),
    )
    if gone and not dry_run:
        named = tuple(Line(one.record_id, one.timestamp, one.seq) for record_id in gone for one in lines[record_id])
        maintained(store).remove(Removal(uuid.uuid4().hex, "prune", named, reason, user_id))
    return plan


def _meant(store: Store, conditions: Conditions, lines: Mapping[str, Sequence[Record]], latest: set[str]) -> list[str]:
    """Return the records for which the conditions hold."""
    found = list(lines)
    if conditions.saved_before is not None:
        before = conditions.saved_before
        found = [one for one in found if lines[one][0].timestamp < before]
    if conditions.superseded:
        found = [one for one in found if one not in latest]
    if conditions.unreachable and found:
        computations, records = _reached(store)
        found = [
            one
            for one in found
            if one not in records
            and (made := {line.lineage_id for line in lines[one] if line.lineage_id})
            and made.isdisjoint(computations)
        ]
    return found


def _reached(store: Store) -> tuple[set[str], set[str]]:
    """Return the computations and the records on which the current results rest, themselves included."""
    current = store.find(Latest())
    calls = _upstream(store, current)
    computations = {call.computation.lineage_id for call in calls}
    computations |= {one.lineage_id for one in current if one.lineage_id}
    used = {one.record_id for call in calls for one in call.inputs if one.record_id}
    return computations, used | {one.record_id for one in current}


def _upstream(store: Store, entries: Iterable[Record]) -> Sequence[Call]:
    calls = tuple(dict.fromkeys(one.call_id for one in entries if one.call_id))
    return store.trace(TraceQuery(call_ids=calls)).calls if calls else ()


def _kept(store: Store, conditions: Conditions, meant: Sequence[str], latest: set[str]) -> dict[str, str]:
    """Return what keeps records that are meant, for those that something keeps."""
    kept = dict.fromkeys((one for one in meant if one in latest), "latest")
    if len(kept) == len(meant):
        return kept
    wanted = set(meant)
    for tag in store.find(Tags()):
        visible = store.find(Latest(Match(conditions.variables, as_of=tag.timestamp)))
        for one in visible:
            if one.record_id in wanted:
                kept.setdefault(one.record_id, "tagged")
    pinned = tuple(dict.fromkeys(flag.record_id for flag in store.find(Flags()) if flag.is_pin))
    if pinned:
        calls = _upstream(store, store.find(Entries(Match(record_ids=pinned))))
        below = {one.record_id for call in calls for one in call.inputs if one.record_id}
        for record_id in wanted & {*pinned, *below}:
            kept.setdefault(record_id, "pinned")
    return kept


def _losing(store: Store, gone: Sequence[str]) -> tuple[Counted, ...]:
    """Return the records that stay and were made from one that goes."""
    calls = store.trace(TraceQuery(tuple(gone), "down")).calls if gone else ()
    made = store.find(Entries(Match(call_ids=tuple(call.call_id for call in calls)))) if calls else []
    lost = set(gone)
    entries = Counter(one.record_id for one in made)
    left = {one.record_id: one for one in made if one.record_id not in lost}
    return count(left.values(), lambda one: entries[one.record_id])
