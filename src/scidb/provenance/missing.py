"""What should be there and is not: combinations that for_each could run now and has no result of, or that failed.

A configuration of for_each is known by its results. At each level at which it has some, every combination of keys
that exists, in the database or as a file, should have one, if all inputs are there, or are missing themselves. What
never gave any result is known by its failures alone, as long as no later call of the function has begun.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scidb.addressing import convert_key
from scidb.exceptions import SchemaKeyError
from scidb.provenance.status import Reason, RecordStatus
from scidb.records import words_of
from scidb.store.model import Locations, Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scidb.provenance.configured import Configuration
    from scidb.provenance.facts import Facts
    from scidb.provenance.status import State
    from scidb.store.model import Failure, KeyValue
    from scidb.store.protocol import Store

__all__ = ["Gap", "gaps_of", "never_made"]


@dataclass(frozen=True, slots=True)
class Gap:
    """A place without the result that it should have; a failure is a result that cannot be expected."""

    place: Record  # without an id, since there is none
    function_name: str
    reason: Reason

    @property
    def is_failure(self) -> bool:
        """Whether it was run, and failed."""
        return self.reason.kind == "failure"

    def status(self) -> RecordStatus:
        """Return it as a state among others."""
        place, function = self.place, self.function_name
        own = {name: value for name, value in json.loads(place.version_keys).items() if not name.startswith("__")}
        state: State = "failed" if self.is_failure else "missing"
        return RecordStatus(place.variable, place.schema, own, state, (self.reason,), function_name=function)


def gaps_of(
    store: Store,
    facts: Facts,
    known: Mapping[str, Configuration],
    candidates: dict[str, list[Record]],
    as_of: str | None,
) -> list[Gap]:
    """Return what is missing, and add it to the candidates, so that what would be made from it is missing, too."""
    locations = _Locations(store, facts, as_of)
    found: dict[tuple[object, ...], Gap] = {}
    is_growing = True
    while is_growing:  # once for each step from a missing result to the one that would be made from it
        fresh = {
            key: gap
            for configuration in known.values()
            for key, gap in _gaps_in(facts, configuration, locations, found)
        }
        found.update(fresh)
        for gap in fresh.values():
            if not gap.is_failure:
                candidates.setdefault(gap.place.variable, []).append(gap.place)
        is_growing = any(not gap.is_failure for gap in fresh.values())
    return list(found.values())


class _Locations:
    """The combinations of keys that exist; each kind is asked for once."""

    def __init__(self, store: Store, facts: Facts, as_of: str | None) -> None:
        self._store, self._as_of = store, as_of
        self._types = {key.name: key.value_type for key in facts.keys}
        self._stored: dict[tuple[str, ...], dict[tuple[KeyValue, ...], Mapping[str, KeyValue]]] = {}

    def at(
        self, configuration: Configuration, keys: tuple[str, ...]
    ) -> Mapping[tuple[KeyValue, ...], Mapping[str, KeyValue]]:
        """Return by their values the combinations of these keys, in the database and of files that are read."""
        if keys not in self._stored:
            stored = (one.schema for one in self._store.find(Locations(keys, self._as_of)))
            self._stored[keys] = {tuple([one[key] for key in keys]): one for one in stored}
        found = self._stored[keys]
        paths = [path for path in configuration.paths if set(path.keys) == set(keys)]
        if paths:
            found = dict(found)
            for location in (self._typed(texts) for path in paths for texts in path.discover()):
                if location is not None:
                    found.setdefault(tuple([location[key] for key in keys]), location)
        return found

    def _typed(self, texts: Mapping[str, Any]) -> Mapping[str, KeyValue] | None:
        try:
            return {name: convert_key(name, value, self._types.get(name)) for name, value in texts.items()}
        except SchemaKeyError:
            return None


def _gaps_in(
    facts: Facts, configuration: Configuration, locations: _Locations, found: Mapping[tuple[object, ...], Gap]
) -> Iterator[tuple[tuple[object, ...], Gap]]:
    text = configuration.version_keys
    for variable, levels in configuration.made.items():
        for keys, made in levels.items():
            for values, location in locations.at(configuration, keys).items():
                if values in made:
                    continue
                key = (variable, text, frozenset(location.items()))
                if key in found:
                    continue
                inputs = configuration.inputs_at(location)
                failure = facts.failure_at(text, location)
                given = [one.record_id for records in (inputs or {}).values() for one in records]
                if not facts.flagged.isdisjoint(given) and failure is None:
                    continue  # as `exclude=` leaves it out
                if inputs is not None and (configuration.where is None or failure is not None):
                    yield key, _gap(facts, configuration, key, location, inputs, failure, found)


def _gap(
    facts: Facts,
    configuration: Configuration,
    key: tuple[Any, ...],
    location: Mapping[str, KeyValue],
    inputs: Mapping[str, list[Record]],
    failure: Failure | None,
    found: Mapping[tuple[object, ...], Gap],
) -> Gap:
    function = _function_of(facts, configuration)
    place = _nowhere(key[0], location, configuration.version_keys)
    if failure is not None:
        return Gap(place, function, _failed(function, failure))
    for name, records in inputs.items():
        for one in records:
            missing = found.get((one.variable, one.version_keys, frozenset(one.schema.items())))
            if not one.record_id and missing is not None:
                said = f"{name} = {words_of(one)} is missing, too"
                return Gap(place, function, Reason("missing", said, name, cause=missing.reason))
    said = f"the inputs of {function}() are there, and it was not run here"
    return Gap(place, function, Reason("missing", said, f"{function}()"))


def _nowhere(variable: str, location: Mapping[str, KeyValue], version_keys: str) -> Record:
    return Record(
        record_id="",
        variable=variable,
        schema=location,
        version_keys=version_keys,
        content_hash="",
        schema_version=0,
        encoding="",
        nbytes=0,
    )


def _failed(function: str, failure: Failure) -> Reason:
    said = f"{function}() failed here, and there is no result: {failure.error}: {failure.message}"
    return Reason("failure", said, f"{function}()")


def _function_of(facts: Facts, configuration: Configuration) -> str:
    for entry in configuration.entries:
        if call := facts.calls.get(entry.call_id or ""):
            return call.computation.function_name
    return str(configuration.noted["__fn"])


def never_made(facts: Facts, known: Mapping[str, Configuration]) -> Iterator[Gap]:
    """Yield failures of configurations without any result, unless the function was called again since."""
    last_run: dict[str, str] = {}
    for run in facts.runs.values():  # newest first
        last_run.setdefault(run.function_name, run.run_id)
    for failure in facts.failures.values():
        begun = facts.runs.get(failure.run_id)
        if begun is None or failure.version_keys in known or last_run[begun.function_name] != begun.run_id:
            continue
        place = _nowhere("", failure.schema, failure.version_keys)
        yield Gap(place, begun.function_name, _failed(begun.function_name, failure))
