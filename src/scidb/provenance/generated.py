"""Files that functions wrote: of each only its call is stored, which stands for it until the file is written again."""

from __future__ import annotations

import ast
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scidb.hashing.ids import canonical_json, generated_id
from scidb.hashing.version_keys import version_value
from scidb.store.model import Record

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from scidb.hashing.inputs import CallInput
    from scidb.store.model import Call, Edge, KeyValue

__all__ = ["GeneratedFile", "Newcomers", "standing", "written_by"]


@dataclass(frozen=True, slots=True)
class GeneratedFile:
    """What one call wrote, and under which variables, keys and constants people know it."""

    call: Call
    variables: tuple[str, ...]
    schema: Mapping[str, KeyValue]
    constants: Mapping[str, Any]

    @property
    def variable(self) -> str:
        """The variable as which it was saved, or else the function that wrote it."""
        return ", ".join(self.variables) or f"{self.call.computation.function_name}()"

    @property
    def version_keys(self) -> str:
        """The constants as JSON, as version keys of a record are."""
        return canonical_json(self.constants)

    @property
    def entry(self) -> Record:
        """What a record of it would be, for who asks where it came from."""
        call = self.call
        return Record(
            record_id=generated_id(call.computation.lineage_id),
            variable=self.variable,
            schema=self.schema,
            version_keys=self.version_keys,
            content_hash="",
            schema_version=0,
            encoding="",
            nbytes=0,
            lineage_id=call.computation.lineage_id,
            call_id=call.call_id,
            timestamp=call.timestamp,
        )


def written_by(call: Call) -> tuple[CallInput, ...]:
    """Return the files that a call wrote, as far as its arguments name them."""
    return tuple(one for one in call.inputs if one.kind == "file" and one.content_hash is None)


def standing(
    calls: Iterable[Call], edges: Sequence[Edge], records: Mapping[str, Record], keys: Collection[str]
) -> list[GeneratedFile]:
    """Return what calls wrote, in the order of writing, leaving out what a later call of the same function wrote over.

    A later call wrote over it when it wrote the same path, or had the same inputs, or other values from the same
    places.

    Parameters
    ----------
    calls
        In the order of storing; of those that wrote no file only the results count that they handed on.
    edges
        The pipeline, which says as what the files were saved.
    records
        Those that the calls used, by id.
    keys
        The schema keys.

    """
    by_id = {call.call_id: call for call in calls}
    latest: dict[object, Call] = {}
    for call in by_id.values():
        if call.computation.writes_file and call.recalled_from is None:
            for key in _keys(call, records):
                latest[key] = call
    kept = {call.call_id: call for call in latest.values()}
    lost = {id(call) for call in kept.values() if any(latest[key] is not call for key in _keys(call, records))}
    return [
        _described(call, edges, list(_places_behind(call, by_id, records)), keys)
        for call in sorted(kept.values(), key=lambda one: one.timestamp)
        if id(call) not in lost
    ]


def _keys(call: Call, records: Mapping[str, Record]) -> Iterator[object]:
    """Yield by what a later call of the same function shows that it wrote the file again."""
    name = call.computation.function_name
    yield name, call.computation.inputs_hash
    yield name, frozenset(_place(one, records) for one in call.inputs)
    yield from ((name, "path", one.value_repr) for one in written_by(call))


def _place(one: CallInput, records: Mapping[str, Record]) -> tuple[Any, ...]:
    record = records.get(one.record_id or "")
    if record is not None:
        return one.name, record.variable, record.version_keys, frozenset(record.schema.items())
    if one.kind == "constant":
        return one.name, "", one.content_hash
    content = None if one.kind == "file" else one.content_hash  # another content of the same file is a later state
    return one.name, one.kind, one.type_name, one.value_repr, one.record_id, content


def _places_behind(
    call: Call, calls: Mapping[str, Call], records: Mapping[str, Record]
) -> Iterator[Mapping[str, KeyValue]]:
    """Yield where the records belong that a call used, or that those used which handed it results unsaved."""
    pending, seen = [call], {call.call_id}
    while pending:
        for one in pending.pop().inputs:
            if (record := records.get(one.record_id or "")) is not None:
                yield record.schema
            elif (behind := calls.get(one.input_call_id or "")) is not None and behind.call_id not in seen:
                seen.add(behind.call_id)
                pending.append(behind)


def _described(
    call: Call, edges: Sequence[Edge], used: Sequence[Mapping[str, KeyValue]], keys: Collection[str]
) -> GeneratedFile:
    name = call.computation.function_name
    own = [edge for edge in edges if edge.function_name == name and edge.target != f"{name}()"]
    exact = [edge for edge in own if edge.function_hash == call.computation.function_hash]
    variables = tuple(sorted({edge.target for edge in exact or own}))
    given = {one.name: _value(one) for one in call.inputs if one.kind == "constant" and not one.is_default}
    shared = [item for item in used[0].items() if all(item in schema.items() for schema in used)] if used else []
    places = {**dict(shared), **{key: given[key] for key in keys if key in given}}
    schema = {key: places[key] for key in keys if key in places}
    paths = {one.name for one in written_by(call)}
    constants = {
        key: version_value(key, value) for key, value in given.items() if key not in schema and key not in paths
    }
    return GeneratedFile(call, variables, schema, constants)


def _value(one: CallInput) -> Any:
    """Return a constant, where its description is the whole of it, or else that description."""
    try:
        return ast.literal_eval(one.literal or one.value_repr or "")
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return one.value_repr or ""


class Newcomers:
    """The entries that there are, arranged so that each call finds those that it would be given, too, at once."""

    def __init__(self, entries: Iterable[Record]) -> None:
        self._alike: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
        for entry in entries:
            self._alike[_kind(entry)].append(entry)
        self._indexes: dict[tuple[Any, ...], dict[tuple[Any, ...], list[Record]]] = {}

    def of(self, call: Call, records: Mapping[str, Record]) -> Iterator[tuple[str, list[Record]]]:
        """Yield, by parameter, what for_each would give beside the values that it gave, saved since."""
        given: dict[str, list[Record]] = defaultdict(list)
        for one in call.inputs if call.run_id is not None else ():
            if (record := records.get(one.record_id or "")) is not None:
                given[one.name].append(record)
        for name, used in given.items():
            first = used[0].schema
            shared = tuple(key for key in first if all(one.schema.get(key) == first[key] for one in used))
            known = {frozenset(one.schema.items()) for one in used}
            fresh = [
                entry
                for kind in dict.fromkeys(map(_kind, used))
                for entry in self._at(kind, shared, first)
                if len(used) > 1 and entry.timestamp > call.timestamp and frozenset(entry.schema.items()) not in known
            ]
            if fresh:
                yield name, fresh

    def _at(self, kind: tuple[Any, ...], keys: tuple[str, ...], place: Mapping[str, Any]) -> Sequence[Record]:
        if (kind, keys) not in self._indexes:
            index: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
            for entry in self._alike.get(kind, ()):
                index[tuple(entry.schema[key] for key in keys)].append(entry)
            self._indexes[kind, keys] = index
        return self._indexes[kind, keys].get(tuple(place[key] for key in keys), ())


def _kind(entry: Record) -> tuple[Any, ...]:
    return entry.variable, entry.version_keys, frozenset(entry.schema)
