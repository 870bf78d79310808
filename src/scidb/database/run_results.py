"""The results of a run on their way into the store; what they have in common is worked out once for many."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from scidb.addressing import Address, infer_key_type
from scidb.database.saving import Pending
from scidb.hashing import ids
from scidb.store.model import Call, Computation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scidb.database.saving import Target
    from scidb.foreach.protocols import Done, RunInfo
    from scidb.store.model import SchemaKey

__all__ = ["RunResults"]


class RunResults:
    """Makes what the store keeps of each combination: its call, and its values with their addresses."""

    def __init__(
        self, run: RunInfo, targets: Sequence[Target], keys: Sequence[SchemaKey], user: str, environment_id: str
    ) -> None:
        self.user = user
        self._run = run
        self._targets = targets
        self._environment_id = environment_id
        self._keys = [key.name for key in keys]
        self._untyped = [key.name for key in keys if key.value_type is None]
        self._version = json.loads(run.version_keys)
        self._outputs = json.dumps(_declared(run))
        self._kind = "generated" if run.declared_outputs == ids.GENERATED else "value"

    def call(self, item: Done, call_id: str) -> Call:
        """Return the call that gave a result, or recalled it."""
        function = self._run.function
        kind = "uncacheable" if item.lineage_id.startswith(ids.UNCACHEABLE) else self._kind
        return Call(
            call_id,
            Computation(item.lineage_id, function.name, function.hash, item.inputs_hash, self._outputs, kind),
            item.inputs,
            self._run.run_id,
            self.user,
            self._environment_id,
            item.seconds,
            item.recalled_from,
            function_ref=self._run.function_ref,
        )

    def pending(self, item: Done, call: Call | None) -> list[Pending]:
        """Return the values of one combination, ready to be written."""
        schema = {name: item.schema[name] for name in self._keys if name in item.schema}
        outputs = enumerate(zip(self._targets, item.values, strict=True))
        if self._run.piece_key is None:
            at = self._address(schema, None)
            return [Pending(target, target.stored(value), at, call, number) for number, (target, value) in outputs]
        return [
            Pending(target, target.stored(value), self._address(schema, piece), call, number, piece, len(values))
            for number, (target, values) in outputs
            for piece, value in enumerate(values, start=1)
        ]

    def _address(self, schema: Mapping[str, Any], piece: int | None) -> Address:
        place = self._run.place_of(schema, piece)  # the key of pieces is the deepest one
        typed = {name: infer_key_type(name, place[name]) for name in self._untyped if name in place}
        return Address(place, self._version, self._run.version_keys, typed)


def _declared(run: RunInfo) -> object:
    """Return the declared outputs, with their number where the function decides it."""
    if run.piece_key is not None:
        return ["distribute", len(run.outputs), *(["unpack"] if run.declared_outputs == "unpack" else [])]
    return ["unpack", len(run.outputs)] if run.declared_outputs == "unpack" else run.declared_outputs
