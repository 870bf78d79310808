"""Several variables side by side: one row per location, one column per variable."""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scidb.database.marking import reasons_text
from scidb.database.tabling import Tabling
from scidb.exceptions import (
    AmbiguousVersionError,
    FilterError,
    SchemaKeyError,
    SciDBError,
    UnsupportedValueError,
    did_you_mean,
)
from scidb.filters import coarser_than
from scidb.hashing.ids import canonical_json
from scidb.records import ambiguous, place, values_of
from scidb.store.model import Latest, Match, Record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from scidb.database.core import VariableLike
    from scidb.filters import Filter
    from scidb.store.model import KeyValue, Mark
    from scidb.variable import BaseVariable

__all__ = ["Widening"]

_Level = tuple[str, ...]
_Place = tuple["KeyValue", ...]
_MISSING: Final = object()


class Widening(Tabling):
    """to_dataframe."""

    def to_dataframe(
        self,
        variables: Sequence[VariableLike],
        /,
        *,
        where: Filter | None = None,
        as_of: Any = None,
        exclude: Any = (),
        params: Mapping[str, Any] | None = None,
        **metadata: Any,
    ) -> pd.DataFrame:
        """Return several variables side by side, as statistics want them.

        There is one row per location, in natural order: the finest at which any of the variables is stored. A
        variable of a coarser level is repeated on all rows below it, and what is missing somewhere stays empty.

        Parameters
        ----------
        variables
            Classes, or their names, of variables whose values are single: numbers, texts, dates.
        where
            Keeps the rows at which this filter holds, for the variables that are not coarser than it.
        as_of
            Look at the database as it was then.
        exclude
            Flags to leave out, by their reasons, or True for any: such values, and what was made from them, are
            missing in the table.
        params, **metadata
            Which rows and versions. A schema key narrows the rows, and a version key those variables that have it.

        Returns
        -------
        DataFrame
            The schema keys in their order, then a column per variable under its name. Whole numbers stay whole
            (``Int64`` where some are missing), whole and other numbers together become float64 if none changes.

        Raises
        ------
        AmbiguousVersionError
            When a variable has several values for one row.
        UnsupportedValueError
            When a value is a table, an array or a document.
        FilterError
            When every variable is coarser than the filter, or it cannot be decided for one.
        SchemaKeyError
            When two variables are stored at levels of which neither contains the other.

        """
        named = self._several(variables)
        match = self._wide_match(tuple(named), metadata, params, as_of)
        resolved = self._resolved(where, as_of)
        found: dict[str, dict[_Level, dict[_Place, Any]]] = {name: defaultdict(dict) for name in named}
        seen: dict[tuple[str, _Level, _Place], Record] = {}
        # Coarser values belong to the wanted rows too, though they have not all the keys that are asked for.
        narrow = match.schema
        coarser = {key: (*wanted, None) for key, wanted in narrow.items()}
        match = replace(match, schema=coarser, exclude=self.excluded(exclude))
        for chunk in self._chosen_chunks(self._store.fetch(Latest(match)), where):
            values = values_of(chunk, named[chunk.records[0].variable])
            for record, value in zip(chunk.records, values, strict=True):
                _check_single(record, value)
                level, at = tuple(record.schema), tuple(record.schema.values())
                if (other := seen.setdefault((record.variable, level, at), record)) is not record:
                    raise _several_versions(record.variable, other, record)
                found[record.variable][level][at] = value
        if not seen:
            for name in named:
                self._say_if_misspelt(name, metadata, params)
        _keep_asked(found, {key for key, wanted in narrow.items() if None not in wanted})
        rows = self._rows_of({level for levels in found.values() for level in levels}, found)
        wanted = [row for row in rows if all(row.get(key) in values for key, values in narrow.items())]
        if where is not None:
            wanted = self._passing_rows(wanted, found, replace(match, where=resolved), where)
        return self._flagged_rows(self._wide(wanted, found), wanted, seen, match.as_of)

    def _flagged_rows(
        self,
        table: pd.DataFrame,
        rows: Sequence[Mapping[str, KeyValue]],
        seen: Mapping[tuple[str, _Level, _Place], Record],
        as_of: str | None,
    ) -> pd.DataFrame:
        """Add a column of reasons where any value of the table is flagged."""
        if not (marks := self.marks_on((record.record_id for record in seen.values()), as_of)):
            return table
        by_level: dict[_Level, dict[_Place, list[Mark]]] = defaultdict(lambda: defaultdict(list))
        for (_, level, at), record in seen.items():
            by_level[level][at] += marks.get(record.record_id, ())
        reasons = [
            reasons_text(
                mark
                for level, places in by_level.items()
                if row.keys() >= set(level)
                for mark in places.get(tuple(row[key] for key in level), ())
            )
            for row in rows
        ]
        if any(reasons):
            table["flags" if "flags" not in table else "flagged_as"] = reasons
        return table

    def _passing_rows(
        self,
        rows: Sequence[dict[str, KeyValue]],
        found: Mapping[str, Mapping[_Level, Mapping[_Place, Any]]],
        match: Match,
        where: Filter,
    ) -> list[dict[str, KeyValue]]:
        """Return the rows at which the filter holds for each variable that is not coarser than it."""
        is_coarser = coarser_than(where, self.filter_levels(where))
        fine = [name for name, levels in found.items() if not levels or not all(map(is_coarser, levels))]
        if not fine:
            raise FilterError(
                f"where={where.to_key()} looks at finer places than {', '.join(found)} have. Ask for a variable at the "
                "level of the filter too, or filter by one at the level of these.",
                filter=where.to_key(),
            )
        passing = {
            (name, tuple(record.schema), tuple(record.schema.values()))
            for name in fine
            for record in self._store.find(Latest(replace(match, variables=(name,))))
        }

        def passes(row: Mapping[str, KeyValue]) -> bool:
            places = [
                (name, level, at)
                for name in fine
                for level, stored in found[name].items()
                if row.keys() >= set(level) and (at := tuple(row[key] for key in level)) in stored
            ]
            return bool(places) and all(place in passing for place in places)

        return [row for row in rows if passes(row)]

    def _several(self, variables: Sequence[VariableLike]) -> dict[str, type[BaseVariable]]:
        if isinstance(variables, str | type) or not hasattr(variables, "__iter__"):
            variables = [variables]  # type: ignore[list-item]  # the check is for callers without types
        pairs = [self._stored(variable) for variable in variables]
        if not pairs:
            raise SciDBError("to_dataframe needs at least one variable: to_dataframe([StepLength, Speed]).")
        named = dict(pairs)
        if len(named) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise SciDBError(f"{twice} is named twice; each variable is one column.")
        return named

    def _wide_match(
        self, names: tuple[str, ...], metadata: Mapping[str, Any], params: Mapping[str, Any] | None, as_of: Any
    ) -> Match:
        """Return what all variables must match; a version key is asked of those that have it."""
        everything = self._match_all(names, metadata, params, as_of)
        if not everything.version:
            return everything
        located = Match(names, as_of=everything.as_of)
        texts: dict[str, dict[str, None]] = {name: {} for name in names}
        for record in self._store.find(Latest(located)):
            texts[record.variable].setdefault(record.version_keys)
        return Match(
            names, everything.schema, version_keys=_narrowed(texts, everything.version), as_of=everything.as_of
        )

    def _rows_of(
        self, levels: set[_Level], found: Mapping[str, Mapping[_Level, Mapping[_Place, Any]]]
    ) -> list[dict[str, KeyValue]]:
        """Return the locations below which nothing is stored, in natural order."""
        _check_comparable(levels)
        rows: list[dict[str, KeyValue]] = []
        for level in sorted(levels, key=len, reverse=True):
            covered = {tuple(row[key] for key in level) for row in rows if row.keys() >= set(level)}
            here = dict.fromkeys(at for stored in found.values() for at in stored.get(level, ()))
            rows += [dict(zip(level, at, strict=True)) for at in here if at not in covered]
        keys = self.schema_keys
        return sorted(rows, key=lambda row: [(1, _order(row[key])) if key in row else (0, 0) for key in keys])

    def _wide(
        self, rows: Sequence[Mapping[str, KeyValue]], found: Mapping[str, Mapping[_Level, Mapping[_Place, Any]]]
    ) -> pd.DataFrame:
        import pandas as pd

        present = {key for row in rows for key in row}
        columns: dict[str, Any] = {
            key: _column([row.get(key, _MISSING) for row in rows]) for key in self.schema_keys if key in present
        }
        for name, levels in found.items():
            label = f"{name}_value" if name in columns else name  # a variable may be called like a key
            columns[label] = _column([_value_at(name, row, levels) for row in rows])
        return pd.DataFrame(columns)


