"""The arguments of a recorded call, made again exactly: whatever cannot be is a reason not to run it.

What a call received is stored by its origins. How they were put together (a list, a table, a variable
whole) is found by the hash of all inputs, which only the very inputs of then have.
"""

from __future__ import annotations

import hashlib
import inspect
import itertools
import json
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from scidb.exceptions import UnhashableValueError
from scidb.foreach.pieces import split
from scidb.foreach.seeds import drawn_from, generator_of
from scidb.hashing.arguments import Parameters
from scidb.hashing.ids import (
    computation_form,
    content_hash,
    file_form,
    inputs_hash,
    merge_form,
    value_form,
)
from scidb.hashing.literal import literal_value
from scidb.provenance.noted import noted_inputs, shared_out
from scidb.provenance.reproduction.given import Argument, MergedPart, columns_of, one_table, table_of_places, values_of
from scidb.records import class_named, records_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from scidb.hashing.ids import Form
    from scidb.hashing.inputs import CallInput
    from scidb.provenance.noted import NotedInput
    from scidb.provenance.reproduction.exchange import Step
    from scidb.store.model import Record

__all__ = ["CannotRunError", "Material", "Ready", "called", "digest_of", "part_of", "prepared"]

_MOST_TRIES: Final = 4096


class CannotRunError(Exception):
    """Why a recorded call cannot be made again, with the traceback of the user's code; for this package alone."""

    def __init__(self, problem: str, traceback: str = "") -> None:
        super().__init__(problem)
        self.traceback = traceback


@dataclass(frozen=True, slots=True)
class Material:
    """Where values come from: records, results that were never saved, and files."""

    records: Mapping[str, Record]
    value_of: Callable[[str, bool], Any]  # of a record id; whole or not
    result_of: Callable[[str, int], Any]  # of a call and an output
    lineage_of: Callable[[str], str]
    schema_keys: Sequence[str]
    root_folders: Sequence[str]


@dataclass(frozen=True, slots=True)
class Ready:
    """A call that is as it was recorded."""

    arguments: Mapping[str, Any]
    files: Mapping[Path, str]  # with the digests that they must still have afterwards


def prepared(step: Step, function: Callable[..., Any], material: Material) -> Ready:
    """Return the arguments of a call, whose inputs together have the recorded hash.

    Raises
    ------
    CannotRunError
        Naming the input that is not stored, or saying that the inputs cannot be put together as they were.

    """
    origins: dict[str, list[CallInput]] = defaultdict(list)
    for origin in step.call.inputs:
        origins[origin.name].append(origin)
    files: dict[Path, str] = {}
    for whole in (False, True):
        maker = _Maker(step, material, files, whole=whole)
        ways = {name: maker.ways(name, given) for name, given in origins.items()}
        if found := _as_recorded(step, ways, _defaults(function, ways)):
            return Ready({name: argument.value() for name, argument in found.items() if argument.form}, files)
    raise CannotRunError(
        f"the arguments of {step.call.computation.function_name}() cannot be put together as they were: their hash "
        "is not the recorded one (containers within a dict are not stored as such, nor are dicts whose keys have no "
        "exact text; a default value may have changed)"
    )


def _as_recorded(
    step: Step, ways: Mapping[str, Sequence[Argument]], defaults: Mapping[str, Form]
) -> dict[str, Argument] | None:
    wanted = step.call.computation.inputs_hash
    for chosen in itertools.islice(itertools.product(*ways.values()), _MOST_TRIES):
        given = dict(zip(ways, chosen, strict=True))
        # An empty form stands for an argument that was left to its default.
        forms = {name: argument.form or defaults.get(name, []) for name, argument in given.items()}
        if inputs_hash({**defaults, **forms}) == wanted:
            return given
    return None


def _defaults(function: Callable[..., Any], ways: Mapping[str, Sequence[Argument]]) -> dict[str, Form]:
    """Identify what nothing was given for."""
    binding = Parameters(function)
    given = {name for name, found in ways.items() if any(way.form for way in found)}
    try:
        positional, keywords = _passed(function, dict.fromkeys(given))
        bound = binding.bind(tuple(positional), keywords)
    except TypeError:
        return {}
    try:
        return {name: binding.identify(name, value).form for name, value in bound.items() if name not in given}
    except UnhashableValueError:
        return {}


