"""What led to a result, as it is recorded: calls with their inputs, code, environment and pipeline edges."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from scidb.database.core import Core
from scidb.database.environment import describe_environment, repository_of
from scidb.exceptions import UnsavedIntermediateError
from scidb.hashing import ids
from scidb.hashing.code.fingerprint import fingerprint
from scidb.hashing.code.reference import reference_of
from scidb.records import class_named
from scidb.store.model import (
    Call,
    CallInput,
    Computation,
    Edge,
    EdgesSeen,
    EnvironmentSeen,
    Match,
    Records,
    SourceSeen,
)
from scidb.thunk.lineage import chain, unsaved
from scidb.variable import BaseVariable
from scidb.variable.migration import restoring_functions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from scidb.database.core import LineageMode
    from scidb.hashing.code.fingerprint import Fingerprint
    from scidb.store.protocol import Store
    from scidb.thunk import PipelineThunk, Thunk, ThunkOutput

__all__ = ["Recording", "edge_source", "source_seen"]

# The databases that this process has opened: with a single one, no record can be of another.
_opened: Final[set[str]] = set()
_stores: Final = itertools.count()
_numbers: Final[WeakKeyDictionary[Store, int]] = WeakKeyDictionary()  # of those in memory
_KNOWN: Final = 100_000


class Recording(Core):
    """What the facade records of calls, and refuses of them."""

    def __init__(self, store: Store, *, lineage_mode: LineageMode = "strict") -> None:
        super().__init__(store, lineage_mode=lineage_mode)
        self._environments: dict[str | None, EnvironmentSeen] = {}  # by the repository of the code
        self._noted_environments: set[str] = set()
        self._recorded_calls: set[str] = set()
        self._references: WeakKeyDictionary[Thunk, str] = WeakKeyDictionary()
        self._kept_functions: set[tuple[str, str]] = set()  # by hash and place, that the database has
        self._kept_code: set[str] = set()  # of classes, by which values were restored, with what the database has
        self._here: set[str] = set()  # records that are known to be in this database
        self._elsewhere: set[str] = set()  # and those that are not
        target = store.describe().target
        _opened.add(f"memory:{_numbers.setdefault(store, next(_stores))}" if target == "memory:" else target)

    def _check_lineage(self, output: ThunkOutput) -> None:
        """Refuse a result that strict lineage has something against."""
        name = output.pipeline_thunk.thunk.name
        if self._lineage_mode == "strict" and (paths := unsaved(output)):
            raise UnsavedIntermediateError(
                f"The result of {name}() depends on variables that were never saved: {'; '.join(paths)}. Save them "
                "first, or open the database with lineage_mode='ephemeral'.",
                paths=paths,
            )

    def _lineage_of(
        self, made: Iterable[tuple[str, ThunkOutput]]
    ) -> tuple[tuple[Call, ...], tuple[SourceSeen | EdgesSeen, ...]]:
        """Return the calls to record, upstream first, with their code, as far as it is not kept yet, and the edges."""
        calls: dict[str, PipelineThunk] = {}
        edges: dict[Edge, None] = {}
        chains = [(name, output, list(chain(output))) for name, output in made]
        self._check_records(call for _, _, behind in chains for call in behind)
        for name, output, behind in chains:
            for call in behind:
                calls.setdefault(call.call_id, call)
                target = name if call is output.pipeline_thunk else f"{call.thunk.name}()"
                made_by = call.fingerprint
                sources = map(edge_source, self._origins_of(call))
                edges.update(dict.fromkeys(Edge(source, target, made_by.name, made_by.hash) for source in sources))
        new = [call for call in calls.values() if call.call_id not in self._recorded_calls]
        code = {(call.fingerprint.hash, self._reference(call.thunk)): call.fingerprint for call in new}
        seen = [source_seen(code[hash_, place], place) for hash_, place in code.keys() - self._kept_functions]
        pipeline = [EdgesSeen(tuple(edges))] if edges else []
        return tuple(map(self._call_of, new)), (*seen, *pipeline)

    def _note_recorded(self, calls: Iterable[Call], seen: Iterable[SourceSeen | EdgesSeen]) -> None:
        """Note what the database has now."""
        self._recorded_calls.update(call.call_id for call in calls)
        code = (one for one in seen if isinstance(one, SourceSeen))
        self._kept_functions.update((one.function_hash, one.function_ref) for one in code)

    def _reference(self, thunk: Thunk) -> str:
        """Return where the function of a thunk stands, as it was at its first result that was saved."""
        if thunk not in self._references:
            self._references[thunk] = reference_of(thunk)
        return self._references[thunk]

    def _check_records(self, calls: Iterable[PipelineThunk]) -> None:
        """Refuse, in strict mode, inputs that were saved in another database alone."""
        named = {
            origin.record_id: f"{call.thunk.name}() -> {origin.name}"
            for call in calls
            for identity in call.input_identities.values()
            for origin in identity.origins
            if origin.kind == "record" and origin.record_id is not None
        }
        paths = [named[record_id] for record_id in sorted(self._not_here(named))]
        if paths and self._lineage_mode == "strict":
            raise UnsavedIntermediateError(
                f"The result depends on variables that were saved in another database, not in {self.target}: "
                f"{'; '.join(paths)}. Save them here first, or open the database with lineage_mode='ephemeral'.",
                paths=paths,
            )

    def _call_of(self, call: PipelineThunk) -> Call:
        declared = call.thunk.declared
        outputs = ["unpack", call.n_returned] if declared == "unpack" else declared
        kind = "generated" if call.thunk.generates_file else "value"
        return Call(
            call_id=call.call_id,
            computation=Computation(
                call.lineage_id,
                call.fingerprint.name,
                call.fingerprint.hash,
                call.inputs_hash,
                json.dumps(outputs),
                kind=kind if call.uncacheable is None else "uncacheable",
            ),
            inputs=(*call.written, *self._origins_of(call)),
            user_id=self._user,
            environment_id=self._environment_of(call.fingerprint),
            seconds=call.seconds,
            recalled_from=call.recalled_from,
            function_ref=self._reference(call.thunk),
        )

    def _origins_of(self, call: PipelineThunk) -> Iterator[CallInput]:
        """Yield what the inputs of a call came from.

        A variable may have been renamed since it was loaded; one that was never saved here is named by its content.
        """
        renamed = self._info.renamed
        for name, identity in call.input_identities.items():
            for origin in (identity.as_default() if name in call.defaults else identity).origins:
                if origin.kind != "record":
                    yield origin
                    continue
                variable = origin.type_name or "?"
                record_id = origin.record_id
                if record_id is None or record_id in self._elsewhere:
                    record_id = ids.ephemeral_id(variable, origin.content_hash)
                yield replace(origin, type_name=renamed.get(variable, variable), record_id=record_id)

    def _restoring_code(self, calls: Iterable[Call]) -> list[SourceSeen]:
        """Return the code of classes through which inputs of these calls came, as far as it is not kept yet."""
        wanted = {
            (one.type_name, one.record_id): one.code_hash
            for call in calls
            for one in call.inputs
            if one.code_hash is not None and one.code_hash not in self._kept_code
        }
        if not wanted:
            return []
        record_ids = tuple(record_id for _, record_id in wanted if record_id)
        versions = {
            one.record_id: one.schema_version for one in self._store.find(Records(Match(record_ids=record_ids)))
        }
        functions = {
            function: f"{cls.__module__}:{cls.__qualname__}.{function.__name__}"
            for variable, record_id in wanted
            if record_id in versions and (cls := class_named(variable or "?")) is not BaseVariable
            for function in restoring_functions(cls, versions[record_id])
        }
        return [source_seen(fingerprint(function), reference) for function, reference in functions.items()]

    def _environment_of(self, code: Fingerprint) -> str:
        """Return the id of the environment in which some code runs now; the first write that names it describes it."""
        repository = repository_of(code.manifest)
        known = self._environments.get(repository)
        if known is None:
            description = describe_environment(repository)
            known = self._environments[repository] = EnvironmentSeen(ids.environment_id(description), description)
        return known.environment_id

    def _not_here(self, record_ids: Iterable[str]) -> set[str]:
        """Return those of these records that another database of this process has, and this one has not."""
        if len(_opened) == 1:
            return set()
        asked = set(record_ids) - self._here
        found = {one.record_id for one in self._store.find(Records(Match(record_ids=tuple(asked))))} if asked else set()
        if len(self._here) > _KNOWN:
            self._here.clear()
        self._here |= found
        self._elsewhere -= found
        self._elsewhere |= asked - found
        return asked - found


def source_seen(found: Fingerprint, reference: str) -> SourceSeen:
    """Return the event that keeps the code behind a fingerprint, as it stands in one place."""
    return SourceSeen(found.hash, found.name, found.manifest, found.sources, reference)


def edge_source(origin: CallInput) -> str:
    """Return what an input is called in the type-level pipeline."""
    if origin.kind == "record":
        return origin.type_name or "?"
    if origin.kind == "computation":
        return f"{origin.type_name}()"
    return origin.value_repr or ""