# ------------------------------------------------------------------ which values


def _narrowed(
    texts: Mapping[str, Mapping[str, None]], wanted: Mapping[str, tuple[str | None, ...]]
) -> dict[str, tuple[str, ...]]:
    """Return, per variable that has any of the wanted version keys, the whole version keys that fit."""
    parsed = {
        name: {text: {key: canonical_json(value) for key, value in json.loads(text).items()} for text in of_one}
        for name, of_one in texts.items()
    }
    known = {key for of_one in parsed.values() for version in of_one.values() for key in version}
    for key, values in wanted.items():
        if key not in known and None not in values:
            raise SchemaKeyError(
                f"None of {', '.join(texts)} has a version key {key!r} here.{did_you_mean(key, known)}", key=key
            )
    narrowed = {}
    for name, of_one in parsed.items():
        own = {key: values for key, values in wanted.items() if any(key in version for version in of_one.values())}
        if own:
            narrowed[name] = tuple(
                text
                for text, version in of_one.items()
                if all(version.get(key) in values for key, values in own.items())
            )
    return narrowed


def _check_single(record: Record, value: object) -> None:
    if hasattr(value, "__len__") and not isinstance(value, str | bytes):
        raise UnsupportedValueError(
            f"{record.variable} at {place(record.schema)} is a {type(value).__name__}, and a table of variables has "
            "single values. Reduce it to one with for_each, for example its mean, and give the variable that holds it.",
            path="",
        )