class _Maker:
    def __init__(self, step: Step, material: Material, files: dict[Path, str], *, whole: bool) -> None:
        self._step = step
        self._material = material
        self._files = files
        self._whole = whole
        self._is_of_for_each = step.call.run_id is not None

    def ways(self, name: str, origins: Sequence[CallInput]) -> list[Argument]:
        """Return the ways in which the argument may have been put together, the likely ones first."""
        each = [list(self._single(origin)) for origin in origins]
        alone = each[0] if len(origins) == 1 else []
        if all(origin.kind == "constant" for origin in origins) and alone:
            return alone
        if self._is_of_for_each:
            return list(self._of_for_each(name, origins, each))
        keys = [origin.key for origin in origins if origin.key is not None]
        made = [*self._of_keys(keys, each)] if len(keys) == len(each) else []
        return [*alone, *made, *self._of_items(each)]

    def _of_keys(self, keys: Sequence[str], each: Sequence[Sequence[Argument]]) -> Iterator[Argument]:
        """Yield the dict that a thunk may have been given."""
        try:
            names = [literal_value(key) for key in keys]
        except ValueError:  # a damaged one says nothing
            return
        for items in itertools.islice(itertools.product(*each), _MOST_TRIES):
            forms = [item.form for item in items]
            yield Argument(["dict", forms, names], partial(values_of, items, partial(_keyed, names)))

    def _of_items(self, each: Sequence[Sequence[Argument]]) -> Iterator[Argument]:
        """Yield the list and the tuple that a thunk may have been given."""
        for items in itertools.islice(itertools.product(*each), _MOST_TRIES):
            forms = [item.form for item in items]
            yield Argument(["list", forms], partial(values_of, items))
            yield Argument(["tuple", forms], partial(values_of, items, tuple))

    def _of_for_each(
        self, name: str, origins: Sequence[CallInput], each: Sequence[Sequence[Argument]]
    ) -> Iterator[Argument]:
        """Yield what for_each may have given: one value, all matches, columns of them, or a merged table."""
        if any(origin.record_id is None for origin in origins):
            yield from each[0] if len(origins) == 1 else ()
            return
        for text in self._texts(name) or [""]:
            parts = noted_inputs(text)
            if text.startswith("Merge("):
                yield from self._of_merge(parts, origins, each)
                continue
            found = [columns_of(ways, parts[0]) for ways in each] if parts[0].columns else each
            yield from found[0] if len(origins) == 1 else ()
            yield from self._of_matches(parts[0].variable, origins, found)

    def _of_merge(
        self, parts: Sequence[NotedInput], origins: Sequence[CallInput], each: Sequence[Sequence[Argument]]
    ) -> Iterator[Argument]:
        """Yield the tables that a merge may have given: of one place, or of all."""
        shared = shared_out(origins, len(parts))
        if shared is None:
            return
        records = [[self._material.records[origin.record_id or ""] for origin in own] for own in shared]
        # A variable may have been called otherwise then.
        names = [dict.fromkeys((own[0].variable, part.variable)) for own, part in zip(records, parts, strict=True)]
        for chosen in itertools.islice(itertools.product(itertools.product(*names), *each), _MOST_TRIES):
            called, items = chosen[0], iter(chosen[1:])
            made = [
                MergedPart(part, name, own, tuple(itertools.islice(items, len(own))))
                for part, name, own in zip(parts, called, records, strict=True)
            ]
            if all(len(own) == 1 for own in records):
                yield Argument(merge_form([part.form() for part in made]), partial(one_table, made))
            keys = self._material.schema_keys
            yield Argument(merge_form([part.form_of_all() for part in made]), partial(table_of_places, made, keys))

    def _of_matches(
        self, variable: str, origins: Sequence[CallInput], each: Sequence[Sequence[Argument]]
    ) -> Iterator[Argument]:
        """Yield the list and the table of all matches that for_each may have given."""
        records = [self._material.records[origin.record_id or ""] for origin in origins]
        for items in itertools.islice(itertools.product(*each), _MOST_TRIES):
            places = [[item.form, dict(record.schema)] for item, record in zip(items, records, strict=True)]
            yield Argument(["list", places], partial(values_of, items))
            rows = [[*place, record.version_keys] for place, record in zip(places, records, strict=True)]
            # The variable may have been called otherwise then.
            for called in filter(None, dict.fromkeys((records[0].variable, variable))):
                yield Argument(["table", called, rows], partial(self._table, records, items))

    def _texts(self, name: str) -> list[str]:
        """Return what for_each noted of the parameter, as the records that the call made have it."""
        noted = [json.loads(json.loads(record.version_keys).get("__inputs", "{}")) for record in self._step.made]
        return list(dict.fromkeys(inputs[name] for inputs in noted if name in inputs))

    def _table(self, records: Sequence[Record], items: Sequence[Argument]) -> Any:
        raw = [value.data if self._whole else value for value in values_of(items)]
        return records_table(records[0].variable, self._material.schema_keys, [records], raw)

    def _single(self, origin: CallInput) -> Iterator[Argument]:
        """Yield the ways in which one value may have been given."""
        match origin.kind:
            case "constant":
                yield self._constant(origin)
            case "file":
                yield self._file(origin)
            case "computation":
                yield self._result(origin)
            case "record":
                yield from self._record(origin)

    def _record(self, origin: CallInput) -> Iterator[Argument]:
        record = self._material.records.get(origin.record_id or "")
        if record is None and origin.input_call_id is not None and origin.content_hash is not None:
            yield self._result(origin)  # recorded by its lineage alone
            return
        if record is None:
            raise CannotRunError(f"the argument {origin.name!r} was never saved, or was erased")
        self._check_whole(origin, record)
        form = class_named(record.variable).input_from(origin.name, record, unwrap=not self._whole).form
        forms = [form]
        if origin.content_hash is not None and value_form(origin.content_hash) != form:
            forms.append(value_form(origin.content_hash))  # the result of a thunk, passed on in memory
        for one in forms:
            yield Argument(one, lambda: self._material.value_of(record.record_id, self._whole))

    @staticmethod
    def _check_whole(origin: CallInput, record: Record) -> None:
        """Refuse what is known to have been a part of a record; a class's own storage has other reasons to differ."""
        is_other = origin.content_hash is not None and origin.content_hash != record.content_hash
        if is_other and not class_named(record.variable).has_custom_storage():
            raise CannotRunError(
                f"the argument {origin.name!r} was some rows of {record.variable} (loc=, iloc=), and which ones is not "
                "stored. Save the rows as a variable of their own to have what is made of them reproduced"
            )

    def _result(self, origin: CallInput) -> Argument:
        call_id, number = origin.input_call_id or "", origin.output_num or 0
        if origin.content_hash is None:
            return Argument(computation_form(self._material.lineage_of(call_id), number), lambda: None)
        return Argument(value_form(origin.content_hash), lambda: self._material.result_of(call_id, number))

    def _file(self, origin: CallInput) -> Argument:
        relative, digest = origin.value_repr or "", origin.content_hash or ""
        problems = []
        for root in dict.fromkeys((*self._material.root_folders, *filter(None, [origin.root]), ".")):
            path = Path(root) / relative
            if not path.is_file():
                problems.append(f"it is not in {root}")
            elif digest_of(path) != digest:
                problems.append(f"what is in {root} has another content")
            else:
                self._files[path] = digest
                return Argument(file_form(relative, digest), partial(_itself, path))
        raise CannotRunError(f"the file {relative} cannot be had as it was: {'; '.join(problems)}")

    def _constant(self, origin: CallInput) -> Argument:
        if (drawn := drawn_from(origin)) is not None:
            return Argument(drawn, partial(generator_of, drawn))
        if origin.content_hash is None and origin.value_repr == "default":
            return Argument([], lambda: None)
        for value in self._candidates(origin):
            try:
                found = content_hash(value)
            except UnhashableValueError:
                continue
            if found == origin.content_hash:
                return Argument(value_form(found), partial(_itself, value))
        raise CannotRunError(
            f"the constant {origin.name} ({origin.value_repr}) is not stored; only its hash is, because it is long or "
            "of a type that has no exact text"
        )

    def _candidates(self, origin: CallInput) -> Iterator[Any]:
        for text in filter(None, (origin.literal, origin.value_repr)):
            try:
                yield literal_value(text)
            except ValueError:
                continue
        if origin.name in self._step.names:
            yield self._step.names[origin.name]


