"""From stored records to what people work with: values, instances, tables, and words about them."""

from __future__ import annotations

import datetime as dt
import functools
import json
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scidb import codecs
from scidb.exceptions import AmbiguousVersionError, SciDBError
from scidb.hashing.ids import canonical_json
from scidb.registry import variable_class
from scidb.store.columns import column_of, places_of
from scidb.variable import BaseVariable
from scidb.variable.migration import present_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pandas as pd

    from scidb.store.model import Chunk, Record

__all__ = [
    "ambiguous",
    "ambiguous_prefix",
    "as_column",
    "class_named",
    "combination_of",
    "configuration_of",
    "contents_of",
    "encode_stored",
    "instances",
    "instant",
    "is_custom",
    "is_recallable",
    "labels_of",
    "place",
    "presented",
    "records_table",
    "stored_values",
    "telling_configuration",
    "values_of",
    "version_keys_of",
    "words_of",
]

_UNSET: Final = object()
# What for_each notes under keys of its own, in words.
_CONFIGURATION: Final = {
    "__fn": "the function that made it (__fn)",
    "__inputs": "the inputs of for_each (__inputs)",
    "__where": "the filter of for_each (__where)",
}


def class_named(name: str) -> type[BaseVariable]:
    """Return the class imported under `name`; without one, values come as plain BaseVariables."""
    return variable_class(name) or BaseVariable


# ------------------------------------------------------------------ values


def encode_stored(values: Sequence[Any], *, custom: bool) -> list[codecs.Encoded]:
    """Encode values in stored form; `custom` notes that ``to_db`` made them."""
    parts = codecs.encode(values)
    if not custom:
        return parts
    return [codecs.Encoded(_mark_custom(p.encoding), p.positions, p.table, p.nbytes) for p in parts]


@functools.lru_cache(maxsize=256)
def _mark_custom(encoding: str) -> str:
    return canonical_json({"custom": True, "encoding": json.loads(encoding)})


@functools.lru_cache(maxsize=256)
def _unmark_custom(encoding: str) -> tuple[str, bool]:
    parsed = json.loads(encoding)
    if isinstance(parsed, dict) and parsed.get("custom") is True:
        return canonical_json(parsed["encoding"]), True
    return encoding, False


def values_of(chunk: Chunk, cls: type[BaseVariable]) -> list[Any]:
    """Return the values of a chunk as the class gives them: through ``migrate`` and ``from_db`` if it has them.

    Raises
    ------
    MigrationError
        When a value was stored by another state of the class, which this one cannot restore.

    """
    return presented(chunk, stored_values(chunk), cls) if chunk.records else []


def stored_values(chunk: Chunk) -> list[Any]:
    """Return the values of a chunk, which has some, in stored form: as they were before `presented`."""
    return codecs.decode(_unmark_custom(chunk.records[0].encoding)[0], chunk.table, given=chunk.given)


def presented(chunk: Chunk, values: list[Any], cls: type[BaseVariable]) -> list[Any]:
    """Return stored values of the records of a chunk as the class gives them; see `values_of`."""
    custom = _unmark_custom(chunk.records[0].encoding)[1]
    return values if cls is BaseVariable else present_values(cls, values, chunk.records, custom=custom)


def contents_of(encoding: str) -> codecs.Contents:
    """Return what filters can compare in the values of a record: of what ``to_db`` made, its table."""
    return codecs.contents(_unmark_custom(encoding)[0])


def labels_of(record: Record, cls: type[BaseVariable]) -> tuple[object, ...] | None:
    """Return the labels of the columns that a value will have when loaded; None where only the value can tell.

    A column without a label has None: that of a single value, an array or a Series.
    """
    if cls.has_custom_storage() or record.schema_version != cls.schema_version:
        return None
    contents = contents_of(record.encoding)
    return None if contents.form == "other" else tuple(column.label for column in contents.columns)


def is_recallable(record: Record) -> bool:
    """Say whether a stored result can be given back as what the function returned.

    A value that ``to_db`` made needs its class, and any value its class as it was when the function returned it.
    """
    custom = _unmark_custom(record.encoding)[1]
    cls = class_named(record.variable)
    if cls is BaseVariable:
        return not custom
    return custom == cls.has_custom_storage() and record.schema_version == cls.schema_version


def is_custom(record: Record) -> bool:
    """Say whether a class made what is stored with its own ``to_db``."""
    return _unmark_custom(record.encoding)[1]