def _several_versions(name: str, *records: Record) -> AmbiguousVersionError:
    said = ambiguous(name, records)
    differ = said.details["differ_in"]
    return AmbiguousVersionError(
        f"{name} has several versions at {place(records[0].schema)}, so that it is not clear which belongs into the "
        f"table. They differ in {', '.join(differ) if isinstance(differ, dict) else ''}. Choose one through "
        f"params=: {_params(differ)}.",
        **said.details,
    )


def _params(differ: object) -> str:
    pairs = [f"{key!r}: {values[-1]}" for key, values in differ.items()] if isinstance(differ, dict) else []
    return f"params={{{', '.join(pairs)}}}"


# ------------------------------------------------------------------ which rows


def _keep_asked(found: Mapping[str, dict[_Level, dict[_Place, Any]]], asked: set[str]) -> None:
    """Of a variable that has values with all keys that are asked for, leave out those that have not all of them."""
    for levels in found.values():
        if any(asked <= set(level) for level in levels):
            for level in [level for level in levels if not asked <= set(level)]:
                del levels[level]


def _check_comparable(levels: set[_Level]) -> None:
    finest = max(levels, key=len, default=())
    for level in sorted(levels):
        if not set(level) <= set(finest):
            raise SchemaKeyError(
                f"These variables are stored at levels that cannot be compared, ({', '.join(level)}) and "
                f"({', '.join(finest)}): neither says more than the other, so they have no common rows. Make a table "
                "of each, or save one of them at a level that both have."
            )


def _order(value: KeyValue) -> Any:
    return value.replace(tzinfo=dt.UTC) if isinstance(value, dt.datetime) and value.tzinfo is None else value


def _value_at(name: str, row: Mapping[str, KeyValue], levels: Mapping[_Level, Mapping[_Place, Any]]) -> Any:
    """Return the value of one variable for a row, from its own place or a coarser one."""
    fitting = []
    for level, stored in levels.items():
        if row.keys() >= set(level) and (at := tuple(row[key] for key in level)) in stored:
            fitting.append((level, stored[at]))
    if len(fitting) > 1:
        raise AmbiguousVersionError(
            f"{name} has values for {place(row)} at several levels: "
            f"{' and '.join('(' + ', '.join(level) + ')' for level, _ in fitting)}. Make the table of one level: a key "
            "that must be set is asked for by slice(None), one that must not by None.",
            variable=name,
        )
    return fitting[0][1] if fitting else _MISSING


# ------------------------------------------------------------------ columns


def _column(values: Sequence[Any]) -> Any:
    """Return a column for statistics: numbers as numbers, what is missing as pandas has it."""
    import pandas as pd

    there = [value for value in values if value is not _MISSING and value is not None]
    kinds = {type(value) for value in there}
    if kinds and kinds <= {int} and all(-(2**63) <= value < 2**63 for value in there):
        column = [None if value is _MISSING else value for value in values]
        return pd.array(column, dtype="Int64" if None in column else "int64")
    if kinds and kinds <= {int, float} and all(float(value) == value for value in there if type(value) is int):
        return np.array([np.nan if value in (None, _MISSING) else value for value in values], dtype=np.float64)
    if kinds == {bool} and len(there) < len(values):
        return pd.array([None if value is _MISSING else value for value in values], dtype="boolean")
    if len(kinds) == 1 and issubclass(next(iter(kinds)), np.floating):
        (kind,) = kinds
        return np.array([np.nan if value in (None, _MISSING) else value for value in values], dtype=kind)
    cells = [None if value is _MISSING else value for value in values]
    if kinds <= {str} or (len(kinds) == 1 and len(there) == len(values)):
        return pd.Series(cells) if kinds else pd.Series(cells, dtype=object)
    return pd.Series(cells, dtype=object)
