"""Erasing: everything that a place holds, everything that was made from it, and everything that tells of it."""

from __future__ import annotations

import json
import re
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from scidb.exceptions import NotFoundError
from scidb.hashing.inputs import preview
from scidb.maintenance.plans import Erasing, count
from scidb.records import place
from scidb.store.abilities import maintained
from scidb.store.model import (
    CallsGiven,
    Entries,
    Exports,
    FailedAt,
    Failures,
    KeptCopies,
    Latest,
    Line,
    Locations,
    Match,
    Pruned,
    Removal,
    Removals,
    Runs,
    TraceQuery,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from scidb.store.model import Call, CallInput, Failure, KeyValue, Record
    from scidb.store.protocol import Store

__all__ = ["erase"]

# Others may go on saving meanwhile, and what they save before they are told is removed as well.
_ROUNDS: Final = 5


def erase(
    store: Store,
    schema: Mapping[str, KeyValue],
    *,
    dry_run: bool,
    backups: Sequence[str] = (),
    reason: str = "",
    user_id: str | None = None,
) -> Erasing:
    """Erase a place, given by the values of schema keys, or say what that would remove.

    Raises
    ------
    NotFoundError
        When nothing tells of such a place.

    """
    found = _Found(store, schema)
    plan = found.plan(backups, done=not dry_run)
    if found.is_empty:
        if not any(not one.is_rewritten for one in store.find(Removals())):
            raise _nothing(store, schema)
        if not dry_run:  # an earlier one came as far as the log
            maintained(store).compact()
        return plan
    for _ in range(0 if dry_run else _ROUNDS):
        maintained(store).remove(found.removal(reason, user_id))
        found = _Found(store, schema)
        if found.is_empty:
            break
    return plan


def _nothing(store: Store, schema: Mapping[str, KeyValue]) -> NotFoundError:
    names = tuple(schema)
    known = [one.schema for one in store.find(Locations(names))]
    near = "; ".join(place(one) for one in known[:10])
    return NotFoundError(
        f"Nothing tells of {place(schema)}, so that there is nothing to erase. The database has "
        f"{near or 'no such places'}{'; ...' if len(known) > 10 else ''}.",
        schema=dict(schema),
    )


@dataclass(frozen=True, slots=True)
class _Lines:
    """Lines of the log, pruned ones among them, by their keys."""

    by_key: dict[tuple[str, str, int], Record] = field(default_factory=dict)
    pruned: set[tuple[str, str, int]] = field(default_factory=set)

    def add(self, store: Store, match: Match) -> None:
        for one in store.find(Entries(match)):
            self.by_key[_key(one)] = one
        for line in store.find(Pruned(match)):
            self.by_key[_key(line.record)] = line.record
            self.pruned.add(_key(line.record))


def _key(one: Record) -> tuple[str, str, int]:
    return one.record_id, one.timestamp, one.seq


class _Found:
    """What is to be erased."""

    def __init__(self, store: Store, schema: Mapping[str, KeyValue]) -> None:
        self._store, self._schema = store, dict(schema)
        here = _Lines()
        here.add(store, Match(schema={name: (value,) for name, value in schema.items()}))
        self._here = set(here.by_key)
        seen = _Lines(dict(here.by_key), set(here.pruned))
        given = store.find(CallsGiven({name: preview(value) for name, value in schema.items()}))
        calls = self._reachable(here.by_key.values(), given)
        if calls:
            seen.add(store, Match(call_ids=tuple(calls)))
        if seen.by_key:
            seen.add(store, Match(record_ids=tuple({one.record_id for one in seen.by_key.values()})))
        self.calls = self._derived(calls, seen, {call.call_id for call in given})
        keys = self._here | {key for key, one in seen.by_key.items() if one.call_id in self.calls}
        self._seen, self._lines = seen, {key: seen.by_key[key] for key in keys}
        left = {one.record_id for key, one in seen.by_key.items() if key not in keys and key not in seen.pruned}
        self._gone = {one.record_id for one in self._lines.values()} - left
        self._failures = [one for one in store.find(Failures()) if self._is_about(one)]
        runs = store.find(Runs())
        self._runs = [run.run_id for run in runs if run.configuration and names_place(run.configuration, self._schema)]

    def _reachable(self, here: Iterable[Record], given: Iterable[Call]) -> dict[str, Call]:
        """Return the calls that may have to do with it: those behind its lines, and all downstream of both."""
        ids: dict[str, None] = {}
        behind = {call.call_id: None for call in given}
        for one in here:
            ids[one.record_id] = None
            if one.call_id:
                behind[one.call_id] = None
        calls = self._store.trace(TraceQuery(call_ids=tuple(behind), direction="down")).calls if behind else ()
        below = self._store.trace(TraceQuery(tuple(ids), "down")).calls if ids else ()
        return {call.call_id: call for call in (*calls, *below)}

    def _derived(self, calls: Mapping[str, Call], seen: _Lines, given: set[str]) -> set[str]:
        """Return the calls that made something of it: by record, so that an equal value of somebody else's stays.

        A call belongs to the place when all that it made lies there; it is derived when it was given what is erased.
        """
        made: dict[str, list[tuple[str, str, int]]] = {}
        of_record: dict[str, list[tuple[str, str, int]]] = {}
        for key, one in seen.by_key.items():
            of_record.setdefault(one.record_id, []).append(key)
            if one.call_id:
                made.setdefault(one.call_id, []).append(key)
        found = {one for one in calls if one in given or (one in made and self._here.issuperset(made[one]))}
        gone = set(self._here)
        while True:
            gone |= {key for call_id in found for key in made.get(call_id, ())}
            lost = {record_id for record_id, keys in of_record.items() if gone.issuperset(keys)}
            more = {
                call_id
                for call_id, call in calls.items()
                if call_id not in found and any(_is_from(one, lost, found) for one in call.inputs)
            }
            if not more:
                return found
            found |= more

    def _is_about(self, failure: Failure) -> bool:
        if all(failure.schema.get(name) == value for name, value in self._schema.items()):
            return True
        if names_place(failure.version_keys, self._schema):
            return True
        return any(_is_from(one, self._gone, self.calls) for one in failure.inputs)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to remove."""
        return not (self._lines or self.calls or self._failures or self._runs)

    def removal(self, reason: str, user_id: str | None) -> Removal:
        """Return what the store has to remove."""
        failures = tuple(FailedAt(one.run_id, one.timestamp, one.schema, one.version_keys) for one in self._failures)
        return Removal(
            removal_id=uuid.uuid4().hex,
            kind="erase",
            lines=tuple(Line(*key) for key in sorted(self._lines)),
            reason=reason,
            user_id=user_id,
            calls=tuple(sorted(self.calls)),
            failures=failures,
            runs=tuple(self._runs),
            schema=self._schema,
        )

    def plan(self, backups: Sequence[str], *, done: bool) -> Erasing:
        """Return what people want to know of it beforehand."""
        lines = Counter(record_id for record_id, _, _ in self._lines)
        standing = {key: one for key, one in self._lines.items() if key not in self._seen.pruned}
        here = {one.record_id: one for key, one in standing.items() if key in self._here}
        elsewhere = {one.record_id: one for key, one in standing.items() if key not in self._here}
        exports = self._store.find(Exports(tuple(lines))) if lines else []
        return Erasing(
            count([*here.values(), *elsewhere.values()], lambda one: lines[one.record_id]),
            done=done,
            here=count(here.values(), lambda one: lines[one.record_id]),
            derived=count(elsewhere.values(), lambda one: lines[one.record_id]),
            failures=len(self._failures),
            runs=len(self._runs),
            generated=self._generated(),
            exports=tuple(dict.fromkeys(one.path for one in exports)),
            backups=tuple(backups),
            copies=tuple(one.path for one in self._store.find(KeptCopies())),
            mentions=self._mentions(),
        )

    def _generated(self) -> tuple[str, ...]:
        """Return what says which files functions wrote of it."""
        found = self._store.trace(TraceQuery(call_ids=tuple(self.calls), depth=1)).calls if self.calls else ()
        return tuple(dict.fromkeys(_written(call) for call in found if call.computation.writes_file))

    def _mentions(self) -> tuple[str, ...]:
        named = {
            one.variable
            for one in self._store.find(Latest())
            if one.record_id not in self._gone and names_place(one.version_keys, self._schema)
        }
        return tuple(sorted(named))


def _is_from(one: CallInput, lost: set[str], calls: set[str]) -> bool:
    return one.record_id in lost or one.input_call_id in calls


def _written(call: Call) -> str:
    """Return the path of a file that a call wrote, or else what it was given."""
    paths = [one.value_repr for one in call.inputs if one.kind == "file" and one.content_hash is None]
    if paths:
        return ", ".join(path for path in paths if path)
    given = [f"{one.name}={one.value_repr}" for one in call.inputs if one.kind in ("constant", "file")]
    return f"{call.computation.function_name}({', '.join(given)})"


# ------------------------------------------------------------------ settings that name a place


def names_place(text: str, schema: Mapping[str, KeyValue]) -> bool:
    """Say whether settings, a JSON text, name a place: each of its keys beside its value.

    Examples
    --------
    >>> [names_place(f'{{"__where": "subject != {number}"}}', {"subject": 12}) for number in (12, 120)]
    [True, False]

    """
    nodes = list(_nodes(json.loads(text)))
    return bool(schema) and all(any(_names(node, name, value) for node in nodes) for name, value in schema.items())


def _nodes(data: Any) -> Iterable[Any]:
    """Yield all texts, lists and maps of JSON."""
    yield data
    if isinstance(data, dict | list):
        for part in data.values() if isinstance(data, dict) else data:
            yield from _nodes(part)


def _names(node: Any, name: str, value: KeyValue) -> bool:
    if isinstance(node, str):
        key, text = re.escape(name), re.escape(repr(value) if isinstance(value, int | float) else str(value))
        return re.search(rf"(?<!\w){key}(?!\w).*?(?<![\w.]){text}(?![\w.])", node) is not None
    if isinstance(node, dict):
        if name in node:  # of Fixed: the value as a literal
            return any(_is_value(one, value) for one in _nodes(node[name]))
        if name in node.values():  # of a filter: the key beside what it is compared with
            return any(_is_value(one, value) for part in node.values() for one in _nodes(part))
    return False


def _is_value(data: Any, value: KeyValue) -> bool:
    if isinstance(data, bool | dict | list) or data is None:
        return False
    return data in (value, repr(value), str(value))
