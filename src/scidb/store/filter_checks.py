"""What every store checks of a filter, and says of one that cannot be decided; how it finds out is its own affair."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import pyarrow as pa

from scidb.exceptions import FilterError, NotRegisteredError, SchemaKeyError, did_you_mean
from scidb.filters import (
    ColumnFilter,
    InFilter,
    KeyFilter,
    KeyInFilter,
    MissingFilter,
    VariableFilter,
    kind_of,
    subject_text,
)
from scidb.store.names import check_not_renamed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from scidb.filters import Filter, Kind, RawFilter, Reduce
    from scidb.store.model import KeyValue, SchemaKey

__all__ = [
    "KeyLeaf",
    "VariableLeaf",
    "check_column",
    "check_leaves",
    "column_kind",
    "column_of",
    "held_in",
    "in_words",
    "lacks_column",
    "not_one_value",
    "other_kind",
    "raw_undecided",
    "reduce_of",
    "uncovered",
    "wanted_kind",
]

VariableLeaf: TypeAlias = VariableFilter | ColumnFilter | InFilter | MissingFilter
KeyLeaf: TypeAlias = KeyFilter | KeyInFilter
Place: TypeAlias = "Mapping[str, KeyValue]"

_SHOWN: Final = 3
_KEY_KINDS: Final[dict[str, tuple[Kind, ...]]] = {
    "int": ("number",),
    "float": ("number",),
    "str": ("text",),
    "date": ("date",),
    "datetime": ("datetime", "datetime with a time zone"),
}


# ------------------------------------------------------------------ before anything is read


def check_leaves(
    where: Filter, keys: Sequence[SchemaKey], variables: Collection[str], renamed: Mapping[str, str]
) -> None:
    """Refuse a filter that names what is not there, or compares a schema key with another type.

    Raises
    ------
    SchemaKeyError
        When there is no such schema key.
    NotRegisteredError
        When there is no such variable.
    FilterError
        When a schema key is of another type.

    """
    for leaf in where.leaves():
        match leaf:
            case KeyFilter() | KeyInFilter():
                _check_key(leaf, keys)
            case VariableFilter() | ColumnFilter() | InFilter() | MissingFilter():
                check_not_renamed(leaf.variable, renamed)
                if leaf.variable not in variables:
                    raise NotRegisteredError(
                        f"The filter {leaf.to_key()} asks for the variable {leaf.variable!r}, of which this database "
                        f"knows nothing.{did_you_mean(leaf.variable, variables)}",
                        name=leaf.variable,
                    )


def _check_key(leaf: KeyLeaf, keys: Sequence[SchemaKey]) -> None:
    types = {key.name: key.value_type for key in keys}
    if leaf.key not in types:
        raise SchemaKeyError(
            f"There is no schema key {leaf.key!r} for the filter {leaf.to_key()}; the keys are "
            f"{', '.join(types) or 'none'}.{did_you_mean(leaf.key, types)}",
            name=leaf.key,
            keys=list(types),
        )
    held, asked = types[leaf.key], wanted_kind(leaf)
    if held is not None and asked is not None and asked not in _KEY_KINDS[held]:
        raise FilterError(
            f"The filter {leaf.to_key()} compares with a {asked}, but the schema key {leaf.key!r} holds {held} values. "
            "Compare it with one of those.",
            filter=leaf.to_key(),
        )


def check_column(leaf: VariableLeaf, columns: Iterable[str]) -> None:
    """Refuse a column that no record of the variable has; of no records, nothing is known.

    Raises
    ------
    FilterError
        Listing the columns.

    """
    known = list(dict.fromkeys(columns))
    if known and column_of(leaf) not in known:
        raise FilterError(f"The filter {leaf.to_key()} cannot be decided: {_columns(leaf, known)}", columns=known)


# ------------------------------------------------------------------ leaves


def column_of(leaf: VariableLeaf) -> str | int:
    """Return the column that a leaf is about."""
    column = None if isinstance(leaf, VariableFilter) else leaf.column
    return "value" if column is None else column


def in_words(leaf: VariableLeaf) -> str:
    """Return what a leaf is about, in words."""
    column = None if isinstance(leaf, VariableFilter) else leaf.column
    return subject_text(leaf.variable, column, None, leaf.version)


def reduce_of(leaf: VariableLeaf) -> Reduce | None:
    """Return how a leaf makes one answer of several values."""
    return None if isinstance(leaf, MissingFilter) else leaf.reduce


def wanted_kind(leaf: VariableLeaf | KeyLeaf) -> Kind | None:
    """Return the kind of value that a leaf compares with; None if it compares with none."""
    match leaf:
        case MissingFilter():
            return None
        case InFilter(values=values) | KeyInFilter(values=values):
            return kind_of(values[0]) if values else None
    return kind_of(leaf.value)


def column_kind(kind: pa.DataType) -> Kind | None:
    """Return the kind of value that a column holds; None if it holds what cannot be compared."""
    if pa.types.is_boolean(kind):
        return "bool"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return "number"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "text"
    if pa.types.is_date(kind):
        return "date"
    return "datetime" if pa.types.is_timestamp(kind) else None


def held_in(kind: pa.DataType) -> str:
    """Return what a column holds, in words."""
    return column_kind(kind) or f"values that cannot be compared ({kind})"


# ------------------------------------------------------------------ filters that cannot be decided


def uncovered(leaf: VariableLeaf, targets: Sequence[Place], places: Sequence[Place]) -> FilterError:
    """Say why a variable that is stored at `places` has no value for the targets."""
    name, first = leaf.variable, targets[0]
    finer = [place for place in places if len(place) > len(first) and first.items() <= place.items()]
    if not places:
        variants = " with these version keys" if leaf.version else ""
        why = f"{name} has no values at all{variants} then. Save them, or leave the filter out"
    elif finer:
        why = (
            f"{name} is stored at finer locations, such as {_place(finer[0])}, and a filter looks only at the same and "
            f"at coarser ones. Summarise {name} to the level of what is to be loaded, save that, and filter by it"
        )
    elif not any(place.keys() <= first.keys() for place in places):
        levels = sorted({_level(place) for place in places})
        why = (
            f"{name} is stored by {' and by '.join(levels[:_SHOWN])}, which cannot be compared with locations by "
            f"{_level(first)}. Filter by a variable that is stored by some of these keys"
        )
    else:
        why = f"{name} has no value there. Save the values that are missing, or ask only for locations that have one"
    return _undecided(leaf, targets, why)


def lacks_column(leaf: VariableLeaf, targets: Sequence[Place], columns: Iterable[str]) -> FilterError:
    """Say that the values at the targets have no such column."""
    return _undecided(leaf, targets, f"there, {_columns(leaf, list(dict.fromkeys(columns)))}".removesuffix("."))


def other_kind(leaf: VariableLeaf, targets: Sequence[Place], held: Iterable[str]) -> FilterError:
    """Say that the values at the targets are of another type than the one of the filter."""
    why = (
        f"there, {in_words(leaf)} holds {' and '.join(sorted(set(held)))}, which a filter cannot compare with a "
        f"{wanted_kind(leaf)}. Compare it with a value of its own type"
    )
    return _undecided(leaf, targets, why)


def not_one_value(leaf: VariableLeaf, targets: Sequence[Place], values: int, entries: int) -> FilterError:
    """Say that there are several values, or none, where one is needed; the numbers are those of the first target."""
    if values == 0:
        why = f"{in_words(leaf)} is empty there"
    elif entries > 1:
        why = f"{leaf.variable} has {entries} records there, which differ in version keys or in level"
    else:
        why = f"{in_words(leaf)} has {values} rows there"
    if isinstance(leaf, MissingFilter):
        remedy = f"Save a summary of {leaf.variable}, one value for each location, and filter by that"
    else:
        remedy = f"Say which values have to fulfil it: {in_words(leaf)}.any() or {in_words(leaf)}.all()"
    if entries > 1:
        remedy = f"Choose one by its version keys, as in Fixed({leaf.variable}, gain=2) > 3. {remedy}"
    return _undecided(leaf, targets, f"{why}, and the filter needs exactly one value. {remedy}")


def raw_undecided(leaf: RawFilter, targets: Sequence[Place], *, is_seen: bool) -> FilterError:
    """Say that the view shows several records of which only some fulfil the condition, or none."""
    if is_seen:
        why = "the view has several records there, and only some fulfil it. Ask for particular version keys"
    else:
        why = "the view shows only the newest records, and these are older. Filter by comparisons instead"
    return _undecided(leaf, targets, why)


def _undecided(leaf: VariableLeaf | RawFilter, targets: Sequence[Place], why: str) -> FilterError:
    shown = "; ".join(_place(place) for place in targets[:_SHOWN])
    more = f" and {len(targets) - _SHOWN:,} more" if len(targets) > _SHOWN else ""
    return FilterError(
        f"The filter {leaf.to_key()} cannot be decided for {shown}{more}: {why}.",
        filter=leaf.to_key(),
        places=[dict(place) for place in targets[:_SHOWN]],
        count=len(targets),
    )


def _columns(leaf: VariableLeaf, known: Sequence[str]) -> str:
    column = column_of(leaf)
    shown = ", ".join(map(repr, known[:20])) + (" and more" if len(known) > 20 else "")
    hint = did_you_mean(column, known) if isinstance(column, str) else ""
    return f"{leaf.variable} has no column {column!r}; its columns are {shown or 'none'}.{hint}"


def _place(place: Place) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in place.items()) or "the location without keys"


def _level(place: Place) -> str:
    return ", ".join(place) or "no key"
