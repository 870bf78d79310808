"""From a record to an order: the calls behind it, the code of each, and the stored values that they start from."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from scidb.exceptions import NotFoundError, SciDBError
from scidb.hashing.code.graph import innermost
from scidb.hashing.code.manifest import Manifest
from scidb.hashing.code.reference import split_reference
from scidb.hashing.code.seen import is_of_library, was_seen
from scidb.hashing.settings import fingerprint_settings
from scidb.provenance.live import live_code
from scidb.provenance.reproduction.exchange import Code, Order, Step, numbered, write_chunk
from scidb.records import class_named
from scidb.store.model import Entries, Match, Records, Sources, TraceQuery
from scidb.thunk import Thunk
from scidb.variable import BaseVariable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from scidb.hashing.code.fingerprint import Fingerprint
    from scidb.store.model import Call, CallInput, Chunk, Record, Source, Trace
    from scidb.store.protocol import Store

__all__ = ["Plan", "StoredCode", "order_for", "plan_for"]

_MAIN: Final = frozenset({"__main__", "__mp_main__"})


@dataclass(frozen=True, slots=True)
class StoredCode:
    """Code that comes from the database, and why that is asked for: nothing here has it as it was recorded."""

    function: str
    function_hash: str
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The calls behind a record, each after those whose results it takes."""

    steps: tuple[Step, ...]
    codes: Mapping[str, Code]
    inputs: Mapping[str, Record]
    stored_code: tuple[StoredCode, ...]


def plan_for(store: Store, record: Record, *, upstream: bool, run_stored_code: bool) -> Plan:
    """Find the calls behind a record, and the code with which each can be made again.

    Raises
    ------
    NotFoundError
        When the record was saved by hand, or what made it is not recorded.

    """
    if record.call_id is None:
        raise NotFoundError(
            f"{record.variable} {record.record_id[:12]} was saved by hand: no function made it, so there is nothing to "
            "run again. Expected a result of for_each or of a thunk.",
            record_id=record.record_id,
        )
    trace = store.trace(TraceQuery(call_ids=(record.call_id,)))
    calls = {call.call_id: call for call in trace.calls}
    if record.call_id not in calls:
        raise NotFoundError(
            f"What made {record.variable} {record.record_id[:12]} is not recorded any more.", record_id=record.record_id
        )
    chosen = list(_chain(calls, record.call_id, upstream=upstream))
    codes, stored_code = _codes(store, chosen, run_stored_code=run_stored_code)
    refused = {one.function_hash: one for one in stored_code if one.function_hash not in codes}
    made = _made_by(store, chosen)
    steps = tuple(_step(call, made[call.call_id], codes, refused) for call in chosen)
    return Plan(steps, codes, _inputs(chosen, made, trace), stored_code)


def _chain(calls: Mapping[str, Call], target: str, *, upstream: bool) -> Iterator[Call]:
    """Yield the calls behind one, each after those that it depends on; alone, with what was never saved."""
    done: set[str] = set()
    pending = [(target, False)]
    while pending:
        call_id, ready = pending.pop()
        if ready:
            yield calls[call_id]
        elif call_id not in done and call_id in calls:
            done.add(call_id)
            pending.append((call_id, True))
            before = [one for one in calls[call_id].inputs if upstream or one.kind == "computation"]
            pending += [(one.input_call_id, False) for one in reversed(before) if one.input_call_id]


def _made_by(store: Store, calls: Sequence[Call]) -> Mapping[str, list[Record]]:
    found: dict[str, dict[str, Record]] = defaultdict(dict)
    for entry in store.find(Entries(Match(call_ids=tuple(call.call_id for call in calls)))):
        found[entry.call_id or ""].setdefault(entry.record_id, entry)
    return {call.call_id: sorted(found[call.call_id].values(), key=lambda one: one.output_num or 0) for call in calls}


def _inputs(calls: Sequence[Call], made: Mapping[str, Sequence[Record]], trace: Trace) -> Mapping[str, Record]:
    known = {record.record_id: record for record in trace.records}
    known |= {record.record_id: record for records in made.values() for record in records}
    wanted = dict.fromkeys(origin.record_id for call in calls for origin in call.inputs if origin.record_id)
    return {record_id: known[record_id] for record_id in wanted if record_id in known}


def _step(call: Call, made: Sequence[Record], codes: Mapping[str, Code], refused: Mapping[str, StoredCode]) -> Step:
    names = {name: value for record in made for name, value in (*_constants(record), *record.schema.items())}
    return Step(call, tuple(made), names, _problem(call, codes, refused))


def _constants(record: Record) -> Iterable[tuple[str, Any]]:
    constants: dict[str, Any] = json.loads(record.version_keys)
    return [(name, value) for name, value in constants.items() if not name.startswith("__")]


def _problem(call: Call, codes: Mapping[str, Code], refused: Mapping[str, StoredCode]) -> str:
    computation = call.computation
    name = f"{computation.function_name}()"
    if computation.kind == "generated":
        return f"{name} generates a file, which running it again might overwrite"
    if computation.kind == "uncacheable":
        return f"what {name} received cannot be recognised again: {_unknown(call.inputs)}"
    if computation.function_hash in codes:
        return ""
    why = refused.get(computation.function_hash)
    if why is None:
        return f"the code of {name} is not stored"
    if not why.text:
        return f"{why.reason}, and its source text is not stored"
    return f"{why.reason}; its stored code is not run unless you say so (run_stored_code=True, --run-stored-code)"


