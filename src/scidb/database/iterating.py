"""What `for_each` asks of a database: look-ups per call, and results in batches."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from scidb.addressing import Address, infer_key_type
from scidb.database.memoising import Memoising
from scidb.database.recording import source_seen
from scidb.database.saving import Pending
from scidb.exceptions import UnitError, UnsupportedValueError
from scidb.foreach.protocols import Past, Rejected
from scidb.hashing import ids
from scidb.hashing.version_keys import version_value
from scidb.memo import Sought
from scidb.records import combination_of, instances, labels_of, records_table, values_of
from scidb.store.model import (
    Call,
    Computation,
    Edge,
    Failed,
    Failures,
    Latest,
    Match,
    Record,
    Records,
    RunEnded,
    RunStarted,
    SourceSeen,
    Timings,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import pandas as pd

    from scidb.database.saving import Target
    from scidb.filters import Filter
    from scidb.foreach.protocols import Claims, Done, Entry, Loadable, Problem, RunInfo, Totals
    from scidb.hashing.code.fingerprint import Fingerprint
    from scidb.memo import Known
    from scidb.store.model import Event
    from scidb.variable import BaseVariable

__all__ = ["Iterating"]


class Iterating(Memoising):
    """The Recorder of `scidb.foreach`."""

    # -------------------------------------------------------------- look-ups

    @property
    def claims(self) -> Claims | None:
        """Who computes what, where several processes write to this database; None where only this one does."""
        return cast("Claims", self._store) if "claims" in self._info.abilities else None

    def latest(
        self,
        variables: Sequence[Loadable],
        schema: Mapping[str, Sequence[Any]],
        version: Mapping[str, Any],
        version_keys: Mapping[str, str],
    ) -> Sequence[Record]:
        """Return the latest entries of variables at these key values and version keys."""
        names = tuple(dict.fromkeys(self._named(variable)[0] for variable in variables))
        texts = {name: _wanted_texts(name, value) for name, value in version.items()}
        whole = {name: (text,) for name, text in version_keys.items()}
        return self._store.find(Latest(Match(names, _tuples(schema), texts, whole)))

    def of_filter(self, entries: Sequence[Entry], where: Filter) -> Sequence[Record]:
        """Return, of the variants at each location, those made under this filter, or else those under none."""
        return self._chosen(cast("Sequence[Record]", entries), where)

    def passing(self, variable: Loadable, schema: Mapping[str, Sequence[Any]], where: Filter) -> Sequence[Record]:
        """Return the latest entries of a variable at such key values, where the filter holds."""
        match = Match((variable.__name__,), _tuples(schema), where=self._resolved(where))
        return self._store.find(Latest(match))

    def known(self, function_hash: str, computations: Mapping[str, str]) -> Mapping[str, Known]:
        """Return what is known of these computations, given by lineage_id with the hash of their inputs."""
        return self._memo.known([Sought(one, function_hash, inputs) for one, inputs in computations.items()])

    def set_aside(self, function_hash: str, made: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        """Return those of these results, each a lineage_id and an instant, that were invalidated since."""
        return self._memo.set_aside(function_hash, made)

    def failed_since(self, entries: Sequence[Entry]) -> dict[str, str]:
        """Return the error of the newest run that failed at the place of these results after they were logged."""
        made = [record for record in cast("Sequence[Record]", entries) if '"__fn"' in record.version_keys]
        if not made:
            return {}
        asked = Failures(version_keys=tuple({record.version_keys for record in made}))
        newest = {(one.version_keys, frozenset(one.schema.items())): one for one in self._store.find(asked)}
        found = {}
        for record in made if newest else ():
            failure = newest.get((record.version_keys, frozenset(combination_of(record).items())))
            if failure is not None and failure.timestamp > record.timestamp:
                found[record.record_id] = f"{failure.error}: {failure.message}"
        return found

    def known_values(self, entries: Sequence[Entry]) -> dict[str, Any]:
        """Load results of earlier computations by record id, each as the variable that it was saved as."""
        return self._memo.cache.load(cast("Sequence[Record]", entries))

    def values(self, wanted: Mapping[str, Loadable], *, unwrap: bool) -> dict[str, Any]:
        """Load records by id: raw values, or whole variables."""
        found: dict[str, Any] = {}
        for chunk in self._store.fetch(Records(Match(record_ids=tuple(wanted)))):
            cls = cast("type[BaseVariable]", wanted[chunk.records[0].record_id])
            loaded = values_of(chunk, cls) if unwrap else instances(chunk, cls)
            found.update(zip((record.record_id for record in chunk.records), loaded, strict=True))
        return found

    def column_labels(self, variable: Loadable, entries: Sequence[Entry]) -> Mapping[str, tuple[object, ...] | None]:
        """Return the labels of the columns of values, by record id, without loading them; None where nobody knows."""
        cls = cast("type[BaseVariable]", variable)
        known: dict[tuple[str, int], tuple[object, ...] | None] = {}
        found = {}
        for record in cast("Sequence[Record]", entries):
            stored = record.encoding, record.schema_version
            if stored not in known:
                known[stored] = labels_of(record, cls)
            found[record.record_id] = known[stored]
        return found

    def table(self, variable: Loadable, entries: Sequence[Entry], values: Sequence[Any]) -> pd.DataFrame:
        """Return keys, version keys and values as a table."""
        raw = [getattr(value, "data", value) if hasattr(value, "type_name") else value for value in values]
        return records_table(variable.__name__, self.schema_keys, [cast("Sequence[Record]", entries)], raw)

    def past(self, function: Fingerprint) -> Past | None:
        """Return how long past calls of a function took: of its code as it is now, or else of any that it had."""
        found = self._store.find(Timings(function.name))
        same = [one for one in found if one.function_hash == function.hash]
        counted = same or found
        calls = sum(one.calls for one in counted)
        if not calls:
            return None
        return Past(calls, sum(one.calls * one.seconds for one in counted) / calls, is_same_code=bool(same))

    # -------------------------------------------------------------- recording

    def begin_run(self, run: RunInfo) -> None:
        """Note that the run began, and the code that it runs."""
        self._targets(run)  # refuses what no result of the run could be saved as
        self._write((), events=(self._started(run), source_seen(run.function, run.function_ref)))
        self._begun.add(run.run_id)

    def end_run(self, run: RunInfo, totals: Totals) -> None:
        """Note that the run ended, and its full set of pipeline edges.

        A run that had nothing to do was never noted as begun; then one write notes both.
        """
        begun: list[Event] = [] if run.run_id in self._begun else [self._started(run), *self._found_standing(run)]
        self._begun.discard(run.run_id)
        ended = RunEnded(
            run.run_id,
            totals.completed,
            totals.recalled,
            totals.up_to_date,
            totals.skipped,
            totals.failed,
            totals.interrupted,
        )
        made = [output.__name__ for output in run.outputs] or [f"{run.function.name}()"]
        edges = [Edge(source, one, run.function.name, run.function.hash) for one in made for source in run.sources]
        self._write(
            (), edges=edges if totals.completed + totals.recalled + totals.up_to_date else (), events=(*begun, ended)
        )

    def _found_standing(self, run: RunInfo) -> list[SourceSeen]:
        """Return where the function stands now that its results were found up to date: it may have moved."""
        key = (run.function.hash, run.function_ref)
        if key in self._standing_code:
            return []
        self._standing_code.add(key)
        return [source_seen(run.function, run.function_ref)]

    def _started(self, run: RunInfo) -> RunStarted:
        name, code = run.function.name, run.function.hash
        return RunStarted(run.run_id, name, code, run.total, self._user, run.configuration)

    def record(self, run: RunInfo, done: Sequence[Done], problems: Sequence[Problem]) -> list[Rejected]:
        """Store results and failures in one transaction; say which results could not be stored."""
        for item in done:
            if item.recalled_from is not None:
                self._memo.hits.add(item.lineage_id)
        events = [self._failed(run, problem) for problem in problems]
        try:
            self._record_all(run, done, events)
        except (UnsupportedValueError, UnitError):
            storable, rejected = self._storable(run, done)
            self._record_all(run, storable, events)
            return rejected
        return []

    def _storable(self, run: RunInfo, done: Sequence[Done]) -> tuple[list[Done], list[Rejected]]:
        """Tell the results that can be stored from those that cannot."""
        storable, rejected = [], []
        targets = self._targets(run)
        for position, item in enumerate(done):
            try:
                self._chunks(self._pending_of(run, item, None, targets))
            except (UnsupportedValueError, UnitError) as error:
                rejected.append(Rejected(position, error))
            else:
                storable.append(item)
        return storable, rejected

    def _record_all(self, run: RunInfo, done: Sequence[Done], events: Sequence[Event]) -> None:
        environment = self._environment_of(run.function)
        calls = [self._call(run, item, environment) for item in done]
        targets = self._targets(run)
        pending: list[Pending] = []
        again: list[Record] = []
        for item, call in zip(done, calls, strict=True):
            if item.entries:
                found = cast("Sequence[Record]", item.entries)
                # Other code may have made it, whose results were accepted as those of this one.
                again += [
                    replace(record, call_id=call.call_id, lineage_id=item.lineage_id, user_id=self._user)
                    for record in found
                ]
            elif run.declared_outputs != ids.GENERATED:
                pending += self._pending_of(run, item, call, targets)
        self._write(pending, again=again, calls=calls, events=events)

    def _call(self, run: RunInfo, item: Done, environment_id: str) -> Call:
        outputs: Any = run.declared_outputs
        kind = "generated" if outputs == ids.GENERATED else "value"
        if item.lineage_id.startswith(ids.UNCACHEABLE):
            kind = "uncacheable"
        if run.piece_key is not None:
            outputs = ["distribute", len(run.outputs), *(["unpack"] if outputs == "unpack" else [])]
        elif outputs == "unpack":
            outputs = ["unpack", len(run.outputs)]
        computation = Computation(
            item.lineage_id, run.function.name, run.function.hash, item.inputs_hash, json.dumps(outputs), kind
        )
        return Call(
            ids.new_call_id(),
            computation,
            item.inputs,
            run.run_id,
            self._user,
            environment_id,
            item.seconds,
            item.recalled_from,
            function_ref=run.function_ref,
        )

    def _targets(self, run: RunInfo) -> list[Target]:
        return [self._target(cast("type[BaseVariable]", output)) for output in run.outputs]

    def _pending_of(self, run: RunInfo, item: Done, call: Call | None, targets: Sequence[Target]) -> list[Pending]:
        """Return the values of one combination, ready to be written."""
        keys = self._keys  # asked of the store
        schema = {key.name: item.schema[key.name] for key in keys if key.name in item.schema}
        version = json.loads(run.version_keys)

        def address(piece: int | None) -> Address:
            place = run.place_of(schema, piece)  # the key of pieces is the deepest one
            untyped = [key.name for key in keys if key.name in place and key.value_type is None]
            return Address(
                place, version, run.version_keys, {name: infer_key_type(name, place[name]) for name in untyped}
            )

        if run.piece_key is None:
            at = address(None)
            return [
                Pending(target, target.stored(value), at, call, number)
                for number, (target, value) in enumerate(zip(targets, item.values, strict=True))
            ]
        return [
            Pending(target, target.stored(value), address(piece), call, number, piece, len(values))
            for number, (target, values) in enumerate(zip(targets, item.values, strict=True))
            for piece, value in enumerate(values, start=1)
        ]

    def _failed(self, run: RunInfo, problem: Problem) -> Failed:
        return Failed(
            run.run_id,
            problem.schema,
            run.version_keys,
            type(problem.error).__name__,
            problem.message,
            problem.traceback,
            problem.seconds,
            problem.lineage_id,
            problem.inputs,
        )


def _tuples(schema: Mapping[str, Sequence[Any]]) -> dict[str, tuple[Any, ...]]:
    return {key: tuple(wanted) for key, wanted in schema.items()}


def _wanted_texts(name: str, value: object) -> tuple[str | None, ...]:
    text = ids.canonical_json(version_value(name, value))
    return (None, text) if value is None else (text,)
