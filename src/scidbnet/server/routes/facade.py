"""The facade over the store that is served, for requests that come without Python: variables are names, never classes.

A value is what is stored; where a result came from is told in words, and its ids are computed here.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from typing import TYPE_CHECKING, Any, Final

from scidb import DatabaseManager
from scidb.database.exporting import write_csv
from scidb.database.recording import edge_source
from scidb.database.saving import Pending, Target
from scidb.exceptions import (
    NotFoundError,
    PipelineError,
    ReservedMetadataKeyError,
    SciDBError,
    UnsavedIntermediateError,
)
from scidb.hashing import ids
from scidb.hashing.inputs import CallInput, Input, identify_constant
from scidb.memo import Sought
from scidb.records import stored_values
from scidb.store import Wrapper
from scidb.store.model import Call, Computation, Edge, EdgesSeen, Latest, Match, Records, Stored
from scidb.store.names import check_not_renamed
from scidb.variable import BaseVariable
from scidbnet.server.routes.models import Constant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import TextIO

    from scidb.database.core import LineageMode
    from scidb.store import Store
    from scidb.store.model import Answered, Batch, Record, TypeInfo
    from scidbnet.server.exchange.once import Once
    from scidbnet.server.routes.models import Ask, Computed, Export, Lineage, RecordInput, Save

# What of the values is in memory at once while they are written as CSV.
_AT_ONCE: Final = 16 * 2**20
_RECORDS_AT_ONCE: Final = 10_000

__all__ = ["Keyed", "ServedDatabase", "call_id_of", "checked_keys"]


class ServedDatabase(DatabaseManager):
    """One request's view of a database. It is not closed: the store is the server's.

    Parameters
    ----------
    store
        What is served.
    lineage_mode
        Whether a result may rest on what was never saved.
    user
        Who asks; None where nobody knows.
    call_id
        Under which id a call is recorded that a client tells of; None makes one.

    """

    def __init__(
        self, store: Store, *, lineage_mode: LineageMode, user: str | None, call_id: str | None = None
    ) -> None:
        super().__init__(store, lineage_mode=lineage_mode)
        self._caller = user
        self._call_id = call_id or ids.new_call_id()

    @property
    def _user(self) -> str:
        return self._caller or self._info.user_id or "unknown"

    def _named(self, variable: object) -> tuple[str, type[BaseVariable]]:
        if not isinstance(variable, str):
            raise SciDBError(f"Expected the name of a variable, got {variable!r}.")
        check_not_renamed(variable, self._info.renamed)
        return variable, BaseVariable

    # -------------------------------------------------------------- saving

    def declare(self, info: TypeInfo) -> TypeInfo:
        """Add or update a variable type."""
        return self._store.register(info)

    def save_value(self, asked: Save, value: Any) -> Record:
        """Store a value, with where it came from if that is told."""
        target = self._stored_as(asked.variable, custom=asked.custom_storage)
        pending = self._pending(target, value, asked.metadata, asked.params)
        if asked.lineage is None:
            [record] = self._write([pending])
        else:
            call, seen = self._made_by(asked.lineage, asked.variable)
            pending.call, pending.output_num = call, asked.lineage.output_num
            [record] = self._write([pending], calls=(call,), events=(seen,))
        return record

    def save_lineage(self, variable: str, lineage: Lineage, value: Any) -> tuple[str, str, Call]:
        """Store where a value came from and not the value; return the id that stands for it, its hash, and the call."""
        target = self._stored_as(variable, custom=False)
        [record] = self._chunks([Pending(target, value, self._address(variable, {}))])[0].records
        call, seen = self._made_by(lineage, variable)
        self._write((), calls=(call,), events=(seen,))
        return ids.ephemeral_id(variable, record.content_hash), record.content_hash, call

    def _stored_as(self, variable: str, *, custom: bool) -> Target:
        name, cls = self._named(variable)
        return Target(self._registered(name), cls, custom)

    # -------------------------------------------------------------- where something came from

    def _made_by(self, lineage: Lineage, variable: str) -> tuple[Call, EdgesSeen]:
        """Return the call that a client tells of, and what it adds to the pipeline."""
        if lineage.output_num >= lineage.outputs:
            raise PipelineError(
                f"{lineage.function_name}() has {lineage.outputs} outputs, counted from 0; there is no output "
                f"{lineage.output_num}."
            )
        inputs = self._inputs(lineage)
        unsaved = [one.name for part in inputs.values() for one in part.origins if ids.is_lineage_alone(one.record_id)]
        if unsaved and self._lineage_mode == "strict":
            paths = [f"{lineage.function_name}() -> {name}" for name in unsaved]
            raise UnsavedIntermediateError(
                f"The result of {lineage.function_name}() depends on variables that were never saved: "
                f"{'; '.join(paths)}. Save them first; or ask whoever runs the server for lineage_mode='ephemeral'.",
                paths=paths,
            )
        found = _ids(lineage, inputs)
        name, code = lineage.function_name, lineage.function_hash
        origins = tuple(origin for part in inputs.values() for origin in part.origins)
        call = Call(
            call_id=self._call_id,
            computation=Computation(found.lineage_id, name, code, found.inputs_hash, json.dumps(lineage.outputs)),
            inputs=origins,
            user_id=self._user,
            seconds=lineage.seconds,
        )
        edges = dict.fromkeys(Edge(edge_source(origin), variable, name, code) for origin in origins)
        return call, EdgesSeen(tuple(edges))

    def _inputs(self, computed: Computed) -> dict[str, Input]:
        """Return the inputs of a computation by name, each with what identifies it."""
        names = [one.name for one in computed.inputs]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise PipelineError(f"Each input has a name of its own; given twice: {', '.join(twice)}.")
        known = self._known_records(computed)
        return {
            one.name: identify_constant(one.name, one.value) if isinstance(one, Constant) else _record_input(one, known)
            for one in computed.inputs
        }

    def _known_records(self, computed: Computed) -> dict[str, Record]:
        wanted = {
            one.record_id
            for one in computed.inputs
            if not isinstance(one, Constant) and not ids.is_lineage_alone(one.record_id)
        }
        found = self._store.find(Records(Match(record_ids=tuple(sorted(wanted))))) if wanted else []
        return {record.record_id: record for record in found}

    # -------------------------------------------------------------- what the routes ask

    def find_values(self, computed: Computed | str) -> list[tuple[Record | None, Any]] | None:
        """Return the values that a computation gave, in the order of its outputs; None unless all were saved."""
        found = Sought(computed, "", "") if isinstance(computed, str) else _ids(computed, self._inputs(computed))
        known = self._memo.known([found]).get(found.lineage_id)
        if known is None:
            return None
        if not known.records:  # a file that a function wrote has no value
            return [(None, None)]
        values = {
            record.record_id: value
            for chunk in self._store.fetch(Stored(tuple({record.record_id for record in known.records})))
            for record, value in zip(chunk.records, stored_values(chunk), strict=True)
        }
        return [(record, values[record.record_id]) for record in known.records]

    def write_values(self, asked: Export, where: Any, file: TextIO) -> int:
        """Write the latest values that match as CSV, and return how many records they are."""
        name, _ = self._stored(asked.variable)
        about = where, asked.as_of, asked.exclude, asked.params, checked_keys(asked.metadata)
        match = self._exported_match(name, *about)
        records = self._chosen(self._store.find(Latest(match)), where)
        if not records:
            raise self._not_found(name, about[-1], asked.params, match=match, where=where, as_of=asked.as_of)
        write_csv(file, self._rows(name, records, _Values(self._store, records)))
        return len(records)

    def asked_by(self, asked: Ask) -> dict[str, Any]:
        """Return what every question has, as keywords of the facade."""
        return {"as_of": asked.as_of, "params": asked.params, **checked_keys(asked.metadata)}

    def _say_if_misspelt(self, name: str, metadata: Mapping[str, Any], params: Mapping[str, Any] | None) -> None:
        """Say nothing: nobody reads what a server warns of."""


class _Values:
    """The values of records, in their order: fetched anew whenever they are gone through, some at a time."""

    def __init__(self, store: Store, records: Sequence[Record]) -> None:
        self._store, self._records = store, records

    def __iter__(self) -> Iterator[Any]:
        waiting: list[Record] = []
        size = 0
        for record in self._records:
            if waiting and (size + record.nbytes > _AT_ONCE or len(waiting) == _RECORDS_AT_ONCE):
                yield from self._fetched(waiting)
                waiting, size = [], 0
            waiting.append(record)
            size += record.nbytes
        yield from self._fetched(waiting)

    def _fetched(self, records: Sequence[Record]) -> Iterator[Any]:
        found = {
            record.record_id: value
            for chunk in self._store.fetch(Stored(tuple({record.record_id for record in records})))
            for record, value in zip(chunk.records, stored_values(chunk), strict=True)
        }
        return (found[record.record_id] for record in records)


class Keyed(Wrapper):
    """A store to which one write comes under a key, and which stores it once however often it comes."""

    def __init__(self, store: Store, once: Once, asked: Answered) -> None:
        super().__init__(store)
        self._once, self._asked = once, asked

    def write(self, batch: Batch) -> list[Record]:
        """Write to the store inside, unless that was done before; return the records as they were stored then."""
        return list(self._once.stored(self._asked, batch, self._store, lambda: None))


def call_id_of(asked: Answered) -> str:
    """Return the id of the call that a save tells of: the same one when the save comes again."""
    return hashlib.sha256(ids.canonical_json([asked.user_id, asked.key]).encode()).hexdigest()[:32]


_METHODS: Final = (
    DatabaseManager.load_one,
    DatabaseManager.load_all,
    DatabaseManager.log,
    DatabaseManager.get_provenance,
    DatabaseManager.get_provenance_by_schema,
    DatabaseManager.find_record,
    DatabaseManager.find_meant,
)
_KEYWORDS: Final = frozenset(
    name
    for method in _METHODS
    for name, one in inspect.signature(method).parameters.items()
    if one.kind in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
)


def checked_keys(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return metadata that no keyword of the facade is taken for.

    Raises
    ------
    ReservedMetadataKeyError
        Naming the key.

    """
    for name in metadata:
        if name in _KEYWORDS:
            raise ReservedMetadataKeyError(
                f"The metadata key {name!r} is a word of SciDB's own. As a version key, give it under params.", key=name
            )
    return metadata


def _ids(computed: Computed, inputs: Mapping[str, Input]) -> Sought:
    forms = {name: one.form for name, one in inputs.items()}
    lineage_id, inputs_hash = ids.computation_ids(computed.function_hash, forms, computed.outputs)
    return Sought(lineage_id, computed.function_hash, inputs_hash)


def _record_input(one: RecordInput, known: Mapping[str, Record]) -> Input:
    if ids.is_lineage_alone(one.record_id):
        variable, content = one.variable, one.content_hash
        if variable is None or content is None or ids.ephemeral_id(variable, content) != one.record_id:
            raise PipelineError(
                f"The input {one.name!r} was never saved, so its id goes with its variable and its content_hash, as "
                "save_ephemeral_lineage answered them; these do not go together.",
                record_id=one.record_id,
            )
    elif one.record_id not in known:
        raise NotFoundError(f"The input {one.name!r} is no record of this database.", record_id=one.record_id)
    else:
        variable, content = known[one.record_id].variable, known[one.record_id].content_hash
    origin = CallInput(one.name, "record", record_id=one.record_id, type_name=variable, content_hash=content)
    return Input(ids.value_form(content), (origin,))