def instances(chunk: Chunk, cls: type[BaseVariable]) -> list[BaseVariable]:
    """Return the records of a chunk as instances of the class."""
    found = []
    for value, record in zip(values_of(chunk, cls), chunk.records, strict=True):
        instance = cls(value)
        instance.came_from(record)
        found.append(instance)
    return found


# ------------------------------------------------------------------ tables


def version_keys_of(record: Record) -> dict[str, Any]:
    """Return a record's own version keys, without those of for_each."""
    return _own_version_keys(record.version_keys)


def _own_version_keys(text: str) -> dict[str, Any]:
    return {k: v for k, v in json.loads(text).items() if not k.startswith("__")}


def telling_configuration(texts: Sequence[str], places: Callable[[], Iterable[object]]) -> tuple[str, ...]:
    """Return those keys of for_each's own without which some records would look like one another.

    Parameters
    ----------
    texts
        The version keys of each record.
    places
        Gives, per record, where it is; asked only when records differ in for_each's own keys alone.

    """
    variants: dict[str, list[str]] = defaultdict(list)
    for text in dict.fromkeys(texts):
        variants[canonical_json(_own_version_keys(text))].append(text)
    alike = {text: shown for shown, group in variants.items() if len(group) > 1 for text in group}
    if not alike:
        return ()
    together: dict[object, set[str]] = defaultdict(set)
    for text, at in zip(texts, places(), strict=True):
        if text in alike:
            together[at, alike[text]].add(text)
    found: set[str] = set()
    for mixed in {frozenset(group) for group in together.values()}:
        pairs = Counter((key, canonical_json(value)) for text in mixed for key, value in json.loads(text).items())
        found |= {key for (key, _), count in pairs.items() if count < len(mixed)}
    return tuple(sorted(found))


def configuration_of(text: str, keys: Sequence[str]) -> dict[str, Any]:
    """Return these keys of for_each's own, as far as a record's version keys have them."""
    parsed = json.loads(text) if keys else {}
    return {key: parsed[key] for key in keys if key in parsed}


def records_table(
    name: str,
    keys: Sequence[str],
    parts: Sequence[Sequence[Record]],
    values: Sequence[Any],
    *,
    record_ids: bool = False,
) -> pd.DataFrame:
    """Return one row per record: those `keys` that occur, version keys, a column named after the variable.

    Of for_each's own keys those are shown without which two rows of one place would look like one another, and
    a mean would mix variants unseen. The records come in parts, as from a store, since some hold them by column.
    """
    import pandas as pd

    texts = _joined(parts, lambda records: column_of(records, "version_keys"))
    versions = {text: _own_version_keys(text) for text in dict.fromkeys(texts)}
    params = list(dict.fromkeys(key for version in versions.values() for key in version))
    located = [(places_of(records), records) for records in parts]
    present = {key for at, _ in located for key, cells in at.items() if any(cell is not None for cell in cells)}
    columns: dict[str, Any] = {}
    for key in keys:
        if key in present:
            columns[key] = as_column([cell for at, records in located for cell in at.get(key) or [None] * len(records)])
    hidden = telling_configuration(texts, lambda: zip(*columns.values(), strict=True) if columns else [()] * len(texts))
    versions = {text: own | configuration_of(text, hidden) for text, own in versions.items()}
    columns.update({key: as_column([versions[text].get(key) for text in texts]) for key in (*params, *hidden)})
    while name in columns:  # a variable may be called like a key
        name = f"{name}_value"
    columns[name] = as_column(values)
    if record_ids:
        columns["record_id"] = _joined(parts, lambda records: column_of(records, "record_id"))
    return pd.DataFrame(columns)


def _joined(parts: Sequence[Sequence[Record]], column: Callable[[Sequence[Record]], Sequence[Any]]) -> list[Any]:
    return [cell for records in parts for cell in column(records)]


def as_column(values: Sequence[Any]) -> Any:
    """Return a column that changes no value: of one plain type, of whole numbers with gaps, or of objects."""
    kinds = set(map(type, values))
    if len(kinds) == 1 and issubclass(kind := next(iter(kinds)), bool | int | float | str | np.generic):
        # pandas would come to the same kinds by itself, looking at each value twice.
        return np.array(values, kind) if kind is float or (kind is int and _fit(values)) else list(values)
    if kinds == {int, type(None)} and _fit([value for value in values if value is not None]):
        import pandas as pd

        return pd.array(list(values), dtype="Int64")
    column = np.empty(len(values), dtype=object)
    for number, value in enumerate(values):
        column[number] = value
    return column


def _fit(integers: Sequence[int]) -> bool:
    return min(integers) >= -(2**63) and max(integers) < 2**63


# ------------------------------------------------------------------ words


