"""What each kind of event does to the reference store."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

from scidb.exceptions import (
    NotFoundError,
    SchemaKeyError,
)
from scidb.store.labels import check_group, check_tag, not_in_group
from scidb.store.memory.edges import see_edges
from scidb.store.memory.memo import invalidate
from scidb.store.memory.state import State, answer_once
from scidb.store.model import (
    Acceptance,
    Accepted,
    Answered,
    BackedUp,
    Backup,
    EdgesSeen,
    EnvironmentSeen,
    Export,
    Exported,
    Failed,
    Failure,
    Flagged,
    Grouped,
    Hit,
    Invalidated,
    KeyAdded,
    KeyTyped,
    Renamed,
    Run,
    RunEnded,
    RunStarted,
    SchemaKey,
    Source,
    SourceSeen,
    Tag,
    Tagged,
    Unflagged,
    Ungrouped,
)
from scidb.store.names import (
    check_no_version_key,
    check_renaming,
    renamed_now,
)

if TYPE_CHECKING:
    from scidb.store.model import (
        Event,
    )

__all__ = ["add_key", "apply"]


def apply(state: State, event: Event, stamp: str) -> None:  # noqa: C901, PLR0912 - one case for each kind of event
    """Change the state as the event says, or raise and change nothing."""
    match event:
        case KeyAdded():
            add_key(state, event)
        case KeyTyped():
            _type_key(state, event)
        case Renamed():
            _rename(state, event)
        case RunStarted(run_id, name, function_hash, total, user_id, configuration):
            run = Run(run_id, name, function_hash, total, user_id, started=stamp, configuration=configuration)
            state.runs.setdefault(run_id, run)
        case RunEnded():
            _end_run(state, event, stamp)
        case Failed():
            state.failures.append(_failure(event, stamp))
        case SourceSeen(function_hash, name, manifest, sources, ref):
            source = Source(function_hash, name, manifest, dict(sources), ref)
            state.sources.setdefault((function_hash, ref), source)
        case EdgesSeen(edges):
            see_edges(state, edges, stamp)
        case EnvironmentSeen(environment_id, description):
            state.environments.setdefault(environment_id, description)
        case Tagged(name, timestamp, user_id):
            check_tag(event, stamp, {tag.name: tag.timestamp for tag in state.tags.values()})
            state.tags[name] = Tag(name, timestamp or stamp, user_id)
        case Grouped() | Ungrouped():
            _regroup(state, event)
        case Exported(path, sha256, record_ids, user_id):
            state.exports.append(Export(path, sha256, stamp, user_id, tuple(record_ids)))
        case Accepted(name, old_hash, new_hash, reason, user_id):
            state.acceptances.append(Acceptance(name, old_hash, new_hash, reason, stamp, user_id))
        case Flagged() | Unflagged():
            state.flags.append((stamp, event))
        case Invalidated():
            invalidate(state, event, stamp)
        case Hit():
            state.hits.append((event, stamp))
        case BackedUp(path, nbytes, written, user_id):
            state.backups.append(Backup(path, stamp, nbytes, written, user_id))
        case Answered():
            answer_once(state, event, stamp)


def add_key(state: State, event: KeyAdded) -> None:
    """Add a schema key at its place; refuse one that is there, or a version key that entries have."""
    for key in state.keys:
        if key.name.casefold() == event.key.name.casefold():
            raise SchemaKeyError(
                f"Schema key {event.key.name!r} cannot be added: there is {key.name!r} already.",
                name=event.key.name,
            )
    check_no_version_key(event.key.name, ((entry.variable, entry.version_keys) for entry in state.log))
    place = 0 if event.after is None else state.keys.index(state.key(event.after)) + 1
    state.keys.insert(place, event.key)


def _type_key(state: State, event: KeyTyped) -> None:
    key = state.key(event.name)
    if key.value_type not in {None, event.value_type}:
        raise SchemaKeyError(
            f"Schema key {key.name!r} holds {key.value_type} values and cannot become {event.value_type}.",
            name=key.name,
            value_type=key.value_type,
        )
    state.keys[state.keys.index(key)] = SchemaKey(key.name, event.value_type)


def _rename(state: State, event: Renamed) -> None:
    old, new = event.old, event.new
    check_renaming(old, new, state.types, state.renamed)
    state.types[new] = replace(state.types.pop(old), name=new)
    state.renamed = renamed_now(state.renamed, old, new)
    state.log = [replace(entry, variable=new) if entry.variable == old else entry for entry in state.log]
    state.edges = [
        replace(
            edge, source=new if edge.source == old else edge.source, target=new if edge.target == old else edge.target
        )
        for edge in state.edges
    ]
    for call in state.calls.values():
        inputs = tuple(
            replace(one, type_name=new) if one.kind == "record" and one.type_name == old else one for one in call.inputs
        )
        state.calls[call.call_id] = replace(call, inputs=inputs)


def _regroup(state: State, event: Grouped | Ungrouped) -> None:
    check_group(event, state.types)
    members = {name for name, info in state.types.items() if event.group in info.groups}
    if isinstance(event, Ungrouped) and not members.issuperset(event.variables):
        groups = {group for info in state.types.values() for group in info.groups}
        raise not_in_group(event, members, groups)
    for name in event.variables:
        others = set(state.types[name].groups) - {event.group}
        groups = others | {event.group} if isinstance(event, Grouped) else others
        state.types[name] = replace(state.types[name], groups=tuple(sorted(groups)))


def _end_run(state: State, event: RunEnded, stamp: str) -> None:
    if event.run_id not in state.runs:
        raise NotFoundError(f"Run {event.run_id[:12]} cannot end: the store saw no start of it.", run_id=event.run_id)
    counts = {part.name: getattr(event, part.name) for part in fields(event) if part.name != "run_id"}
    state.runs[event.run_id] = replace(state.runs[event.run_id], ended=stamp, **counts)


def _failure(event: Failed, stamp: str) -> Failure:
    values = {part.name: getattr(event, part.name) for part in fields(event)}
    return Failure(**{**values, "schema": dict(event.schema)}, timestamp=stamp)