def part_of(record: Record, output: Any) -> Any:
    """Return what of an output is stored in a record: the output, or one of its pieces.

    Raises
    ------
    CannotRunError
        When it has another number of pieces.

    """
    if record.piece is None:
        return output
    try:
        pieces = split(output)
    except TypeError:
        pieces = ()
    if len(pieces) != record.pieces:
        raise CannotRunError(f"it returned {len(pieces)} pieces for {record.variable}, where it had {record.pieces}")
    return pieces[record.piece - 1]


def _keyed(names: Sequence[Any], values: Iterable[Any]) -> dict[Any, Any]:
    return dict(zip(names, values, strict=True))


def _itself(value: Any) -> Any:
    return value


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def called(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """Call a function with arguments by the names under which they are recorded."""
    positional, keywords = _passed(function, arguments)
    return function(*positional, **keywords)


def _passed(function: Callable[..., Any], arguments: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return arguments by name as they are passed: by position where there is no other way."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        named = {name: value for name, value in arguments.items() if not name.startswith("arg_")}
        return [value for name, value in arguments.items() if name not in named], named
    positional: list[Any] = []
    keywords = {name.removeprefix("**"): value for name, value in arguments.items()}
    kinds = {name: parameter.kind for name, parameter in signature.parameters.items()}
    has_rest = any(kind is inspect.Parameter.VAR_POSITIONAL and name in keywords for name, kind in kinds.items())
    for name, kind in kinds.items():
        if name not in keywords or kind in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD):
            continue
        if kind is inspect.Parameter.VAR_POSITIONAL:
            positional += keywords.pop(name) or ()
        elif kind is inspect.Parameter.POSITIONAL_ONLY or has_rest:
            positional.append(keywords.pop(name))
    return positional, keywords
