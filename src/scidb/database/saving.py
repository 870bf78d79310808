"""Saving: values become records, with their address, their identity and their lineage."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from scidb.database.recording import Recording
from scidb.exceptions import SciDBError, UnhashableValueError, UnsupportedValueError
from scidb.hashing import ids
from scidb.hashing.inputs import PLAIN, preview
from scidb.memo import hits_of
from scidb.records import encode_stored
from scidb.store.model import (
    Batch,
    Call,
    Chunk,
    Edge,
    KeyTyped,
    Record,
)
from scidb.thunk import ThunkOutput
from scidb.variable import BaseVariable
from scidb.variable.units import check_own_units

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scidb.addressing import Address
    from scidb.database.core import VariableLike
    from scidb.store.model import Event, TypeInfo

__all__ = ["Pending", "Saving", "Target"]


@dataclass(frozen=True, slots=True)
class Target:
    """The variable that values are saved as."""

    info: TypeInfo
    cls: type[BaseVariable]
    custom: bool

    def stored(self, raw: Any) -> Any:
        """Return a value in the form that is stored and hashed."""
        if type(raw) not in PLAIN:  # which have no units of their own
            check_own_units(self.info.name, self.info.units, raw)
        asks_class = self.custom or self.cls.stored_value is not BaseVariable.stored_value
        return self.cls(raw).stored_value() if asks_class else raw


@dataclass(slots=True)
class Pending:
    """One value on its way into the store."""

    target: Target
    stored: Any
    address: Address
    call: Call | None = None
    output_num: int | None = None
    piece: int | None = None
    pieces: int | None = None
    source: ThunkOutput | BaseVariable | None = None  # told afterwards where it was saved


class Saving(Recording):
    """save, save_many and their kin: one road into the store."""

    def save(
        self,
        variable: VariableLike,
        data: Any,
        /,
        *,
        index: Any = None,
        params: Mapping[str, Any] | None = None,
        **metadata: Any,
    ) -> str:
        """Save one value and return its record_id.

        Parameters
        ----------
        variable
            The variable class, or its name.
        data
            A raw value, a variable, or the result of a thunk.
        index, params, **metadata
            As for ``BaseVariable.save``.

        """
        output = _output_behind(data if isinstance(data, ThunkOutput | BaseVariable) else None)
        if output is not None and output.pipeline_thunk.thunk.generates_file:
            return self._save_generated(self._target(variable), output, metadata, params)
        pending = self._pending(self._target(variable), data, metadata, params, index)
        return self._save([pending])[0].record_id

    def save_variable(self, variable: BaseVariable, /, **metadata: Any) -> str:
        """Save an instance and return its record_id."""
        return self.save(type(variable), variable, **metadata)

    def save_many(
        self, variable: VariableLike, items: Iterable[tuple[Any, Mapping[str, Any]]], /, **common: Any
    ) -> list[str]:
        """Save pairs of a value and its metadata in one transaction; return the record ids in order."""
        target, keys = self._target(variable), self._keys
        pending = []
        for number, item in enumerate(items):
            data, metadata = _pair(number, item)
            address = self._address(target.info.name, {**common, **metadata} if common else metadata, keys=keys)
            pending.append(self._pending_at(address, target, data))
        return [record.record_id for record in self._save(pending)]

    save_batch = save_many

    # -------------------------------------------------------------- one value

    def _target(self, variable: VariableLike) -> Target:
        _, cls = self._named(variable)
        declared = self._declared(variable)
        self._check_units(declared)
        return Target(declared, cls, cls is not BaseVariable and cls.has_custom_storage())

    def _pending(
        self,
        target: Target,
        data: Any,
        metadata: Mapping[str, Any],
        params: Mapping[str, Any] | None = None,
        index: Any = None,
    ) -> Pending:
        return self._pending_at(self._address(target.info.name, metadata, params), target, data, index)

    def _pending_at(self, address: Address, target: Target, data: Any, index: Any = None) -> Pending:
        if type(data) in PLAIN and index is None:  # asked by the thousand, and `isinstance` of a variable takes long
            return Pending(target, target.stored(data), address)
        source = data if isinstance(data, ThunkOutput | BaseVariable) else None
        output = data.data if isinstance(data, BaseVariable) else data
        if isinstance(output, ThunkOutput):
            raw = self._value_of(output)
        else:
            raw, output = output, None
        if index is not None:
            raw = _with_index(raw, index)
        # With another index it is no longer what the function returned: provenance, but nothing to recall.
        output_num = output.output_num if output is not None and index is None else None
        pending = Pending(target, target.stored(raw), address, source=source)
        if output is not None:
            pending.call, pending.output_num = self._call_of(output.pipeline_thunk), output_num
        return pending

    def _value_of(self, output: ThunkOutput) -> Any:
        """Return the value of a result, once strict lineage has nothing against it."""
        name = output.pipeline_thunk.thunk.name
        if not output.is_complete:
            raise SciDBError(f"{name}() has not run, because an argument is incomplete: there is no value to save.")
        if output.pipeline_thunk.thunk.generates_file:
            raise SciDBError(f"{name}() generates a file, which has no value to save with others; save it by itself.")
        self._check_lineage(output)
        return output.unchanged_value()

    # -------------------------------------------------------------- lineage alone

    def _save_generated(
        self, target: Target, output: ThunkOutput, metadata: Mapping[str, Any], params: Mapping[str, Any] | None
    ) -> str:
        """Store how a file was made; return the id that stands for it."""
        if not output.is_complete:
            self._value_of(output)  # refuses
        self._check_lineage(output)
        self._address(target.info.name, metadata, params)  # refuses a misspelt key
        call = output.pipeline_thunk
        self._save_lineage(target.info.name, output)
        generated = ids.generated_id(call.lineage_id)
        output.mark_saved(record_id=generated, call_id=call.call_id, variable=target.info.name)
        return generated

    def save_ephemeral_lineage(self, variable: VariableLike, data: ThunkOutput | BaseVariable, /) -> str:
        """Store where a result came from, and not its value, which can therefore never be recalled.

        Returns
        -------
        str
            The id that stands for the value: ``ephemeral:...``.

        Raises
        ------
        SciDBError
            When `data` is no result of a thunk, or has not been computed.
        UnsavedIntermediateError
            In strict mode, as for `save`.

        Examples
        --------
        >>> import scidb
        >>> class Doubled(scidb.BaseVariable):
        ...     \"\"\"Twice a number.\"\"\"
        >>> @scidb.thunk
        ... def double(x):
        ...     return 2 * x
        >>> with scidb.open("memory:", ["subject"]) as db:
        ...     db.save_ephemeral_lineage(Doubled, double(21)).partition(":")[0]
        'ephemeral'

        """
        name, _ = self._named(variable)
        output = _output_behind(data)
        if output is None or not output.is_complete:
            raise SciDBError(
                f"save_ephemeral_lineage({name}, ...) takes the result of a thunk that has run, or a variable made of "
                f"one; got {preview(data)}, whose lineage is not known."
            )
        self._check_lineage(output)
        self._save_lineage(name, output)
        return ids.ephemeral_id(name, output.returned_hash)

    def _save_lineage(self, variable: str, output: ThunkOutput) -> None:
        """Write the calls behind a result, with their code and the pipeline edges to a variable."""
        calls, seen = self._lineage_of([(variable, output)])
        self._write((), calls=calls, events=seen)
        self._note_recorded(calls, seen)

    # -------------------------------------------------------------- many values, one write

    def _save(self, pending: Sequence[Pending]) -> list[Record]:
        """Write values with everything that led to them; tell the sources where they are now."""
        outputs = [_output_behind(item.source) for item in pending]
        made = zip((item.target.info.name for item in pending), outputs, strict=True)
        calls, seen = self._lineage_of((name, output) for name, output in made if output is not None)
        records = self._write(pending, calls=calls, events=seen)
        self._note_recorded(calls, seen)
        for item, output, record in zip(pending, outputs, records, strict=True):
            if output is not None and item.output_num is not None:
                output.mark_saved(record_id=record.record_id, call_id=record.call_id or "", variable=record.variable)
            if (
                item.source is not None
                and isinstance(item.source, BaseVariable)
                and item.source.type_name == record.variable
            ):
                item.source.came_from(record)
        return records

    def _write(
        self,
        pending: Sequence[Pending],
        *,
        again: Sequence[Record] = (),
        calls: Sequence[Call] = (),
        edges: Sequence[Edge] = (),
        events: Sequence[Event] = (),
    ) -> list[Record]:
        """Write values, and records `again` whose data the store has, in one transaction."""
        chunks = self._chunks(pending)
        repeated = tuple(
            replace(record, seq=len(pending) + number, timestamp="") for number, record in enumerate(again)
        )
        if repeated:
            chunks.append(Chunk(repeated, None))
        # Only now, when every value is known to be storable: a refused save leaves no trace.
        self._register({item.target.info.name: item.target.info for item in pending}.values())
        typed = {key: kind for item in pending for key, kind in item.address.typed.items()}
        key_events = tuple(KeyTyped(key, kind) for key, kind in typed.items())
        named = {call.environment_id for call in calls} - self._noted_environments
        environments = tuple(one for one in self._environments.values() if one.environment_id in named)
        counted = self._memo.hits.take()
        restoring = self._restoring_code(calls)
        all_events = (*key_events, *environments, *events, *restoring, *hits_of(counted, self._user))
        try:
            stored = self._store.write(Batch(tuple(chunks), tuple(calls), tuple(edges), all_events))
        except BaseException:
            self._memo.hits.give_back(counted)
            raise
        self._noted_environments.update(one.environment_id for one in environments)
        self._kept_code.update(one.code_hash for call in calls for one in call.inputs if one.code_hash)
        return stored

    def _chunks(self, pending: Sequence[Pending]) -> list[Chunk]:
        """Group values by variable and encoding; `seq` keeps the order of saving."""
        groups: dict[str, list[int]] = defaultdict(list)
        for number, item in enumerate(pending):
            groups[item.target.info.name].append(number)
        user = self._user
        records_of: dict[tuple[str, int, str], ids.RecordIds] = {}
        chunks = []
        for numbers in groups.values():
            custom = pending[numbers[0]].target.custom
            for part in encode_stored([pending[number].stored for number in numbers], custom=custom):
                records = tuple(
                    _record(pending[numbers[position]], numbers[position], part.encoding, nbytes, user, records_of)
                    for position, nbytes in zip(part.positions, part.nbytes, strict=True)
                )
                chunks.append(Chunk(records, part.table))
        return chunks


def _record(
    item: Pending,
    seq: int,
    encoding: str,
    nbytes: int,
    user: str,
    records_of: dict[tuple[str, int, str], ids.RecordIds],
) -> Record:
    info, address, call = item.target.info, item.address, item.call
    kind = (info.identity_name, info.schema_version, address.version_keys)
    same = records_of.get(kind)
    if same is None:
        same = records_of[kind] = ids.RecordIds(info.identity_name, info.schema_version, address.version)
    try:
        content = ids.content_hash(item.stored)
    except UnhashableValueError as error:
        raise UnsupportedValueError(
            f"{info.name} cannot be saved, because its value has no identity by content: {error}",
            path=error.details.get("path", ""),
        ) from error
    lineage_id = call.computation.lineage_id if call and item.output_num is not None else None
    return Record(
        same.of(content, address.schema), info.name, address.schema, address.version_keys, content,
        info.schema_version, encoding, nbytes, lineage_id, call.call_id if call else None, item.output_num,
        item.piece, item.pieces, user, "", seq,
    )  # fmt: skip


def _pair(number: int, item: Any) -> tuple[Any, Mapping[str, Any]]:
    """Check one item of save_many."""
    if isinstance(item, tuple | list) and len(item) == 2 and isinstance(item[1], Mapping):
        return item[0], item[1]
    raise SciDBError(
        f"save_many takes pairs of a value and its metadata, (value, {{'subject': 1}}); item {number} is "
        f"{preview(item)}."
    )


def _output_behind(source: ThunkOutput | BaseVariable | None) -> ThunkOutput | None:
    if source is None:
        return None
    inner = source.data if isinstance(source, BaseVariable) else source
    return inner if isinstance(inner, ThunkOutput) else None


def _with_index(value: Any, index: Any) -> Any:
    """Give a frame or Series an index, on a copy."""
    import pandas as pd

    if not isinstance(value, pd.DataFrame | pd.Series):
        raise UnsupportedValueError(f"index= needs a DataFrame or Series, got {type(value).__name__}.", path="")
    if len(index) != len(value):
        raise UnsupportedValueError(f"index= has {len(index)} labels for {len(value)} rows.", path="")
    copied = value.copy()
    copied.index = index if isinstance(index, pd.Index) else pd.Index(index)
    return copied
