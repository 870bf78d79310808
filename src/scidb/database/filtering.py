"""From a filter as a person writes it to what a store is asked, and to the variant that was made under it."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, cast

from scidb.database.filter_columns import resolve_leaf, undecided
from scidb.database.saving import Saving
from scidb.exceptions import FilterError
from scidb.filters import (
    ColumnFilter,
    CompoundFilter,
    Filter,
    InFilter,
    KeyFilter,
    KeyInFilter,
    MissingFilter,
    NotFilter,
    VariableFilter,
    checked_filter,
)
from scidb.store.columns import column_of
from scidb.store.model import Chunk, Forms, Latest, Levels, Match
from scidb.variable.migration import is_migrated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from scidb.database.filter_columns import VariableLeaf
    from scidb.store.model import Form, Record

__all__ = ["Filtering"]

_WHERE: Final = '"__where"'
_VARIABLES: Final = (VariableFilter, ColumnFilter, InFilter, MissingFilter)


class Filtering(Saving):
    """What the facade does with ``where=``."""

    def first_named(self, where: Filter) -> Filter:
        """Return a filter that names each variable as when it was first stored, so that a renaming changes no text."""
        if not self._info.renamed:
            return where

        def first(leaf: Filter) -> Filter:
            known = self._known(leaf.variable) if isinstance(leaf, _VARIABLES) else None
            return replace(cast("VariableLeaf", leaf), variable=known.identity_name) if known else leaf

        return _with_leaves(where, first)

    def filter_levels(self, where: Filter) -> list[tuple[str, ...]]:
        """Return the levels of the variables that a filter looks at, each by its keys."""
        names = self._variables_of(where)
        return sorted({level.keys for level in self._store.find(Levels(names))}) if names else []

    def _resolved(self, where: object, as_of: Any = None) -> Filter | None:
        """Return a filter as a store decides it: with physical columns, and values as they are stored.

        Raises
        ------
        FilterError
            When it is none, or cannot be decided for these variables.
        NotRegisteredError, SchemaKeyError
            When it names what this database does not have.

        """
        if where is None:
            return None
        forms = self._forms(where := checked_filter(where))

        def resolve(leaf: Filter) -> Filter:
            match leaf:
                case KeyFilter(key=key, value=value):
                    return replace(leaf, value=self.key_value(key, value))
                case KeyInFilter(key=key, values=values):
                    return replace(leaf, values=tuple(self.key_value(key, value) for value in values))
                case VariableFilter() | ColumnFilter() | InFilter() | MissingFilter():
                    return self._resolve_variable(leaf, forms[leaf.variable], self._instant(as_of))
            return leaf

        return _with_leaves(where, resolve)

    def _forms(self, where: Filter) -> Mapping[str, list[Form]]:
        names = self._variables_of(where)
        found: dict[str, list[Form]] = defaultdict(list)
        for form in self._store.find(Forms(names)) if names else ():
            found[form.variable].append(form)
        return found

    def _variables_of(self, where: Filter) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(leaf.variable for leaf in where.leaves() if isinstance(leaf, _VARIABLES)))
        for name in names:
            self._stored(name)
        return names

    def _resolve_variable(self, leaf: VariableLeaf, forms: Sequence[Form], as_of: str | None) -> Filter:
        self._check_version(leaf)
        ever = {(form.encoding, form.schema_version) for form in forms}
        try:
            return self._resolve_in(leaf, ever)
        except FilterError:
            # What is superseded is not compared, but looking that up costs more.
            latest = self._store.find(Latest(Match((leaf.variable,), as_of=as_of)))
            now = {(record.encoding, record.schema_version) for record in latest}
            if not now or now == ever:
                raise
            return self._resolve_in(leaf, now)

    def _check_version(self, leaf: VariableLeaf) -> None:
        """Refuse a schema key where a variant is chosen, and what is nearly one."""
        names = [name for name, _ in leaf.version]
        for name in names:
            if name in self.schema_keys:
                raise undecided(
                    leaf,
                    f"{name!r} is a schema key, and a filter compares values at the locations that are asked for, or "
                    "at coarser ones. Only version keys can be fixed in it",
                )
        self._match(leaf.variable, {name: None for name in names if not name.startswith("__")})

    def _resolve_in(self, leaf: VariableLeaf, stored: set[tuple[str, int]]) -> Filter:
        _, cls = self._named(leaf.variable)
        for version in sorted({version for _, version in stored}):
            if is_migrated(cls, version):
                raise undecided(
                    leaf,
                    f"some values of {leaf.variable} were stored with schema_version {version}, and a filter compares "
                    f"what is stored, before migrate() brings it to {cls.schema_version}. Load and save them again",
                )
        return resolve_leaf(leaf, sorted({encoding for encoding, _ in stored}))

    # -------------------------------------------------------------- results that were made under a filter

    def _chosen(self, records: Sequence[Record], where: Filter | None) -> list[Record]:
        """Keep, at each location, what for_each made under this filter, or else what it made under none."""
        if where is None or _are_plain(records):
            return list(records)
        key = self.first_named(where).to_key()
        groups: dict[object, list[Record]] = defaultdict(list)
        for record in records:
            groups[record.variable, _place(record)].append(record)
        kept = {id(record) for group in groups.values() for record in _of_filter(group, key)}
        return [record for record in records if id(record) in kept]

    def _chosen_chunks(self, chunks: Iterable[Chunk], where: Filter | None) -> Iterator[Chunk]:
        """Do as `_chosen` in a stream in natural order, in which the records of one location follow each other."""
        if where is None:
            yield from chunks
            return
        for run in _runs(chunks):
            if all(_are_plain(chunk.records) for chunk in run):
                yield from run
            else:
                yield from self._chosen_of_run(run, where)

    def _chosen_of_run(self, run: Sequence[Chunk], where: Filter) -> Iterator[Chunk]:
        rows = ((chunk, row, record) for chunk in run for row, record in enumerate(chunk.records))
        current: Chunk | None = None
        kept: list[int] = []
        for _, found in groupby(rows, key=lambda row: _place(row[2])):
            group = list(found)
            wanted = set(map(id, self._chosen([record for *_, record in group], where)))
            for chunk, row, record in group:
                if chunk is not current:
                    yield from _rows_of(current, kept)
                    current, kept = chunk, []
                if id(record) in wanted:
                    kept.append(row)
        yield from _rows_of(current, kept)


def _with_leaves(where: Filter, change: Callable[[Filter], Filter]) -> Filter:
    """Return the same tree over other leaves."""
    match where:
        case CompoundFilter(left=left, right=right):
            return replace(where, left=_with_leaves(left, change), right=_with_leaves(right, change))
        case NotFilter(inner=inner):
            return replace(where, inner=_with_leaves(inner, change))
    return change(where)


def _place(record: Record) -> frozenset[tuple[str, Any]]:
    return frozenset(record.schema.items())


def _are_plain(records: Sequence[Record]) -> bool:
    """Say whether none was made under a filter, from the texts alone: to look at many records makes them first."""
    return not any(_WHERE in text for text in set(column_of(records, "version_keys")))


def _runs(chunks: Iterable[Chunk]) -> Iterator[list[Chunk]]:
    """Return the chunks that follow each other at one location together, and mostly each alone."""
    run: list[Chunk] = []
    for chunk in chunks:
        if run and _place(run[-1].records[-1]) != _place(chunk.records[0]):
            yield run
            run = []
        run.append(chunk)
    if run:
        yield run


def _of_filter(group: Sequence[Record], key: str) -> Sequence[Record]:
    """Return what was made under this filter, or else under none; what was made under another one, never."""
    made = [_made_under(record) for record in group]
    wanted = key if key in made else None
    return [record for record, under in zip(group, made, strict=True) if under == wanted]


def _made_under(record: Record) -> str | None:
    # Most have no such key, which is seen without reading the JSON.
    if _WHERE not in record.version_keys:
        return None
    under: str | None = json.loads(record.version_keys).get("__where")
    return under


def _rows_of(chunk: Chunk | None, rows: list[int]) -> Iterator[Chunk]:
    if chunk is None or not rows:
        return
    if len(rows) == len(chunk.records):
        yield chunk
    else:
        table = chunk.table.take(rows) if chunk.table is not None else None
        yield Chunk(tuple(chunk.records[row] for row in rows), table)
