"""What one configuration of for_each would use and make now, as far as what it has made tells.

Its filter is never asked again.
"""

from __future__ import annotations

import ast
import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, cast

from scidb.exceptions import AmbiguousVersionError, PipelineError
from scidb.foreach.matching import MatchIndex
from scidb.foreach.paths import PathInput
from scidb.provenance.noted import noted_inputs, shared_out
from scidb.records import combination_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from scidb.provenance.facts import Facts
    from scidb.provenance.noted import NotedInput
    from scidb.store.model import CallInput, KeyValue, Record

__all__ = ["Configuration", "configurations"]

_PATH: Final = "PathInput("
_MERGE: Final = "Merge("
_NAME: Final = re.compile(r"\b[^\W\d]\w*\b")


@dataclass(slots=True)
class _Source:
    """What one parameter was given: of which variable, in which variants, with which schema keys fixed."""

    variable: str
    versions: set[str]
    fixed: Mapping[str, Any]  # a key that is fixed to be absent has None


@dataclass
class Configuration:
    """One set of version keys that for_each noted, and the results that have it."""

    facts: Facts
    version_keys: str
    candidates: Mapping[str, Sequence[Record]]  # what there is, or should be, per variable
    root_folder: Path | None = None
    entries: list[Record] = field(default_factory=list)
    _indexes: dict[tuple[str, tuple[str, ...], int], tuple[MatchIndex, Mapping[str, Any]]] = field(default_factory=dict)

    @cached_property
    def noted(self) -> dict[str, Any]:
        """Return what for_each noted, constants included."""
        return dict(json.loads(self.version_keys))

    @property
    def where(self) -> str | None:
        """Return the filter, as it was noted."""
        return self.noted.get("__where")

    @cached_property
    def parameters(self) -> dict[str, str]:
        """Return the inputs by parameter, as they were noted."""
        return dict(json.loads(self.noted.get("__inputs", "{}")))

    @cached_property
    def _loaded(self) -> Mapping[str, Mapping[str, NotedInput]]:
        """Return what was loaded for each parameter: by its name, or part by part of a merge."""
        found = {}
        for name, text in self.parameters.items():
            if not text.startswith(_PATH):
                parts = noted_inputs(text)
                alone = len(parts) == 1 and not text.startswith(_MERGE)
                found[name] = {name if alone else f"{name}[{number}]": part for number, part in enumerate(parts)}
        return found

    def by_input(self, origins: Iterable[CallInput]) -> dict[str, list[CallInput]]:
        """Return the origins of a call by what they were found as: a parameter, or a part of a merge."""
        given: dict[str, list[CallInput]] = defaultdict(list)
        for one in origins:
            given[one.name].append(one)
        found: dict[str, list[CallInput]] = {}
        for name, own in given.items():
            parts = self._loaded.get(name, (name,))
            shared = shared_out(own, len(parts))
            found.update(zip(parts, shared, strict=True) if shared else ())
        return found

    @cached_property
    def last_change_of_filtered(self) -> str:
        """Return when anything last changed that its filter looks at, or that it leaves something of."""
        named = {name for name in _NAME.findall(self.where or "") if name in self.facts.changed_at}
        named |= {source.variable for source in self.sources.values()}
        return max((self.facts.changed_at.get(name, "") for name in named), default="")

    # -------------------------------------------------------------- inputs

    @cached_property
    def sources(self) -> Mapping[str, _Source]:
        """Return what each parameter is given that takes variables, as far as some result has it."""
        return dict(self._read_sources())

    def _read_sources(self) -> Iterator[tuple[str, _Source]]:
        given: dict[str, list[Record]] = defaultdict(list)
        for entry in self.entries:
            call = self.facts.calls.get(entry.call_id or "")
            for name, origins in self.by_input(call.inputs if call else ()).items():
                found = (self.facts.now_at(one.record_id)[0] for one in origins if one.record_id)
                given[name] += [used for used in found if used is not None]
        known = {key.name for key in self.facts.keys}
        for name, noted in ((name, noted) for parts in self._loaded.values() for name, noted in parts.items()):
            if used_here := given.get(name):
                keys = [key for key in noted.fixed if key in known]
                fixed = {key: used_here[0].schema.get(key) for key in keys}
                yield name, _Source(used_here[0].variable, {one.version_keys for one in used_here}, fixed)

    def matches(self, name: str, location: Mapping[str, Any]) -> list[Record] | None:
        """Return what a parameter would be given at a location now; None where that cannot be told."""
        source = self.sources.get(name)
        if source is None:
            return None
        candidates = self.candidates.get(source.variable, ())
        known = (name, tuple(location), len(candidates))  # they only become more
        if known not in self._indexes:
            self._indexes[known] = _index(source, location, candidates)
        index, fixed = self._indexes[known]
        try:
            found, _ = index.find({**location, **fixed} if fixed else location)
        except AmbiguousVersionError:
            return None
        return cast("list[Record]", found)

    @cached_property
    def paths(self) -> list[PathInput]:
        """Return the files that it reads, where they were when something was made from them."""
        texts = [text for text in self.parameters.values() if text.startswith(_PATH)]
        roots = {
            one.root
            for entry in self.entries
            if (call := self.facts.calls.get(entry.call_id or ""))
            for one in call.inputs
            if one.kind == "file" and one.root
        }
        root = self.root_folder or next(iter(sorted(roots, reverse=True)), None)
        templates = [ast.literal_eval(text.removeprefix(_PATH).removesuffix(")")) for text in texts]
        return [PathInput(template, root) for template in templates] if root else []

    # -------------------------------------------------------------- what it would make

    @cached_property
    def made(self) -> Mapping[str, Mapping[tuple[str, ...], set[tuple[KeyValue, ...]]]]:
        """Return where it has results, whole or in pieces: by variable, by the keys of the combination, its values."""
        found: dict[str, dict[tuple[str, ...], set[tuple[KeyValue, ...]]]] = defaultdict(lambda: defaultdict(set))
        for entry in self.entries:
            where = combination_of(entry)
            found[entry.variable][tuple(where)].add(tuple(where.values()))
        return found

    def inputs_at(self, location: Mapping[str, Any]) -> dict[str, list[Record]] | None:
        """Return the records that a run would receive; None where an input is not there, or cannot be told."""
        found: dict[str, list[Record]] = {}
        texts = self.parameters
        if not texts or len(self.paths) < sum(text.startswith(_PATH) for text in texts.values()):
            return None
        for name in (name for parts in self._loaded.values() for name in parts):
            matches = self.matches(name, location)
            if not matches:
                return None
            found[name] = matches
        return found if all(_is_there(path, location) for path in self.paths) else None


