"""What `for_each` asks of a database: look-ups per call, and results in batches."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from scidb.database.memoising import Memoising
from scidb.database.recording import source_seen
from scidb.database.run_results import RunResults
from scidb.exceptions import UnitError, UnsupportedValueError
from scidb.foreach.protocols import Past, Rejected
from scidb.hashing import ids
from scidb.hashing.version_keys import version_value
from scidb.memo import Sought
from scidb.records import combination_of, instances, labels_of, records_table, values_of
from scidb.store.model import (
    Edge,
    Failed,
    Failures,
    Latest,
    Match,
    Records,
    RunEnded,
    RunStarted,
    Stored,
    Timings,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import pandas as pd

    from scidb.database.saving import Pending, Target
    from scidb.filters import Filter
    from scidb.foreach.protocols import Claims, Done, Entry, Loadable, Problem, RunInfo, Totals
    from scidb.hashing.code.fingerprint import Fingerprint
    from scidb.memo import Known
    from scidb.store.model import Call, Event, Record
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
        records = cast("Sequence[Record]", entries)
        made = tuple(text for text in {record.version_keys for record in records} if '"__fn"' in text)
        if not made:
            return {}
        asked = Failures(version_keys=made)
        newest = {(one.version_keys, frozenset(one.schema.items())): one for one in self._store.find(asked)}
        found = {}
        for record in records if newest else ():
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
        # A whole variable also says when it was saved, which is when that was done last.
        query = Stored(tuple(wanted)) if unwrap else Records(Match(record_ids=tuple(wanted)))
        for chunk in self._store.fetch(query):
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

    def check_run(self, run: RunInfo) -> None:
        """Refuse, before anything is computed, a run of which no result could be saved."""
        self._targets(run)
        if self.read_only:
            self._write((), events=self._beginning(run))  # refused by the store, in its own words

    def record(
        self, run: RunInfo, done: Sequence[Done], problems: Sequence[Problem], totals: Totals | None = None
    ) -> list[Rejected]:
        """Store results and failures in one transaction; say which results could not be stored.

        The first of them notes the run and its code. With totals the run ends, with its full set of pipeline edges,
        unless a result could not be stored.
        """
        for item in done:
            if item.recalled_from is not None:
                self._memo.hits.add(item.lineage_id)
        events = [*self._beginning(run), *(self._failed(run, problem) for problem in problems)]
        rejected: list[Rejected] = []
        try:
            self._record_all(run, done, events, totals)
        except (UnsupportedValueError, UnitError):
            storable, rejected = self._storable(run, done)
            if not rejected:
                raise
            self._record_all(run, storable, events, None)
        self._kept_functions.add(_standing(run))
        self._begun.add(run.run_id)
        if totals is not None and not rejected:
            self._begun.discard(run.run_id)
        return rejected

    def _beginning(self, run: RunInfo) -> list[Event]:
        """Return what is noted of a run with its first results, and of its code unless it is there already."""
        if run.run_id in self._begun:
            return []
        name, code = run.function.name, run.function.hash
        started = RunStarted(run.run_id, name, code, run.total, self._user, run.configuration)
        is_kept = _standing(run) in self._kept_functions
        return [started] if is_kept else [started, source_seen(run.function, run.function_ref)]

    def _storable(self, run: RunInfo, done: Sequence[Done]) -> tuple[list[Done], list[Rejected]]:
        """Tell the results that can be stored from those that cannot."""
        storable, rejected = [], []
        results = self._results_of(run)
        for position, item in enumerate(done):
            try:
                self._chunks(results.pending(item, None))
            except (UnsupportedValueError, UnitError) as error:
                rejected.append(Rejected(position, error))
            else:
                storable.append(item)
        return storable, rejected

    def _record_all(self, run: RunInfo, done: Sequence[Done], events: Sequence[Event], totals: Totals | None) -> None:
        calls, pending, again = self._made(run, done) if done else ([], [], [])
        ended = [] if totals is None else [_ended(run, totals)]
        edges = [] if totals is None else _edges(run, totals)
        self._write(pending, again=again, calls=calls, edges=edges, events=[*events, *ended])

    def _made(self, run: RunInfo, done: Sequence[Done]) -> tuple[list[Call], list[Pending], list[Record]]:
        """Return what is kept of results: their calls, their values, and the records that are logged again."""
        results = self._results_of(run)
        calls: list[Call] = []
        pending: list[Pending] = []
        again: list[Record] = []
        for item, call_id in zip(done, ids.new_call_ids(len(done)), strict=True):
            call = results.call(item, call_id)
            calls.append(call)
            if item.entries:
                found = cast("Sequence[Record]", item.entries)
                # Other code may have made it, whose results were accepted as those of this one.
                again += [
                    replace(record, call_id=call.call_id, lineage_id=item.lineage_id, user_id=results.user)
                    for record in found
                ]
            elif run.declared_outputs != ids.GENERATED:
                pending += results.pending(item, call)
        return calls, pending, again

    def _results_of(self, run: RunInfo) -> RunResults:
        return RunResults(run, self._targets(run), self._keys, self._user, self._environment_of(run.function))

    def _targets(self, run: RunInfo) -> list[Target]:
        return [self._target(cast("type[BaseVariable]", output)) for output in run.outputs]

    def _failed(self, run: RunInfo, problem: Problem) -> Failed:
        return Failed(
            run_id=run.run_id,
            schema=problem.schema,
            version_keys=run.version_keys,
            error=type(problem.error).__name__,
            message=problem.message,
            traceback=problem.traceback,
            seconds=problem.seconds,
            lineage_id=problem.lineage_id,
            inputs=problem.inputs,
        )


def _standing(run: RunInfo) -> tuple[str, str]:
    """Return the code of a run and where it stands: it may have moved since it was noted."""
    return run.function.hash, run.function_ref


def _ended(run: RunInfo, totals: Totals) -> RunEnded:
    return RunEnded(
        run_id=run.run_id,
        completed=totals.completed,
        recalled=totals.recalled,
        up_to_date=totals.up_to_date,
        skipped=totals.skipped,
        failed=totals.failed,
        interrupted=totals.interrupted,
    )


def _edges(run: RunInfo, totals: Totals) -> list[Edge]:
    """Return the arrows of the pipeline for which a run stands: none if it found nothing to work on."""
    if not totals.completed + totals.recalled + totals.up_to_date:
        return []
    made = [output.__name__ for output in run.outputs] or [f"{run.function.name}()"]
    return [Edge(source, one, run.function.name, run.function.hash) for one in made for source in run.sources]


def _tuples(schema: Mapping[str, Sequence[Any]]) -> dict[str, tuple[Any, ...]]:
    return {key: tuple(wanted) for key, wanted in schema.items()}


def _wanted_texts(name: str, value: object) -> tuple[str | None, ...]:
    text = ids.canonical_json(version_value(name, value))
    return (None, text) if value is None else (text,)