def place(schema: Mapping[str, Any]) -> str:
    """Describe a location for people."""
    return ", ".join(f"{key}={value!r}" for key, value in schema.items()) or "the whole dataset"


def combination_of(record: Record) -> Mapping[str, Any]:
    """Return the location of the call that made a record: of a piece, all but the key that numbers it."""
    if record.piece is None:
        return record.schema
    return {key: record.schema[key] for key in list(record.schema)[:-1]}


def words_of(record: Record) -> str:
    """Name a record for people: variable, location and own version keys."""
    return f"{record.variable} ({_whole_place(record)})"


def ambiguous(name: str, records: Sequence[Record]) -> AmbiguousVersionError:
    """Return the error for several matches, listing what distinguishes them and how to choose."""
    telling = _telling(records)
    shown = [f"{_CONFIGURATION.get(key, key)}: {_listed(distinct)}" for key, distinct in telling.items()]
    if telling:
        key, values = next(iter(telling.items()))
        value = _choice(next(value for value in reversed(values) if value is not _UNSET))
        choice = f"params={{{key!r}: {value}}}" if key.startswith("__") else f"{key}={value}"
        advice = f"Give one of these, for example {choice}, or load all of them with load_all."
    else:
        advice = f"Choose one by its id: version={records[0].record_id[:12]!r}."
    return AmbiguousVersionError(
        f"{len(records)} records of {name} match where one was asked for. They differ in "
        f"{'; '.join(shown) or 'nothing but their value'}. {advice}",
        variable=name,
        record_ids=[record.record_id for record in records[:20]],
        differ_in={key: [_choice(value) for value in distinct] for key, distinct in telling.items()},
    )


def ambiguous_prefix(name: str, prefix: str, records: Sequence[Record]) -> AmbiguousVersionError:
    """Return the error for an id of which too little was given, listing the records that it may mean."""
    length = 12
    while length < 64 and len({record.record_id[:length] for record in records}) < len(records):
        length += 4
    shown = [f"{record.record_id[:length]} ({record.variable} at {_whole_place(record)})" for record in records[:6]]
    more = f" and {len(records) - 6} more" if len(records) > 6 else ""
    return AmbiguousVersionError(
        f"{len(records)} records of {name} have an id that begins with {prefix!r}: {'; '.join(shown)}{more}. Give more "
        "of the id.",
        variable=name,
        record_ids=[record.record_id for record in records[:20]],
    )


def _telling(records: Sequence[Record]) -> dict[str, list[Any]]:
    """Return the keys whose values are not the same in all records, schema keys first, with their values."""
    rows = [{**record.schema, **json.loads(record.version_keys)} for record in records]
    keys = dict.fromkeys(key for record in records for key in record.schema)
    keys.update(dict.fromkeys(sorted({key for row in rows for key in row} - keys.keys(), key=_own_first)))
    # Told apart by their texts, since 1, 1.0 and True are equal and are different values.
    found = {key: {_choice(row.get(key, _UNSET)): row.get(key, _UNSET) for row in rows} for key in keys}
    return {key: list(distinct.values()) for key, distinct in found.items() if len(distinct) > 1}


def _own_first(key: str) -> tuple[bool, str]:
    return key.startswith("__"), key


def _choice(value: Any) -> str:
    """Write a value as it is asked for; a key that is not set is asked for by None."""
    return "None" if value is _UNSET else repr(value)


def _listed(values: Sequence[Any]) -> str:
    shown = ["not set (None)" if value is _UNSET else repr(value) for value in values[:6]]
    return ", ".join(shown) + (", ..." if len(values) > 6 else "")


def _whole_place(record: Record) -> str:
    return place({**record.schema, **version_keys_of(record)})


def instant(moment: object) -> str | None:
    """Return a moment as the store writes it: UTC with microseconds; a naive one is UTC.

    Examples
    --------
    >>> instant("2026-01-02T03:04:05+01:00")
    '2026-01-02T02:04:05.000000Z'

    """
    if moment is None:
        return None
    problem = f"{moment!r} is no moment in time. Use a text such as '2026-01-31T12:00' (UTC) or a datetime."
    try:
        read = dt.datetime.fromisoformat(moment) if isinstance(moment, str) else moment
        # A datetime that is none, as pandas has one, does not equal itself.
        if not isinstance(read, dt.datetime) or read != read:  # noqa: PLR0124
            raise SciDBError(problem)
        utc = read.replace(tzinfo=dt.UTC) if read.tzinfo is None else read.astimezone(dt.UTC)
    except (ValueError, OverflowError) as error:
        raise SciDBError(problem) from error
    return utc.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