def _unknown(inputs: Sequence[CallInput]) -> str:
    named = [f"{one.name} ({one.value_repr})" for one in inputs if one.content_hash is None and one.kind == "constant"]
    return f"{', '.join(named) or 'an argument'} had no identity by content"


# ------------------------------------------------------------------ code


def _codes(
    store: Store, calls: Sequence[Call], *, run_stored_code: bool
) -> tuple[dict[str, Code], tuple[StoredCode, ...]]:
    """Return the code of each function: what this process has, or else what is stored, if that may run."""
    names = {call.computation.function_hash: call.computation.function_name for call in calls}
    own = {call.function_ref for call in calls}
    found: dict[str, list[Source]] = defaultdict(list)
    for source in store.find(Sources(tuple(names))):
        found[source.function_hash].append(source)
    codes: dict[str, Code] = {}
    stored: list[StoredCode] = []
    for function_hash, places in found.items():
        # Equal code may stand in several places; any will do, that of the call itself first.
        places.sort(key=lambda one: one.function_ref not in own)
        tried = [_tried(source) for source in places]
        code = next((one for one in tried if isinstance(one, Code)), None)
        if code is not None:
            codes[function_hash] = code
            continue
        said = [one for one in tried if not isinstance(one, Code)]
        reason, text = next((one for one in said if one[1]), said[0])
        stored.append(StoredCode(names[function_hash], function_hash, text, reason))
        if run_stored_code and text:
            source = places[tried.index((reason, text))]
            codes[function_hash] = Code(function_hash, source.manifest, source.sources, "stored")
    return codes, tuple(stored)


def _tried(source: Source) -> Code | tuple[str, str]:
    """Return the code as this process has it, or else what is there instead, and the text that is stored."""
    try:
        now = _here(source)
        return now if isinstance(now, Code) else (now, "\n\n".join(_texts(source)))
    except SciDBError as error:  # the database may be damaged, or made to mislead
        return str(error), ""


def _texts(source: Source) -> Iterator[str]:
    """Yield the texts of a function and of what it reaches; a function of a library is one line."""
    manifest = Manifest.read(source.manifest)
    for _, token in manifest.roots:
        if token.startswith("lib:"):
            yield f"# {token.removeprefix('lib:')}, of a library"
    for unit in manifest.units:
        if unit.source_sha in source.sources:
            yield f"# {unit.name}, from {unit.file}, line {unit.line}\n{source.sources[unit.source_sha]}"


def _here(source: Source) -> Code | str:
    """Return the code as this process has it, if it is the recorded one; else say what is there instead."""
    name = f"{source.function_name}()"
    live = live_code(source.manifest, source.function_ref)
    if live is None:
        return f"{name} is not imported here (name its file or module with --import, or import it)"
    now, function = live.fingerprint, live.function
    if now.hash != source.function_hash:
        return f"the code of {name} is not the recorded one any more"
    if is_of_library(function) and not was_seen(function):  # a database could name any, such as os.remove
        return f"{name} is a function of a library, and nothing that is imported here uses it with for_each or @thunk"
    return _session_code(now, function, source.function_ref)


def _session_code(now: Fingerprint, function: object, reference: str) -> Code:
    module = str(getattr(function, "__module__", "") or getattr(innermost(function), "__module__", ""))
    if reference and module not in _MAIN:
        module = split_reference(reference)[0]
    thunk = function if isinstance(function, Thunk) else None
    found = None if module in _MAIN else sys.modules.get(module)
    # The running program is not imported again, because that could run it; its own sources are used.
    return Code(
        function_hash=now.hash,
        manifest=now.manifest,
        sources=now.sources,
        origin="installed",
        module=module if found is not None else None,
        reference=reference,
        version=thunk.version if thunk is not None else None,
        ignore=tuple(thunk.ignore) if thunk is not None else (),
    )


# ------------------------------------------------------------------ the order


def order_for(
    store: Store, plan: Plan, folder: Path, *, schema_keys: Sequence[str], root_folders: Sequence[str]
) -> Order:
    """Write the stored values that the calls start from into a folder, and return the order."""
    files: dict[str, str] = {}
    for name, chunk in numbered(_stored(store, plan.inputs), "input"):
        write_chunk(folder / name, chunk)
        files |= dict.fromkeys((record.record_id for record in chunk.records), name)
    settings = fingerprint_settings()
    variables = {record.variable for record in plan.inputs.values()}
    variables |= {record.variable for step in plan.steps for record in step.made}
    return Order(
        steps=tuple(replace(step, made=tuple(map(_plain, step.made))) for step in plan.steps),
        codes=plan.codes,
        inputs={record_id: _plain(record) for record_id, record in plan.inputs.items()},
        files=files,
        classes=tuple(sorted({module for variable in variables if (module := _module_of(variable))})),
        path=tuple(entry or str(Path.cwd()) for entry in sys.path),
        schema_keys=tuple(schema_keys),
        root_folders=tuple(root_folders),
        settings={"track_packages": settings.track_packages, "libraries": dict(settings.libraries)},
    )


def _stored(store: Store, inputs: Mapping[str, Record]) -> Iterator[Chunk]:
    """Yield stored values by variable, so that those of one encoding come together."""
    wanted: dict[str, list[str]] = defaultdict(list)
    for record in inputs.values():
        wanted[record.variable].append(record.record_id)
    for record_ids in wanted.values():
        yield from store.fetch(Records(Match(record_ids=tuple(record_ids))))


def _plain(record: Record) -> Record:
    return replace(record, schema=dict(record.schema))


def _module_of(variable: str) -> str | None:
    cls = class_named(variable)
    return None if cls is BaseVariable or cls.__module__ in _MAIN else cls.__module__