def _is_there(path: PathInput, location: Mapping[str, Any]) -> bool:
    try:
        return path.resolve(location).is_file()
    except PipelineError:
        return False


def configurations(
    facts: Facts, candidates: Mapping[str, Sequence[Record]], root_folder: Path | None
) -> dict[str, Configuration]:
    """Return every configuration of for_each that some result has, by its version keys."""
    found: dict[str, Configuration] = {}
    for entry in facts.entries:
        text = entry.version_keys
        if '"__inputs"' in text:
            if text not in found:
                found[text] = Configuration(facts, text, candidates, root_folder)
            found[text].entries.append(entry)
    return found


def _index(
    source: _Source, location: Mapping[str, Any], candidates: Iterable[Record]
) -> tuple[MatchIndex, Mapping[str, Any]]:
    """Return what finds the candidates at places with the keys of this one, and the keys that are fixed there."""
    fixed = {key: value for key, value in source.fixed.items() if value is not None}
    keys = tuple(dict.fromkeys((*(key for key in location if key in fixed or key not in source.fixed), *fixed)))
    return MatchIndex(source.variable, (entry for entry in candidates if _may_be(entry, source)), keys), fixed


def _may_be(entry: Record, source: _Source) -> bool:
    return (
        entry.variable == source.variable
        and entry.version_keys in source.versions
        and all(entry.schema.get(key) == value for key, value in source.fixed.items())
    )
