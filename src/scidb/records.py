"""From stored records to what people work with: values, instances, tables, and words about them."""

from __future__ import annotations

import datetime as dt
import functools
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from scidb import codecs
from scidb.exceptions import AmbiguousVersionError, SciDBError
from scidb.hashing.ids import canonical_json
from scidb.registry import variable_class
from scidb.variable import BaseVariable
from scidb.variable.migration import present_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from scidb.store.model import Chunk, Record

__all__ = [
    "ambiguous",
    "class_named",
    "column_of",
    "contents_of",
    "encode_stored",
    "instances",
    "instant",
    "is_recallable",
    "place",
    "records_table",
    "values_of",
    "version_keys_of",
]


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
    if not chunk.records:
        return []
    encoding, custom = _unmark_custom(chunk.records[0].encoding)
    values = codecs.decode(encoding, chunk.table, given=chunk.given)
    return values if cls is BaseVariable else present_values(cls, values, chunk.records, custom=custom)


def contents_of(encoding: str) -> codecs.Contents:
    """Return what filters can compare in the values of a record: of what ``to_db`` made, its table."""
    return codecs.contents(_unmark_custom(encoding)[0])


def is_recallable(record: Record) -> bool:
    """Say whether a stored result can be given back as what the function returned.

    A value that ``to_db`` made needs its class, and any value its class as it was when the function returned it.
    """
    custom = _unmark_custom(record.encoding)[1]
    cls = class_named(record.variable)
    if cls is BaseVariable:
        return not custom
    return custom == cls.has_custom_storage() and record.schema_version == cls.schema_version


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
    return {k: v for k, v in json.loads(record.version_keys).items() if not k.startswith("__")}


def records_table(
    name: str, records: Sequence[Record], values: Sequence[Any], *, record_ids: bool = False
) -> pd.DataFrame:
    """Return one row per record: schema keys, version keys, a column named after the variable."""
    import pandas as pd

    versions = [version_keys_of(record) for record in records]
    keys = list(dict.fromkeys(key for record in records for key in record.schema))
    params = list(dict.fromkeys(key for version in versions for key in version))
    columns: dict[str, Any] = {key: column_of([record.schema.get(key) for record in records]) for key in keys}
    columns.update({key: column_of([version.get(key) for version in versions]) for key in params})
    while name in columns:  # a variable may be called like a key
        name = f"{name}_value"
    columns[name] = column_of(values)
    if record_ids:
        columns["record_id"] = [record.record_id for record in records]
    return pd.DataFrame(columns)


def column_of(values: Sequence[Any]) -> Any:
    """Return a column that changes no value: of one plain type, of whole numbers with gaps, or of objects."""
    kinds = {type(value) for value in values}
    if len(kinds) == 1 and issubclass(next(iter(kinds)), bool | int | float | str | np.generic):
        return list(values)
    if kinds == {int, type(None)} and all(value is None or -(2**63) <= value < 2**63 for value in values):
        import pandas as pd

        return pd.array(list(values), dtype="Int64")
    column = np.empty(len(values), dtype=object)
    for number, value in enumerate(values):
        column[number] = value
    return column


# ------------------------------------------------------------------ words


def place(schema: Mapping[str, Any]) -> str:
    """Describe a location for people."""
    return ", ".join(f"{key}={value!r}" for key, value in schema.items()) or "the whole dataset"


def ambiguous(name: str, records: Sequence[Record]) -> AmbiguousVersionError:
    """Return the error for several matches, listing what distinguishes them."""
    rows = [{**record.schema, **json.loads(record.version_keys)} for record in records]
    keys = list(dict.fromkeys(key for row in rows for key in row))
    telling = {key: distinct for key in keys if len(distinct := _distinct(row.get(key) for row in rows)) > 1}
    shown = [f"{key}: {', '.join(map(repr, distinct[:6]))}" for key, distinct in telling.items()]
    if any(len(distinct) > 6 for distinct in telling.values()):
        shown.append("...")
    hidden = telling and all(key.startswith("__") for key in telling)
    way = f"as in params={{{next(iter(telling))!r}: ...}}" if hidden else "as a keyword"
    advice = f"Give one of these {way}, or load all of them with load_all."
    return AmbiguousVersionError(
        f"{len(records)} records of {name} match where one was asked for. They differ in "
        f"{'; '.join(shown) or 'nothing but their value'}. {advice}",
        variable=name,
        record_ids=[record.record_id for record in records[:20]],
    )


def _distinct(values: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found


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
