"""Reproducing a record: plan, order, fresh process, comparison."""

from __future__ import annotations

import importlib.metadata
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from scidb.exceptions import SciDBError
from scidb.hashing.code.manifest import Manifest
from scidb.provenance.reproduction.agreement import ColumnAgreement, agreement, worst
from scidb.provenance.reproduction.exchange import Ended, Journal, read_chunk, write_order
from scidb.provenance.reproduction.planning import order_for, plan_for
from scidb.provenance.reproduction.process import run_child
from scidb.provenance.reproduction.result import EnvironmentChange, ReproducedRecord, Reproduction
from scidb.records import values_of, version_keys_of
from scidb.store.model import Environments, Match, Records, Sources
from scidb.variable import BaseVariable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from scidb.provenance.reproduction.agreement import Tolerance
    from scidb.provenance.reproduction.exchange import Step
    from scidb.provenance.reproduction.planning import Plan, StoredCode
    from scidb.store.model import Record, Source
    from scidb.store.protocol import Store

__all__ = ["reproduce"]

_MACHINE: Final = ("Python", "implementation", "platform")


def reproduce(
    store: Store,
    record: Record,
    *,
    upstream: bool,
    tolerance: Tolerance,
    run_stored_code: bool,
    root_folders: Sequence[str],
    timeout: float | None,
    show: Callable[[Sequence[StoredCode]], None] | None,
    environment: str,
) -> Reproduction:
    """Compute a record again, and those behind it, in a fresh process; compare with what is stored.

    `show` receives the code that is not here as it was recorded, before anything runs. `environment` describes
    the present one.
    """
    plan = plan_for(store, record, upstream=upstream, run_stored_code=run_stored_code)
    if plan.stored_code and show is not None:
        show(plan.stored_code)
    records: list[ReproducedRecord] = []
    with tempfile.TemporaryDirectory(prefix="scidb-", ignore_cleanup_errors=True) as name:
        folder, problem = Path(name), ""
        if any(not step.problem for step in plan.steps):
            keys = [key.name for key in store.describe().schema_keys]
            write_order(folder, order_for(store, plan, folder, schema_keys=keys, root_folders=root_folders))
            problem = run_child(folder, timeout)
        running, ended = Journal(folder).read()
        for step in plan.steps:
            end = ended.get(step.call.call_id) or _unfinished(step, running, problem)
            records += _compared(store, step, end, folder, tolerance)
            records += _never_saved(plan, step, end)
    return Reproduction(tuple(records), tuple(_changes(store, plan, environment)), plan.stored_code)


def _unfinished(step: Step, running: str | None, problem: str) -> Ended:
    if step.problem:
        return Ended(step.call.call_id, step.problem)
    name = step.call.computation.function_name
    why = f"the process that ran it did not finish: {problem or 'it ended without a word'}"
    if running not in (None, step.call.call_id):
        why = f"it was not reached, because the process ended before: {problem}"
    elif running is None:
        why = f"the process that should run {name}() did not begin: {problem}"
    return Ended(step.call.call_id, why)


def _compared(store: Store, step: Step, end: Ended, folder: Path, tolerance: Tolerance) -> Iterator[ReproducedRecord]:
    """Compare what a step made with what is stored, record by record."""
    before = _stored_values(store, end.files)
    for record in step.made:
        record_id = record.record_id
        if record_id not in end.stored:
            yield _of(record, step, end, "not reproduced", end.problem or _no_output(record))
        elif record_id not in end.files:
            yield _of(record, step, end, "equal", "", (ColumnAgreement.whole(),))
        elif record_id not in before:
            yield _of(record, step, end, "not reproduced", "its value is not stored any more")
        else:
            (now,) = values_of(read_chunk(folder / end.files[record_id], record_id), BaseVariable)
            columns = agreement(before[record_id], now, tolerance)
            yield _of(record, step, end, worst(column.state for column in columns), "", columns)


def _no_output(record: Record) -> str:
    if record.output_num is None:
        return "it is not as the function returned it (it was saved with another index)"
    return "the function returned no such output"


def _stored_values(store: Store, record_ids: Collection[str]) -> dict[str, Any]:
    """Load values as they are stored, which needs no class and runs no code of one."""
    found: dict[str, Any] = {}
    for chunk in store.fetch(Records(Match(record_ids=tuple(record_ids)))) if record_ids else ():
        ids = (record.record_id for record in chunk.records)
        found.update(zip(ids, values_of(chunk, BaseVariable), strict=True))
    return found


def _of(
    record: Record, step: Step, end: Ended, outcome: Any, reason: str, columns: tuple[Any, ...] = ()
) -> ReproducedRecord:
    return ReproducedRecord(
        record_id=record.record_id,
        variable=record.variable,
        metadata={**record.schema, **version_keys_of(record)},
        function=step.call.computation.function_name,
        outcome=outcome,
        reason=reason,
        traceback=end.traceback,
        code=end.origin,
        columns=columns,
        seconds=end.seconds,
        remarks=end.remarks,
    )


def _never_saved(plan: Plan, step: Step, end: Ended) -> Iterator[ReproducedRecord]:
    """Compare results that were passed on without being saved by their hash, which is all that is known."""
    if step.made:
        return
    call_id, function = step.call.call_id, step.call.computation.function_name
    recorded = {
        origin.output_num or 0: origin.content_hash
        for other in plan.steps
        for origin in other.call.inputs
        if origin.kind == "computation" and origin.input_call_id == call_id
    }
    for number, content in sorted(recorded.items()):
        reason, outcome = end.problem, "not reproduced"
        if not reason:
            same = number < len(end.contents) and end.contents[number] == content
            outcome = "equal" if same else "different"
            reason = "" if same else "only the hash of this result is stored, and it is another one"
        yield ReproducedRecord(
            record_id=None,
            variable=f"result of {function}()",
            metadata={},
            function=function,
            outcome=outcome,  # type: ignore[arg-type]
            reason=reason,
            traceback=end.traceback,
            code=end.origin,
            seconds=end.seconds,
            remarks=end.remarks,
        )


# ------------------------------------------------------------------ environment


def _changes(store: Store, plan: Plan, environment: str) -> Iterator[EnvironmentChange]:
    """Say what is not as it was when these calls were made: a line for each state that differs from the present."""
    now = _facts(environment)
    ids = tuple(dict.fromkeys(step.call.environment_id for step in plan.steps if step.call.environment_id))
    then = [_facts(found.description) for found in (store.find(Environments(ids)) if ids else ())]
    hashes = tuple(dict.fromkeys(step.call.computation.function_hash for step in plan.steps))
    noted = {name for facts in then for name in facts}
    for source in store.find(Sources(hashes)):  # of other libraries the code itself names the version
        libraries = _libraries(source)
        then.append({name: version for name, version in libraries.items() if name not in noted})
    seen: set[tuple[str, str]] = set()
    for facts in then:
        for name, value in facts.items():
            present = now.get(name) or (None if name in _MACHINE else _version(name))
            if value != present and (name, value) not in seen:
                seen.add((name, value))
                yield EnvironmentChange(name, value, present)


def _facts(description: str) -> dict[str, str]:
    found: dict[str, Any] = json.loads(description)
    facts = {
        "Python": found.get("python"),
        "implementation": found.get("implementation"),
        "platform": found.get("platform"),
        **found.get("packages", {}),
    }
    return {name: str(value) for name, value in facts.items() if value is not None}


def _libraries(source: Source) -> Mapping[str, str]:
    try:
        return Manifest.read(source.manifest).libs
    except SciDBError:  # said where its code is looked for
        return {}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
