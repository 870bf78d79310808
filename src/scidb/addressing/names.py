"""Names of keys: which are allowed, which are taken, and which are probably misspelt."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from scidb.exceptions import ReservedMetadataKeyError, SchemaKeyError
from scidb.store.model import KeyType, SchemaKey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["RESERVED_KEYS", "RESERVED_SCHEMA_KEYS", "check_key_name", "near_miss", "schema_keys_from"]

RESERVED_KEYS: Final = frozenset(
    # what a loaded value is asked for, and what the store keeps beside it
    {"created_at", "data", "id", "record_id", "schema_version", "timestamp", "version", "vhash"}
    # every keyword of save, load, load_all and for_each; a test compares this with the signatures
    | {"as_df", "as_of", "as_table", "db", "distribute", "dry_run", "exclude", "executor", "fn", "force"}
    | {"iloc", "include_record_id", "index", "inputs", "loc", "n_jobs", "on_error", "outputs", "params"}
    | {"pass_metadata", "prefer", "progress", "save", "seed", "skip_computed", "version_id", "where"},
)
RESERVED_SCHEMA_KEYS: Final = RESERVED_KEYS | {"row", "record_no", "value", "version_keys"}


def check_key_name(name: str) -> None:
    """Refuse metadata keys that SciDB needs for itself.

    Raises
    ------
    ReservedMetadataKeyError
        When `name` is reserved or begins with two underscores.

    """
    if name in ("as_df", "as_table"):
        raise ReservedMetadataKeyError(
            f"{name}= is not for this call: load takes as_table=, load_all takes as_df=.", key=name
        )
    if name in RESERVED_KEYS:
        raise ReservedMetadataKeyError(
            f"The metadata key {name!r} is reserved: a call of SciDB has, or will have, a keyword of that name. Choose "
            f"another one, for example {name}_value.",
            key=name,
        )
    if name.startswith("__"):
        raise ReservedMetadataKeyError(
            f"The metadata key {name!r} begins with two underscores, which is reserved for the configuration of "
            f"for_each. To find results by it, write params={{{name!r}: ...}}.",
            key=name,
        )


def schema_keys_from(declared: Sequence[str] | Mapping[str, type | str]) -> tuple[SchemaKey, ...]:
    """Check declared schema keys and their types, in order.

    Raises
    ------
    SchemaKeyError
        When a key is not a text, is empty, reserved, given twice (ignoring case), or of an unknown type.

    """
    if isinstance(declared, str):
        raise SchemaKeyError(f"Schema keys are a list of names, not one text: write [{declared!r}].")
    types = declared if hasattr(declared, "items") else dict.fromkeys(declared)
    if len(types) != len(declared):
        raise SchemaKeyError(f"The schema keys {list(declared)!r} name a key twice.")
    keys = tuple(SchemaKey(_schema_key_name(name), _declared_type(name, kind)) for name, kind in types.items())
    folded: dict[str, str] = {}
    for key in keys:
        if (other := folded.setdefault(key.name.casefold(), key.name)) != key.name:
            raise SchemaKeyError(f"The schema keys {other!r} and {key.name!r} differ only in case.")
    return keys


def _schema_key_name(name: object) -> str:
    if not isinstance(name, str) or not name.strip():
        raise SchemaKeyError(f"A schema key is a non-empty text, got {name!r}.")
    if name.casefold() in RESERVED_SCHEMA_KEYS or name.startswith("_"):
        raise SchemaKeyError(f"{name!r} cannot be a schema key: the name is reserved. Choose another one.", key=name)
    return name


_TYPES: Final[dict[object, KeyType]] = {
    int: "int",
    float: "float",
    str: "str",
    dt.date: "date",
    dt.datetime: "datetime",
    "int": "int",
    "float": "float",
    "str": "str",
    "date": "date",
    "datetime": "datetime",
}


def _declared_type(name: str, kind: object) -> KeyType | None:
    if kind is None:
        return None
    if (found := _TYPES.get(kind)) is None:
        raise SchemaKeyError(f"Schema key {name!r}: {kind!r} is no key type; use int, float, str, date or datetime.")
    return found


@lru_cache(maxsize=1024)
def near_miss(name: str, keys: tuple[str, ...]) -> str | None:
    """Return the schema key that `name` probably misspells.

    Ignoring case and underscores: equal, one edit away, or two edits from six letters on. A swap of
    neighbours is one edit.
    """
    folded = name.replace("_", "").casefold()
    for key in keys:
        target = key.replace("_", "").casefold()
        allowed = 2 if len(target) >= 6 else 1
        if abs(len(folded) - len(target)) <= allowed and _edits(folded, target) <= allowed:
            return key
    return None


def _edits(a: str, b: str) -> int:
    """Count edits (optimal string alignment distance: insert, delete, replace, swap neighbours)."""
    before: list[int] = []
    last = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        row = [i]
        for j, other in enumerate(b, 1):
            cost = min(last[j] + 1, row[-1] + 1, last[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, last = last, row
    return last[-1]
