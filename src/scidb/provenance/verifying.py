"""Whether today's code gives what is stored: some results computed again, in this process, and compared exactly."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

from scidb.exceptions import SciDBError, UnhashableValueError, UnsupportedValueError
from scidb.hashing.ids import content_hash
from scidb.hashing.inputs import preview
from scidb.provenance.reproduction.calls import CannotRunError, Material, called, part_of, prepared
from scidb.provenance.reproduction.exchange import Step
from scidb.records import class_named, instances, values_of, version_keys_of, words_of
from scidb.store.model import Calls, Match, Records
from scidb.thunk import Thunk
from scidb.thunk.binding import without_history

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scidb.provenance.accepting import Outdated
    from scidb.store.model import Call, Record
    from scidb.store.protocol import Store

__all__ = ["verify"]


def verify(store: Store, outdated: Outdated, count: int) -> None:
    """Compute so many of the results again with today's code, chosen at random, but always the same ones.

    Raises
    ------
    SciDBError
        When one is another result now, or cannot be computed again.

    """
    name = f"{outdated.computation.function_name}()"
    if not outdated.made:
        raise SciDBError(
            f"None of the results of {name} is stored as what it returned, so nothing can be verified and nothing was "
            "accepted. Leave out verify=, if you are sure."
        )
    draw = random.Random(outdated.new_hash)  # noqa: S311 - a sample, nothing secret
    chosen = draw.sample(outdated.made, min(count, len(outdated.made)))
    for record, call in chosen:
        try:
            now = _computed(store, outdated, record, call)
        except CannotRunError as error:
            raise SciDBError(
                f"{words_of(record)} cannot be computed again: {error}. Nothing was accepted. Leave out verify=, if "
                "you are sure."
            ) from error
        if _content(record, now) != record.content_hash:
            raise SciDBError(
                f"{name} gives another result now for {words_of(record)}, so nothing was accepted: it is "
                f"{preview(now)}, and {record.record_id[:12]} is stored. Correct the code, or run for_each.",
                record_id=record.record_id,
            )


def _computed(store: Store, outdated: Outdated, record: Record, call: Call) -> Any:
    """Return what today's code gives for the output that a record holds."""
    function = outdated.function.function if isinstance(outdated.function, Thunk) else outdated.function
    step = Step(call, (record,), version_keys_of(record))
    ready = prepared(step, function, _material(store, call))
    try:
        result = called(function, ready.arguments)
    except Exception as error:  # whatever the user's function raises
        raise CannotRunError(f"{call.computation.function_name}() raised {type(error).__name__}: {error}") from error
    return part_of(record, _outputs(call, without_history(result))[record.output_num or 0])


def _outputs(call: Call, result: Any) -> Sequence[Any]:
    declared = json.loads(call.computation.outputs)
    if declared in (1, ["distribute", 1]):
        return [result]
    count = declared[1] if isinstance(declared, list) else declared
    if not isinstance(result, tuple | list) or len(result) != count:
        raise CannotRunError(f"it returned a {type(result).__name__}, where it had {count} outputs")
    return result


def _content(record: Record, value: Any) -> str | None:
    """Return the identity of a value as it would be stored; None where it cannot be."""
    cls = class_named(record.variable)
    try:
        return content_hash(cls(value).stored_value() if cls.has_custom_storage() else value)
    except (UnhashableValueError, UnsupportedValueError):
        return None


def _material(store: Store, call: Call) -> Material:
    wanted = tuple({one.record_id for one in call.inputs if one.record_id})
    records = {one.record_id: one for one in store.find(Records(Match(record_ids=wanted)))} if wanted else {}

    def value_of(record_id: str, whole: bool) -> Any:
        (chunk,) = store.fetch(Records(Match(record_ids=(record_id,))))
        cls = class_named(records[record_id].variable)
        (value,) = instances(chunk, cls) if whole else values_of(chunk, cls)
        return value

    def result_of(call_id: str, number: int) -> Any:
        raise CannotRunError(f"it takes output {number} of a call that was never saved ({call_id[:12]})")

    def lineage_of(call_id: str) -> str:
        return next((one.computation.lineage_id for one in store.find(Calls((call_id,))) if one.call_id == call_id), "")

    keys = [key.name for key in store.describe().schema_keys]
    return Material(records, value_of, result_of, lineage_of, keys, ())
